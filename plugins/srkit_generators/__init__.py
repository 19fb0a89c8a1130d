"""Super-resolution networks."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_generators() -> dict[str, str]:
    """Return the networks."""
    return {
        "compact": "srkit_generators.compact:Compact",
        "edsr": "srkit_generators.edsr:EDSR",
        "foreign": "srkit_generators.foreign:Foreign",
        "mdsr": "srkit_generators.mdsr:MDSR",
        "plksr": "srkit_generators.plksr:PLKSR",
        "rcan": "srkit_generators.rcan:RCAN",
        "rdn": "srkit_generators.rdn:RDN",
        "realplksr": "srkit_generators.plksr:RealPLKSR",
        "rrdb": "srkit_generators.rrdb:RRDB",
        "span": "srkit_generators.span:SPAN",
        "srcnn": "srkit_generators.srcnn:SRCNN",
        "srresnet": "srkit_generators.srresnet:SRResNet",
        "swinir": "srkit_generators.swinir:SwinIR",
        "vdsr": "srkit_generators.vdsr:VDSR",
    }
