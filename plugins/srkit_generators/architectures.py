"""Spandrel's architectures, built from their options instead of a weight file."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

from srkit.errors import nearest
from srkit.system import needs

#: Names, in spandrel's classes, of the parameters that the recipe's scale and channels set.
SCALE = ("scale", "up_scale", "upscale", "upscale_factor", "upscaling_factor")
INPUTS = (
    "channels", "img_channel", "in_ch", "in_channels", "in_chans", "in_nc", "inp_channels",
    "n_colors", "num_in_ch",
)  # fmt: skip
OUTPUTS = ("dd_in", "num_out_ch", "out_ch", "out_channels", "out_chans", "out_nc")

#: Defaults by class, where those of spandrel build no network; HAT, SAFMN: those of the papers.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "HAT": {"window_size": 16},
    "SAFMN": {"dim": 36},
    "SAFMN_BCIE": {"dim": 36},
    "Swin2SR": {"window_size": 8},
    "SwinIR": {"window_size": 8},
}
#: Networks that take a map of the noise as a further channel, which spandrel appends.
WITH_NOISE = ("DRUNet",)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network class of spandrel.

    Parameters
    ----------
    known
        Spandrel's description of it, which finds out the properties of a network.
    factory
        The class.
    """

    known: Any
    factory: type[nn.Module]

    @property
    def parameters(self) -> dict[str, Any]:
        """The defaults of the parameters, with Ellipsis where there is none."""
        own = DEFAULTS.get(self.factory.__name__, {})
        given = inspect.signature(self.factory).parameters.values()
        defaults = {each.name: own.get(each.name, each.default) for each in given}
        return {
            name: ... if default is inspect.Parameter.empty else default
            for name, default in defaults.items()
        }

    def options(self) -> dict[str, Any]:
        """Return the defaults of the options that a recipe can set."""
        return {
            name: default
            for name, default in self.parameters.items()
            if not callable(default) and not self._is_supplied(name, default)
        }

    def supplied(self, scale: int, channels: int) -> dict[str, Any]:
        """Return the parameters that the scale and the channels of the images set."""
        values = {}
        for name, default in self.parameters.items():
            if self._is_supplied(name, default):
                value = scale if name in SCALE else channels
                value += name in INPUTS and self.known.id in WITH_NOISE
                values[name] = [value] if isinstance(default, list) else value
        return values

    def _is_supplied(self, name: str, default: Any) -> bool:
        """Return whether a parameter is the scale, or a number of channels of the images."""
        if name in OUTPUTS:  # some have another number than of the input, from which SR is computed
            inputs = [value for key, value in self.parameters.items() if key in INPUTS]
            return default in inputs
        return name in SCALE or (name in INPUTS and not isinstance(default, list))


@cache
def list_architectures() -> dict[str, Architecture]:
    """Return the architectures by name: spandrel's, or the class's where there are several.

    Raises
    ------
    PluginError
        If spandrel is not installed.
    """
    with needs("spandrel", "foreign"):
        from spandrel import MAIN_REGISTRY
    found = {}
    for support in MAIN_REGISTRY.architectures():
        known = support.architecture
        module = importlib.import_module(type(known).__module__)
        classes = [getattr(module, name) for name in module.__all__]
        networks = [each for each in classes if issubclass(each, nn.Module)]
        for network in networks:
            name = known.id if len(networks) == 1 else network.__name__
            found[name] = Architecture(known, network)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def build_architecture(name: str, given: Mapping[str, Any], scale: int, channels: int) -> Any:
    """Build a network with random weights as spandrel's ``ImageModelDescriptor``.

    Parameters
    ----------
    name
        Name of the architecture.
    given
        Its options.
    scale, channels
        Scale, and channels of the images.

    Raises
    ------
    PluginError
        If spandrel is not installed.
    ValueError
        If the architecture or an option is unknown, has the wrong type or no value, or no network
        can be built from the options.
    """
    architectures = list_architectures()
    if name not in architectures:
        raise ValueError(f"unknown architecture '{name}'; {nearest(name, architectures)}")
    architecture = architectures[name]
    options = architecture.options()
    for key, value in given.items():
        if key not in options:
            raise ValueError(f"unknown option '{key}' of {name}; {nearest(key, options)}")
        check_type(f"{key} of {name}", value, options[key])
    for key, default in (options | dict(given)).items():
        if default is ...:
            raise ValueError(f"{name} requires the option '{key}'")
    supplied = architecture.supplied(scale, channels)
    if scale > 1 and options.get("upsampler") == "":  # spandrel's default, for scale 1
        options["upsampler"] = "pixelshuffle"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = architecture.factory(**{**options, **given, **supplied})
            descriptor = architecture.known.load(dict(network.state_dict()))
    except Exception as error:  # of many kinds
        raise ValueError(
            f"{name} cannot be built from these options ({brief(error)}); "
            f"`srkit plugins generators foreign` lists them"
        ) from error
    descriptor._model = network
    return descriptor


def brief(error: Exception) -> str:
    """Return the message of an error of spandrel in at most 160 characters."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def check_type(what: str, value: Any, default: Any) -> None:
    """Check that the value of an option has the type of its default.

    Raises
    ------
    ValueError
        If it does not.
    """
    if default is None or default is ...:
        return
    kinds = (list, tuple) if isinstance(default, list | tuple) else (type(default),)
    kinds = (int, float) if kinds == (float,) else kinds
    if not isinstance(value, kinds) or isinstance(value, bool) is not isinstance(default, bool):
        raise ValueError(f"{what}: got {value!r}; expected a value such as {default!r}")
