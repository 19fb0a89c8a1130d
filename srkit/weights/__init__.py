"""Tensors from and to files, checkpoints and the hub."""

from srkit.weights.checkpoints import trained_teacher
from srkit.weights.files import read_tensors

__all__ = ["read_tensors", "trained_teacher"]
