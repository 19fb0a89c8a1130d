"""Requirements that contract checks state, and the images with which they check components."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from srkit.errors import ContractError, innermost
from srkit.interfaces._contract import require

P = ParamSpec("P")


def stated(check: Callable[P, None]) -> Callable[P, None]:
    """Let a contract check report every error as a sentence, and check the global state.

    A component must neither seed the global generators nor change torch's default type.
    """

    @wraps(check)
    def run(*given: P.args, **options: P.kwargs) -> None:
        name = getattr(given[0], "title", type(given[0]).__name__)
        dtype = torch.get_default_dtype()

        process = os.getpid()

        def refuse(*_: object, **__: object) -> None:
            if os.getpid() != process:
                return  # torch seeds the worker processes of its loaders
            raise ContractError(
                f"{name} must not seed a global generator; draw from "
                "torch.Generator().manual_seed(seed) or numpy.random.default_rng(seed)"
            )

        try:
            with (
                patch.object(torch, "manual_seed", refuse),
                patch.object(np.random, "seed", refuse),
                patch.object(random, "seed", refuse),
            ):
                check(*given, **options)
            found = torch.get_default_dtype()
            require(found is dtype, f"{name} must not change torch's default type to {found}")
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{name} raised {innermost(error)}") from error
        finally:
            torch.set_default_dtype(dtype)

    return run


def require_unchanged(run: Callable[..., object], *images: Tensor, what: str) -> None:
    """Require that a function does not change its arguments, some of which exceed [0, 1]."""
    given = [2 * image - 0.5 for image in images]
    before = [image.clone() for image in given]
    with torch.no_grad():
        run(*given)
    same = all(map(torch.equal, given, before))
    require(same, f"{what} must not change the given images")


def require_finite(tensor: Tensor, what: str) -> None:
    """Require that no value is NaN or infinite."""
    bad = int((~tensor.isfinite()).sum())
    require(bad == 0, f"{what}: {bad} of {tensor.numel()} values are not finite")


def require_gradient(gradient: Tensor | None, what: str) -> None:
    """Require that a gradient exists and is finite."""
    if gradient is None:
        raise AssertionError(f"no gradient reaches {what}")
    require_finite(gradient, f"the gradient of {what}")


def require_close(found: Tensor, expected: Tensor, sentence: str) -> None:
    """Require equality except for rounding."""
    require(torch.allclose(found, expected, rtol=1e-3, atol=1e-5), sentence)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw values in [0, 1) without changing the state of the global generator."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def smooth(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Draw a smooth random image in [0, 1], which lossy compression changes little."""
    coarse = noise(1, channels, 4, 4, seed=seed)
    size = (height, width)
    return nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=True)[0]
