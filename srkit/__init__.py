"""srkit: plugin-based super-resolution for astronomy and general images."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from srkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from srkit.recipe import load_recipe
    from srkit.registry import Registry

__all__ = ["Registry", "__version__", "hookimpl", "load_recipe"]
__version__ = version("srkit")

_WHERE = {"Registry": "srkit.registry", "load_recipe": "srkit.recipe"}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that ``import srkit`` stays light."""
    if name not in _WHERE:
        raise AttributeError(f"module 'srkit' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
