from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from pydantic import PositiveInt
from typer.core import TyperGroup
from typer.main import get_command

from srkit import cli
from srkit.components.commands import CommandGroup, make_command
from srkit.components.registry import COMMAND_GROUPS, Component, Failure, Registry
from srkit.errors import PluginError
from srkit.testing import check_command

given: list[object] = []


def stars(
    *,
    files: list[Path],
    scale: PositiveInt = 2,
    band: Literal["g", "i"] = "i",
    mask: Path | None = None,
    quick: bool = False,
) -> None:
    """Count the stars.

    It reads ``files`` one by one.

    Parameters
    ----------
    files
        Images in ``FITS``.
    scale
        HR pixels an LR pixel.
    band
        The filter.
    mask
        Pixels to ignore, drawn by ``stars[masks]``.
    quick
        Count the bright ones only.
    """
    given[:] = [files, scale, band, mask, quick]


def component(reference: object = f"{__name__}:stars", name: str = "data count-stars") -> Component:
    return Component("commands", name, reference, "stars", "1.0")  # type: ignore[arg-type]


def run(*arguments: str, function: object = stars) -> int:
    try:
        make_command(component(function))(arguments, standalone_mode=True)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    raise AssertionError("a command exits")


def test_a_signature_becomes_options() -> None:
    assert run("--files", "a.fits", "--files", "b.fits") == 0
    assert given == [[Path("a.fits"), Path("b.fits")], 2, "i", None, False]
    assert run("--files=a", "--scale=3", "--band=g", "--mask=m", "--quick") == 0
    assert given == [[Path("a")], 3, "g", Path("m"), True]


def brighten(
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to.")] = None,
) -> None:
    """Brighten images.

    Parameters
    ----------
    folder
        Of images.
    out
        Of the result.
    """
    given[:] = [folder, out]


def test_an_annotation_makes_an_argument_and_a_short_option(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("images", "-o", "bright", function=brighten) == 0
    assert given == [Path("images"), Path("bright")]
    assert run("--help", function=brighten) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("FOLDER", "Of images.", "-o", "Where to."):
        assert words in text


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "Count the stars.",
        "It reads files one by one.",
        "Images in FITS.",
        "stars[masks].",
        "[required]",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '--files'"),
        (("--files=a", "--scale=0"), "scale: got 0; expected a number greater than 0"),
        (("--files=a", "--band=z"), "'z' is not one of 'g', 'i'"),
        (("--files=a", "--fast"), "No such option: --fast"),
    ],
)
def test_wrong_options(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_contract_check_of_commands() -> None:
    check_command(component(stars))

    def mute(*, size: int) -> None:
        """Do something."""

    with pytest.raises(AssertionError, match="must describe these options: size"):
        check_command(component(mute))

    def odd(*, size: dict[str, object]) -> None:
        """Do something.

        Parameters
        ----------
        size
            Several.
        """

    with pytest.raises(AssertionError, match="cannot be a command: parameter 'size' has") as caught:
        check_command(component(odd))
    assert str(caught.value) == (
        "command 'data count-stars': cannot be a command: parameter 'size' has the "
        "type dict[str, object]; expected text, a number, true or false, a path, a Literal, or a "
        "list of one of these"
    )


def group(
    *components: Component, failures: Sequence[Failure] = (), name: str = "data"
) -> CommandGroup:
    """Return `srkit data`, or another group, with these plugin commands only."""
    found = get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    assert isinstance(found, CommandGroup)
    registry = Registry()
    registry.failures.extend(failures)
    for each in components:
        registry._add("stars", each)
    found.__dict__["registry"] = registry
    return found


@pytest.mark.parametrize("name", COMMAND_GROUPS)
def test_every_group_lists_its_own_plugin_commands(name: str) -> None:
    found = group(component(stars, f"{name} one"), component(stars, "other two"), name=name)
    context = found.make_context(name, ["--help"], resilient_parsing=True)
    assert found.list_commands(context)[-1] == "one"
    assert found.get_command(context, "one").name == "one"
    assert found.get_command(context, "two") is None


def test_plugins_can_add_commands_beside_the_groups() -> None:
    found = get_command(cli.app)
    assert isinstance(found, CommandGroup)
    found.__dict__["registry"] = Registry()
    for each in (component(stars, "count-stars"), component(stars, "data weigh-stars")):
        found.registry._add("stars", each)
    context = found.make_context("srkit", ["--help"], resilient_parsing=True)
    assert found.list_commands(context)[-2:] == ["plugin", "count-stars"]
    assert found.get_command(context, "count-stars").name == "count-stars"
    assert found.get_command(context, "weigh-stars") is None


def test_plugins_can_add_to_every_group() -> None:
    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    groups = [name for name, command in commands.items() if isinstance(command, TyperGroup)]
    assert sorted(groups) == list(COMMAND_GROUPS)


def test_plugin_commands_follow_srkits_own() -> None:
    found = group(component("nowhere:stars"))
    context = found.make_context("data", ["make"])
    assert found.list_commands(context) == ["get", "show", "make", "check", "count-stars"]
    # Listing imports nothing; the error is raised when the command is run.
    listed = found.get_command(context, "count-stars")
    with pytest.raises(PluginError) as caught:
        listed.make_context("count-stars", [])
    assert str(caught.value) == (
        "command 'data count-stars' of stars 1.0 cannot be imported from 'nowhere:stars': "
        "ModuleNotFoundError: No module named 'nowhere'"
    )


def test_an_unknown_command_may_belong_to_a_failed_plugin() -> None:
    context = group().make_context("data", ["make"])
    assert group().get_command(context, "absent") is None
    broken = group(failures=[Failure("stars", "stars", "1.0", "no module")])
    with pytest.raises(PluginError) as caught:
        broken.get_command(context, "absent")
    assert str(caught.value) == (
        "unknown command 'data absent'; plugin 'stars' of stars could not be used (no module)"
    )
