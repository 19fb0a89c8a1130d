"""The hooks of srkit: one for each kind of component.

A plugin is a module named by an entry point in the group ``srkit``::

    [project.entry-points.srkit]
    myplugin = "my_package"

It implements any of these hooks with :data:`srkit.hookimpl`. Each returns a mapping
``name -> factory``. A factory is a class or function whose parameters are keyword-only and
annotated: they are what a recipe can set. It can be given as an import path ``"module:name"``,
which is loaded when the component is first used; that keeps ``srkit --help`` fast. Commands and
downloads are not part of a recipe: their parameters are options of the command line.

The module states the version of this interface for which it was written, ``SRKIT_API = 1``, or the
versions that it supports, ``SRKIT_API = (1, 2)``; without a statement it counts as version 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

__all__ = [
    "API_VERSION",
    "hookimpl",
    "srkit_augmentations",
    "srkit_commands",
    "srkit_constraints",
    "srkit_datasets",
    "srkit_degradations",
    "srkit_discriminators",
    "srkit_downloads",
    "srkit_games",
    "srkit_generators",
    "srkit_image_formats",
    "srkit_losses",
    "srkit_metrics",
    "srkit_optimisers",
    "srkit_schedules",
    "srkit_stretches",
    "srkit_teachers",
    "srkit_trackers",
]

#: Version of the plugin interface; docs/explanation/plugins.md says what raises it.
API_VERSION = 1

#: What a hook returns: for each component name a factory, or its import path.
Factories = Mapping[str, Callable[..., Any] | str]

hookspec = pluggy.HookspecMarker("srkit")
hookimpl = pluggy.HookimplMarker("srkit")


@hookspec
def srkit_datasets() -> Factories:
    """Offer data sets: :class:`srkit.interfaces.Dataset`."""
    raise AssertionError  # specifications are never called


@hookspec
def srkit_augmentations() -> Factories:
    """Offer random changes of training data: :data:`srkit.interfaces.Augmentation`."""
    raise AssertionError


@hookspec
def srkit_degradations() -> Factories:
    """Offer degradations from HR to LR: :class:`srkit.interfaces.Degradation`."""
    raise AssertionError


@hookspec
def srkit_stretches() -> Factories:
    """Offer invertible maps from flux to network input: :class:`srkit.interfaces.Stretch`."""
    raise AssertionError


@hookspec
def srkit_constraints() -> Factories:
    """Offer final steps that make SR consistent with LR: :class:`srkit.interfaces.Constraint`."""
    raise AssertionError


@hookspec
def srkit_generators() -> Factories:
    """Offer super-resolution networks: :class:`srkit.interfaces.Generator`."""
    raise AssertionError


@hookspec
def srkit_discriminators() -> Factories:
    """Offer discriminators: :class:`srkit.interfaces.Discriminator`."""
    raise AssertionError


@hookspec
def srkit_games() -> Factories:
    """Offer adversarial games: :class:`srkit.interfaces.Game`."""
    raise AssertionError


@hookspec
def srkit_losses() -> Factories:
    """Offer losses: :data:`srkit.interfaces.Loss`."""
    raise AssertionError


@hookspec
def srkit_teachers() -> Factories:
    """Offer frozen networks to learn from: :class:`srkit.interfaces.Teacher`."""
    raise AssertionError


@hookspec
def srkit_metrics() -> Factories:
    """Offer metrics: :class:`srkit.interfaces.Metric` or `TeacherMetric`."""
    raise AssertionError


@hookspec
def srkit_optimisers() -> Factories:
    """Offer optimisers: :class:`srkit.interfaces.Optimiser`."""
    raise AssertionError


@hookspec
def srkit_schedules() -> Factories:
    """Offer schedules of the learning rate: :class:`srkit.interfaces.Schedule`."""
    raise AssertionError


@hookspec
def srkit_trackers() -> Factories:
    """Offer trackers, which show runs elsewhere: :class:`srkit.interfaces.Tracker`."""
    raise AssertionError


@hookspec
def srkit_image_formats() -> Factories:
    """Offer image file formats: :class:`srkit.interfaces.ImageFormat`."""
    raise AssertionError


@hookspec
def srkit_downloads() -> Factories:
    """Offer data for ``srkit data get``: functions that return a `srkit.interfaces.Download`."""
    raise AssertionError


@hookspec
def srkit_commands() -> Factories:
    """Offer commands by name: ``{"data shard": ...}`` is ``srkit data shard``.

    The name is a command, or one of the groups of the command line and a command. Each is a
    function with keyword-only, annotated parameters, which become its options.
    """
    raise AssertionError
