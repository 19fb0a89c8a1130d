"""Disk, memory, network and processes; knows no image."""

from srkit.system.cache import cache_folder
from srkit.system.downloads import download, verify
from srkit.system.extras import needs
from srkit.system.files import atomic, write_file
from srkit.system.processes.signals import gathered_signals, resumable
from srkit.system.processes.workers import begin_worker
from srkit.system.progress import progress

__all__ = [
    "atomic",
    "begin_worker",
    "cache_folder",
    "download",
    "gathered_signals",
    "needs",
    "progress",
    "resumable",
    "verify",
    "write_file",
]
