"""Plugins and their components: discovery, and signatures as options."""

from typing import TYPE_CHECKING, Any

from srkit.components.registry import Component, Registry

if TYPE_CHECKING:
    from srkit.components.durations import Duration
    from srkit.components.options import Options, build

__all__ = ["Component", "Duration", "Options", "Registry", "build"]


def __getattr__(name: str) -> Any:
    """Import on first use what needs pydantic, so that ``srkit --help`` starts fast."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    if name == "Duration":
        import srkit.components.durations as durations

        return durations.Duration
    import srkit.components.options as module

    return getattr(module, name)
