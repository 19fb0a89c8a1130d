"""srkit: plugin-based super-resolution for astronomy and general images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from srkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from srkit.calling import Upscaler, load_model, upscale
    from srkit.recipe import load_recipe
    from srkit.registry import Registry

    __version__: str

__all__ = [
    "Registry",
    "Upscaler",
    "__version__",
    "hookimpl",
    "load_model",
    "load_recipe",
    "upscale",
]

_WHERE = {
    "Registry": "srkit.registry",
    "Upscaler": "srkit.calling",
    "load_model": "srkit.calling",
    "load_recipe": "srkit.recipe",
    "upscale": "srkit.calling",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that ``import srkit`` stays light."""
    if name == "__version__":
        from importlib.metadata import version

        return version("srkit")
    if name not in _WHERE:
        raise AttributeError(f"module 'srkit' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
