"""Pages of the repository that lie outside of docs/, and links and fences as GitHub reads them."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
#: Pages outside of docs/, which keep their paths on the site.
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "data/**/README.md",
    "plugins/**/README.md",
)
#: Words after the language of a fence, by which the tests know what to run.
MARKED = re.compile(r"^```(\w+) \w+$", re.MULTILINE)
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that lie outside of docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix().replace("README.md", "index.md")
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links between the repository's files lead to their pages, and simplify fences."""
    source = Path(page.file.abs_src_path or config.docs_dir)
    here = Path(page.file.src_uri)

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, hash_, anchor = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return match[0]
        place = (source.parent / path).resolve()
        if not place.is_relative_to(ROOT):
            return match[0]
        name = place.relative_to(ROOT).as_posix()
        inside = name.removeprefix("docs/").replace("README.md", "index.md")
        if inside.startswith("tutorials/"):
            inside = inside.replace(".py", ".md")
        if files.get_file_from_path(inside) is None:
            # A file of the repository that the site does not have, such as a licence.
            return match[0] if place.is_relative_to(config.docs_dir) else f"{text} (`{name}`)"
        return f"[{text}]({posixpath.relpath(inside, here.parent.as_posix())}{hash_}{anchor})"

    if page.file.abs_src_path is not None:
        markdown = _outside_fences(markdown, lambda text: LINK.sub(link, text))
    return MARKED.sub(r"```\1", markdown)


def _outside_fences(markdown: str, change: Any) -> str:
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else change(part) for part in parts)
