"""`srkit upscale`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srkit.cli.imports import heavy_imports
from srkit.cli.options import ImagePrecision, SelfEnsemble, ZeroPoint
from srkit.cli.output import fail, new_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from srkit.upscaling.files import Summary
    from srkit.upscaling.jobs import Job
    from srkit.upscaling.request import Request
    from srkit.upscaling.upscalers import Upscalers

Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT...", help="Files, folders or patterns; - is standard input."),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Run folder, checkpoint, weight file, published name, hf:OWNER/NAME or "
        "interpolation; by default a small network that is part of srkit.",
    ),
]
ModelStyle = Annotated[
    Literal["faithful", "enhanced"],
    typer.Option(
        "--style",
        help="What the default model does to pictures. faithful: keep what the input shows. "
        "enhanced: remove noise and compression, sharpen, and invent detail.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File or folder, - is standard output; NAME_xSCALE beside the input by default.",
    ),
]
Scale = Annotated[
    float | None, typer.Option(help="SR pixels per LR pixel; by default that of the model.")
]
Width = Annotated[int | None, typer.Option(help="Width of SR in pixels, in place of a scale.")]
Height = Annotated[int | None, typer.Option(help="Height of SR in pixels, in place of a scale.")]
Megapixels = Annotated[
    float | None, typer.Option(help="Millions of pixels of SR, in place of a scale.")
]
Format = Annotated[
    str | None, typer.Option("--format", help="File name extension of the outputs, such as png.")
]
Extension = Annotated[
    str | None,
    typer.Option(
        "--hdu",
        metavar="NAME",
        help="Extension of FITS files: a name (SCI), with version (SCI,2), or a number; the same "
        r"as FILE\[SCI,2].",
    ),
]
Uncertainty = Annotated[
    bool,
    typer.Option(
        "--uncertainty",
        help="Write the variance of each pixel of FITS and NPZ that the network predicts, or else "
        "the spread over flips and rotations, which is not an error.",
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="Degrade SR again and compare it with the input.")
]
GivenPsf = Annotated[
    str | None,
    typer.Option(
        "--psf",
        metavar="PSF",
        help="PSF of the FITS input for --check: its FWHM in arcsec (0.6) or LR pixels (3.5px), an "
        "image (FITS, NPY), stars (measured from those of the input), or as in recipes.",
    ),
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Write a page with a slider between input and output.")
]
NetworkEngine = Annotated[
    Literal["auto", "torch", "openvino"],
    typer.Option(
        help="openvino: often faster on CPUs, once it has prepared the network "
        "(srkit\\[openvino]). auto: the faster one, as measured at the first use of a network."
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(min=1, help="Side of the tiles in LR pixels; by default what fits into memory."),
]
Processes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes that share the files, or the windows of one huge frame, and the GPUs.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Share them over a Ray cluster: auto, local, or HOST:PORT (srkit\\[ray]).",
    ),
]
MaxInput = Annotated[
    float, typer.Option(min=1e-6, help="Largest compressed image, in millions of pixels.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing outputs; by default they are skipped.")
]


def upscale(
    inputs: Inputs,
    model: ModelName = None,
    style: ModelStyle = "faithful",
    out: Out = None,
    scale: Scale = None,
    width: Width = None,
    height: Height = None,
    megapixels: Megapixels = None,
    suffix: Format = None,
    hdu: Extension = None,
    zero_point: ZeroPoint = None,
    self_ensemble: SelfEnsemble = False,
    uncertainty: Uncertainty = False,
    check: Check = False,
    psf: GivenPsf = None,
    compare: Compare = False,
    precision: ImagePrecision = "auto",
    engine: NetworkEngine = "torch",
    tile: Tile = None,
    processes: Processes = None,
    ray: RayAddress = None,
    max_input: MaxInput = 250.0,
    overwrite: Overwrite = False,
) -> None:
    """Restore images and FITS frames with a trained model."""
    with heavy_imports():
        from srkit.upscaling.request import Request
        from srkit.upscaling.size import Size

    try:
        size = Size(scale, width, height, megapixels)
    except ValueError as error:
        fail(str(error))
    if model is not None and style != "faithful":
        fail("--style chooses the default model; drop --style, or -m")
    if psf is not None and not check:
        fail("--psf is for --check; add it, or drop --psf")
    _run(
        Request(
            inputs=inputs,
            out=out,
            suffix=suffix,
            model=model,
            style=style,
            hdu=hdu,
            size=size,
            zero_point=zero_point,
            self_ensemble=self_ensemble,
            uncertainty=uncertainty,
            precision=precision,
            engine=engine,
            tile=tile,
            max_input=max_input,
            overwrite=overwrite,
            processes=processes,
            ray=ray,
            check=check,
            compare=compare,
            psf=psf,
        )
    )


def _run(request: Request) -> None:
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from rich.markup import escape

    from srkit.components.registry import Registry
    from srkit.images.formats import Formats
    from srkit.images.limits import allow
    from srkit.models.open import INTERPOLATIONS
    from srkit.upscaling.jobs import Plan, check_inputs, check_names, plan
    from srkit.upscaling.parallel import share_of
    from srkit.upscaling.streams import plan_stream, reserved_output, send

    from_stream, to_stream = _streams(request)
    if not from_stream:
        check_inputs(request.inputs)
    with ExitStack() as stack, allow(request.max_input):
        # Before plugins are loaded, since they may print.
        output = stack.enter_context(reserved_output()) if to_stream else None
        registry = Registry.discover()
        formats = Formats.of(registry)
        check_names(request.inputs, request.out, request.suffix, formats)
        upscalers = request.open(registry)
        if request.engine != "torch" and request.model in INTERPOLATIONS:
            line = f"{request.model}: interpolations run in torch; --engine has no effect"
            typer.echo(line, err=True)
        for note in upscalers.notes:
            typer.echo(note, err=True)
        console = new_console(stderr=to_stream)
        if from_stream or to_stream:
            folder = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
            place = Path(folder)
            given = request.inputs[0], request.out, formats, request.suffix, place
            planned = Plan([plan_stream(*given, request.hdu)])
        else:
            where = request.inputs, request.out, formats, upscalers.label
            planned = plan(*where, request.suffix, request.hdu)
        jobs = share_of(planned.jobs)
        summary = _restore(request, jobs, upscalers, console)
        summary.ignored, summary.outputs = planned.ignored, planned.outputs
        for failure in share_of(planned.failures):
            summary.fail(failure, console)
        summary.print_repeated(console)
        if output is not None and summary.done:
            send(jobs[0].target.path, output)
            summary.output = None  # the name of a temporary file
        if request.check:
            from srkit.studies.consistency.report import check_files

            summary.failed += check_files(
                jobs, upscalers, registry, console, request.metadata, request.psf
            )
        if request.compare:
            from srkit.studies.compare.measure import compare_outputs

            summary.failed += compare_outputs(
                jobs, upscalers, registry, console, metadata=request.metadata
            )
    console.print(escape(str(summary)), highlight=False, soft_wrap=True)
    if summary.failed:
        raise SystemExit(1)


def _streams(request: Request) -> tuple[bool, bool]:
    """Return whether to read from standard input, and whether to write to standard output."""
    from srkit.upscaling.streams import STREAM

    count, reads = len(request.inputs), STREAM in request.inputs
    writes = request.out == Path(STREAM) or (reads and request.out is None)
    if reads and count > 1:
        fail(f"'{STREAM}' (standard input) has to be the only input; got {count} inputs")
    if writes and count > 1:
        fail(f"-o {STREAM} (standard output) is for one image; got {count} inputs")
    for wanted, option in ((request.check, "--check"), (request.compare, "--compare")):
        if wanted and writes:
            fail(f"{option} writes files beside the output; name an output file with -o FILE")
    return reads, writes


def _restore(
    request: Request, jobs: Sequence[Job], upscalers: Upscalers, console: Console
) -> Summary:
    """Restore files in this process or, if requested, in several."""
    from functools import partial

    from srkit.system.processes.pool import LocalPool, Pool
    from srkit.system.processes.ray_pool import RayPool
    from srkit.upscaling.files import FileUpscaler, upscale_files
    from srkit.upscaling.frames.files import one_by_one
    from srkit.upscaling.parallel import open_files, share_files, share_windows

    pool: Pool | None = None
    if request.ray is not None:
        pool = RayPool(request.ray, request.processes)
    elif request.processes is not None and request.processes > 1:
        pool = LocalPool(request.processes)
    if pool is not None and len(jobs) > 1:
        return share_files(jobs, partial(open_files, request), pool, console)
    upscaler = FileUpscaler(
        upscalers,
        overwrite=request.overwrite,
        metadata=request.metadata,
        restore_windows=one_by_one if pool is None else partial(share_windows, request, pool),
    )
    return upscale_files(jobs, upscaler, console)
