"""Disk, memory, network and processes; independent of images."""

from srkit.system.cache import record_cached
from srkit.system.digests import digest_of_states
from srkit.system.downloads import download, verify
from srkit.system.extras import needs
from srkit.system.files import atomic, is_file_name, write_file
from srkit.system.folders import (
    LOCK,
    cache_folder,
    check_provenance,
    check_replaceable,
    output_folder,
)
from srkit.system.processes.signals import deferred_signals, resumable
from srkit.system.processes.workers import map_in_workers
from srkit.system.progress import new_console, progress_bars
from srkit.system.resources import free_memory
from srkit.system.untrusted import inside, parse_json

__all__ = [
    "LOCK",
    "atomic",
    "cache_folder",
    "check_provenance",
    "check_replaceable",
    "deferred_signals",
    "digest_of_states",
    "download",
    "free_memory",
    "inside",
    "is_file_name",
    "map_in_workers",
    "needs",
    "new_console",
    "output_folder",
    "parse_json",
    "progress_bars",
    "record_cached",
    "resumable",
    "verify",
    "write_file",
]
