"""`srkit compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from srkit.cli.output import fail, new_console


def compare(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture or frame, LR.")],
    models: Annotated[
        list[str],
        typer.Option("--model", "-m", help="As of `srkit upscale`; give it for each model."),
    ],
    scale: Annotated[
        float | None, typer.Option(help="SR pixels for each LR pixel; the models' by default.")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="HR of the image, by which the models are measured.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="X,Y: LR pixel in the middle, where not all is shown.")
    ] = None,
    zero_point: Annotated[
        float | None,
        typer.Option(help="AB magnitude of one unit of the values, where the file does not say."),
    ] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="Average over eight flips and turns.")
    ] = False,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="auto: bf16 for pictures of 8 bits, fp32 for everything else."),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="NAME_compare.html beside the image by default."),
    ] = None,
) -> None:
    """Show what several models make of an image, on a page with a slider."""
    from srkit.components.registry import Registry
    from srkit.images.formats import Formats
    from srkit.studies.compare.page import compare_models, write_page
    from srkit.studies.ranking.measure import common_scale
    from srkit.upscaling.files import split

    if scale is not None and not 0 < scale < float("inf"):
        fail(f"the scale must be positive, got {scale:g}")
    if image.is_dir():
        fail(f"{image}: is a folder; compare one picture, or rank models on all: srkit rank")
    centre = None if at is None else _place(at)
    registry = Registry.discover()
    formats = Formats.of(registry)
    page = out or image.with_name(f"{split(image.name, formats)[0]}_compare.html")
    if page.is_dir() or page.suffix.lower() not in (".html", ".htm"):
        fail(f"{page}: expected the name of an .html file")
    scenes, names, metrics = compare_models(
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
    write_page(page, scenes, names, metrics)
    new_console().print(f"page: {page}", highlight=False, soft_wrap=True)


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        fail(f"--at: got '{text}'; expected a pixel of the input, such as 120,45")
    return x, y
