"""srkit: plugin-based super-resolution for astronomy and general images."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from srkit.hookspecs import hookimpl

if TYPE_CHECKING:
    from srkit.errors import SrkitError
    from srkit.recipe.recipe import load_recipe
    from srkit.upscaling.api import Upscaler, load_model, upscale

    __version__: str

__all__ = [
    "SrkitError",
    "Upscaler",
    "__version__",
    "hookimpl",
    "load_model",
    "load_recipe",
    "upscale",
]

# torch reads this when it is imported: operations that MPS of Apple lacks run on the CPU.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

_MODULES = {
    "SrkitError": "srkit.errors",
    "Upscaler": "srkit.upscaling.api",
    "load_model": "srkit.upscaling.api",
    "load_recipe": "srkit.recipe.recipe",
    "upscale": "srkit.upscaling.api",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that ``import srkit`` stays light."""
    if name == "__version__":
        from importlib.metadata import version

        return version("srkit")
    if name not in _MODULES:
        raise AttributeError(f"module 'srkit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
