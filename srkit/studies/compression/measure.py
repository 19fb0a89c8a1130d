"""How well LR, compressed and restored, does beside HR that is compressed to as many bytes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from srkit.assembly.assembly import Assembly
from srkit.assembly.build import assemble
from srkit.assembly.device import memory_format, move, set_up_process
from srkit.components.registry import Registry
from srkit.errors import DataError, OutputError, PluginError, RecipeError, SrkitError, WeightsError
from srkit.evaluation.examiner import Examiner, Restorer, baseline, image_of, metric_infos, network
from srkit.evaluation.run import networks_of
from srkit.interfaces import Batch, Image, LossyFormat
from srkit.recipe.recipe import Recipe
from srkit.report.metric_info import MetricInfo
from srkit.system.files import write_file
from srkit.system.progress import progress_bars

#: What HR is called that is compressed itself, and that is not.
HR, ORIGINAL = "HR", "original"
LOWEST, HIGHEST = 1, 100
#: Keys of a recipe that decide what is measured.
DECIDING = ("seed", "scale", "channels", "degradation", "constraint", "teachers", "metrics")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to spend bytes: a format, a quality of LR's files, and what is made of them.

    Parameters
    ----------
    format
        The image format; empty for images that are not compressed.
    quality
        Of LR's files; HR's files have what gives as many bytes.
    model
        What restores LR, or :data:`HR`.
    """

    format: str
    quality: int
    model: str

    def __str__(self) -> str:
        return f"{self.format}/{self.quality}/{self.model}" if self.format else self.model


@dataclass(frozen=True, slots=True)
class Point:
    """The means of an arm over the images.

    Parameters
    ----------
    arm
        Which.
    size
        Bytes of a file; 0 where nothing is compressed.
    reached
        Share of the images whose HR could be made as small as LR's file; 1 for LR.
    values
        The metrics' means.
    """

    arm: Arm
    size: float
    reached: float
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Compression:
    """What an evaluation of compression found.

    Parameters
    ----------
    title
        Of the recipe.
    metrics
        What was measured.
    rows
        For each image ``name``, ``pixels`` of HR, and by arm ``values``, ``sizes``, ``reached``.
    arms
        All of them: those without compression first, then format by format.
    notes
        Lines that the reader must see.
    """

    title: str
    metrics: list[MetricInfo]
    rows: list[dict[str, Any]]
    arms: list[Arm]
    notes: list[str]

    def points(self) -> list[Point]:
        """Average over the images."""
        return [self._point(arm) for arm in self.arms]

    def curves(self) -> dict[tuple[str, str], list[Point]]:
        """Sort the points of compressed files by format and model, each by bytes."""
        curves: dict[tuple[str, str], list[Point]] = {}
        for point in self.points():
            if point.arm.format:
                curves.setdefault((point.arm.format, point.arm.model), []).append(point)
        return {key: sorted(curve, key=lambda point: point.size) for key, curve in curves.items()}

    def _point(self, arm: Arm) -> Point:
        key, count = str(arm), len(self.rows)
        return Point(
            arm,
            sum(row["sizes"].get(key, 0) for row in self.rows) / count,
            sum(row["reached"].get(key, True) for row in self.rows) / count,
            {
                info.name: sum(row["values"][key][info.name] for row in self.rows) / count
                for info in self.metrics
            },
        )


@dataclass(slots=True)
class Codec:
    """Compresses the images of a batch, and remembers what their files took.

    Parameters
    ----------
    name, format
        The image format.
    """

    name: str
    format: LossyFormat
    sizes: dict[tuple[str, int, str], int] = field(default_factory=dict)
    reached: dict[tuple[int, str], bool] = field(default_factory=dict)
    _made: dict[int, Tensor] = field(default_factory=dict)
    _lr: Tensor | None = None

    def through(self, batch: Batch, quality: int) -> Batch:
        """Replace LR by what its files of a quality hold."""
        assert batch.lr is not None
        if batch.lr is not self._lr:  # another batch, or the same pictures at another scale
            self._lr, self._made = batch.lr, {}
        if quality not in self._made:
            decoded = []
            for name, pixels in zip(batch.names, batch.lr, strict=True):
                content = self.format.compress(Image(pixels.cpu()), quality)
                self.sizes["LR", quality, name] = len(content)
                decoded.append(self._decoded(content, pixels))
            self._made[quality] = torch.stack(decoded)
        return replace(batch, lr=self._made[quality])

    def alike(self, batch: Batch, quality: int) -> Tensor:
        """Compress HR to at most the bytes that LR has at a quality."""
        self.through(batch, quality)
        decoded = []
        for name, pixels in zip(batch.names, batch.hr, strict=True):
            image, files = Image(pixels.cpu()), dict[int, bytes]()

            def size_at(chosen: int, image: Image = image, files: Any = files) -> int:
                files[chosen] = self.format.compress(image, chosen)
                return len(files[chosen])

            budget = self.sizes["LR", quality, name]
            found, reached = best_quality(size_at, budget)
            self.sizes[HR, quality, name] = len(files[found])
            self.reached[quality, name] = reached
            decoded.append(self._decoded(files[found], pixels))
        return torch.stack(decoded)

    def _decoded(self, content: bytes, like: Tensor) -> Tensor:
        pixels = self.format.decompress(content).pixels.to(like)
        return pixels.mean(0, keepdim=True) if len(pixels) > len(like) else pixels


def best_quality(size_at: Callable[[int], int], budget: int) -> tuple[int, bool]:
    """Find the best quality whose file has at most so many bytes, by bisection.

    Parameters
    ----------
    size_at
        Bytes of the file of a quality from 1 to 100, rising with it.
    budget
        Most bytes.

    Returns
    -------
    quality, reached
        The lowest, and False, where even that file is larger.
    """
    if size_at(LOWEST) > budget:
        return LOWEST, False
    low, high = LOWEST, HIGHEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        if size_at(middle) <= budget:
            low = middle
        else:
            high = middle
    size_at(low)
    return low, True


def compare_compressed(
    recipe: Recipe,
    registry: Registry,
    run: Path,
    *,
    source: str,
    console: Console,
    out: Path | None = None,
) -> list[tuple[Compression, Path]]:
    """Measure restored LR and HR at equal bytes; what an interrupted call measured is kept.

    Parameters
    ----------
    recipe, registry
        What to measure, with which components.
    run
        Run folder, whose best checkpoint is measured if there is one.
    source
        Names the recipe in errors.
    console
        Where to show progress.
    out
        Folder that gets what was measured of each image, by default ``compression/`` in the run
        folder.

    Returns
    -------
    list of tuple of Compression and Path
        For each scale, with the folder of its results.

    Raises
    ------
    SrkitError
        If there are no test data, nothing that restores them, or they are no pictures in [0, 1].
    """
    process = set_up_process(recipe, source)
    if process.num_processes > 1:
        raise SrkitError("--task compression runs in one process; start it without others")
    assembly = assemble(recipe, registry, source, splits=("test",))
    problems = _problems(assembly)
    codecs, notes = _codecs(assembly, registry, problems)
    if problems:
        raise RecipeError(source, problems)
    networks = networks_of(assembly, run, trained=False)
    if not networks:
        raise WeightsError(
            f"{run}: holds no checkpoint, and the recipe names no weights; train first, set --run, "
            "or name start.weights"
        )
    move(assembly, process.device)
    for module in networks.values():
        layout: Any = memory_format(assembly)
        module.to(process.device).to(memory_format=layout).eval()
    found = []
    for part in assembly.by_scale.values():
        part.recipe.training.workers = 0  # each call loads few images
        restorers = {
            name: baseline(name) for name in recipe.evaluation.baselines if name != ORIGINAL
        } | {name: network(module, part) for name, module in networks.items()}
        folder = out or run / "compression"
        folder = folder / f"x{part.scale}" if len(assembly.by_scale) > 1 else folder
        measured = _measure(
            Examiner(part, part.data["test"], process),
            _arms(restorers, codecs, recipe.evaluation.compression.qualities),
            codecs,
            folder / "images.jsonl",
            _task(recipe, networks),
            console,
        )
        notes = [*notes, *part.data["test"].notes]
        arms = [arm for arm, _ in _arms(restorers, codecs, recipe.evaluation.compression.qualities)]
        title = recipe.name if len(assembly.by_scale) == 1 else f"{recipe.name} x{part.scale}"
        found.append((Compression(title, metric_infos(part), measured, arms, notes), folder))
    return found


def _problems(assembly: Assembly) -> list[str]:
    """Tell why pictures of this recipe cannot be compressed."""
    problems = []
    if "test" not in assembly.data:
        problems.append("data.test: missing; there is nothing to compress")
    if assembly.generator is None:
        problems.append("generator: missing; it restores the compressed pictures")
    if assembly.recipe.stretch is not None or assembly.recipe.channels not in (1, 3):
        problems.append("stretch and channels: only grey or RGB pictures in [0, 1] are compressed")
    if not assembly.recipe.metrics:
        problems.append("metrics: missing; name what to measure, such as psnr")
    return problems


def _codecs(
    assembly: Assembly, registry: Registry, problems: list[str]
) -> tuple[list[Codec], list[str]]:
    """Build the formats; one that this machine lacks is left out, and noted."""
    codecs, notes = [], []
    for place, name in enumerate(assembly.recipe.evaluation.compression.formats):
        path = f"evaluation.compression.formats.{place}"
        try:
            factory = registry.get("image_formats", name).factory
        except PluginError as error:
            problems.append(f"{path}: {error}")
            continue
        try:
            built: Any = factory()
        except PluginError as error:
            notes.append(f"{name} is left out: {error}")
            continue
        if isinstance(built, LossyFormat):
            codecs.append(Codec(name, built))
        else:
            problems.append(f"{path}: '{name}' loses nothing; name jpeg, webp or avif")
    if not codecs and not problems:
        problems.append(f"evaluation.compression.formats: none is here; {'; '.join(notes)}")
    return codecs, notes


def _arms(
    restorers: Mapping[str, Restorer], codecs: Sequence[Codec], qualities: Sequence[int]
) -> list[tuple[Arm, Restorer]]:
    """List every arm with what makes its images."""
    arms = [(Arm("", 0, ORIGINAL), baseline(ORIGINAL))]
    arms += [(Arm("", 0, name), restorer) for name, restorer in restorers.items()]
    for codec in codecs:
        for quality in sorted(qualities):
            for name, restorer in restorers.items():
                arms.append((Arm(codec.name, quality, name), _behind(codec, quality, restorer)))
            arms.append((Arm(codec.name, quality, HR), partial(codec.alike, quality=quality)))
    return arms


def _behind(codec: Codec, quality: int, restorer: Restorer) -> Restorer:
    return lambda batch: image_of(restorer(codec.through(batch, quality)))


def _measure(
    examiner: Examiner,
    arms: Sequence[tuple[Arm, Restorer]],
    codecs: Sequence[Codec],
    journal: Path,
    task: str,
    console: Console,
) -> list[dict[str, Any]]:
    """Measure the images that the journal lacks, some at a time."""
    total = len(examiner.dataset)
    rows = _read(journal, task, console)
    missing = [index for index in range(total) if index not in rows]
    if rows and missing:
        console.print(f"{journal}: goes on after {len(rows)} of {total} images", soft_wrap=True)
    step = examiner.assembly.recipe.evaluation.batch_size
    with progress_bars(console) as bars:
        bar = bars.add_task(f"{len(arms)} ways to spend bytes", total=total, completed=len(rows))
        for start in range(0, len(missing), step):
            indices = missing[start : start + step]
            fresh = _rows(examiner, arms, codecs, indices)
            rows |= dict(zip(indices, fresh, strict=True))
            _append(journal, [{"index": i, **rows[i]} for i in indices])
            bars.update(bar, completed=len(rows))
    return [rows[index] for index in range(total)]


def _rows(
    examiner: Examiner,
    arms: Sequence[tuple[Arm, Restorer]],
    codecs: Sequence[Codec],
    indices: Sequence[int],
) -> list[dict[str, Any]]:
    pixels = []
    for index in indices:
        sample = examiner.dataset[index]
        if tuple(sample.data_range) != (0.0, 1.0):
            raise DataError(
                f"{sample.name}: its values are not in [0, 1]; only pictures can be compressed"
            )
        pixels.append(sample.hr[0].numel())
    restorers = {str(arm): restorer for arm, restorer in arms}
    found = examiner.examine(restorers, title="", indices=indices)
    rows = []
    for place, name in enumerate(found.names):
        values = {
            model.name: {key: float(each[place]) for key, each in model.values.items()}
            for model in found.models
        }
        sizes, reached = {}, {}
        for arm, _ in arms:
            codec = next((codec for codec in codecs if codec.name == arm.format), None)
            if codec is not None:
                side = HR if arm.model == HR else "LR"
                sizes[str(arm)] = codec.sizes[side, arm.quality, name]
                if side == HR:
                    reached[str(arm)] = codec.reached[arm.quality, name]
        rows.append({"name": name, "pixels": pixels[place], "values": values, "sizes": sizes,
                     "reached": reached})  # fmt: skip
    return rows


def _task(recipe: Recipe, networks: Mapping[str, nn.Module]) -> str:
    """Identify what is measured: a journal of anything else is not gone on with."""
    tree = recipe.dump()
    told = {key: tree.get(key) for key in DECIDING}
    told["test"] = tree["data"].get("test")
    told["evaluation"] = {
        key: value for key, value in tree["evaluation"].items() if key not in ("examples", "models")
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name, module in networks.items():
        digest.update(name.encode())
        for tensor in module.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(journal: Path, task: str, console: Console) -> dict[int, dict[str, Any]]:
    """Take over the whole lines of a journal of the same task; otherwise begin it anew."""
    lines = list(_lines(journal))
    if not lines or lines[0].get("task") != task:
        if lines:
            console.print(
                f"{journal.parent}: replaces the results of other images, settings or weights; "
                "--out keeps both",
                soft_wrap=True,
                highlight=False,
            )
        lines = [{"task": task}]
    write_file(journal, "".join(json.dumps(line) + "\n" for line in lines))
    return {line.pop("index"): line for line in lines[1:]}


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    try:
        for line in journal.read_text().splitlines():
            yield json.loads(line)
    except FileNotFoundError:
        return
    except ValueError:  # an interrupted call left half a line
        return


def _append(journal: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        with journal.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(
            f"{journal}: cannot be written ({error}); free some space, and the same command goes on"
        ) from error
