"""The packages of services that track runs, without the services."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import MagicMock

import pytest
from accelerate import PartialState

SERVICES = ("aim", "comet_ml", "mlflow", "wandb")


@contextmanager
def fake_services() -> Iterator[dict[str, MagicMock]]:
    """Replace the packages by objects that record what is called."""
    PartialState(cpu=True)  # as in a run; trackers of Accelerate ask it
    modules = {name: MagicMock(__version__="3.50.0") for name in SERVICES}
    validation = modules["mlflow"].utils.validation
    validation.MAX_PARAM_VAL_LENGTH, validation.MAX_PARAMS_TAGS_PER_BATCH = 6000, 100
    with pytest.MonkeyPatch.context() as patched:  # `patch.dict` would forget later imports, too
        for name, module in modules.items():
            patched.setitem(sys.modules, name, module)
        yield modules
