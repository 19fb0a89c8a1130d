"""The precision in which a device runs networks fastest, and how torch rounds."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final, Literal

import torch

from srkit.errors import TrainingError

Precision = Literal["fp32", "bf16", "fp16"]
#: What autocast converts to. It is disabled for fp32, of which it would warn on MPS (torch 2.6).
DTYPES: Final = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}

#: Limits of ``ONEDNN_MAX_CPU_ISA`` with which oneDNN does not use AVX-512.
_WITHOUT_AVX512 = frozenset(("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"))
#: Limits with which it does not use the instructions for bf16.
_WITHOUT_BF16 = _WITHOUT_AVX512 | {"AVX512_CORE", "AVX512_CORE_VNNI"}


@cache
def fastest_precision(device: torch.device) -> tuple[Precision, str]:
    """Return the precision in which a device runs networks fastest, and why.

    This is decided by what the device can do, so that it does not vary from run to run. Without
    instructions for bf16 a processor converts every value, which takes several times as long as
    fp32.
    """
    if device.type == "cpu":
        return _of_processor()
    if device.type == "cuda":
        return _of_cuda(device)
    if device.type == "xpu" and torch.xpu.is_bf16_supported(including_emulation=False):
        return "bf16", "the GPU computes it"
    # Apple's GPUs compute 16 and 32 bits at the same rate.
    return "fp32", f"nothing is known to be faster on {device.type}"


def warn_of_precision(precision: str, device: torch.device) -> list[str]:
    """Return a warning for the user if a device computes a precision slower than fp32."""
    fastest, reason = fastest_precision(device)
    if precision != "bf16" or fastest == "bf16" or device.type == "mps":  # where none is known
        return []
    return [f"bf16 is slow on this device ({reason}); auto takes {fastest}"]


@contextmanager
def rounding(*, deterministic: bool, tf32: bool | None) -> Iterator[None]:
    """Choose how torch computes, and restore its settings afterwards.

    Parameters
    ----------
    deterministic
        Whether the same inputs give the same bits on the same device.
    tf32
        Whether NVIDIA's GPUs multiply fp32 with the 10 bits of TF32's mantissa; None keeps torch's
        choice: in convolutions only.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), matmul.allow_tf32, cudnn.allow_tf32
    if deterministic:  # cuBLAS reads it when it is first used
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    if tf32 is not None:
        _allow_tf32(tf32, tf32)
    try:
        yield
    except RuntimeError as error:
        operation, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise TrainingError(
            f"training.deterministic: {operation} has no deterministic implementation on this "
            "device; set training.deterministic=false, or use other components"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        _allow_tf32(*before[1:])


def _allow_tf32(in_products: bool, in_convolutions: bool) -> None:
    """Set TF32 by the older of torch's interfaces, which torch.compile can read in all versions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API", UserWarning)
        torch.backends.cuda.matmul.allow_tf32 = in_products
        torch.backends.cudnn.allow_tf32 = in_convolutions


def trains_in_channels_last(device: torch.device, precision: Precision) -> bool:
    """Return whether convolutions train at least as fast in channels_last as in contiguous memory.

    oneDNN computes their gradients in fp32 slower with AVX2, although it restores images faster.
    """
    if device.type != "cpu" or precision != "fp32" or _is_arm():
        return True
    return _limit() not in _WITHOUT_AVX512 and torch.cpu._is_avx512_supported()


def _is_arm() -> bool:
    return platform.machine().lower() in ("aarch64", "arm64")


def _limit() -> str:
    """Return the instructions to which the user limits oneDNN."""
    return os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()


def _of_processor() -> tuple[Precision, str]:
    limit = _limit()
    if limit in _WITHOUT_BF16:
        return "fp32", f"oneDNN is limited to {limit}, without instructions for bf16"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "fp32", "this build of torch lacks oneDNN, which computes bf16"
    if torch.cpu._is_avx512_bf16_supported():
        return "bf16", "the processor has instructions for it"
    # On x86 the answer of oneDNN is true of any AVX512; on ARM, of processors that compute bf16.
    if _is_arm() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "bf16", "the processor has instructions for it"
    return "fp32", "the processor has no instructions for bf16"


def _of_cuda(device: torch.device) -> tuple[Precision, str]:
    if torch.version.hip:
        return "bf16", "the GPU computes it"
    major, minor = torch.cuda.get_device_capability(device)
    reason = f"the GPU has compute capability {major}.{minor}"
    if major >= 8:
        return "bf16", reason
    return ("fp16" if major == 7 else "fp32"), reason
