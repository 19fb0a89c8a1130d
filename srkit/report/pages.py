"""Texts from templates: HTML pages, which extend ``page.html``, and model cards."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srkit import __version__


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure on a page.

    Parameters
    ----------
    path
        The PNG file.
    title, caption
        What it shows, in a few words and in a sentence or two.
    """

    path: Path
    title: str
    caption: str

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return data_uri(self.path.read_bytes())


def data_uri(png: bytes) -> str:
    """Return the data URI of a PNG image, which makes a page self-contained."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def render_page(template: str, *, package: str, **values: Any) -> str:
    """Fill in a template.

    Parameters
    ----------
    template
        Name of a file in the folder ``templates`` of `package`. It may extend ``page.html`` and
        import ``parts.html`` from the templates of :mod:`srkit.report`.
    package
        The package, such as ``srkit.evaluation``.
    values
        What the template shows.
    """
    import jinja2

    packages = dict.fromkeys((package, "srkit.report"))
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in packages]),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=__version__, **values)
