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

app = typer.Typer(
    help="Super-resolution for astronomy and general images, assembled from plugins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
recipes = typer.Typer(help="Look at recipes and check them.", no_args_is_help=True)
plugin = typer.Typer(help="Make plugins.", no_args_is_help=True)
data = typer.Typer(help="Make and prepare data.", no_args_is_help=True, cls=PluginCommands)
app.add_typer(recipes, name="recipe")
app.add_typer(data, name="data")
app.add_typer(plugin, name="plugin")

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Changes, such as training.batch_size=8."),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Run on data that ships with srkit[sample], in minutes.")
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
        fail(str(error))
    except OSError as error:
        # A full disk or a missing right, met where no better words were at hand.
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")


def first_process() -> bool:
    """Tell whether this is the first of several processes, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def fail(message: str) -> None:
    """Print an error and exit with status 1."""
    print(f"error: {message}", file=sys.stderr)
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


@plugin.command(name="new")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the distribution.")],
    folder: Annotated[Path, typer.Option(help="Where to put it.")] = Path(),
) -> None:
    """Start a plugin package with a working component and its tests."""
    from srkit.scaffold import create_plugin

    print(create_plugin(name, folder))


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
    from srkit.assembly import SPLITS, read
    from srkit.registry import Registry

    registry = Registry.discover()
    recipe = read(path, registry, overrides, sample=sample, splits=SPLITS)
    if needs_start and recipe.start is None:
        raise SrkitError(f"{path}: start: missing; finetune needs weights to start from")
    if processes > 1 and "LOCAL_RANK" not in os.environ:
        from srkit.launching import launch

        raise SystemExit(launch(processes, sys.argv[1:]))
    from srkit.training import Stopped, train

    folder, console = out or _folder(recipe, sample), _console()
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


def _folder(recipe: Recipe, sample: bool) -> Path:
    return Path("runs") / (f"{recipe.name}-sample" if sample else recipe.name)


def _console() -> Console:
    from rich.console import Console

    return Console()


def _print_json(tree: object) -> None:
    import json

    print(json.dumps(tree, indent=2))
