"""Plugins and their components: discovery, and signatures as options."""

from srkit.components.options import Options, build
from srkit.components.registry import Component, Registry

__all__ = ["Component", "Options", "Registry", "build"]
