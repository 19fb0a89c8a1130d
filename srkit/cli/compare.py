"""`srkit compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srkit.cli.options import ImagePrecision, Overwrite, SelfEnsemble, ZeroPoint
from srkit.cli.output import fail, new_console


def compare(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The LR image.")],
    models: Annotated[
        list[str],
        typer.Option("--model", "-m", help="A model, as for `srkit upscale`; can be repeated."),
    ],
    scale: Annotated[
        float | None, typer.Option(help="SR pixels per LR pixel; that of the models by default.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="HR of the image, with which SR is compared.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="X,Y: LR pixel at the centre if only a part is shown.")
    ] = None,
    zero_point: ZeroPoint = None,
    self_ensemble: SelfEnsemble = False,
    precision: ImagePrecision = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Page; NAME_compare.html beside the image by default."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Compare SR of several models of one image on a page with a slider."""
    from srkit.components.registry import Registry
    from srkit.images.formats import Formats
    from srkit.studies.compare.measure import compare_models
    from srkit.studies.compare.report import write_comparison
    from srkit.studies.ranking.measure import common_scale
    from srkit.system.devices import default_device
    from srkit.system.folders import check_replaceable
    from srkit.system.precision import warn_of_precision
    from srkit.upscaling.jobs import check_inputs

    if scale is not None and not 0 < scale < float("inf"):
        fail(f"the scale must be positive, got {scale:g}")
    for warning in warn_of_precision(precision, default_device()):
        typer.echo(warning, err=True)
    if image.is_dir():
        fail(f"{image}: is a folder, not an image; to compare models on a folder, use srkit rank")
    check_inputs([str(path) for path in (image, reference) if path is not None])
    centre = None if at is None else _place(at)
    registry = Registry.discover()
    formats = Formats.of(registry)
    page = out or image.with_name(f"{formats.split(image.name)[0]}_compare.html")
    if page.is_dir() or page.suffix.lower() not in (".html", ".htm"):
        fail(f"{page}: expected a file name that ends in .html")
    check_replaceable(page, overwrite=overwrite)
    scene, names, metrics = compare_models(
        image,
        models,
        scale or common_scale(models, registry),
        formats,
        registry,
        reference=reference,
        centre=centre,
        precision=precision,
        self_ensemble=self_ensemble,
        metadata={} if zero_point is None else {"zero_point": zero_point},
    )
    write_comparison(page, [scene], names, metrics)
    new_console().print(f"page: {page}", highlight=False, soft_wrap=True)


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        fail(f"--at: got '{text}'; expected a pixel of the input, such as 120,45")
    return x, y
