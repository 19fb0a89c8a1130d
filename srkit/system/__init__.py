"""Disk, memory, network and processes; knows no image."""

from srkit.system.extras import needs
from srkit.system.files import write_file

__all__ = ["needs", "write_file"]
