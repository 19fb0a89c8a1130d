"""Measure the peak memory of `srkit upscale` as a function of the frame size.

    python benchmarks/frames.py --sides 5000 10000 20000 --whole 2000 4000 --out results

Square frames of noise are written to disk and restored at x2, each in a new process: in windows,
as large frames are, and as a whole, as small frames are. The peak memory is the maximum resident
set size of the process (``ru_maxrss``), including Python and torch. The column "own" is the memory
that belongs to the process alone (``RssAnon``, sampled every 50 ms); the rest are pages of files,
which the kernel may drop. Each output is removed before the next frame.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from srkit.components.registry import Registry
from srkit.images import Formats
from srkit.interfaces import WindowedFormat
from srkit.report import ReportWriter, png, style
from srkit.report.plotting import panels
from srkit.system import write_file

#: The command `srkit`, with another number of pixels above which frames are restored in windows.
COMMAND = (
    "from srkit import cli; from srkit.upscaling.frames import files; "
    "files.LARGE = {large}; cli.main()"
)
#: Rows of noise of which a frame consists, repeated.
ROWS = 500
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measurements of one restored frame: side in pixels, sizes and memory in GiB."""

    way: str
    ending: str
    model: str
    engine: str
    side: int
    input_gib: float
    output_gib: float
    peak_gib: float
    own_gib: float
    seconds: float

    @property
    def megapixels_per_second(self) -> float:
        """Megapixels of LR per second."""
        return self.side**2 / 1e6 / self.seconds


def main() -> None:
    """Measure each frame; print a table, and write a table and a figure."""
    arguments = parse()
    tasks = [("whole", side) for side in arguments.whole]
    tasks += [("windows", side) for side in arguments.sides]
    found = []
    for way, side in tasks:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            found.append(measure(way, side, arguments, Path(folder)))
        Console().print(found[-1])
    Console().print(as_table(found))
    if arguments.out:
        names = [field.name for field in fields(Measurement)]
        rows = [[asdict(each)[name] for name in names] for each in found]
        ReportWriter(arguments.out).csv("frames.csv", names, rows)
        write_file(arguments.out / "frames.png", figure(found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sides", type=int, nargs="*", default=[2000, 5000, 10000])
    parser.add_argument("--whole", type=int, nargs="*", default=[1000, 2000, 4000])
    parser.add_argument("--ending", choices=("fits", "tif", "npy"), default="fits")
    parser.add_argument(
        "--bits", type=int, choices=(8, 32), default=32, help="8: integer grey levels; 32: float"
    )
    parser.add_argument("--model", default="bilinear")
    parser.add_argument("--engine", choices=("torch", "openvino"), default="torch")
    parser.add_argument(
        "--folder", type=Path, help="scratch folder, with space for five times the largest frame"
    )
    parser.add_argument("--out", type=Path, help="folder for frames.csv and frames.png")
    return parser.parse_args()


def measure(way: str, side: int, arguments: argparse.Namespace, folder: Path) -> Measurement:
    """Write a frame, restore it and return the measurements."""
    source, target = (folder / f"{name}.{arguments.ending}" for name in ("lr", "sr"))
    write_frame(source, side, arguments.bits)
    code = COMMAND.format(large=0 if way == "windows" else side**2)
    options = ["-o", str(target), "-m", arguments.model, "--scale", "2"]
    options += ["--engine", arguments.engine]
    began = time.perf_counter()
    with (folder / "log").open("w+") as log:
        command = [sys.executable, "-c", code, "upscale", str(source), *options]
        child = subprocess.Popen(command, stdout=log, stderr=log)
        own = max(own_memory(child.pid), default=0)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        if child.returncode:
            raise SystemExit(log.read())
    return Measurement(
        way,
        arguments.ending,
        arguments.model,
        arguments.engine,
        side,
        round(source.stat().st_size / GIB, 3),
        round(target.stat().st_size / GIB, 3),
        round(usage.ru_maxrss * 1024 / GIB, 3),
        round(own / GIB, 3),
        round(time.perf_counter() - began, 1),
    )


def own_memory(process: int) -> Iterator[int]:
    """Sample the anonymous memory of a process until it ends, in bytes."""
    status = Path(f"/proc/{process}/status")
    while True:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if lines["State"].split()[0] == "Z":
            return
        yield int(lines.get("RssAnon", "0 kB").split()[0]) * 1024
        time.sleep(0.05)


def write_frame(path: Path, side: int, bits: int) -> None:
    """Write a frame of noise, a few rows at a time."""
    import torch

    from srkit.interfaces import Image

    image_format = Formats.of(Registry.discover()).of_path(path)
    assert isinstance(image_format, WindowedFormat)
    outline = Image(torch.empty(1, side, side, device="meta"), metadata={"bits": bits})
    noise: NDArray[np.float32] = np.random.default_rng(0).random((1, ROWS, side), np.float32)
    sink = image_format.open_sink(path, outline, fresh=True)
    for top in range(0, side, ROWS):
        rows = torch.from_numpy(noise[:, : side - top])
        sink.write(top, 0, Image(rows, metadata={"bits": bits}))
    sink.finish(outline)
    sink.close()


def as_table(found: list[Measurement]) -> Table:
    table = Table("way", "side", "input, GiB", "output, GiB", "peak, GiB", "own, GiB", "s", "MP/s")
    for each in found:
        sizes = (each.input_gib, each.output_gib, each.peak_gib, each.own_gib)
        rate = each.megapixels_per_second
        shown = [*(f"{size:.2f}" for size in sizes), f"{each.seconds:.0f}", f"{rate:.1f}"]
        table.add_row(each.way, str(each.side), *shown)
    return table


def figure(found: list[Measurement]) -> bytes:
    with style():
        whole, (axes,) = panels(1, 1, (6, 4))
        for way in dict.fromkeys(each.way for each in found):
            points = [(each.side, each.peak_gib) for each in found if each.way == way]
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=way)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        sides = sorted({each.side for each in found})
        axes.set_xticks(sides, [str(side) for side in sides])
        axes.minorticks_off()
        axes.set_xlabel("side of the LR frame in pixels")
        axes.set_ylabel("peak resident memory in GiB")
        first = found[0]
        axes.set_title(f"srkit upscale -m {first.model}, x2, .{first.ending}")
        axes.legend()
        return png(whole)


if __name__ == "__main__":
    main()
