"""`srkit doctor` and `srkit cache`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from srkit.cli.options import Json
from srkit.cli.output import confirm, print_json


def doctor(json: Json = False) -> None:
    """Print versions, devices, extras and the cache: what a bug report needs."""
    from srkit.components.registry import OWN, Registry
    from srkit.system.cache import cached_files
    from srkit.system.folders import cache_folder
    from srkit.system.machine import describe_machine

    registry, files = Registry.discover(), cached_files()
    found = describe_machine()
    found["third-party plugins"] = {
        name: installed for name, installed in registry.distributions.items() if name != OWN
    }
    found["plugins that fail"] = {each.plugin: each.reason for each in registry.failures}
    size = sum(each.size for each in files)
    found["cache"] = f"{cache_folder()} ({_count(files)}, {size / 1e6:.1f} MB)"
    if json:
        print_json(found)
    else:
        print("\n".join(_lines(found)))


def _lines(tree: Mapping[str, Any]) -> Iterator[str]:
    """Write a tree as plain text, one value in a line."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{key}:" if value else f"{key}: none"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, list):
            yield f"{key}:" if value else f"{key}: none"
            yield from (f"  {'; '.join(each.values())}" for each in value)
        else:
            yield f"{key}: {'not installed' if value is None else value}"


def _count(files: Sequence[Any]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove the files that srkit wrote.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them without asking.")] = False,
    json: Json = False,
) -> None:
    """List the cache of downloaded weights, shards and converted networks, or clear it."""
    from srkit.system.cache import cached_files, clear_cache
    from srkit.system.folders import cache_folder

    files = cached_files()
    own = [each for each in files if each.own]
    size = sum(each.size for each in own) / 1e6
    count = _count(own)
    if json:
        names = [{"path": str(each.path), "size": each.size, "own": each.own} for each in files]
        print_json({"folder": str(cache_folder()), "files": names})
    else:
        for each in files:
            note = "" if each.own else "  (not written by srkit; never removed)"
            print(f"{each.size / 1e6:10.1f} MB  {each.path.relative_to(cache_folder())}{note}")
        print(f"{cache_folder()}: {count} of srkit, {size:.1f} MB")
    if clear and own:
        if not yes:
            confirm(f"Remove {count}?", "cache --clear", "nothing was removed")
        clear_cache(own)
        print(f"removed {count}, {size:.1f} MB")
    elif own and not json:
        print("Remove them with: srkit cache --clear")
