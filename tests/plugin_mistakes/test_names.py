"""A plugin takes nothing over: neither names of components and weights, nor defaults, nor files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from srkit_generators.edsr import EDSR
from srkit_generators.shipped import SHIPPED
from srkit_photos.formats.pillow_formats import Png
from training_setup import extended

from srkit.assembly.published import importable_generators, published_models
from srkit.components.registry import Registry
from srkit.images.formats import Formats
from srkit.interfaces import Published
from srkit.models.open import open_model
from srkit.upscaling.upscalers import default_model

#: Weights that are srkit's under the plugin's own name, and one more that wants to be the default.
OTHER = SHIPPED["edsr_small_x3"]


class Copycat(EDSR):
    """A network whose weights have the name of srkit's."""

    published = {  # noqa: RUF012
        "edsr_small_x2": OTHER,
        "aaa": Published(OTHER.url, OTHER.sha256, OTHER.licence, OTHER.settings, {}, "pictures"),
    }
    reads_foreign_weights = True


@pytest.fixture(scope="module")
def taken() -> Registry:
    """What is installed, and a plugin that offers a generator of the same name."""
    return extended(generators={"edsr": Copycat, "aardvark": Copycat})


def test_a_generator_of_the_same_name_is_reached_by_its_distribution(taken: Registry) -> None:
    assert taken.get("generators", "edsr").distribution == "srkit"
    assert taken.get("generators", "test/edsr").factory is Copycat
    assert not taken.failures
    (remark,) = taken.remarks
    assert remark.reason == "generator 'edsr' is srkit's own; this one is reached as 'test/edsr'"


def test_published_weights_of_the_same_name(taken: Registry) -> None:
    known = published_models(taken)
    assert known["edsr_small_x2"][0].distribution == "srkit"
    assert known["test/edsr_small_x2"][1] is OTHER
    assert open_model("edsr_small_x2", taken).scale == 2
    assert open_model("test/edsr_small_x2", taken).scale == 3


def test_a_default_model_is_not_taken_over(taken: Registry) -> None:
    assert default_model("pictures", 3, taken) == "edsr_small_x3"


def test_third_party_weight_files_are_read_by_srkit(taken: Registry) -> None:
    readers = [c for c, f in importable_generators(taken) if getattr(f, "reads_foreign_weights", 0)]
    assert readers[0].distribution == "srkit"


class Thief:
    """A format for files that srkit reads."""

    suffixes = (".png", ".thief")

    def read(self, path: Path) -> Any:
        raise AssertionError("not asked")

    write = read


class Bare:
    """A format without suffixes."""


def test_image_formats_of_the_same_extension(formats: Formats) -> None:
    found = Formats.of(extended(image_formats={"aaa": Thief, "aab": Bare}))
    assert isinstance(found.of_path(Path("a.thief")), Thief)
    assert type(found.of_path(Path("a.png"))) is type(formats.of_path(Path("a.png"))) is Png
    with pytest.raises(Exception, match=r"'aab' of test: Bare lacks 'suffixes'"):
        found.of_path(Path("a.unknown"))
