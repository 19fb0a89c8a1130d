"""The texts that users read avoid habits that make them hard to understand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: What to avoid, and what to write instead.
HABITS = {
    r"\btold\b|\btells\b": "reported, says",
    r"\bgo(?:es)? on (?:with|from|where)\b|\bgone on with\b": "resume, continue",
    r"\bstands? (?:in|for|beside|behind)\b": "is in, is beside",
    r"(?<!there )(?:\bis|\bare) no (?!longer\b|more\b)": "is not a",
    r"\bwhat (?:is made|it makes) of\b": "the result, its output",
    r"\bof others\b": "third-party",
    r"\bbehind (?:a|the) stretch\b": "after a stretch",
    r"\btaken up\b": "resumed",
    r"\bmend(?:ed|s)?\b": "fixed",
    r"\bfault of srkit\b": "a bug in srkit",
    r"\b(?:there|here) already\b": "already exists",
    r"\bunasked\b": "by default",
    r"\banew\b": "again",
}
FILES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "docs/**/*.py",
        "data/**/*.md",
        "recipes/**/*.yaml",
        "srkit/**/*.*",
        "plugins/**/*.*",
    )
    for path in ROOT.glob(pattern)
    if path.suffix in {".py", ".md", ".yaml", ".html", ".js", ".j2"}
)


@pytest.mark.parametrize(("habit", "better"), HABITS.items(), ids=[h[:24] for h in HABITS])
def test_texts_avoid_habits_that_are_hard_to_read(habit: str, better: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        if path.name != "CONTRIBUTING.md"  # which shows how not to write
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(habit, line, re.IGNORECASE)
    ]
    assert not found, f"write '{better}' instead:\n" + "\n".join(found)


def test_there_are_files_to_read() -> None:
    assert len(FILES) > 300
