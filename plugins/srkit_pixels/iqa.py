"""Any metric of pyiqa (extra ``iqa``), in the conventions of srkit."""

from __future__ import annotations

import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Pillow
from torch import Tensor

from srkit.errors import PluginError, WeightsError, nearest
from srkit.functional import capable_device
from srkit.interfaces import Batch
from srkit.system import needs
from srkit_pixels.metrics import Crop, Protocol

#: Metrics without weights; pyiqa downloads those of the others when they are built.
WITHOUT_WEIGHTS = (
    *("psnr", "psnry", "ssim", "ssimc", "ms_ssim", "cw_ssim", "fsim"),
    *("vsi", "vif", "gmsd", "nlpd", "mad", "piqe", "entropy"),
)
#: Where most of the weights are.
WEIGHTS = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights"
#: Metrics of a set of images; pyiqa computes them for folders.
OF_SETS = ("fid", "sfid", "fid_dinov2", "inception_score")


def pyiqa(*, name: str, crop: Crop = 0) -> OfImages | OfSets:
    """Any metric of pyiqa by its name, such as ``topiq_fr``, ``musiq`` or ``fid``.

    Images are clipped and rounded to 8 bits, grey as RGB. pyiqa is under the PolyForm Noncommercial
    License 1.0.0. It downloads most of its weights, each once.

    Parameters
    ----------
    name
        Name of the metric in pyiqa.
    crop
        Pixels to crop at each border; ``scale`` crops as many as the scale.

    Raises
    ------
    ValueError
        If the name is unknown.
    PluginError
        If pyiqa is not installed.
    WeightsError
        If the weights cannot be downloaded.
    """
    kind = OfSets if name in OF_SETS else OfImages
    return kind(name, crop, _settings(name))


def _downloads(*, name: str, **_: Any) -> list[str]:
    """List where the weights of a metric are: pyiqa does not say whether it has them already."""
    _settings(name)
    return [] if name in WITHOUT_WEIGHTS else [f"{WEIGHTS} ({name})"]


pyiqa.downloads = _downloads  # type: ignore[attr-defined]


def _settings(name: str) -> Mapping[str, Any]:
    """Return the entry of a metric in pyiqa's table."""
    with needs("pyiqa", "iqa"), _quiet():
        from pyiqa.default_model_configs import DEFAULT_CONFIGS
    if name not in DEFAULT_CONFIGS:
        raise ValueError(f"name: pyiqa has no metric '{name}'; {nearest(name, DEFAULT_CONFIGS)}")
    settings: Mapping[str, Any] = DEFAULT_CONFIGS[name]
    return settings


class _Wrapped:
    """A metric of pyiqa.

    Parameters
    ----------
    name, crop
        See :func:`pyiqa`.
    settings
        The entry of pyiqa's own table for the metric.
    """

    def __init__(self, name: str, crop: Crop, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.higher_is_better = not settings.get("lower_better")
        self.unit = "dB" if name.startswith("psnr") else ""
        self._against_hr = settings["metric_mode"] == "FR" or "fid" in name
        self._protocol = Protocol("rgb", crop, quantize=True, ends="data")
        options = ", ".join(f"{key}={value}" for key, value in settings["metric_opts"].items())
        compared = "SR and HR" if self._against_hr else "SR alone"
        self.protocol = f"pyiqa {version('pyiqa')}, {name} of {compared} ({options}), " + str(
            self._protocol
        ).replace("all channels", "grey as RGB")
        self._network = _built(name)

    def _pictures(self, sr: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Convert both images to RGB in [0, 1]."""
        channels = sr.shape[1]
        if channels not in (1, 3):
            raise ValueError(
                f"pyiqa's {self.name} needs RGB or grey images; got {channels} channels"
            )
        first, second = self._protocol.views(sr, batch)
        return first.expand(-1, 3, -1, -1), second.expand(-1, 3, -1, -1)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Make any error of pyiqa one that names the metric."""
        try:
            with _quiet(), torch.random.fork_rng(devices=[]):
                yield
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # its metrics raise many kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ValueError(f"pyiqa's {self.name} cannot measure {what}: {reason}") from error


class OfImages(_Wrapped):
    """A metric with a value for each image."""

    def __call__(self, sr: Tensor, batch: Batch) -> Tensor:
        """Measure ``(N, C, H, W)`` images, against ``batch.hr`` or alone: shape ``(N,)``."""
        device = capable_device(sr.device)  # some of its metrics compute in float64
        images, references = (each.to(device) for each in self._pictures(sr, batch))
        network = self._network.to(device)
        values = []
        # One by one: not all of its metrics treat the images of a batch independently.
        for image, reference in zip(images.split(1), references.split(1), strict=True):
            height, width = image.shape[-2:]
            with self._explained(f"an image of {height} x {width} pixels"):
                found = network(image, reference) if self._against_hr else network(image)
                values.append(torch.as_tensor(found, dtype=torch.float32).reshape(()))
        return torch.stack(values).to(sr.device)


class OfSets(_Wrapped):
    """A metric with one value for all images."""

    def __call__(self, sr: Tensor, batch: Batch) -> Sequence[tuple[bytes, bytes]]:
        """Return SR and HR of each image as the content of a PNG file."""
        pairs = zip(*self._pictures(sr, batch), strict=True)
        self._network.to(capable_device(sr.device))
        return [(_png(image), _png(reference)) for image, reference in pairs]

    def pool(self, parts: Sequence[tuple[bytes, bytes]]) -> tuple[Sequence[float], float]:
        """Write all images to two folders, and measure these."""
        with tempfile.TemporaryDirectory() as folder:
            folders = [Path(folder, side) for side in ("sr", "hr")]
            for path, images in zip(folders, zip(*parts, strict=True), strict=True):
                path.mkdir()
                for number, image in enumerate(images):
                    (path / f"{number:08d}.png").write_bytes(image)
            given = folders if self._against_hr else folders[:1]
            with self._explained(f"{len(parts)} images"):
                found = self._network(*map(str, given), num_workers=0, verbose=False)
                value = found[f"{self.name}_mean"] if isinstance(found, dict) else found
        return [float("nan")] * len(parts), float(value)


def _png(image: Tensor) -> bytes:
    """Encode RGB in [0, 1] as a PNG file."""
    file = io.BytesIO()
    levels = (255 * image).round().byte().permute(1, 2, 0).cpu()
    Pillow.fromarray(levels.numpy()).save(file, "PNG")
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what pyiqa prints off standard output; it warns of nothing that a user can change."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(sys.stderr):
            yield
    finally:
        logging.disable(level)


def _built(name: str) -> Any:
    """Build a metric of pyiqa, with its weights."""
    from pyiqa import create_metric

    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            return create_metric(name, device=torch.device("cpu"))
    except ModuleNotFoundError as error:
        raise PluginError(
            f"pyiqa's {name} needs the package {error.name}, which is not installed: "
            'pip install "srkit[iqa]"'
        ) from error
    except OSError as error:  # urllib, torch and Hugging Face raise different kinds
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"the weights of pyiqa's {name} could not be downloaded ({reason}); build it once on a "
            f"machine with a network, and copy {torch.hub.get_dir()} and Hugging Face's cache"
        ) from error
