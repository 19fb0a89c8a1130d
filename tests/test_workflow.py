"""The workflow for GitHub Actions parses, and runs what the README says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_the_workflow_runs_the_commands_of_the_readme() -> None:
    text = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert set(jobs) == {"readme", "suite", "versions"}
    matrix = jobs["readme"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == [f"3.{minor}" for minor in (11, 12, 13, 14)]
    resolved = jobs["versions"]["strategy"]["matrix"]["include"]
    assert {"resolution": "lowest-direct", "python": "3.11"} in resolved
    (script,) = (
        each["run"] for each in jobs["readme"]["steps"] if "README.md" in each.get("run", "")
    )
    patterns = re.findall(r"/(\^.*?\$)/p", script)
    readme = (ROOT / "README.md").read_text("utf-8").splitlines()
    for pattern in patterns:
        found = [line for line in readme if re.fullmatch(pattern.replace(r"\/", "/"), line)]
        assert len(found) == 1, pattern
    assert len(patterns) == 1


def test_the_hooks_check_what_the_ci_checks_besides_the_tests() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    hooks = {each["entry"].replace(" --force-exclude", "") for each in repository["hooks"]}
    script = (ROOT / ".ci/run").read_text("utf-8").splitlines()
    programs = ("ruff", "lint-imports", "mypy")
    commands = {line.removeprefix(".venv/bin/").removesuffix(" .") for line in script}
    assert hooks == {each for each in commands if each.split(" ")[0] in programs}


def test_the_forms_of_issues_parse_and_ask_for_the_report_of_the_machine() -> None:
    folder = ROOT / ".github/ISSUE_TEMPLATE"
    forms = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in folder.glob("*.yml")}
    assert forms.pop("config") == {"blank_issues_enabled": False}
    for form in forms.values():
        assert {"name", "description", "body"} <= set(form)
        names = [each["id"] for each in form["body"] if each["type"] != "markdown"]
        assert len(set(names)) == len(names) > 0
    assert "srkit doctor" in str(forms["bug_report"])


def test_the_citation_states_the_version_and_licence_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
