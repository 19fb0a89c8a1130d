"""Docstrings as mkdocstrings reads them: roles as code, and each parameter by itself."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc|obj):`~?\.?([^`]+)`")
#: Parameters that share a description, of which griffe would give all the type of the first.
SHARED = re.compile(r"^(\w+(?:, \w+)+)\n((?: {4}.*\n?)+)", re.MULTILINE)


class Roles(griffe.Extension):
    """Replaces the roles of Sphinx, and repeats descriptions that parameters share."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object."""
        if obj.docstring is not None:
            value = ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = SHARED.sub(_separately, value)


def _separately(match: re.Match[str]) -> str:
    names, description = match.groups()
    return "".join(f"{name}\n{description.rstrip()}\n" for name in names.split(", "))
