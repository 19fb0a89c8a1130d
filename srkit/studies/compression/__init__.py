"""Compressed and restored LR against compressed HR of the same file size."""
