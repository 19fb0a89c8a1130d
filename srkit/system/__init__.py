"""Disk, memory, network and processes; independent of images."""

from srkit.system.downloads import download, verify
from srkit.system.extras import needs
from srkit.system.files import atomic, remove_partials, write_file
from srkit.system.folders import cache_folder, check_same, claimed
from srkit.system.processes.signals import gathered_signals, resumable
from srkit.system.processes.workers import map_in_workers
from srkit.system.progress import progress_bars

__all__ = [
    "atomic",
    "cache_folder",
    "check_same",
    "claimed",
    "download",
    "gathered_signals",
    "map_in_workers",
    "needs",
    "progress_bars",
    "remove_partials",
    "resumable",
    "verify",
    "write_file",
]
