"""Restore a file that is larger than the memory: read by rows, written by windows, resumed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from srkit import __version__
from srkit.errors import DataError, OutputError, SrkitError
from srkit.functional.resizing import resized_side
from srkit.images.fidelity import check_size, what_is_lost
from srkit.images.formats import Formats
from srkit.interfaces import FrameStretch, Image, ImageSink, ImageSource, WindowedFormat
from srkit.system.locks import locked
from srkit.system.memory import return_freed_memory
from srkit.upscaling.frames.journal import Journal, Strip
from srkit.upscaling.frames.survey import survey
from srkit.upscaling.frames.windows import FrameUpscaler, RestoredWindow, Window
from srkit.upscaling.sizing import Sized
from srkit.upscaling.upscaler import ImageUpscaler

#: LR pixels above which a frame is restored window by window, where its formats can.
LARGE = 64_000_000
#: Files below so many bytes are not looked into: their pixels fit into memory.
SMALL_FILE = 2**20
#: Copies of LR and of SR, in float32, that there are at once of an image restored whole.
COPIES = 5, 6
#: What helps where an image does not fit into memory.
WAY_OUT = "from and to an uncompressed .fits, a .tif or an .npy file, frames of any size go through"
#: How the names of partial outputs begin.
PARTIAL = ".partial."


def partial_name(path: Path) -> Path:
    """Name the file that becomes an output when it is whole; its ending is the same."""
    return path.with_name(f"{PARTIAL}{path.name}")


@contextmanager
def open_large(
    source: Path, target: Path, formats: Formats, upscalers: Sized
) -> Iterator[ImageSource | None]:
    """Open a file by rows, if it is too large to be restored whole and its formats can.

    Parameters
    ----------
    source, target
        The file, and where its SR goes.
    formats
        What reads and writes.
    upscalers
        What restores.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    reader, writer = formats.of_path(source), formats.of_path(target)
    ending = (formats.suffix_of(target.name) or "").lower()
    writes = isinstance(writer, WindowedFormat) and ending in writer.windowed
    reads = source.is_file() and source.stat().st_size >= SMALL_FILE
    if not (writes and reads and isinstance(reader, WindowedFormat)):
        yield None
        return
    opened = reader.open_source(source)
    try:
        yield opened if opened is not None and _in_windows(opened, upscalers) else None
    finally:
        if opened is not None:
            opened.close()


def _in_windows(source: ImageSource, upscalers: Sized) -> bool:
    shape = source.outline.pixels.shape
    upscaler = upscalers.for_image(source.outline)
    stretch = upscaler.model.stretch
    if stretch is not None and not isinstance(stretch, FrameStretch):
        return False
    large = shape[-2] * shape[-1] > LARGE
    return large or needed_memory(shape, upscaler.scale) > free_memory()


def needed_memory(shape: tuple[int, ...], scale: float) -> int:
    """Estimate the bytes that restoring an image whole takes, from ``(C, H, W)``."""
    channels, height, width = shape
    lr = height * width
    sr = resized_side(height, scale) * resized_side(width, scale)
    return 4 * channels * (COPIES[0] * lr + COPIES[1] * sr)


def free_memory() -> int:
    """Give the bytes of memory that are free."""
    return int(psutil.virtual_memory().available)


def check_memory(shape: tuple[int, ...], scale: float) -> None:
    """Refuse an image that cannot be restored whole, where nothing else is possible.

    Raises
    ------
    DataError
        If half of what it is estimated to take is more than is free.
    """
    needed, free = needed_memory(shape, scale) / 2, free_memory()
    if needed > free:
        raise DataError(
            f"{shape[2]} x {shape[1]} pixels at scale {scale:g} take at least "
            f"{needed / 2**30:.1f} GiB of memory at once, and {free / 2**30:.1f} are free; "
            f"{WAY_OUT}"
        )


#: Restores windows of the frame of a file, in their order.
RestoreWindows = Callable[
    [Path, FrameUpscaler, Sequence[Window]], Generator[RestoredWindow, None, None]
]


def one_by_one(
    path: Path, frame: FrameUpscaler, windows: Sequence[Window]
) -> Generator[RestoredWindow, None, None]:
    """Restore the windows of a frame here."""
    yield from map(frame.restore, windows)


@dataclass(frozen=True, slots=True)
class FrameJob:
    """A frame to restore window by window.

    Parameters
    ----------
    source
        The frame, opened.
    paths
        Its file, and where its SR goes.
    formats
        What reads and writes.
    upscaler
        What restores.
    metadata
        What the user says in place of the file, such as ``zero_point``.
    restore
        Restores windows of the frame, in their order.
    """

    source: ImageSource
    paths: tuple[Path, Path]
    formats: Formats
    upscaler: ImageUpscaler
    metadata: Mapping[str, Any]
    restore: RestoreWindows


def upscale_frame(
    job: FrameJob, report: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """Restore a frame, or what an interrupted run left of it.

    SR grows beside its target, as ``.partial.NAME``, with a journal of the strips that are done.
    The next run goes on behind them, if input, model and options are the same and the strips are
    as the journal says; their pixels are then those of a run that was never interrupted.

    Parameters
    ----------
    job
        The frame.
    report
        Called with the rows of SR done and in all.

    Returns
    -------
    list of str
        What the user should know of how it was made.

    Raises
    ------
    DataError
        If the frame cannot be restored.
    OutputError
        If SR cannot be written, as on a full disk; what is done is kept.
    """
    target = job.paths[1]
    partial = partial_name(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        busy = OutputError(f"{target}: is being written by another process")
        with locked(partial.with_name(f"{partial.name}.lock"), busy):
            return _upscale(job, partial, report)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    except SrkitError as error:
        raise type(error)(str(error).replace(str(partial), str(target))) from error


def _upscale(job: FrameJob, partial: Path, report: Callable[[int, int], None]) -> list[str]:
    known = survey(job.source)
    journal = Journal(partial.with_name(f"{partial.name}.json"), _task(job, known.digest))
    resumed = journal.read() and partial.is_file()
    reader, writer = (job.formats.of_path(path) for path in job.paths)
    side = journal.side if resumed else None
    frame = FrameUpscaler(job.upscaler, job.source, reader, job.metadata, known, side)
    outline, _ = frame.described(0.0, 0)
    suffix = job.formats.suffix_of(job.paths[1].name) or ""
    check_size(*frame.size, writer, suffix)
    lost = what_is_lost(outline, writer, suffix)
    assert isinstance(writer, WindowedFormat)
    sink, notes = _begin(writer, partial, outline, journal, resumed)
    try:
        _go_on(job, frame, sink, journal, report)
        total = sum(strip.total for strip in journal.strips)
        count = sum(strip.count for strip in journal.strips)
        finished, told = frame.described(total, count)
        sink.finish(finished)
    finally:
        sink.close()
    partial.replace(job.paths[1])
    journal.remove()
    return list(dict.fromkeys([*notes, *told, *([] if lost is None else [lost])]))


def _begin(
    writer: WindowedFormat, partial: Path, outline: Image, journal: Journal, resumed: bool
) -> tuple[ImageSink, list[str]]:
    """Open the partial output, and keep of the journal what the output holds."""
    if resumed:
        try:
            sink = writer.open_sink(partial, outline, fresh=False)
        except (OSError, ValueError, EOFError):  # not what the journal is about
            pass
        else:
            claimed = len(journal.strips)
            journal.strips = _verified(sink, journal.strips)
            return sink, [_resumption(claimed, len(journal.strips))]
    journal.strips = []
    return writer.open_sink(partial, outline, fresh=True), []


def _verified(sink: ImageSink, strips: list[Strip]) -> list[Strip]:
    """Give the strips, from the top, that are as they were written."""
    for index, strip in enumerate(strips):
        try:
            sound = sink.digest(strip.start, strip.stop) == strip.digest
        except EOFError:
            sound = False
        if not sound:
            return strips[:index]
    return strips


def _resumption(claimed: int, kept: int) -> str:
    if kept < claimed:
        return f"of {claimed} strips that an interrupted run claims, {kept} are sound and kept"
    return "went on behind the only strip" if kept == 1 else f"went on behind {kept} strips"


def _go_on(
    job: FrameJob,
    frame: FrameUpscaler,
    sink: ImageSink,
    journal: Journal,
    report: Callable[[int, int], None],
) -> None:
    strips = frame.strips()
    journal.side = frame.side
    if not journal.strips:
        journal.write()
    try:
        left = [frame.windows(strip) for strip in strips[len(journal.strips) :]]
        restored = job.restore(job.paths[0], frame, [each for windows in left for each in windows])
        with closing(restored):
            for windows in left:
                (start, stop), _ = windows[0]
                total, count = 0.0, 0
                for window in islice(restored, len(windows)):
                    sink.write(window.top, window.left, window.image)
                    report(start + (stop - start) * window.left // frame.size[1], frame.size[0])
                    total, count = total + window.total, count + window.count
                journal.strips.append(Strip(start, stop, sink.digest(start, stop), total, count))
                journal.write()
                report(stop, frame.size[0])
                return_freed_memory()  # which is kept otherwise, and breaks into fragments
    except (OSError, OutputError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise OutputError(
            f"{job.paths[1]}: cannot be written ({reason or error}); {len(journal.strips)} of "
            f"{len(strips)} strips are kept: free some space, and the same command goes on"
        ) from error


def _task(job: FrameJob, digest: str) -> dict[str, Any]:
    """Say what the work is, in plain data: where any of it changes, it begins anew."""
    status, upscaler = job.paths[0].stat(), job.upscaler
    model = upscaler.model
    return {
        "srkit": __version__,
        "input": [str(job.paths[0].resolve()), status.st_size, status.st_mtime_ns, digest],
        "model": [model.name, model.scale, model.provenance.sha256],
        "scale": upscaler.scale,
        "self_ensemble": upscaler.self_ensemble,
        "uncertainty": upscaler.uncertainty,
        "precision": upscaler.precision,
        "tile": upscaler.given_tile,
        "device": upscaler.device.type,
        "engine": upscaler.engine,
        "given": {name: repr(value) for name, value in job.metadata.items()},
    }
