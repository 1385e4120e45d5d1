"""Links between files of the repository lead to the pages of the site that hold them.

The Markdown is read where it is: README, model cards and the change log come in by ``include``. Their links are
relative to their own folders, as GitHub wants it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def page_of(file: Path) -> Path | None:
    """The page of the site that is or includes a file of the repository."""
    if file.suffix == ".md" and file.is_relative_to(DOCS):
        return file
    if file.name == "MODEL_CARD.md":
        return DOCS / "cards" / f"{file.parent.name}.md"
    included = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
    return DOCS / included[file.name] if file.parent == ROOT and file.name in included else None


def rewritten(text: str, source: Path, page: Path) -> str:
    """The Markdown of ``source`` with links that are right on ``page``; a file that is on no page becomes its name."""

    def link(match: re.Match[str]) -> str:
        image, label, target, anchor = match[1], match[2], match[3], match[4] or ""
        file = Path(os.path.normpath(source.parent / target))
        if not image and not file.is_dir() and (home := page_of(file)) is not None:
            file = home
        elif not image and file.is_relative_to(ROOT) and file.suffix != ".png":
            name = file.relative_to(ROOT).as_posix()
            return f"`{name}`" if label.strip("`") in (name, target) else f"{label} (`{name}`)"
        return f"{image}[{label}]({os.path.relpath(file, page.parent)}{anchor})"

    return _LINK.sub(link, text)


def _read(app: Any, name: str, source: list[str]) -> None:
    page = DOCS / f"{name}.md"
    source[0] = rewritten(source[0], page, page)


def _included(app: Any, path: Path, parent: str, source: list[str]) -> None:
    if path.suffix == ".md":
        source[0] = rewritten(source[0], (DOCS / path).resolve(), DOCS / f"{app.env.docname}.md")


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("include-read", _included)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
