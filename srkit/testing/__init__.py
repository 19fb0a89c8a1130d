"""Contract checks for plugin authors, one for each kind of component.

Call them in the tests of a plugin, on small instances of its components. A check that fails raises
AssertionError with a sentence that says what is required and what was found. Checks do not change
the component.
"""

from srkit.testing.components import check_command, check_component
from srkit.testing.data import (
    check_augmentation,
    check_constraint,
    check_dataset,
    check_degradation,
    check_download,
    check_stretch,
)
from srkit.testing.formats import check_image_format
from srkit.testing.games import check_game
from srkit.testing.measures import check_loss, check_metric
from srkit.testing.networks import check_discriminator, check_generator, check_teacher
from srkit.testing.training import check_optimiser, check_schedule, check_tracker

__all__ = [
    "check_augmentation",
    "check_command",
    "check_component",
    "check_constraint",
    "check_dataset",
    "check_degradation",
    "check_discriminator",
    "check_download",
    "check_game",
    "check_generator",
    "check_image_format",
    "check_loss",
    "check_metric",
    "check_optimiser",
    "check_schedule",
    "check_stretch",
    "check_teacher",
    "check_tracker",
]
