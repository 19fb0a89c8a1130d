"""`srkit data`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srkit.cli.options import Overrides, Overwrite, RecipeFile, Sample
from srkit.cli.output import confirm, fail, new_console
from srkit.components.commands import CommandGroup

if TYPE_CHECKING:
    from srkit.components.registry import Registry
    from srkit.recipe.recipe import Recipe

Split = Annotated[
    str,
    typer.Option(
        help="Which data set of the recipe: train, validation, test, or one of several: test.NAME."
    ),
]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes; 0 uses the main process.")]

app = typer.Typer(help="Download, make and prepare data.", no_args_is_help=True, cls=CommandGroup)


@app.command(name="get")
def get_data(
    name: Annotated[
        str | None, typer.Argument(help="Data set; without it, all data sets are listed.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Its options, such as lr=bicubic."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder of all data, in which it gets a folder of its own.")
    ] = Path("data"),
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept the licence and the size without being asked.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the archives after they are unpacked.")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Download, verify and unpack a data set; resumes partial downloads."""
    from srkit.components import listing
    from srkit.components.registry import Registry
    from srkit.dataprep.get import plan_download, run_download
    from srkit.system.processes.signals import resumable

    registry = Registry.discover()
    if name is None:
        listing.show(registry, "downloads", None, new_console())
        return
    plan = plan_download(name, options or [], registry, out)
    if not plan.missing:
        print(f"{plan.folder}: already complete")
        return
    print(plan)
    if not yes:
        confirm("Download it?", f"data get {name}", "nothing was downloaded")
    with resumable(plan.folder):
        run_download(plan, new_console(), keep=keep, overwrite=overwrite)


def _read(path: Path, registry: Registry, overrides: Sequence[str] | None, sample: bool) -> Recipe:
    """Read a recipe for its data alone; its name is by default that of its file."""
    from srkit.assembly.build import parse
    from srkit.recipe.files import load_tree

    tree = load_tree(path, overrides or [], sample=sample)
    name = re.sub(r"[^\w.-]", "_", path.stem).lstrip(".-") or "data"
    return parse({"name": name, **tree}, registry, str(path))


@app.command(name="show")
def show_data(
    recipe: RecipeFile,
    overrides: Overrides = None,
    sample: Sample = False,
    split: Split = "train",
    count: Annotated[int, typer.Option(min=1, help="Pairs on the sheet.")] = 12,
    out: Annotated[
        Path | None, typer.Option(help="PNG file; by default, RECIPE_NAME-SPLIT.png.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw pairs of a recipe as a run sees them, cropped and degraded, on a picture sheet."""
    from srkit.components.registry import Registry
    from srkit.dataprep.show import show
    from srkit.report.plotting import png
    from srkit.system.files import write_file
    from srkit.system.folders import check_replaceable

    registry = Registry.discover()
    loaded = _read(recipe, registry, overrides, sample)
    path = out or Path(f"{loaded.name}-{split}.png")
    check_replaceable(path, overwrite=overwrite)
    figure = show(loaded, registry, source=str(recipe), split=split, count=count)
    write_file(path, png(figure))
    print(path)


@app.command(name="make")
def make_data(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="Folder for the pairs; existing pairs are kept.")],
    overrides: Overrides = None,
    sample: Sample = False,
    split: Split = "train",
    file_format: Annotated[
        Literal["npy", "fits", "png"],
        typer.Option("--format", help="Format of the files; png is for pictures of 8 bits."),
    ] = "npy",
    workers: Workers = 2,
) -> None:
    """Write the pairs of a recipe's data set to disk, with a picture sheet."""
    from srkit.components.registry import Registry
    from srkit.dataprep.make import make
    from srkit.system.processes.signals import resumable

    registry = Registry.discover()
    loaded = _read(recipe, registry, overrides, sample)
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
            metavar="RECIPE|FOLDER", help="Recipe, folder of images, or folder of shards."
        ),
    ],
    overrides: Overrides = None,
    sample: Sample = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report; by default, data_check-NAME.")
    ] = None,
    workers: Workers = 2,
    overwrite: Overwrite = False,
) -> None:
    """Find corrupt, duplicate, mis-sized and misaligned images; exits with 1 if there are any."""
    from srkit.components.registry import Registry
    from srkit.dataprep.check.report import print_check, write_check
    from srkit.dataprep.check.run import check_folder, check_recipe
    from srkit.recipe.shipped import find_recipe
    from srkit.system.folders import check_replaceable

    if out is not None:
        check_replaceable(out, overwrite=overwrite)
    path, is_address = Path(given), "://" in given
    path = path if path.is_dir() else find_recipe(given)
    if not is_address and not path.exists():
        fail(f"{given}: no such file or folder")
    registry, console = Registry.discover(), new_console()
    if not is_address and path.is_file():
        recipe = _read(path, registry, overrides, sample)
        check = check_recipe(recipe, registry, given, console, workers=workers)
    elif overrides or sample:
        fail(f"{given}: is a folder; overrides and --sample apply to recipes only")
    else:
        check = check_folder(given, registry, console, workers=workers)
    print_check(check, console)
    folder = out or Path(f"data_check-{check.title}")
    check_replaceable(folder, overwrite=overwrite)
    page = write_check(check, folder)
    print(f"report: {page}")
    if check.problems:
        raise SystemExit(1)
