"""The summary of a validation in a run folder, for the reports and model cards of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srkit.errors import DataError
from srkit.system.untrusted import parse_json

#: Where a command that validates a run, such as `srkit validate`, writes its results.
VALIDATION = Path("validation") / "validation.json"
#: The heading, if the results state none.
TITLE = "Validation"


@dataclass(frozen=True, slots=True)
class Summary:
    """A table of text.

    Parameters
    ----------
    caption
        What it shows.
    columns
        Headings.
    rows
        Cells of each row, of which the first is its name.
    title
        Heading.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    title: str = TITLE


def read_validation(run: Path) -> Summary | None:
    """Read the entry ``summary`` of the validation of a run.

    It has ``caption``, ``columns``, ``rows`` and optionally ``title``.

    Parameters
    ----------
    run
        The run folder.

    Returns
    -------
    Summary or None
        None if the run was not validated.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    path = run / VALIDATION
    if not path.is_file():
        return None
    try:
        found: Any = parse_json(path.read_bytes())["summary"]
        columns = [str(name) for name in found["columns"]]
        rows = [[str(cell) for cell in row] for row in found["rows"]]
        if any(len(row) != len(columns) for row in rows):
            raise ValueError("a row of the summary has not as many cells as there are columns")
        title = str(found.get("title", TITLE))
        return Summary(str(found["caption"]), columns, rows, title)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); validate the run again") from error
