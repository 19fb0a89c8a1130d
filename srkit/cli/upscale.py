"""`srkit upscale`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from srkit.cli.output import new_console


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
    outcome = upscale_files(
        jobs, upscaler, formats, new_console(), overwrite=overwrite, metadata=told
    )
    print(outcome)
    if outcome.failed:
        raise SystemExit(1)
