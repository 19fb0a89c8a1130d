"""Attention within windows of an image."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

#: Added to the scores between pixels that must not attend to each other, as in Swin.
NEVER = -100.0


class WindowAttention(nn.Module):
    """Attention between the pixels of a window, biased by their distance (Liu et al. 2021, ICCV).

    Parameters
    ----------
    features
        Channels, a multiple of the heads.
    heads
        Number of heads.
    window
        Side of a window in pixels.
    """

    places: Tensor

    def __init__(self, features: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)
        differences = 2 * window - 1
        self.bias = nn.Parameter(torch.empty(differences**2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        side = torch.arange(window)
        pixels = torch.cartesian_prod(side, side)
        moves = pixels[:, None] - pixels + window - 1
        self.register_buffer("places", moves[..., 0] * differences + moves[..., 1], False)

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """Mix the pixels of each window.

        Parameters
        ----------
        x
            ``(N, windows, pixels, features)``.
        hidden
            Which pixels must not attend to which, ``(windows, pixels, pixels)``; None if all may.
        """
        width = x.shape[-1] // self.heads
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, width)).permute(3, 0, 1, 4, 2, 5)
        scores = (q * width**-0.5) @ k.transpose(-2, -1)  # (N, windows, heads, pixels, pixels)
        scores = scores + self.bias[self.places].permute(2, 0, 1)
        if hidden is not None:
            scores = scores + NEVER * hidden[:, None].to(scores.dtype)
        mixed: Tensor = self.proj((scores.softmax(-1) @ v).transpose(2, 3).flatten(3))
        return mixed


class WindowBlock(nn.Module):
    """A transformer layer whose attention is limited to windows (Liu et al. 2021, ICCV).

    Parameters
    ----------
    features, heads, window
        See :class:`WindowAttention`.
    shift
        Pixels by which the windows are shifted, so that windows of successive layers overlap.
    hidden
        Channels inside the perceptron.
    """

    def __init__(self, features: int, heads: int, window: int, shift: int, hidden: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(features)
        self.attention = WindowAttention(features, heads, window)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(features, hidden),
                activation=nn.GELU(),
                fc2=nn.Linear(hidden, features),
            )
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``(N, H, W, features)`` features; the sides are multiples of the window."""
        x = x + self._attend(self.norm1(x))
        refined: Tensor = x + self.mlp(self.norm2(x))
        return refined

    def _attend(self, x: Tensor) -> Tensor:
        """Mix the pixels of each shifted window; those that the shift wraps around stay apart."""
        height, width = x.shape[1:3]
        hidden = None
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
            rows, columns = (self._parts(side, x.device) for side in (height, width))
            parts = divide(3 * rows[:, None] + columns, self.window)
            hidden = parts[:, :, None] != parts[:, None]
        tokens = divide(x.permute(0, 3, 1, 2), self.window).permute(0, 2, 3, 1)
        x = join(self.attention(tokens, hidden), self.window, height, width)
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x

    def _parts(self, side: int, device: torch.device) -> Tensor:
        """Number the parts of a shifted axis that may attend to each other."""
        places = torch.arange(side, device=device)
        return (places >= side - self.window).int() + (places >= side - self.shift).int()


def divide(image: Tensor, window: int) -> Tensor:
    """Divide ``(..., H, W)`` into windows, ``(..., windows, pixels)``."""
    high = image.unflatten(-1, (-1, window)).unflatten(-3, (-1, window))
    return high.transpose(-3, -2).flatten(-4, -3).flatten(-2)


def join(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """Join ``(N, windows, pixels, features)`` to ``(N, H, W, features)``."""
    shape = (height // window, width // window, window, window)
    split = windows.reshape(len(windows), *shape, windows.shape[-1])
    return split.transpose(2, 3).reshape(len(windows), height, width, windows.shape[-1])
