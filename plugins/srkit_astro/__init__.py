"""Astronomy: lens pairs and simulations, PSFs and noise, FITS, and metrics of flux and shape."""

from srkit import hookimpl


@hookimpl
def srkit_stretches() -> dict[str, str]:
    """Offer the stretches."""
    module = "srkit_astro.stretches"
    return {"asinh": f"{module}:Asinh", "linear": f"{module}:Linear", "log": f"{module}:Log"}
