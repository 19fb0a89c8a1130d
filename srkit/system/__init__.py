"""Disk, memory, network and processes; knows no image."""

from srkit.system.extras import needs
from srkit.system.files import atomic, write_file

__all__ = ["atomic", "needs", "write_file"]
