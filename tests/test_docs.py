"""The documentation says nothing that the code does not."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from command_line import Srkit
from typer.core import TyperGroup

from srkit.cli import app
from srkit.recipe import parts as recipe_parts
from srkit.recipe.parts import Part, Spec
from srkit.recipe.recipe import Recipe, parse_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/**/*.md")])
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[Any]:
    """Every fenced block whose opening line says `kind`, named by page and number."""
    return [
        pytest.param(text, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (info, text) in enumerate(FENCE.findall(page.read_text("utf-8")))
        if info == kind
    ]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    prose = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_internal_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        if linked.is_relative_to(ROOT / "docs/reference") and not linked.exists():
            continue  # generated, and checked by `mkdocs build --strict`
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("text", blocks("yaml recipe"))
def test_whole_recipes_are_valid(text: str) -> None:
    parse_recipe(yaml.safe_load(text), "the documentation")


@pytest.mark.parametrize("text", blocks("python runnable"))
def test_examples_run(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a module that can be imported, which worker processes need."""
    name = f"example_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)  # some examples write files
    __import__(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    for _, text in FENCE.findall(page.read_text("utf-8")):
        for line in re.findall(r"^(?:\$ |.*&& )?(?:\S*/)?srkit (\w.*)$", text, re.MULTILINE):
            command, words = typer.main.get_command(app), iter(line.split())
            while isinstance(command, TyperGroup):
                word = next(words)
                context = typer.Context(command, resilient_parsing=True)
                assert word in command.list_commands(context), line
                found = command.get_command(context, word)
                # A plugin's command is imported when its arguments are parsed.
                command = found.make_context(word, [], resilient_parsing=True).command
            known = {option for parameter in command.params for option in parameter.opts}
            given = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert given <= known, line


@pytest.mark.parametrize("text", blocks("console printed"))
def test_examples_show_what_is_printed(text: str, srkit: Srkit) -> None:
    command, shown = text.split("\n", 1)
    arguments = [str(ROOT / word) if word.endswith(".yaml") else word for word in command.split()]
    done = srkit(*arguments[2:])
    printed = (done.out + done.err).replace(f"{ROOT}/", "")
    assert [line.rstrip() for line in printed.splitlines()] == shown.splitlines()


def test_the_site_reads_every_fence() -> None:
    """Python-Markdown takes a fence with a mark after the language as text."""
    pytest.importorskip("mkdocs")
    hooks = runpy.run_path(str(ROOT / "docs/_site/repository.py"))
    for page in PAGES:
        text = hooks["MARKED"].sub(r"```\1", page.read_text("utf-8"))
        assert not re.findall(r"^``` *\w+ .*$", text, re.MULTILINE), page


def test_every_key_of_a_recipe_is_explained() -> None:
    """In the schema, from which the reference takes it; the type of a component needs no words."""
    parts = [p for p in vars(recipe_parts).values() if isinstance(p, type)]
    missing = [
        f"{part.__name__}.{key}"
        for part in [Recipe, *parts]
        if issubclass(part, Part | Spec) and part not in (Part, Spec)
        for key, field in part.model_fields.items()
        if not field.description and not (key == "type" and issubclass(part, Spec))
    ]
    assert missing == []


def test_every_part_of_a_recipe_has_its_table_in_the_reference() -> None:
    """Of components, the pages of their kinds have the tables of options."""
    page = (ROOT / "docs/reference/recipes.md").read_text("utf-8")
    shown = set(re.findall(r"<!-- keys of (\w+) -->", page))
    parts = {
        name
        for name, part in vars(recipe_parts).items()
        if isinstance(part, type) and issubclass(part, Part | Spec) and part not in (Part, Spec)
        if set(part.model_fields) - {"type"} and not name.startswith("_")
    }
    assert parts - shown == {"MetricSpec"}  # as that of losses, without a weight
