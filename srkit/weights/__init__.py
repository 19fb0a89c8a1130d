"""Read and write tensors: weight files, checkpoints and models on the Hugging Face hub."""

from srkit.weights.files import read_tensors, unwrapped
from srkit.weights.transfer import trained_teacher

__all__ = ["read_tensors", "trained_teacher", "unwrapped"]
