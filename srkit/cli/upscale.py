"""`srkit upscale`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srkit.cli.output import fail, new_console

if TYPE_CHECKING:
    from srkit.system.processes.pool import Pool


def upscale(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files, folders or patterns; - is standard input."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Run folder, checkpoint, weight file, published name, hf:OWNER/NAME or "
            "interpolation; by default a small network that ships with srkit.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File or folder, - is standard output; NAME_xSCALE beside the input by default.",
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(help="SR pixels for each LR pixel; the model's own, or 2 without a model."),
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="Width of SR in pixels, in place of a scale.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="Height of SR in pixels, in place of a scale.")
    ] = None,
    megapixels: Annotated[
        float | None, typer.Option(help="Millions of pixels of SR, in place of a scale.")
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
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Degrade SR again and write where the input does not support it."
        ),
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Write a page with a slider between input and output."),
    ] = False,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="auto: bf16 for pictures of 8 bits, fp32 for everything else."),
    ] = "auto",
    engine: Annotated[
        Literal["torch", "openvino"],
        typer.Option(
            help="openvino: faster on CPUs once it has prepared the network (srkit[openvino])."
        ),
    ] = "torch",
    tile: Annotated[
        int | None, typer.Option(min=1, help="Side of the tiles in LR pixels; by free memory.")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that share the files, or the windows of one huge frame, and the GPUs.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Share them over a Ray cluster: auto, local, or HOST:PORT (srkit[ray]).",
        ),
    ] = None,
    max_input: Annotated[
        float, typer.Option(min=1e-6, help="Largest compressed picture, in millions of pixels.")
    ] = 250.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that are there; else skipped.")
    ] = False,
) -> None:
    """Restore pictures and FITS frames with a trained model."""
    from tempfile import TemporaryDirectory

    from srkit.components.registry import Registry
    from srkit.images.formats import Formats
    from srkit.images.limits import allow
    from srkit.models.open import INTERPOLATIONS
    from srkit.upscaling.defaults import upscalers_of
    from srkit.upscaling.files import plan, upscale_files
    from srkit.upscaling.frames.files import one_by_one
    from srkit.upscaling.sharing import SharedWindows, Work, share_files, share_of
    from srkit.upscaling.sizing import Size
    from srkit.upscaling.streams import STREAM, plan_stream, send

    try:
        size = Size(scale, width, height, megapixels)
    except ValueError as error:
        fail(str(error))
    registry = Registry.discover()
    formats = Formats.of(registry)
    settings = {
        "self_ensemble": self_ensemble,
        "uncertainty": uncertainty,
        "precision": precision,
        "engine": engine,
        "tile": tile,
    }
    upscalers = upscalers_of(model, registry, size, **settings)
    if engine != "torch" and model in INTERPOLATIONS:
        line = f"{model}: an interpolation, which torch runs; --engine changes nothing"
        typer.echo(line, err=True)
    told = {} if zero_point is None else {"zero_point": zero_point}
    streaming, to_stream = STREAM in inputs, out == Path(STREAM)
    if streaming and len(inputs) > 1:
        fail(f"'{STREAM}', standard input, stands alone; got {len(inputs)} inputs")
    if to_stream and len(inputs) > 1:
        fail(f"-o {STREAM}, standard output, is for one picture; got {len(inputs)} inputs")
    for wanted, option in ((check, "--check"), (compare, "--compare")):
        if wanted and (to_stream or (streaming and out is None)):
            fail(f"{option} writes files beside the output, which is no file here: -o FILE")
    console = new_console(stderr=to_stream or (streaming and out is None))
    with TemporaryDirectory() as folder, allow(max_input):
        if streaming or to_stream:
            jobs = [plan_stream(inputs[0], out, formats, file_format, Path(folder))]
        else:
            jobs = plan(inputs, out, formats, upscalers.label, file_format)
        work = Work(model, size, settings, overwrite, told, max_input)
        pool, jobs = pool_of(processes, ray), share_of(jobs)
        if pool is not None and len(jobs) > 1:
            outcome = share_files(jobs, work, pool, console)
        else:
            outcome = upscale_files(
                jobs,
                upscalers,
                formats,
                console,
                overwrite=overwrite,
                metadata=told,
                windows=one_by_one if pool is None else SharedWindows(work, pool),
            )
        if console.stderr and outcome.done:
            send(jobs[0].target)
            outcome.output = None  # nobody knows that file by its name
        if check:
            from srkit.studies.consistency.files import check_files

            checks = check_files(jobs, upscalers, formats, registry, console, metadata=told)
            outcome.failed += checks.failed
        if compare:
            from srkit.studies.compare.measure import compare_outputs

            outcome.failed += compare_outputs(
                jobs, upscalers, formats, registry, console, metadata=told
            )
    console.print(str(outcome), highlight=False)
    if outcome.failed:
        raise SystemExit(1)


def pool_of(processes: int | None, ray: str | None) -> Pool | None:
    """Return the processes that share the work; None if this process does all of it."""
    from srkit.system.processes.pool import LocalPool
    from srkit.system.processes.ray_pool import RayPool

    if ray is not None:
        return RayPool(ray, processes)
    return LocalPool(processes) if processes is not None and processes > 1 else None
