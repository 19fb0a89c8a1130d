"""Restore a file that is larger than memory: read by rows, written by windows, resumable."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from srkit import __version__
from srkit.errors import DataError, OutputError, SrkitError
from srkit.functional.resizing import resized_side
from srkit.images._fidelity import check_size, what_is_lost
from srkit.images.formats import ImageFile
from srkit.interfaces import (
    FrameStretch,
    Image,
    ImageFormat,
    ImageSink,
    ImageSource,
    WindowedFormat,
)
from srkit.system.files import PARTIAL, short_name
from srkit.system.locks import locked
from srkit.system.memory import trim_memory
from srkit.system.resources import free_memory
from srkit.upscaling.frames.geometry import Window
from srkit.upscaling.frames.journal import Journal, Strip
from srkit.upscaling.frames.windows import FrameUpscaler, RestoredWindow
from srkit.upscaling.jobs import Job
from srkit.upscaling.upscalers import AnyUpscaler

#: LR pixels above which a frame is restored window by window, if its formats can.
LARGE = 64_000_000
#: Smaller files, in bytes, are not examined: their pixels fit into memory.
SMALL_FILE = 2**20
#: Copies of LR and of SR, in float32, that are in memory when an image is restored whole.
COPIES = 5, 6
#: Advice if an image does not fit into memory.
NO_LIMIT = (
    "images of any size can be processed if input and output are uncompressed .fits, .tif or .npy "
    "files"
)
#: Restores windows of the frame of a file, in their order.
RestoreWindows = Callable[
    [ImageFile, FrameUpscaler, Sequence[Window]], Generator[RestoredWindow, None, None]
]


@contextmanager
def open_large(job: Job, upscalers: AnyUpscaler) -> Iterator[ImageSource | None]:
    """Open a file by rows if it is too large to be restored whole, and its formats can do that.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    path, reader, writer = job.source.path, job.source.format, job.target.format
    writes = isinstance(writer, WindowedFormat) and job.target.suffix.lower() in writer.windowed
    reads = path.is_file() and path.stat().st_size >= SMALL_FILE
    source = None
    if writes and reads and isinstance(reader, WindowedFormat):
        source = reader.open_source(path)
    if source is None:
        yield None
        return
    with closing(source):
        yield source if _in_windows(source, upscalers) else None


def _in_windows(source: ImageSource, upscalers: AnyUpscaler) -> bool:
    shape = source.outline.pixels.shape
    upscaler = upscalers.for_image(source.outline)
    stretch = upscaler.model.stretch
    if stretch is not None and not isinstance(stretch, FrameStretch):
        return False
    large = shape[-2] * shape[-1] > LARGE
    return large or needed_memory(shape, upscaler.scale) > free_memory()


def needed_memory(shape: tuple[int, ...], scale: float) -> int:
    """Estimate the bytes of memory for restoring an image ``(C, H, W)`` whole."""
    channels, height, width = shape
    lr = height * width
    sr = resized_side(height, scale) * resized_side(width, scale)
    return 4 * channels * (COPIES[0] * lr + COPIES[1] * sr)


def check_memory(shape: tuple[int, ...], scale: float) -> None:
    """Check that an image that has to be restored whole fits into memory.

    Raises
    ------
    DataError
        If half of the estimated memory is more than is available.
    """
    needed, free = needed_memory(shape, scale) / 2, free_memory()
    if needed > free:
        raise DataError(
            f"{shape[2]} x {shape[1]} pixels at scale {scale:g} need at least "
            f"{needed / 2**30:.1f} GiB of memory, but only {free / 2**30:.1f} GiB are free; "
            f"{NO_LIMIT}"
        )


def one_by_one(
    file: ImageFile, frame: FrameUpscaler, windows: Sequence[Window]
) -> Generator[RestoredWindow, None, None]:
    """Restore the windows of a frame in this process."""
    yield from map(frame.restore, windows)


def upscale_frame(
    job: Job,
    frame: FrameUpscaler,
    restore: RestoreWindows,
    report: Callable[[int, int], None],
) -> list[str]:
    """Restore a frame window by window, or resume an interrupted run.

    SR is written beside its target, as ``.partial.NAME``, with a journal of the finished strips.
    The next run resumes after them if input, model and options are the same and the strips match
    their checksums; the result is then the same as without interruption.

    Parameters
    ----------
    job
        The job.
    frame
        Its frame.
    restore
        Restores windows of the frame.
    report
        Receives the rows of SR that are done and their total number.

    Returns
    -------
    list of str
        Messages for the user.

    Raises
    ------
    DataError
        If the frame cannot be restored.
    OutputError
        If SR cannot be written, as on a full disk; finished strips are kept.
    """
    target = job.target.path
    partial = _partial_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        busy = OutputError(f"{target}: is being written by another process")
        with locked(partial.with_name(f"{partial.name}.lock"), busy):
            return _upscale(job, frame, partial, restore, report)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    except SrkitError as error:
        raise type(error)(str(error).replace(str(partial), str(target))) from error


def _partial_of(target: Path) -> Path:
    return target.with_name(f"{PARTIAL}{short_name(target.name)}")


def remove_left(target: Path) -> None:
    """Remove the journal and the lock that a process left after it had completed an output."""
    partial = _partial_of(target)
    if not partial.exists():  # otherwise another process is replacing the output
        for ending in (".json", ".lock"):
            partial.with_name(f"{partial.name}{ending}").unlink(missing_ok=True)


def _upscale(
    job: Job,
    frame: FrameUpscaler,
    partial: Path,
    restore: RestoreWindows,
    report: Callable[[int, int], None],
) -> list[str]:
    journal = Journal(partial.with_name(f"{partial.name}.json"), _task(job, frame))
    resumed = journal.read() and partial.is_file()
    if resumed:
        frame.side = journal.side
    outline, _ = frame.describe()
    check_size(*frame.size, job.target)
    lost = what_is_lost(outline, job.target)
    sink, notes = _open_sink(job.target.format, partial, outline, journal, resumed)
    with closing(sink):
        _write_strips(job, frame, sink, journal, restore, report)
        total = sum(strip.total for strip in journal.strips)
        count = sum(strip.count for strip in journal.strips)
        finished, messages = frame.describe(total, count)
        sink.finish(finished)
    partial.replace(job.target.path)
    journal.remove()
    return list(dict.fromkeys([*notes, *messages, *([] if lost is None else [lost])]))


def _open_sink(
    writer: ImageFormat, partial: Path, outline: Image, journal: Journal, resumed: bool
) -> tuple[ImageSink, list[str]]:
    """Open the partial output, and keep those strips of the journal that it contains."""
    assert isinstance(writer, WindowedFormat)
    if resumed:
        try:
            sink = writer.open_sink(partial, outline, fresh=False)
        except (OSError, ValueError, EOFError):  # not the file of the journal
            pass
        else:
            claimed = len(journal.strips)
            journal.strips = _intact(sink, journal.strips)
            kept = len(journal.strips)
            if kept < claimed:
                note = f"resumed after {kept} of {claimed} strips; the others were damaged"
            else:
                note = f"resumed after {kept} strip{'' if kept == 1 else 's'}"
            return sink, [note]
    journal.strips = []
    return writer.open_sink(partial, outline, fresh=True), []


def _intact(sink: ImageSink, strips: list[Strip]) -> list[Strip]:
    """Return the first strips whose checksums match."""
    for index, strip in enumerate(strips):
        try:
            intact = sink.digest(strip.start, strip.stop) == strip.digest
        except EOFError:
            intact = False
        if not intact:
            return strips[:index]
    return strips


def _write_strips(
    job: Job,
    frame: FrameUpscaler,
    sink: ImageSink,
    journal: Journal,
    restore: RestoreWindows,
    report: Callable[[int, int], None],
) -> None:
    """Restore and write the strips that are not in the journal."""
    strips = frame.strips()
    journal.side = frame.side
    if not journal.strips:
        journal.write()
    try:
        left = [frame.windows(strip) for strip in strips[len(journal.strips) :]]
        restored = restore(job.source, frame, [each for windows in left for each in windows])
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
                trim_memory()  # else the heap becomes fragmented
    except (OSError, OutputError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise OutputError(
            f"{job.target.path}: cannot be written ({reason or error}); {len(journal.strips)} of "
            f"{len(strips)} strips are done; free some space and run the same command to resume"
        ) from error


def _task(job: Job, frame: FrameUpscaler) -> dict[str, Any]:
    """Describe the work as plain data: if any of it changes, the work starts over."""
    path, upscaler = job.source.path, frame.upscaler
    status, model, network = path.stat(), upscaler.model, upscaler.network
    return {
        "srkit": __version__,
        "input": [str(path.resolve()), status.st_size, status.st_mtime_ns, frame.known.digest],
        "model": [model.name, model.scale, model.provenance.sha256],
        "scale": upscaler.scale,
        "self_ensemble": network.self_ensemble,
        "uncertainty": network.uncertainty,
        "precision": upscaler.precision_for(frame.outline),
        "tile": network.given_tile,
        "device": network.device.type,
        "engine": network.engine,
        "given": {name: repr(value) for name, value in frame.metadata.items()},
    }
