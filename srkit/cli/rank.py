"""`srkit rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from srkit.cli.options import Overwrite
from srkit.cli.output import new_console


def rank(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Run folders, checkpoints, weight files, published names or interpolations.",
        ),
    ],
    on: Annotated[
        str,
        typer.Option(help="An image; a folder of HR images, or with HR and X4; a set in data/."),
    ],
    scale: Annotated[
        int | None,
        typer.Option(min=1, help="SR pixels per LR pixel; that of the models by default."),
    ] = None,
    lr: Annotated[
        Path | None, typer.Option(help="Folder of LR images; made from HR by default.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Names, such as psnr_y,niqe; a common set by default.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Metric that determines the order; by default the first.")
    ] = None,
    self_ensemble: Annotated[
        bool,
        typer.Option("--self-ensemble", help="Also rank each averaged over 8 flips and rotations."),
    ] = False,
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="Precision of the networks.")
    ] = "fp32",
    examples: Annotated[int, typer.Option(min=1, help="Images on the sheet.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Output folder; runs/rank-NAME by default.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Rank models on the same images: quality, cost, ties, and image details."""
    from srkit.components.registry import Registry
    from srkit.images.formats import Formats
    from srkit.studies.ranking.measure import common_scale
    from srkit.studies.ranking.measure import rank as rank_models
    from srkit.studies.ranking.report import print_ranking, write_ranking
    from srkit.studies.ranking.testset import find_testset, open_testset
    from srkit.system.devices import default_device
    from srkit.system.folders import check_replaceable
    from srkit.system.precision import warn_of_precision

    registry, console = Registry.discover(), new_console()
    place = find_testset(on)  # before models are downloaded
    chosen = scale or common_scale(models, registry)
    testset = open_testset(place, chosen, Formats.of(registry), lr)
    for warning in warn_of_precision(precision, default_device()):
        typer.echo(warning, err=True)
    folder = out or Path("runs") / f"rank-{testset.title}-x{chosen}"
    check_replaceable(folder, overwrite=overwrite)
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
        console=console,
    )
    page = write_ranking(found, folder)
    print_ranking(found, console)
    console.print(f"report: {page}", highlight=False, soft_wrap=True)
    if found.failures:
        raise SystemExit(1)
