"""`srkit data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from srkit.cli.options import Overrides, RecipeFile, Sample
from srkit.cli.output import fail, new_console
from srkit.components.commands import CommandGroup
from srkit.errors import SrkitError

app = typer.Typer(help="Download, make and prepare data.", no_args_is_help=True, cls=CommandGroup)


@app.command(name="get")
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
    from srkit.components import listing
    from srkit.components.registry import Registry
    from srkit.dataprep.get import obtain, plan
    from srkit.system.processes.signals import resumable

    registry = Registry.discover()
    if name is None:
        listing.show(registry, "downloads", None, new_console())
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
    with resumable(wanted.folder):
        obtain(wanted, new_console(), keep=keep)


@app.command(name="show")
def show_data(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    split: Annotated[
        Literal["train", "validation", "test"], typer.Option(help="Which of its data sets.")
    ] = "train",
    count: Annotated[int, typer.Option(min=1, help="Pairs on the sheet.")] = 12,
    out: Annotated[
        Path | None, typer.Option(help="PNG file; NAME-SPLIT.png of the recipe's name by default.")
    ] = None,
) -> None:
    """Draw pairs of a recipe as a run sees them, cut and degraded, on a picture sheet."""
    from srkit.assembly.build import read
    from srkit.components.registry import Registry
    from srkit.dataprep.show import show
    from srkit.report.plotting import png
    from srkit.system.files import write_file

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample)
    figure = show(loaded, registry, source=str(recipe), split=split, count=count)
    path = out or Path(f"{loaded.name}-{split}.png")
    write_file(path, png(figure))
    print(path)


@app.command(name="make")
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
    from srkit.assembly.build import read
    from srkit.components.registry import Registry
    from srkit.dataprep.make import make
    from srkit.system.processes.signals import resumable

    registry = Registry.discover()
    loaded = read(recipe, registry, overrides or [], sample=sample)
    with resumable(out):
        count = make(
            loaded,
            registry,
            out,
            source=str(recipe),
            console=new_console(),
            split=split,
            file_format=file_format,
            workers=workers,
        )
    print(f"{out}: {count} pairs; see {out / 'sheet.png'}")


@app.command(name="check")
def check_data(
    given: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|FOLDER", help="YAML file, a folder of images, or one of shards."
        ),
    ],
    overrides: Overrides = None,
    sample: Sample = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report; data_check-NAME by default.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: this one.")] = 2,
) -> None:
    """Look for corrupt, equal, mis-sized and misplaced images; exits with 1 if there are any."""
    from srkit.assembly.build import read
    from srkit.components.registry import Registry
    from srkit.dataprep.check.report import print_check, write_check
    from srkit.dataprep.check.run import check_folder, check_recipe

    path, served = Path(given), "://" in given
    if not served and not path.exists():
        fail(f"{given}: no such file or folder")
    is_recipe = not served and path.is_file()
    if not is_recipe and (overrides or sample):
        fail(f"{given}: a folder; changes and --sample are for recipes")
    registry, console = Registry.discover(), new_console()
    if is_recipe:
        recipe = read(path, registry, overrides or [], sample=sample)
        checked = check_recipe(recipe, registry, given, console, workers=workers)
    else:
        checked = check_folder(given, registry, console, workers=workers)
    print_check(checked, console)
    page = write_check(checked, out or Path(f"data_check-{checked.title}"))
    print(f"report: {page}")
    if checked.problems:
        raise SystemExit(1)
