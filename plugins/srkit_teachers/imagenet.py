"""The classes of ImageNet."""

from __future__ import annotations

from timm.data import ImageNetInfo


def imagenet_names(subset: str = "imagenet-1k") -> list[tuple[str, ...]]:
    """Return the WordNet ID and the names of each class of a subset of ImageNet, by index.

    Parameters
    ----------
    subset
        As timm calls it; ``imagenet-1k`` has the 1000 classes of ILSVRC2012.
    """
    info = ImageNetInfo(subset)
    describe = info.label_name_to_description
    return [(wnid, *describe(wnid).split(", ")) for wnid in info.label_names()]
