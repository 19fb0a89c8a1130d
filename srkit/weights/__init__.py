"""Tensors from and to files, checkpoints and the hub."""
