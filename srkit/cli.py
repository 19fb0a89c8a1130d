"""The command line: parses, calls, prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srkit.commands import PluginCommands
from srkit.errors import RecipeError, SrkitError, TrainingError

if TYPE_CHECKING:
    from rich.console import Console

    from srkit.recipe import Recipe
    from srkit.registry import Registry

app = typer.Typer(
    help="Super-resolution for astronomy and general images, assembled from plugins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
recipes = typer.Typer(help="Look at recipes and check them.", no_args_is_help=True)
plugin = typer.Typer(help="Make plugins.", no_args_is_help=True)
data = typer.Typer(
    help="Download, make and prepare data.", no_args_is_help=True, cls=PluginCommands
)
models = typer.Typer(help="Look at models, and blend them.", no_args_is_help=True)
app.add_typer(recipes, name="recipe")
app.add_typer(data, name="data")
app.add_typer(models, name="models")
app.add_typer(plugin, name="plugin")

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as training.batch_size=8."),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Run on data that needs no download, in minutes.")
]
Out = Annotated[Path | None, typer.Option(help="Run folder; runs/NAME by default.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
Json = Annotated[bool, typer.Option("--json", help="Everything, as JSON.")]


def main() -> None:
    """Run the command line; what the user can mend is printed without a traceback."""
    try:
        app()
    except SrkitError as error:
        if isinstance(error, RecipeError | TrainingError) and not first_process():
            raise SystemExit(1) from None  # the first process says the same
        fail(str(_located(error) if isinstance(error, RecipeError) else error))
    except OSError as error:
        # A full disk or a missing right, met where no better words were at hand.
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except Exception as error:
        from srkit.faults import describe, wants_traceback

        if wants_traceback():
            raise
        fail(describe(error))


def _located(error: RecipeError) -> RecipeError:
    from srkit.origins import located

    return located(error)


def first_process() -> bool:
    """Tell whether this is the first of several processes, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def fail(message: str) -> None:
    """Print an error and exit with status 1."""
    # In one write, newline included: the lines of several processes stay whole.
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Handle options that stand before a command."""
    if show:
        from srkit import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def train(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Out = None,
    resume: Resume = False,
    processes: Processes = 1,
) -> None:
    """Train what a recipe says, then evaluate it on its test data."""
    _train(recipe, overrides or [], sample, out, resume, processes)


@app.command()
def finetune(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Out = None,
    resume: Resume = False,
    processes: Processes = 1,
) -> None:
    """Train from the weights that the recipe's `start` names, freezing what it freezes."""
    _train(recipe, overrides or [], sample, out, resume, processes, needs_start=True)


@app.command()
def sweep(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder; runs/NAME-sweep or -search by default.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Variants at a time.")] = 1,
) -> None:
    """Train and compare the variants of a recipe, or search its numbers; goes on if stopped."""
    from srkit.assembly import read
    from srkit.recipe import load_tree
    from srkit.registry import Registry
    from srkit.searching import plan_search, search
    from srkit.sweep_tasks import Setting, plan
    from srkit.sweeping import Interrupted
    from srkit.sweeping import sweep as train_and_compare
    from srkit.variants import expand

    registry, changes = Registry.discover(), overrides or []
    base = read(recipe, registry, changes, sample=sample)
    kind = "sweep" if base.search is None else "search"
    folder = out or Path("runs") / f"{_folder(base, sample).name}-{kind}"
    needs = {need: run for need, (_, run) in _needs(base, registry, sample, folder).items()}
    tree = load_tree(recipe, changes, sample=sample)
    setting = Setting(base, tree, registry, folder, str(recipe), needs)
    if base.search is None:
        tasks = plan(expand(base, str(recipe)), setting)
    else:
        plan_search(setting)
    _train_needs(base, registry, sample, folder)
    try:
        if base.search is None:
            found = train_and_compare(tasks, setting, processes=processes, console=_console())
        else:
            found = search(setting, processes=processes, console=_console())
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None
    if found.missing():
        names = ", ".join(outcome.variant.name for outcome in found.missing())
        fail(f"{folder}: failed: {names}; what they printed is in {folder / 'output'}")


@app.command(name="eval")
def evaluate(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    run: Annotated[
        Path | None, typer.Option(help="Run folder to evaluate; runs/NAME by default.")
    ] = None,
) -> None:
    """Compare a run with its baselines on the test data: table, pictures, page."""
    from srkit.assembly import read
    from srkit.comparison import compare
    from srkit.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample, splits=["test"])
    folder = run or _folder(loaded, sample)
    if loaded.needs:
        loaded = _with_needs(loaded, recipe, registry, sample, folder)
    compare(loaded, registry, folder, source=str(recipe), console=_console())


@app.command()
def plugins(
    kind: Annotated[str | None, typer.Argument(help="datasets, generators, losses, ...")] = None,
    name: Annotated[str | None, typer.Argument(help="A component.")] = None,
    json: Json = False,
) -> None:
    """List the components there are, from which distribution, with their options."""
    from srkit import listing
    from srkit.registry import Registry

    registry = Registry.discover()
    if json:
        _print_json(listing.as_json(registry, kind, name))
    else:
        listing.show(registry, kind, name, _console())


@app.command()
def upscale(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, folders or patterns.")
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Run folder, checkpoint, weight file, published name or interpolation.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File or folder; NAME_xSCALE beside the input by default."
        ),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="SR pixels for each LR pixel; the model's own by default.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="Ending of the outputs, such as png.")
    ] = None,
    zero_point: Annotated[
        float | None,
        typer.Option(help="AB magnitude of one unit of the values, where files do not say."),
    ] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="Average over eight flips and turns.")
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Write how sure each pixel is, where FITS holds it."),
    ] = False,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="auto: bf16 for pictures of 8 bits, fp32 for everything else."),
    ] = "auto",
    tile: Annotated[
        int | None, typer.Option(min=1, help="Side of the tiles in LR pixels; by free memory.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there; else skipped.")
    ] = False,
) -> None:
    """Restore pictures and FITS frames with a trained model."""
    from srkit.formats import Formats
    from srkit.models import INTERPOLATIONS, open_model
    from srkit.registry import Registry
    from srkit.upscale_files import plan, upscale_files
    from srkit.upscaling import Upscaler

    registry = Registry.discover()
    formats = Formats.of(registry)
    opened = open_model(model, registry, at_least=scale or (2 if model in INTERPOLATIONS else None))
    upscaler = Upscaler(
        opened,
        scale=scale,
        self_ensemble=self_ensemble,
        uncertainty=uncertainty,
        precision=precision,
        tile=tile,
    )
    jobs = plan(inputs, out, formats, upscaler.scale, file_format)
    told = {} if zero_point is None else {"zero_point": zero_point}
    outcome = upscale_files(jobs, upscaler, formats, _console(), overwrite=overwrite, metadata=told)
    print(outcome)
    if outcome.failed:
        raise SystemExit(1)


@app.command()
def rank(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Run folders, checkpoints, weight files, published names, interpolations.",
        ),
    ],
    on: Annotated[
        str,
        typer.Option(help="A picture, a folder of HR pictures or of HR and X4, a set in data/."),
    ],
    scale: Annotated[
        int | None, typer.Option(min=1, help="SR over LR pixels; the models' own by default.")
    ] = None,
    lr: Annotated[
        Path | None, typer.Option(help="Folder of LR pictures; made by bicubic by default.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names, such as psnr_y,ssim_y,niqe; the field's by default.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Metric that ranks; the first by default.")] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="A further row each: eight flips and turns.")
    ] = False,
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="That networks run in.")
    ] = "fp32",
    examples: Annotated[int, typer.Option(min=1, help="Pictures on the sheet.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder; runs/rank-NAME by default.")
    ] = None,
) -> None:
    """Rank models on the same pictures: quality, cost, ties, and what each makes of them."""
    from rich.progress import Progress

    from srkit.formats import Formats
    from srkit.ranking import common_scale
    from srkit.ranking import rank as rank_models
    from srkit.ranking_report import print_ranking, write_ranking
    from srkit.registry import Registry
    from srkit.testsets import open_testset

    registry, console = Registry.discover(), _console()
    chosen = scale or common_scale(models, registry)
    testset = open_testset(on, chosen, Formats.of(registry), lr)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("ranking", total=None)
        found = rank_models(
            models,
            testset,
            registry,
            metrics=[name.strip() for name in metrics.split(",")] if metrics else None,
            by=by,
            precision=precision,
            self_ensemble=self_ensemble,
            examples=examples,
            seed=seed,
            report=lambda name, done, total: progress.update(
                task, description=name, completed=done, total=total
            ),
        )
    folder = out or Path("runs") / f"rank-{testset.title}-x{chosen}"
    page = write_ranking(found, folder)
    print_ranking(found, console)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if found.failures:
        raise SystemExit(1)


@plugin.command(name="new")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the distribution.")],
    folder: Annotated[Path, typer.Option(help="Where to put it.")] = Path(),
) -> None:
    """Start a plugin package with a working component and its tests."""
    from srkit.scaffold import create_plugin

    project = create_plugin(name, folder)
    print(f"{project}: try it with: pip install -e '{project}[test]' && pytest {project}")


@recipes.command()
def show(recipe: RecipeFile, overrides: Overrides = None, sample: Sample = False) -> None:
    """Print a recipe with everything it extends, every override and every default."""
    import yaml

    from srkit.assembly import complete, read
    from srkit.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample)
    loaded, _ = complete(loaded, registry, str(recipe))
    print(yaml.safe_dump(loaded.dump(), sort_keys=False, allow_unicode=True), end="")


@recipes.command()
def check(recipe: RecipeFile, overrides: Overrides = None, sample: Sample = False) -> None:
    """Check a recipe by building every one of its components."""
    from srkit.assembly import SPLITS, assemble, read
    from srkit.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample, splits=SPLITS)
    built = assemble(loaded, registry, str(recipe), splits=SPLITS)
    sizes = ", ".join(f"{split} {len(data)}" for split, data in built.data.items())
    print(f"{recipe}: good; images: {sizes or 'none'}")


@recipes.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    from srkit.registry import Registry
    from srkit.schema import recipe_schema

    _print_json(recipe_schema(Registry.discover()))


@models.command(name="show")
def show_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A generator, a run folder, a checkpoint, a weight file or a published name.",
        ),
    ],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Options of a generator by name."),
    ] = None,
    scale: Annotated[int | None, typer.Option(min=1, help="Scale of SR.")] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="Channels of a generator by name.")
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="LR picture that the costs are for.")
    ] = "64x64",
    depth: Annotated[int, typer.Option(min=1, help="Levels of blocks within blocks.")] = 2,
    graph: Annotated[
        Path | None, typer.Option(help="Draw its stages: a .png, .svg or .pdf file.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a model's layers, parameters, multiply-adds and receptive field."""
    from srkit import describing
    from srkit.models import find_model
    from srkit.registry import Registry

    found = find_model(model, Registry.discover(), options or [], scale=scale, channels=channels)
    description = describing.describe(found, _size(size), depth)
    if json:
        _print_json(describing.as_json(description))
    else:
        describing.show(description, _console())
    if graph is not None:
        from srkit.diagrams import draw_flow

        draw_flow(description.stages, f"{found.name}, scale {found.scale}", graph)
        print(f"graph: {graph}", file=sys.stderr)


@models.command(name="interpolate")
def interpolate_models(
    first: Annotated[str, typer.Argument(help="A run folder, a checkpoint, a weight file.")],
    second: Annotated[str, typer.Argument(help="Another of the same architecture.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A .safetensors file.")],
    weight: Annotated[
        float, typer.Option(min=0, max=1, help="Of the second: 0 is the first alone.")
    ] = 0.5,
) -> None:
    """Blend the weights of two networks: (1 - weight) of the first, weight of the second."""
    from srkit.blending import interpolate
    from srkit.registry import Registry

    interpolate(first, second, weight, out, Registry.discover())
    print(f"{out}: {1 - weight:g} of {first} and {weight:g} of {second}")


@data.command(name="get")
def get_data(
    name: Annotated[
        str | None, typer.Argument(help="What to download; without it, what there is.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Its options, such as lr=bicubic."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all data; it gets its own in there.")] = Path(
        "data"
    ),
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: the licence and the size are all right.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the archives once they are unpacked.")
    ] = False,
) -> None:
    """Download a data set, verify and unpack it; goes on where it stopped."""
    from srkit import listing
    from srkit.obtaining import obtain, plan
    from srkit.registry import Registry

    registry = Registry.discover()
    if name is None:
        listing.show(registry, "downloads", None, _console())
        return
    wanted = plan(name, options or [], registry, out)
    if not wanted.missing:
        print(f"{wanted.folder}: all there")
        return
    print(wanted)
    if not yes:
        try:
            agreed = typer.confirm("Download it?")
        except typer.Abort:
            raise SrkitError(f"data get {name}: nobody answers; add --yes if you agree") from None
        if not agreed:
            fail("nothing was downloaded")
    obtain(wanted, _console(), keep=keep)


@data.command(name="make")
def make_data(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="Folder for the pairs; those it holds are kept.")],
    overrides: Overrides = None,
    sample: Sample = False,
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Which of its data sets.")
    ] = "train",
    file_format: Annotated[
        Literal["npy", "fits"], typer.Option("--format", help="Kind of the files.")
    ] = "npy",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: this one.")] = 2,
) -> None:
    """Write the pairs of a recipe's data set to disk, with a picture sheet."""
    from srkit.assembly import read
    from srkit.making import make
    from srkit.registry import Registry

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample)
    count = make(
        loaded,
        registry,
        out,
        source=str(recipe),
        console=_console(),
        split=split,
        file_format=file_format,
        workers=workers,
    )
    print(f"{out}: {count} pairs; see {out / 'sheet.png'}")


def _train(
    path: Path,
    overrides: list[str],
    sample: bool,
    out: Path | None,
    resume: bool,
    processes: int,
    *,
    needs_start: bool = False,
) -> None:
    from srkit.assembly import SPLITS, assemble, read
    from srkit.registry import Registry

    registry = Registry.discover()
    recipe = read(path, registry, overrides, sample=sample, splits=SPLITS)
    if needs_start and recipe.start is None:
        raise SrkitError(f"{path}: start: missing; finetune needs weights to start from")
    folder = out or _folder(recipe, sample)
    if recipe.needs:
        if not _launched():
            # What is wrong with the recipe is told now, not when its needs have been trained.
            assemble(recipe, registry, str(path), splits=SPLITS)
            _train_needs(recipe, registry, sample, folder, processes)
            resume = resume and (folder / "recipe.yaml").is_file()  # a need was stopped, not this
        recipe = _with_needs(recipe, path, registry, sample, folder)
    if processes > 1 and not _launched():
        command = "finetune" if needs_start else "train"
        _launch(command, path, overrides, sample, folder, resume, processes)
    else:
        _train_here(recipe, registry, path, folder, resume)


def _launched() -> bool:
    """Tell whether this is one of several processes that were started together."""
    return "LOCAL_RANK" in os.environ


def _launch(
    command: str,
    path: Path,
    overrides: list[str],
    sample: bool,
    folder: Path,
    resume: bool,
    processes: int,
) -> None:
    from srkit.launching import launch

    options = ["--out", str(folder), "--processes", str(processes)]
    options += [name for name, given in (("--sample", sample), ("--resume", resume)) if given]
    status = launch(processes, [command, str(path), *options, "--", *overrides])
    if status:
        raise SystemExit(status)


def _train_here(recipe: Recipe, registry: Registry, path: Path, folder: Path, resume: bool) -> None:
    from srkit.training import Stopped, train

    console = _console()
    try:
        checkpoint = train(
            recipe, registry, folder, source=str(path), console=console, resume=resume
        )
    except Stopped as stopped:
        if first_process():
            print(stopped, file=sys.stderr)
        raise SystemExit(128 + stopped.number) from None
    if first_process():
        print(f"trained: {checkpoint}")
    if recipe.data.test is not None:
        from srkit.comparison import compare

        compare(recipe, registry, folder, source=str(path), console=console)


def _train_needs(
    recipe: Recipe, registry: Registry, sample: bool, folder: Path, processes: int = 1
) -> None:
    """Train what a recipe needs and is not trained yet; go on with what was stopped."""
    from srkit.needs import is_trained

    for name, (needed, run) in _needs(recipe, registry, sample, folder).items():
        if is_trained(run, needed):
            print(f"needs.{name}: trained already: {run}")
            continue
        print(f"needs.{name}: training {recipe.needs[name]}")
        begun = (run / "checkpoints" / "last.safetensors").is_file()
        _train(Path(recipe.needs[name]), [], sample, run, begun, processes)


def _with_needs(
    recipe: Recipe, path: Path, registry: Registry, sample: bool, folder: Path
) -> Recipe:
    """Put the run folders of a recipe's needs in their places."""
    from srkit.needs import is_trained, resolve

    needs = _needs(recipe, registry, sample, folder)
    for name, (needed, run) in needs.items():
        if not is_trained(run, needed):
            flag = " --sample" if sample else ""
            raise TrainingError(
                f"{path}: needs.{name}: {run} holds no finished run; train it first: "
                f"srkit train {recipe.needs[name]}{flag} --out {run}"
            )
    return resolve(recipe, {name: run for name, (_, run) in needs.items()}, str(path))


def _needs(
    recipe: Recipe, registry: Registry, sample: bool, folder: Path
) -> dict[str, tuple[Recipe, Path]]:
    """Give the recipe and the run folder of each need: its runs stand beside each other."""
    from srkit.assembly import read

    found = {}
    for name, path in recipe.needs.items():
        needed = read(Path(path), registry, [], sample=sample)
        found[name] = needed, folder.parent / _folder(needed, sample).name
    return found


def _size(text: str) -> tuple[int, int]:
    height, times, width = text.partition("x")
    if not (times and height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise SrkitError(f"--size: got '{text}'; expected HEIGHTxWIDTH, such as 64x64")
    return int(height), int(width)


def _folder(recipe: Recipe, sample: bool) -> Path:
    return Path("runs") / (f"{recipe.name}-sample" if sample else recipe.name)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _print_json(tree: object) -> None:
    import json

    print(json.dumps(tree, indent=2))
