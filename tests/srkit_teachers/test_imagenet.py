from __future__ import annotations

from srkit_teachers.imagenet import imagenet_names
from torchvision.models import ResNet18_Weights


def test_imagenet_agrees_with_torchvision() -> None:
    """torchvision lists the first name of each class, in the order of the scores."""
    names = imagenet_names()
    wnids = [called[0] for called in names]
    assert len(names) == 1000
    assert wnids == sorted(wnids)
    assert (wnids[0], wnids[999]) == ("n01440764", "n15075141")
    theirs = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    same = sum(name in called for name, called in zip(theirs, names, strict=True))
    assert same > 970  # torchvision renames some classes that share a name
