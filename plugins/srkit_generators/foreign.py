"""Third-party networks, built by spandrel from their weight files or from options."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from srkit.errors import WeightsError, nearest
from srkit.interfaces import Published
from srkit.system import needs
from srkit.weights import read_tensors, unwrapped
from srkit_generators.architectures import brief, build_architecture, list_architectures
from srkit_generators.layers import pad

#: Architectures that process one image per call.
ONE_BY_ONE = ("DRUNet", "DnCNN", "MMRealSR")
OWN_OPTIONS = ("weights", "architecture", "each_channel")


class Foreign(nn.Module):
    """Any of the about 40 architectures of spandrel, from a weight file or from options.

    Among them are HAT, DAT, DRCT, ATD, OmniSR, SAFMN and NAFNet. The architecture of a file is
    recognised by its weights; the file is read without executing code in it, and its licence
    decides whether they may be used and trained further. Images are padded by reflection to the
    size that the architecture requires, and the output is cropped. If the architecture does not
    support the precision of the run, it runs in fp32.

    Parameters
    ----------
    scale, channels
        Expected scale and channels of the file; None accepts those of the file.
    weights
        Weight file: safetensors, or a file written by ``torch.save``.
    architecture
        Name of an architecture to train from random weights, in place of a file.
    each_channel
        Run a network for grey or RGB images on each channel separately, as a grey image, so that
        images may have any number of channels.
    **options
        Options of the architecture, by their names in spandrel.

    Raises
    ------
    WeightsError
        If the file is damaged, its architecture is unknown, or it is not for SR.
    ValueError
        If the network has another scale or number of channels, or an architecture or option is
        unknown.

    References
    ----------
    spandrel, https://github.com/chaiNNer-org/spandrel
    """

    channels_last = True
    reads_foreign_weights = True
    published: ClassVar[Mapping[str, Published]] = {}

    def __init__(
        self,
        *,
        scale: int | None,
        channels: int | None,
        weights: Path | None = None,
        architecture: str | None = None,
        each_channel: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        descriptor = describe(scale, channels, weights, architecture, options)
        own = descriptor.input_channels
        what = f"{weights}: {descriptor.architecture.name}" if weights else architecture
        if scale not in (None, descriptor.scale):
            raise ValueError(f"{what} of scale {descriptor.scale}; expected scale {scale}")
        if not each_channel and channels not in (None, own):
            raise ValueError(
                f"{what} for {own} channels; expected {channels}; set each_channel to run it on "
                "each channel separately"
            )
        self.scale: int = descriptor.scale
        self.channels: int = channels or own
        self.repeats = own if each_channel else 0
        self.network: nn.Module = descriptor.model
        # Nearly all run faster so; torch rejects five-dimensional weights in this layout.
        self.channels_last = all(weight.dim() < 5 for weight in self.network.parameters())
        # The descriptor's own call clamps to [0, 1] and passes no gradient.
        self._call = descriptor._call_fn
        self._one_by_one = descriptor.architecture.id in ONE_BY_ONE
        self._requirements = descriptor.size_requirements
        self.grid = grid_of(self.network, self._requirements.multiple_of)
        self._precisions = {
            torch.float16: descriptor.supports_half,
            torch.bfloat16: descriptor.supports_bfloat16,
        }

    @staticmethod
    def variants() -> dict[str, str]:
        """Return the options of each architecture, with their defaults."""
        return {
            name: ", ".join(
                key if default is ... else f"{key}={default!r}"
                for key, default in architecture.options().items()
            )
            for name, architecture in list_architectures().items()
        }

    def forward(self, lr: Tensor) -> Tensor:
        """Restore ``(N, C, h, w)`` images to ``(N, C, scale h, scale w)``."""
        kind = lr.device.type
        if torch.is_autocast_enabled(kind) and not self._precisions.get(
            torch.get_autocast_dtype(kind), True
        ):
            with torch.autocast(kind, enabled=False):
                return self._restore(lr.float())
        return self._restore(lr)

    def _restore(self, lr: Tensor) -> Tensor:
        """Convert the images to the shape that the network takes, and convert its output back."""
        height, width = lr.shape[-2:]
        x = lr
        if self.repeats:
            x = lr.flatten(0, 1)[:, None].expand(-1, self.repeats, -1, -1)
        x = pad(x, *self._requirements.get_padding(width, height))
        calls = torch.split(x, 1) if self._one_by_one else (x,)
        sr: Tensor = torch.cat([self._call(self.network, one) for one in calls])
        sr = sr[..., : height * self.scale, : width * self.scale]
        return sr.mean(1).reshape(*lr.shape[:2], *sr.shape[2:]) if self.repeats else sr

    def stages(self) -> dict[str, nn.Module]:
        """Name the layers and blocks in the order in which they run, then the others."""
        named = dict(parts(self.network))
        trial = deepcopy(self).eval()
        ran: list[str] = []
        for name, part in parts(trial.network):
            part.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
        with torch.no_grad():
            parameter = next(trial.parameters())
            trial(torch.zeros(1, self.channels, 8, 8, device=parameter.device))
        order = [*dict.fromkeys(ran), *(name for name in named if name not in ran)]
        return {name: named[name] for name in order}

    def adapt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert a checkpoint of this network or another weight file of its architecture.

        Raises
        ------
        WeightsError
            If the architecture of the tensors is unknown.
        """
        if tensors.keys() <= self.state_dict().keys():
            return dict(tensors)
        model = recognise(tensors).model
        return {f"network.{name}": tensor for name, tensor in model.state_dict().items()}


def describe(
    scale: int | None,
    channels: int | None,
    weights: Path | None,
    architecture: str | None,
    options: Mapping[str, Any],
) -> Any:
    """Build the network of a file or of options as spandrel's ``ImageModelDescriptor``."""
    if weights is not None and architecture is not None:
        raise ValueError("got both weights and an architecture; expected one of them")
    if architecture is not None:
        assert scale is not None
        assert channels is not None
        return usable(build_architecture(architecture, options, scale, channels))
    if options:
        key = next(iter(options))
        raise ValueError(f"unknown key '{key}'; {nearest(key, OWN_OPTIONS)}")
    if weights is None:
        raise ValueError("expected weights, a file, or the name of an architecture")
    return recognise_part(weights, read_tensors(weights))


def recognise_part(source: Path, tensors: Mapping[str, Tensor]) -> Any:
    """Build the network of the tensors, or of a part of them that is known, see `recognise`."""
    errors = []
    for part in unwrapped(tensors):
        try:
            return recognise(part)
        except WeightsError as error:
            errors.append(error)
    raise WeightsError(f"{source}: {errors[0]}") from errors[0]


def recognise(tensors: Mapping[str, Tensor]) -> Any:
    """Build the network of the tensors as spandrel's ``ImageModelDescriptor``.

    Parameters
    ----------
    tensors
        Tensors by their keys in the file.

    Raises
    ------
    PluginError
        If spandrel is not installed.
    WeightsError
        If the architecture is unknown, does not fit the tensors, or is not for SR.
    """
    with needs("spandrel", "foreign"):
        from spandrel import ModelLoader, UnsupportedModelError
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.meshgrid")  # some architectures call it
            descriptor = ModelLoader().load_from_state_dict(dict(tensors))
    except UnsupportedModelError:
        raise WeightsError(
            f"the architecture of these weights is unknown; their first keys are {first(tensors)}"
        ) from None
    except Exception as error:  # many kinds, if the weights resemble an architecture but differ
        raise WeightsError(
            f"the weights resemble an architecture of spandrel but do not fit it ({brief(error)}); "
            f"their first keys are {first(tensors)}"
        ) from error
    return usable(descriptor)


def usable(descriptor: Any) -> Any:
    """Return a descriptor of spandrel, if its network maps images to images.

    Raises
    ------
    WeightsError
        If it does not.
    """
    from spandrel import ImageModelDescriptor

    if not isinstance(descriptor, ImageModelDescriptor):
        raise WeightsError(
            f"{descriptor.architecture.name} takes a mask in addition to the image; expected a "
            "network from image to image"
        )
    if descriptor.input_channels != descriptor.output_channels:
        raise WeightsError(
            f"{descriptor.architecture.name} maps {descriptor.input_channels} to "
            f"{descriptor.output_channels} channels; expected equal numbers"
        )
    return descriptor


def grid_of(network: nn.Module, multiple: int) -> int:
    """Return the distance between the pixels at which windows and cells of a network begin."""
    sides = [multiple]
    for module in network.modules():
        for name in ("window_size", "split_size", "stripe_size", "win_size", "ws"):
            value = getattr(module, name, 1)
            sides += value if isinstance(value, list | tuple) else [value]
    return math.lcm(*(side for side in sides if isinstance(side, int) and side > 0))


def first(tensors: Mapping[str, Tensor], count: int = 5) -> str:
    """List the first keys."""
    return ", ".join([*list(tensors)[:count], *(["..."] if len(tensors) > count else [])])


def parts(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Iterate over layers and blocks, descending into containers; bare parameters come last."""
    for name, child in network.named_children():
        wraps_one = len(list(child.children())) == 1 and next(child.parameters(False), None) is None
        if isinstance(child, nn.ModuleList | nn.Sequential) or wraps_one:
            yield from parts(child, f"{prefix}{name}.")
        elif next(child.parameters(), None) is not None:
            yield f"{prefix}{name}", child
    bare = list(network.parameters(recurse=False))
    if bare:
        yield f"{prefix}parameters", nn.ParameterList(bare)
