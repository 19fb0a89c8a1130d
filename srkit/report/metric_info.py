"""What tables and figures need to know of a metric."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a metric is.

    Parameters
    ----------
    name
        The name that recipes use.
    unit
        ``dB``, for instance; may be empty.
    higher_is_better
        Direction.
    protocol
        How it is measured: channel, crop, rounding, data range.
    signed
        Whether it is an error with a sign: its mean over the images is the bias, best at 0, and
        its scatter counts too.
    """

    name: str
    unit: str
    higher_is_better: bool
    protocol: str
    signed: bool = False


ORIGINAL = "original"


LOWER = "bilinear"
