"""Sphinx: the site in build/docs/html, made by ``make docs`` without network."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_extensions")]

import mlff.data  # noqa: E402, F401  # autodoc would import it with TYPE_CHECKING set, which pydantic's `extra` does not survive

project = "mlff"
author = "The mlff developers"
project_copyright = author
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "mathml",
    "repository_links",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_extensions"]

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
# ref.python: errors are documented where they are defined and where they are exported
suppress_warnings = ["myst.strikethrough", "ref.python"]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "alphabetical"
autodoc_inherit_docstrings = False
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Single backticks in docstrings are names or pieces of code, as in Markdown.
default_role = "code"

html_theme = "furo"
html_title = "mlff"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
