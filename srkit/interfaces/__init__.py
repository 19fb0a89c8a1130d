"""What the core and the plugins agree on: data classes and the protocol of each component.

A component is anything that satisfies one of these protocols; nothing has to be inherited.
Its factory (a class or function with annotated, keyword-only parameters) is offered through the
hook of its kind, see :mod:`srkit.hookspecs`.

Pixels are float32 tensors, channels first. Photographs are RGB in [0, 1]; other data state
their `data_range`, and nothing clamps them behind the user's back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from srkit.interfaces.view import View


@dataclass(frozen=True, slots=True)
class Image:
    """The content of an image file.

    Parameters
    ----------
    pixels
        ``(C, H, W)`` float32.
    data_range
        The values of black and white; integers of any depth are brought to (0, 1).
    metadata
        What else the file holds, by the format's own names. Common ones are ``bits`` (of a value
        in the file; floats have 32), ``alpha`` (opacity, ``(1, H, W)`` in [0, 1]) and ``notes``
        (lines that the user of `srkit upscale` is to read).
    """

    pixels: Tensor
    data_range: tuple[float, float] = (0.0, 1.0)
    metadata: Mapping[str, Any] = field(default_factory=dict)


#: What teachers tell of an image: its class, the class of each pixel, boxes around things, or a
#: vector that is alike for what looks alike.
Task = Literal["classification", "segmentation", "detection", "embedding"]

#: Stands in a mask for pixels whose class nobody knows; they count nowhere.
VOID = -1


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes around the K things in an image.

    Parameters
    ----------
    corners
        ``(K, 4)`` float32: left, top, right, bottom in pixels of HR, from its upper left corner.
    labels
        ``(K,)`` int64, class indices.
    scores
        ``(K,)`` in [0, 1], how sure a detector is of each; None where the boxes are the truth.
    """

    corners: Tensor
    labels: Tensor
    scores: Tensor | None = None

    def to(self, device: torch.device) -> Boxes:
        """Copy them to a device."""
        scores = None if self.scores is None else self.scores.to(device)
        return Boxes(self.corners.to(device), self.labels.to(device), scores)


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of a data set.

    HR and LR are on one scale of surface brightness: a flat image has the same value in both.
    Frames in flux per pixel are brought to flux per area of an LR pixel by their data set.

    Parameters
    ----------
    name
        What identifies it to the user: a path relative to the data set's root, usually.
    hr
        High-resolution image, ``(C, H, W)`` float32.
    lr
        Low-resolution image where the data set has real pairs; None where a degradation makes it.
    label
        Class index, for labelled data.
    data_range
        The values of black and white in `hr` and `lr`.
    unit
        Physical unit of the pixel values; empty for photographs.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, where known.
    variance
        Variance of the noise in `lr`, ``(C, h, w)`` in `unit` squared, where known.
    zero_point
        AB magnitude of one unit, where known.
    mask
        Class index of every HR pixel, ``(H, W)`` int64, :data:`VOID` where unknown; None where
        nobody has drawn any.
    boxes
        Boxes around the things in a whole HR image, where known; crops and turned images have none.
    """

    name: str
    hr: Tensor
    lr: Tensor | None = None
    label: int | None = None
    data_range: tuple[float, float] = (0.0, 1.0)
    unit: str = ""
    pixel_scale: float | None = None
    variance: Tensor | None = None
    zero_point: float | None = None
    mask: Tensor | None = None
    boxes: Boxes | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples stacked for a step.

    Parameters
    ----------
    names
        Names of the samples.
    hr
        ``(N, C, H, W)`` float32.
    seeds
        One integer a sample, a pure function of run seed, epoch and index: what a random
        degradation draws from, so that a resumed run sees the same images.
    lr
        ``(N, C, h, w)``; None until the degradation has run.
    labels
        ``(N,)`` int64, or None for unlabelled data.
    data_range
        The values of black and white.
    factor
        LR pixels per HR pixel along a side as the degradation has it, which rounding hides from
        the shapes; None for real pairs.
    unit
        Physical unit of the pixel values; empty for photographs.
    pixel_scale
        Side of an HR pixel on the sky in arcsec, where known.
    variance
        Variance of the noise in `lr`, ``(N, C, h, w)`` in `unit` squared, where known.
    zero_point
        AB magnitude of one unit, where known.
    masks
        ``(N, H, W)`` int64, :data:`VOID` where unknown, or None.
    boxes
        Boxes of each whole image, or None.
    pictures
        Position in the data set and digest of each HR image, where answers on them are kept.
    """

    names: Sequence[str]
    hr: Tensor
    seeds: Sequence[int]
    lr: Tensor | None = None
    labels: Tensor | None = None
    data_range: tuple[float, float] = (0.0, 1.0)
    factor: float | None = None
    unit: str = ""
    pixel_scale: float | None = None
    variance: Tensor | None = None
    zero_point: float | None = None
    masks: Tensor | None = None
    boxes: Sequence[Boxes] | None = None
    pictures: Sequence[tuple[int, bytes]] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def span(self) -> float:
        """Width of the data range."""
        return self.data_range[1] - self.data_range[0]

    def to(self, device: torch.device, memory_format: torch.memory_format) -> Batch:
        """Copy the batch to a device, its images in the given memory format."""

        def move(images: Tensor | None) -> Tensor | None:
            if images is None:
                return None
            return images.to(device, non_blocking=True, memory_format=memory_format)

        hr = move(self.hr)
        assert hr is not None
        return replace(
            self,
            hr=hr,
            lr=move(self.lr),
            variance=move(self.variance),
            labels=None if self.labels is None else self.labels.to(device, non_blocking=True),
            masks=None if self.masks is None else self.masks.to(device, non_blocking=True),
            boxes=None if self.boxes is None else [boxes.to(device) for boxes in self.boxes],
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a teacher says of a batch of images.

    Parameters
    ----------
    logits
        What it says, float32. Classification: class scores before the softmax, ``(N, classes)``.
        Segmentation: those of every pixel of the images, ``(N, classes, H, W)``. Detection: those
        of every anchor, ``(N, anchors, classes)``. Embedding: the embedding, ``(N, D)``.
    features
        The stages that were asked for: feature maps, ``(N, C, H, W)`` each, and outputs of a
        detector's head, ``(N, anchors, K)``.
    find
        Of a detector: gives the boxes that it finds in each image, the surest first, in pixels of
        the images. It is called where they are wanted, since training does without.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
    find: Callable[[], Sequence[Boxes]] | None = None


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples; one that reads parts cheaply is a :class:`WindowedDataset`, too.

    Attributes
    ----------
    channels
        Channels of every image.
    classes
        Class names by class index, or None for unlabelled data.
    notes
        Lines that the user must see, such as how many files were skipped and why.
    """

    channels: int
    classes: Sequence[str] | None
    notes: Sequence[str]

    def __len__(self) -> int:
        """Count the samples."""
        ...

    def __getitem__(self, index: int, /) -> Sample:
        """Read a sample; the same index always gives the same sample."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a sample: which rows and columns.

    Parameters
    ----------
    hr
        Rows and columns of HR.
    lr
        Those of LR that show the same; None where the sample has no LR.
    """

    hr: tuple[slice, slice]
    lr: tuple[slice, slice] | None = None

    def cut(self, sample: Sample) -> Sample:
        """Cut the part out of a whole sample."""
        mask = None if sample.mask is None else sample.mask[self.hr]
        part = replace(sample, hr=sample.hr[:, *self.hr], mask=mask, boxes=None)
        if sample.lr is None or self.lr is None:
            return part
        variance = None if sample.variance is None else sample.variance[:, *self.lr]
        return replace(part, lr=sample.lr[:, *self.lr], variance=variance)


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a sample is.

    Parameters
    ----------
    name
        The sample's.
    hr
        Height and width of HR.
    lr
        Height and width of LR; None where the sample has none.
    """

    name: str
    hr: tuple[int, int]
    lr: tuple[int, int] | None = None


@runtime_checkable
class WindowedDataset(Protocol):
    """A data set that reads part of a sample more cheaply than all of it: crops are read so."""

    def extent(self, index: int, /) -> Extent:
        """Tell how large a sample is, without reading it."""
        ...

    def window(self, index: int, window: Window, /) -> Sample:
        """Read part of a sample: equal to ``window.cut(self[index])``."""
        ...


@runtime_checkable
class GroupedDataset(Protocol):
    """A data set whose samples lie in groups that are cheaper to read one after the other.

    Attributes
    ----------
    groups
        Samples of each group; their indices follow one another, from the first group on.
    together
        Groups whose samples training shuffles together.
    local
        Whether all of them are here; otherwise to read a sample may be to fetch its group.
    """

    groups: Sequence[int]
    together: int
    local: bool

    def expect(self, groups: Sequence[int], /) -> None:
        """Prepare groups, by their positions, that will be read soon."""
        ...


@runtime_checkable
class Degradation(Protocol):
    """Makes low-resolution images, batched on the device.

    One that adds noise may have a method ``variance(lr, seeds)`` that gives the variance of the
    noise in the LR images that it made with these seeds, or None where there is none, and a method
    ``expected(hr, seeds)`` that gives LR without the noise, by which `srkit upscale --check`
    degrades SR again. One that depends on the size of pixels has the attribute ``pixel_scale``, in
    arcsec of HR.

    Attributes
    ----------
    factor
        Side of the LR image over the side of the HR image; 1 / scale for most.
    """

    factor: float

    def __call__(self, hr: Tensor, seeds: Sequence[int], /) -> Tensor:
        """Degrade ``(N, C, H, W)`` images; sample i draws all its randomness from ``seeds[i]``."""
        ...


@runtime_checkable
class Stretch(Protocol):
    """An invertible map from flux to what generators, teachers and losses see; metrics see flux.

    What varies from image to image is measured on LR, which is all there is when a picture is
    restored, and holds for its HR and SR too. Nothing is clipped.

    Attributes
    ----------
    unitless
        Whether an image in another unit looks the same, since all is measured on the image: then
        files that state no zero point can be restored.
    """

    unitless: bool

    def fit(self, images: Tensor, /) -> Tensor:
        """Measure ``(N, C, H, W)`` images: ``(N, K)`` numbers that the map depends on."""
        ...

    def __call__(self, flux: Tensor, fitted: Tensor, /) -> Tensor:
        """Map flux, ``(N, C, H, W)``, to values of which most lie in [0, 1]."""
        ...

    def inverse(self, stretched: Tensor, fitted: Tensor, /) -> Tensor:
        """Map back to flux, within 1e-6 of it."""
        ...


@runtime_checkable
class FrameStretch(Protocol):
    """What a stretch has besides that can measure images larger than the memory."""

    def fit_parts(self, parts: Callable[[], Iterable[Tensor]], /) -> Tensor:
        """Measure images that come in parts, ``(N, C, h, W)`` from top to bottom.

        `parts` gives them anew each time it is called. The result is that of :meth:`Stretch.fit`.
        """
        ...


@runtime_checkable
class Constraint(Protocol):
    """The last step of restoring: changes SR, in flux, so that it keeps what LR says."""

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Change ``(N, C, H, W)`` images, given ``batch.lr``; gradients pass through."""
        ...


@runtime_checkable
class Generator(Protocol):
    """A super-resolution network: an :class:`torch.nn.Module` from LR to SR.

    Attributes
    ----------
    scale
        Side of the SR image over the side of the LR image.
    channels
        Channels of the images.
    channels_last
        Whether the network runs faster in the channels-last memory format.
    published
        Weights that can be fetched by name, see :class:`Published`.
    """

    scale: int
    channels: int
    channels_last: bool
    published: Mapping[str, Published]

    def __call__(self, lr: Tensor, /) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        ...

    def stages(self) -> Mapping[str, nn.Module]:
        """Name the network's parts from input to output; every parameter is in one of them."""
        ...

    def adapt(self, tensors: Mapping[str, Tensor], /) -> dict[str, Tensor]:
        """Rename the tensors of a published checkpoint to this network's own keys."""
        ...


@runtime_checkable
class MultiScale(Protocol):
    """What a generator of several scales has besides; its factory takes `scales`.

    Attributes
    ----------
    scales
        Those that it has, in the order of the recipe.
    scale
        The one that it restores at: the first, until another is set.
    """

    scales: Sequence[int]
    scale: int


@dataclass(frozen=True, slots=True)
class Published:
    """Published weights of a network.

    Parameters
    ----------
    url
        Where they are: an address, or ``package:NAME/PATH`` for a file in an installed package.
    sha256
        Checksum of the file, hexadecimal.
    licence
        SPDX identifier.
    settings
        Options of the generator, and ``scale`` and ``channels``, that the weights were made for.
    sections
        What else of their recipe belongs to them: ``stretch`` and ``constraint``.
    default_for
        What is restored with them where no model is named: ``pictures`` of levels or three colours,
        or ``frames`` of other values.
    """

    url: str
    sha256: str
    licence: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)
    default_for: Literal["pictures", "frames"] | None = None


@runtime_checkable
class Discriminator(Protocol):
    """A network that tells real images from restored ones."""

    def __call__(self, images: Tensor, /) -> Tensor:
        """Score ``(N, C, H, W)`` images: logits of any shape that starts with N."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Iterate over what the optimiser changes."""
        ...


@runtime_checkable
class Teacher(Protocol):
    """A network that judges images: an :class:`torch.nn.Module` that owns its normalisation.

    It classifies images, unless its attribute ``task`` names another :data:`Task`.

    Attributes
    ----------
    stages
        Names of its feature maps, shallow to deep; a detector's end with its head's outputs.
    classes
        Number of classes; 0 for embeddings.
    class_names
        Their names by index, or None where they have none.
    """

    stages: Sequence[str]
    classes: int
    class_names: Sequence[str] | None

    def __call__(self, images: Tensor, stages: Sequence[str] = (), /) -> Answer:
        """Judge ``(N, 3, H, W)`` images in [0, 1]; features of the named stages on request."""
        ...


class PixelLoss(Protocol):
    """A loss on images."""

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar."""
        ...


@runtime_checkable
class TeacherLoss(Protocol):
    """A loss on a teacher's answers; the core asks the teacher once for all such losses.

    It suits classifiers, unless its attribute ``tasks`` lists others of :data:`Task`.

    Attributes
    ----------
    stages
        The feature maps it reads, or patterns of their names such as ``fpn.*``; empty when the
        logits suffice.
    """

    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Tensor:
        """Compare the answer on SR with the one on HR: a scalar."""
        ...


@runtime_checkable
class ViewLoss(Protocol):
    """A loss that also looks at the data's own values, such as the noise of LR.

    Attributes
    ----------
    needs_view
        True.
    """

    needs_view: bool

    def __call__(self, sr: Tensor, view: View, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images, as networks see them, with the view's HR: a scalar."""
        ...


@runtime_checkable
class VarianceLoss(Protocol):
    """A loss on images and the variance that is predicted of them, by `uncertainty` in a recipe.

    Attributes
    ----------
    needs_variance
        True.
    """

    needs_variance: bool

    def __call__(self, sr: Tensor, log_variance: Tensor, batch: Batch, /) -> Tensor:
        """Compare ``(N, C, H, W)`` images with ``batch.hr``: a scalar.

        The log variance has the shape of SR: natural logarithm, in the unit of SR squared.
        """
        ...


Loss = PixelLoss | TeacherLoss | ViewLoss | VarianceLoss


class Metric(Protocol):
    """A number for each restored image.

    Attributes
    ----------
    higher_is_better
        Direction.
    unit
        ``dB``, for instance; may be empty.
    protocol
        How it is measured: channel, crop, rounding, data range.
    """

    higher_is_better: bool
    unit: str
    protocol: str

    def __call__(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Measure ``(N, C, H, W)`` images against ``batch.hr``: shape ``(N,)``."""
        ...


@runtime_checkable
class MappedMetric(Protocol):
    """A metric that can tell where in the image its number comes from; the report shows it."""

    def map(self, sr: Tensor, batch: Batch, /) -> Tensor:
        """Give ``(N, 1, H, W)`` in [0, 1] for ``(N, C, H, W)`` images."""
        ...


@runtime_checkable
class TeacherMetric(Protocol):
    """A metric on a teacher's answers; attributes as in :class:`Metric` and `TeacherLoss`.

    If its number for a set is no mean over the images, it is a :class:`PooledMetric`.
    """

    higher_is_better: bool
    unit: str
    protocol: str
    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Tensor:
        """Measure the answer on SR, given the one on HR: shape ``(N,)``."""
        ...


@runtime_checkable
class PooledMetric(Protocol):
    """A metric on a teacher's answers whose number for a set is no mean over its images."""

    higher_is_better: bool
    unit: str
    protocol: str
    stages: Sequence[str]

    def __call__(self, answer: Answer, target: Answer, batch: Batch, /) -> Sequence[Any]:
        """Take what the number needs from each image: anything, on the CPU, that pickles."""
        ...

    def pool(self, parts: Sequence[Any], /) -> tuple[Sequence[float], float]:
        """Give the number of each image by itself, NaN where it has none, and that of the set."""
        ...


@runtime_checkable
class ImageFormat(Protocol):
    """Reads and writes the files of one format.

    One whose files say more than pixels may have more methods for `srkit upscale`:
    ``calibrate(image)`` gives the image with ``zero_point`` (AB magnitude of one unit),
    ``pixel_scale`` (arcsec) and ``unit`` among its metadata, where its file tells them, and
    ``enlarge(lr, upscaled, scale, history)`` gives the restored image with everything that its LR
    file said, brought up to date (`upscaled` is a :class:`srkit.upscaling.upscaler.Upscaled`). To
    check SR,
    ``brightness(lr, pixels, scale)`` brings what ``enlarge`` made to flux per area of an LR pixel,
    ``residual(lr, pixels, history)`` gives an image of LR's grid with what LR's file said, and
    ``sky(image, points)`` RA and Dec in degrees of pixels (x, y), or None. One whose files have
    pages has ``read_pages(path)`` and ``write_pages(path, images)``. What files cannot hold is told
    by ``depths``, the bits that a value may have (32 are floats), ``holds``, which of
    :data:`srkit.images.fidelity.PARTS` of the metadata are written, ``room``, the bytes of some of
    these,
    ``longest``, the pixels of a side;
    ``signature`` is a regular expression of bytes that its files begin with.
    ``levels(path, content, short_side)`` decodes 8-bit pictures fast, as
    :meth:`srkit.images.formats.Formats.levels` wants it. For Python,
    ``from_object(value)`` makes an image of an object, or gives None, and ``to_object(image)``
    makes such an object.

    Attributes
    ----------
    suffixes
        File name endings in lower case with their dot.
    """

    suffixes: Sequence[str]

    def read(self, path: Path, /) -> Image:
        """Read a file; raise :class:`srkit.errors.DataError` naming it when it is damaged."""
        ...

    def write(self, path: Path, image: Image, /) -> None:
        """Write a file; values outside the data range are clipped only if the format must."""
        ...


@runtime_checkable
class ImageSource(Protocol):
    """An image file that is read by rows.

    Attributes
    ----------
    outline
        The image without its values: `pixels` and the planes among its metadata (``alpha``,
        ``mask``) are tensors of the device ``meta``, of the right shape and dtype. Its data range
        does not count.
    """

    outline: Image

    def data_range(self, low: float, high: float) -> tuple[float, float]:
        """Give black and white of the image, whose finite values begin and end at these."""
        ...

    def rows(self, start: int, stop: int) -> Image:
        """Read rows: equal to these rows of what the format's `read` gives, planes included."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@runtime_checkable
class ImageSink(Protocol):
    """An image file that is written window by window, every pixel once."""

    def write(self, top: int, left: int, part: Image) -> None:
        """Write a window, with its planes, at a row and a column of the image."""
        ...

    def digest(self, start: int, stop: int) -> str:
        """Give a checksum of some rows as the file holds them; raise EOFError if it ends before."""
        ...

    def finish(self, outline: Image) -> None:
        """Write what was not known before: `outline` may say more than the one at the start."""
        ...

    def close(self) -> None:
        """Close the file, whole or not."""
        ...


@runtime_checkable
class WindowedFormat(Protocol):
    """What a format has besides whose images need not fit into memory.

    Its ``calibrate`` and ``enlarge`` are given outlines and windows, too: they treat pixels one by
    one, and take numbers about the whole image from `Upscaled`.

    Attributes
    ----------
    windowed
        Those of the format's suffixes whose files can be written so.
    """

    windowed: Sequence[str]

    def open_source(self, path: Path, /) -> ImageSource | None:
        """Open a file to be read by rows; None if this one has to be read whole."""
        ...

    def open_sink(self, path: Path, outline: Image, /, *, fresh: bool) -> ImageSink:
        """Begin a file, or go on with one that was begun by the same call.

        Raise `OSError`, `ValueError` or `EOFError` if there is none to go on with.
        """
        ...


@runtime_checkable
class LossyFormat(Protocol):
    """What a format has besides that compresses with loss, to a quality of choice.

    ``srkit eval --task compression`` measures it.
    """

    def compress(self, image: Image, quality: int, /) -> bytes:
        """Give the content of a file with the pixels alone; quality is 1 (worst) to 100."""
        ...

    def decompress(self, content: bytes, /) -> Image:
        """Read what `compress` gave: of the same size, with as many channels or RGB for grey."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of a download.

    Parameters
    ----------
    url
        A zip or tar archive, by http or https.
    size
        Bytes, where published.
    checksum
        Published checksum with its algorithm, ``sha256:9d0b...`` or ``md5:5d3f...``. Where none is
        known, that of the first download is recorded: never invent one.
    strip
        Leading folders of its members' paths that are dropped when it is unpacked.
    """

    url: str
    size: int | None = None
    checksum: str | None = None
    strip: int = 0

    @property
    def name(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Download:
    """What `srkit data get` downloads and unpacks.

    Parameters
    ----------
    title
        The data set's name and what this part of it is.
    homepage
        Where its makers describe it.
    licence
        Its terms as its makers state them, or that they state none.
    folder
        Where it goes, below the folder of all data.
    archives
        Its files, unpacked one after the other.
    notes
        What else the user should know before.
    """

    title: str
    homepage: str
    licence: str
    folder: str
    archives: Sequence[Archive]
    notes: Sequence[str] = ()
