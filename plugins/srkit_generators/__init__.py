"""Super-resolution networks."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_generators() -> dict[str, str]:
    """Return the networks."""
    return {
        "edsr": "srkit_generators.edsr:EDSR",
        "foreign": "srkit_generators.foreign:Foreign",
        "mdsr": "srkit_generators.mdsr:MDSR",
        "rdn": "srkit_generators.rdn:RDN",
        "rrdb": "srkit_generators.rrdb:RRDB",
        "srcnn": "srkit_generators.srcnn:SRCNN",
        "srresnet": "srkit_generators.srresnet:SRResNet",
        "vdsr": "srkit_generators.vdsr:VDSR",
    }
