"""`srkit eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from srkit.cli.imports import heavy_imports
from srkit.cli.options import Overrides, Overwrite, Sample
from srkit.cli.output import fail, new_console
from srkit.cli.run_folders import run_folder, with_needs


def evaluate(
    recipe: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE",
            help="YAML file, a name of `srkit recipe list`, or a run folder, which has its recipe.",
        ),
    ],
    overrides: Overrides = None,
    sample: Sample = False,
    run: Annotated[
        Path | None, typer.Option(help="Run folder to evaluate; runs/NAME by default.")
    ] = None,
    task: Annotated[
        Literal["restoration", "compression"],
        typer.Option(
            help="restoration: compare SR with HR, and with other ways to enlarge LR. compression: "
            "compare restored compressed LR with compressed HR of equal file size."
        ),
    ] = "restoration",
    psf: Annotated[
        str | None,
        typer.Option(
            metavar="PSF",
            help="PSF of LR with which reduced_chi_square observes SR, in place of that of the "
            "recipe: its FWHM in arcsec (0.6) or LR pixels (3.5px), an image (FITS, NPY), or as in "
            "recipes.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder; evaluation or compression in the run folder."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare a run with baselines on its test data: tables, images, report."""
    with heavy_imports():
        from srkit.assembly.build import read
        from srkit.evaluation.run import evaluate
    from srkit.components.registry import Registry

    registry = Registry.discover()
    if recipe.is_dir():
        recipe, run = recipe / "recipe.yaml", run or recipe
    loaded = read(recipe, registry, overrides or [], sample=sample, splits=["test"])
    folder = run or run_folder(loaded, sample)
    if loaded.needs:
        loaded = with_needs(loaded, recipe, registry, sample, folder)
    if out is not None:
        from srkit.studies.compression.measure import JOURNAL
        from srkit.system.folders import check_replaceable

        check_replaceable(out, JOURNAL, overwrite=overwrite)
    if psf is not None and task != "restoration":
        fail("--psf is for the metrics of a restoration; drop it, or --task")
    console = new_console()
    if task == "restoration":
        evaluate(loaded, registry, folder, source=str(recipe), console=console, out=out, psf=psf)
        return
    from srkit.studies.compression.measure import measure_compression
    from srkit.studies.compression.report import print_compression, write_compression
    from srkit.system.processes.signals import resumable

    with resumable(folder):
        compared = measure_compression(
            loaded, registry, folder, source=str(recipe), console=console, out=out
        )
    for found, place in compared:
        print_compression(found, console)
        page = write_compression(found, place)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)
