"""The hooks of srkit: one for each kind of component.

A plugin is a module named by an entry point in the group ``srkit``::

    [project.entry-points.srkit]
    myplugin = "my_package"

It implements any of these hooks with :data:`srkit.hookimpl`. Each returns a mapping
``name -> factory``. A factory is a class or function whose parameters are keyword-only and
annotated: they are what a recipe may set. It may stand as an import path ``"module:name"``, which
is loaded when the component is first used; that keeps ``srkit --help`` fast. Commands and
downloads are not of a recipe: their parameters are the options of the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

#: What a hook returns: a factory, or where to import it from, for each component name.
Factories = Mapping[str, Callable[..., Any] | str]

hookspec = pluggy.HookspecMarker("srkit")
hookimpl = pluggy.HookimplMarker("srkit")


@hookspec
def srkit_datasets() -> Factories:
    """Offer data sets: :class:`srkit.interfaces.Dataset`."""
    raise AssertionError  # specifications are never called


@hookspec
def srkit_degradations() -> Factories:
    """Offer degradations from HR to LR: :class:`srkit.interfaces.Degradation`."""
    raise AssertionError


@hookspec
def srkit_stretches() -> Factories:
    """Offer invertible maps from flux to what networks see: :class:`srkit.interfaces.Stretch`."""
    raise AssertionError


@hookspec
def srkit_constraints() -> Factories:
    """Offer last steps that let SR keep what LR says: :class:`srkit.interfaces.Constraint`."""
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
def srkit_losses() -> Factories:
    """Offer losses: `PixelLoss`, `TeacherLoss`, `ViewLoss` or `VarianceLoss` of the interfaces."""
    raise AssertionError


@hookspec
def srkit_teachers() -> Factories:
    """Offer networks to learn from: :class:`srkit.interfaces.Teacher`."""
    raise AssertionError


@hookspec
def srkit_metrics() -> Factories:
    """Offer metrics: :class:`srkit.interfaces.Metric` or :class:`~srkit.interfaces.TeacherMetric`."""  # noqa: E501
    raise AssertionError


@hookspec
def srkit_image_formats() -> Factories:
    """Offer image file formats: :class:`srkit.interfaces.ImageFormat`."""
    raise AssertionError


@hookspec
def srkit_downloads() -> Factories:
    """Offer data for ``srkit data get``: functions that give a `Download` of the interfaces."""
    raise AssertionError


@hookspec
def srkit_commands() -> Factories:
    """Offer commands, named by group and command: ``{"data shard": ...}`` is ``srkit data shard``.

    Each is a function with keyword-only, annotated parameters, which become its options.
    """
    raise AssertionError
