"""Super-resolution networks."""

from srkit import hookimpl


@hookimpl
def srkit_generators() -> dict[str, str]:
    """Offer the networks."""
    return {
        "edsr": "srkit_generators.edsr:EDSR",
        "foreign": "srkit_generators.foreign:Foreign",
        "rrdb": "srkit_generators.rrdb:RRDB",
    }
