"""The contract check of each kind of component, as `tests/test_contracts.py` calls it."""

from __future__ import annotations

from collections.abc import Callable

from srkit import testing

#: Commands are checked as components, before they are built.
CHECKS: dict[str, Callable[..., None]] = {
    "datasets": testing.check_dataset,
    "augmentations": testing.check_augmentation,
    "degradations": testing.check_degradation,
    "stretches": testing.check_stretch,
    "constraints": testing.check_constraint,
    "generators": testing.check_generator,
    "discriminators": testing.check_discriminator,
    "games": testing.check_game,
    "losses": testing.check_loss,
    "teachers": testing.check_teacher,
    "metrics": testing.check_metric,
    "optimisers": testing.check_optimiser,
    "schedules": testing.check_schedule,
    "trackers": testing.check_tracker,
    "image_formats": testing.check_image_format,
    "downloads": testing.check_download,
}
