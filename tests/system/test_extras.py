from __future__ import annotations

import importlib

import pytest

from srkit.errors import PluginError
from srkit.system.extras import needs


def test_a_missing_package_is_named_with_its_extra() -> None:
    message = (
        r"^the package nowhere_to_be_found is not installed; install srkit\[astro\]: "
        r'pip install "srkit\[astro\]"$'
    )
    with pytest.raises(PluginError, match=message), needs("nowhere_to_be_found", "astro"):
        importlib.import_module("nowhere_to_be_found")


def test_an_error_of_another_package_is_not_changed() -> None:
    with pytest.raises(ModuleNotFoundError), needs("sep", "astro"):
        importlib.import_module("nowhere_to_be_found")


def test_an_installed_package_passes() -> None:
    with needs("math", "astro"):
        importlib.import_module("math")
