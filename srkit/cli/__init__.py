"""The command line: parse, call, print. A module contains a command or a group of commands."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from srkit.cli import (
    compare,
    data,
    doctor,
    evaluate,
    export,
    hub,
    models,
    plugins,
    rank,
    recipes,
    sweep,
    train,
    upscale,
)
from srkit.cli.output import fail, hide_background_tracebacks, lasting_output
from srkit.components.commands import CommandGroup
from srkit.errors import RecipeError, SrkitError, TrainingError

#: How often a waiting thread looks again before it sleeps: about 0.2 ms.
SPINS = "10000"

#: What a newcomer may do next, below the list of commands.
NEXT_STEPS = """Begin with one of these; srkit COMMAND --help explains the rest:

srkit upscale photo.jpg --scale 4

srkit upscale frame.fits

srkit train darionet --sample"""

app = typer.Typer(
    cls=CommandGroup,
    help="Super-resolution for astronomy and general images, assembled from plugins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=NEXT_STEPS,
)
app.command()(train.train)
app.command(name="finetune", help=train.FINETUNE)(train.train)
app.command()(sweep.sweep)
app.command(name="eval")(evaluate.evaluate)
app.command()(plugins.plugins)
app.command()(upscale.upscale)
app.command()(compare.compare)
app.command()(rank.rank)
app.command()(export.export)
app.command()(doctor.doctor)
app.command()(doctor.cache)
app.add_typer(recipes.app, name="recipe")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(hub.app, name="hub")
app.add_typer(plugins.app, name="plugin")


def main() -> None:
    """Run the command line; errors that the user can fix are printed without a traceback."""
    # GNU OpenMP reads this when torch is imported. By default a thread that waits for another one
    # spins for milliseconds, in which a second process could use its core.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    hide_background_tracebacks()
    with lasting_output():
        _run()


def _run() -> None:
    try:
        app()
    except SrkitError as error:
        from srkit.system.processes.children import first_process

        if isinstance(error, RecipeError | TrainingError) and not first_process():
            raise SystemExit(1) from None  # the first process prints the error
        fail(str(_located(error) if isinstance(error, RecipeError) else error))
    except OSError as error:
        # Such as a full disk or a missing permission that no better message describes.
        from srkit.system.resources import files_ran_out

        if advice := files_ran_out(error):
            fail(advice)
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")
    except Exception as error:
        from srkit.components.crashes import describe, wants_traceback

        if wants_traceback():
            raise
        fail(describe(error))


def _located(error: RecipeError) -> RecipeError:
    from srkit.recipe.files import locate_problems

    return locate_problems(error)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Handle options that precede a command."""
    if show:
        from srkit import __version__

        print(__version__)
        raise typer.Exit
