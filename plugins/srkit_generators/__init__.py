"""Super-resolution networks."""

from srkit import hookimpl


@hookimpl
def srkit_generators() -> dict[str, str]:
    """Offer the networks."""
    return {"edsr": "srkit_generators.edsr:EDSR", "rrdb": "srkit_generators.rrdb:RRDB"}
