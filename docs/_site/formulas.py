"""Formulas as MathML, which browsers show without any script or font."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Convert the formulas that `pymdownx.arithmatex` marked."""

    def mathml(match: re.Match[str]) -> str:
        display = "block" if match[1] == "div" else "inline"
        formula = convert(html.unescape(match[2]), display=display)
        return f'<div class="formula">{formula}</div>' if match[1] == "div" else formula

    return FORMULA.sub(mathml, content)
