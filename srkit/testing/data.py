"""Check data sets, augmentations, degradations, stretches, constraints and downloads."""

from __future__ import annotations

import pickle
import string
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from srkit import interfaces
from srkit.interfaces import (
    Augmentation,
    Batch,
    Constraint,
    Dataset,
    Degradation,
    Download,
    Sample,
    Stretch,
)
from srkit.interfaces._contract import (
    require,
    require_augmented,
    require_component,
    require_lr,
    require_sample,
    require_shape,
    require_tensor,
)
from srkit.testing._requirements import (
    noise,
    require_close,
    require_finite,
    require_gradient,
    require_unchanged,
    smooth,
    stated,
)


@stated
def check_dataset(dataset: Dataset) -> None:
    """Check a data set by its first, middle and last sample.

    Raises
    ------
    AssertionError
        If it is empty, returns different samples for an index, has no end, cannot be pickled (for
        worker processes), or a sample violates :class:`srkit.interfaces.Sample`: its type and
        shape, values of pictures outside of its data range, or LR that is not HR divided by one
        scale.
    """
    require_component(dataset, "datasets")
    length = len(dataset)
    require(length > 0, "a data set must contain at least one sample; otherwise raise DataError")
    copied = pickle.loads(pickle.dumps(dataset))
    for index in sorted({0, length // 2, length - 1}):
        sample = dataset[index]
        _check_sample(sample, dataset)
        for again, how in ((dataset[index], "read twice"), (copied[index], "read after pickling")):
            same = again.name == sample.name and torch.equal(again.hr, sample.hr)
            require(same, f"sample {index} differs when {how}; it must be the same")
    if isinstance(dataset, interfaces.WindowedDataset):
        _check_window(dataset, dataset[0])
    if isinstance(dataset, interfaces.SizedDataset):
        for index in sorted({0, length // 2, length - 1}):
            _check_size(dataset, index, dataset[index])
    try:
        dataset[length]
    except IndexError:
        return
    raise AssertionError(f"dataset[{length}] must raise IndexError, since the length is {length}")


def _check_window(dataset: interfaces.WindowedDataset, whole: Sample) -> None:
    """Compare a window with the same part of the whole sample."""
    lr = None if whole.lr is None else (whole.lr.shape[1], whole.lr.shape[2])
    extent = interfaces.Extent(whole.name, (whole.hr.shape[1], whole.hr.shape[2]), lr)
    require(dataset.extent(0) == extent, f"extent(0) is {dataset.extent(0)}, expected {extent}")

    def middle(sides: tuple[int, int]) -> tuple[slice, slice]:
        rows, columns = (slice(side // 3, max(side // 2, side // 3 + 1)) for side in sides)
        return rows, columns

    window = interfaces.Window(middle(extent.hr), None if lr is None else middle(lr))
    part, expected = dataset.window(0, window), window.cut(whole)
    same = torch.equal(part.hr, expected.hr) and (part.lr is None) == (expected.lr is None)
    if part.lr is not None and expected.lr is not None:
        same = same and torch.equal(part.lr, expected.lr)
    require(same, "a window must equal the same part of the whole sample")


def _check_size(dataset: interfaces.SizedDataset, index: int, sample: Sample) -> None:
    """Compare the size and the name that a data set states with those of a sample."""
    sizes, name = dataset.sizes(), dataset.name(index)
    require(name == sample.name, f"name({index}) is {name!r}, expected {sample.name!r}")
    known = {"hr": (sizes.hr, sample.hr), "lr": (sizes.lr, sample.lr)}
    for key, (sides, image) in known.items():
        stated = None if sides is None else tuple(sides[index].tolist())
        found = None if image is None else tuple(image.shape[1:])
        require(stated == found, f"sizes().{key}[{index}] is {stated}, expected {found}")


def _check_sample(sample: Sample, dataset: Dataset) -> None:
    require_sample(sample, dataset.channels)
    images = {"hr": sample.hr} if sample.lr is None else {"hr": sample.hr, "lr": sample.lr}
    for name, image in images.items():
        require_finite(image, f"{sample.name}: {name}")
    _check_truth(sample)
    low, high = sample.data_range
    require(low < high, f"{sample.name}: the data range {low} to {high} is empty")
    if not sample.unit:  # noise of measured values may exceed black and white
        least, most = float(sample.hr.min()), float(sample.hr.max())
        within = least >= low - 1e-6 * (high - low) and most <= high + 1e-6 * (high - low)
        require(
            within,
            f"{sample.name}: values {least:g} to {most:g} are outside of the data range {low:g} to "
            f"{high:g}",
        )
    if sample.lr is not None:
        large, small = tuple(sample.hr.shape[1:]), tuple(sample.lr.shape[1:])
        require(
            round(large[0] / small[0]) == round(large[1] / small[1]) >= 1,
            f"{sample.name}: LR of {small} pixels must be HR of {large} divided by one scale",
        )
    if dataset.classes is not None:
        count = len(dataset.classes)
        known = sample.label is not None and 0 <= sample.label < count
        require(known, f"{sample.name}: the label must be in 0..{count - 1}: {sample.label}")


def _check_truth(sample: Sample) -> None:
    """Check the mask and the boxes of a sample that has them."""
    sides = tuple(sample.hr.shape[1:])
    if sample.mask is not None:
        require_shape(sample.mask, sides, f"{sample.name}: the mask")
        whole = sample.mask.dtype == torch.int64 and int(sample.mask.min()) >= interfaces.VOID
        require(
            whole, f"{sample.name}: the mask must consist of int64 classes, or {interfaces.VOID}"
        )
    if sample.boxes is not None:
        count = len(sample.boxes.labels)
        require_shape(sample.boxes.corners, (count, 4), f"{sample.name}: the corners of boxes")
        left, top, right, bottom = sample.boxes.corners.unbind(1)
        inside = (left >= 0) & (top >= 0) & (right <= sides[1]) & (bottom <= sides[0])
        proper = bool((inside & (left < right) & (top < bottom)).all())
        require(proper, f"{sample.name}: boxes must be inside the image, with corners in order")


@stated
def check_augmentation(augmentation: Augmentation, channels: int = 3) -> None:
    """Check an augmentation on smooth random pairs at scale 2, with eight random generators.

    Raises
    ------
    AssertionError
        If an attribute is missing, equal generators result in different images, the sizes of a
        batch change, a value is not finite or outside of the data range, HR and LR are not aligned,
        the given images are changed, or an augmentation of samples cannot be pickled.
    """
    require_component(augmentation, "augmentations")
    hr = torch.stack([smooth(channels, 32, 32, seed=seed) for seed in range(4)])
    lr = torch.nn.functional.avg_pool2d(hr, 2)
    given = (hr.clone(), lr.clone())
    for seed in range(8):
        found, again = (_augmented(augmentation, hr, lr, seed) for _ in range(2))
        require(
            torch.equal(found.hr, again.hr) and torch.equal(_lr(found), _lr(again)),
            "equal generators must result in equal images; draw from `rng` only",
        )
        for image, name in ((found.hr, "augmented HR"), (_lr(found), "augmented LR")):
            require_finite(image, name)
            least, most = float(image.min()), float(image.max())
            require(
                least >= -1e-6 and most <= 1 + 1e-6,
                f"{name}: values {least:g} to {most:g} are outside of the data range 0 to 1",
            )
        difference = (torch.nn.functional.avg_pool2d(found.hr, 2) - _lr(found)).abs().max()
        require(
            float(difference) < 0.1, "HR and LR must be changed alike, so that they stay aligned"
        )
    same = torch.equal(hr, given[0]) and torch.equal(lr, given[1])
    require(same, "an augmentation must not change the given images")


def _augmented(augmentation: Augmentation, hr: Tensor, lr: Tensor, seed: int) -> Batch:
    """Augment images, one by one or as a batch, by a generator of a seed."""
    rng = np.random.default_rng(seed)
    if isinstance(augmentation, interfaces.BatchAugmentation):
        batch = Batch(["a", "b", "c", "d"], hr, [1, 2, 3, 4], lr=lr)
        augmented = augmentation(batch, rng)
        require_augmented(augmented, batch)
        return augmented
    copied = pickle.loads(pickle.dumps(augmentation))
    samples = [copied(Sample("a", *pair), rng) for pair in zip(hr, lr, strict=True)]
    for sample in samples:
        require_sample(sample, hr.shape[1])
    pairs = [sample.lr for sample in samples if sample.lr is not None]
    require(len(pairs) == len(samples), "the LR of a real pair must be kept")
    stacked = torch.stack([sample.hr for sample in samples])
    require_shape(stacked, (*hr.shape[:2], *(2 * side for side in pairs[0].shape[1:])), "HR")
    return Batch(["a", "b", "c", "d"], stacked, [1, 2, 3, 4], lr=torch.stack(pairs))


def _lr(batch: Batch) -> Tensor:
    assert batch.lr is not None
    return batch.lr


@stated
def check_degradation(degradation: Degradation, channels: int = 3) -> None:
    """Check a degradation on random images of odd sizes.

    Raises
    ------
    AssertionError
        If the size is not ``ceil(factor * side)``, a value is not finite, the given images are
        changed, or LR depends on anything but its own HR image and seed.
    """
    require_component(degradation, "degradations")
    hr = noise(2, channels, 45, 51)
    # Seeds are drawn from the whole range of non-negative int64.
    seeds = [7, 2**63 - 1]
    require_unchanged(lambda images: degradation(images, seeds), hr, what="a degradation")
    lr = degradation(hr, seeds)
    require_lr(lr, hr, degradation.factor)
    require_finite(lr, "LR")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(1)
        again = degradation(hr, seeds)
    require(
        torch.equal(again, lr),
        "equal seeds must result in equal LR; draw from torch.Generator().manual_seed(seed)",
    )
    single = torch.cat([degradation(hr[i : i + 1], seeds[i : i + 1]) for i in range(2)])
    require_close(single, lr, "LR of a sample must depend on its own seed and image only")


@stated
def check_stretch(stretch: Stretch, channels: int = 3) -> None:
    """Check a stretch on random images of both signs and on one a thousand times brighter.

    Raises
    ------
    AssertionError
        If the inverse does not return the flux, the order of fluxes changes, values are clipped,
        the given images are changed, an image depends on others, or a unitless stretch depends on
        the unit.
    """
    require_component(stretch, "stretches")
    flux = noise(2, channels, 9, 11) - 0.5
    flux[1] *= 1000
    given = flux.clone()
    fitted = stretch.fit(flux)
    require_tensor(fitted, "the result of fit")
    require(fitted.ndim == 2 and len(fitted) == 2, "fit must return (N, K) numbers")
    seen = stretch(flux, fitted)
    require(torch.equal(flux, given), "a stretch must not change the given images")
    require_shape(seen, tuple(flux.shape), "the stretched images")
    require_finite(seen, "the stretched images")
    error = (stretch.inverse(seen, fitted) - flux).abs().amax((1, 2, 3))
    largest = flux.abs().amax((1, 2, 3))
    require(
        bool((error <= 1e-6 * largest).all()),
        "the inverse must return the flux within 1e-6 of the peak",
    )
    for image, stretched in zip(flux, seen, strict=True):
        order = image.flatten().argsort()
        rising = (stretched.flatten()[order].diff() >= 0).all()
        require(bool(rising), "a brighter pixel must stay the brighter one")
        distinct = len(stretched.unique()) > 0.99 * len(image.unique())
        require(distinct, "different fluxes must stay different: nothing is clipped")
    if isinstance(stretch, interfaces.FrameStretch):
        parts = stretch.fit_parts(lambda: (flux[:, :, :4], flux[:, :, 4:]))
        require_close(parts, fitted, "fit_parts must return the result of fit")
    single = torch.cat([stretch(flux[i : i + 1], stretch.fit(flux[i : i + 1])) for i in range(2)])
    require_close(single, seen, "a stretched image must depend on its own flux only")
    if stretch.unitless:
        other = stretch(8 * flux, stretch.fit(8 * flux))
        require_close(other, seen, "a unitless stretch must have the same result in any unit")


@stated
def check_constraint(constraint: Constraint, channels: int = 3) -> None:
    """Check a constraint on random images at scale 2.

    Raises
    ------
    AssertionError
        If the shape changes, a value is not finite, SR or the batch is changed in place, there is
        no gradient, or an image depends on others.
    """
    require_component(constraint, "constraints")
    lr, hr = noise(2, channels, 16, 18), noise(2, channels, 32, 36, seed=1)
    batch = Batch(["a", "b"], hr, [3, 4], lr=lr, pixel_scale=1.0)
    sr = noise(2, channels, 32, 36, seed=2)
    require_unchanged(
        lambda sr, hr, lr: constraint(sr, replace(batch, hr=hr, lr=lr)),
        sr,
        hr,
        lr,
        what="a constraint",
    )
    kept = constraint(sr.requires_grad_(), batch)
    require_shape(kept, tuple(sr.shape), "constrained SR")
    require_finite(kept, "constrained SR")
    require(kept.requires_grad, "a constraint must be differentiable with respect to SR")
    (slope,) = torch.autograd.grad(kept.square().sum(), sr)
    require_gradient(slope, "SR")
    halves = [slice(0, 1), slice(1, 2)]
    alone = [replace(batch, names=["a"], hr=hr[i], seeds=[3], lr=lr[i]) for i in halves]
    single = torch.cat([constraint(sr[i], one) for i, one in zip(halves, alone, strict=True)])
    require_close(single, kept, "constrained SR of an image must depend on that image only")


@stated
def check_download(download: Download) -> None:
    """Check the fields of a download, without network access.

    Raises
    ------
    AssertionError
        If a text is missing, its folder is outside the folder of all data, an address is not http
        or https, two archives have the same name, or a checksum is malformed.
    """
    for name in ("title", "homepage", "licence", "folder"):
        require(bool(getattr(download, name)), f"a download must state its {name}")
    parts = download.folder.split("/")
    inside = not {"", ".."} & set(parts) and "\\" not in download.folder
    require(inside, f"the folder must be inside the folder of all data: '{download.folder}'")
    names = [archive.name for archive in download.archives]
    require(len(set(names)) == len(names) > 0, f"archives must have different names, got {names}")
    for archive in download.archives:
        http = archive.url.startswith(("http://", "https://"))
        require(
            http and bool(archive.name),
            f"'{archive.url}' is not an http address of a file",
        )
        require(
            archive.size is None or archive.size > 0, f"{archive.name}: the size must be positive"
        )
        require(archive.strip >= 0, f"{archive.name}: strip must not be negative")
        if archive.checksum is not None:
            algorithm, _, digest = archive.checksum.partition(":")
            length = {"md5": 32, "sha256": 64}.get(algorithm)
            whole = len(digest) == length and set(digest) <= set(string.hexdigits.lower())
            require(
                whole,
                f"{archive.name}: expected a checksum such as sha256:9d0b..., in lower case, got "
                f"'{archive.checksum}'",
            )
