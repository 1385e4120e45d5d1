"""Texts from templates."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

import mlff
from mlff.support.templates import render

ROOT = Path(mlff.__file__).parent
TEMPLATES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.j2"))


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_is_missing_is_refused_instead_of_left_out(template: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        render(template, {})


def test_numbers_have_python_formats_and_markdown_is_not_escaped() -> None:
    row = {"element": "<Cu>", "atoms": 1200, "mae": 0.01234, "rmse": 0.02, "reference_rms": 1.0}
    text = render("potential/training/elements.md.j2", {"by_element": [row], "errors": {}})
    assert text.splitlines()[-1] == "| <Cu> | 1200 | 12.3 | 20.0 | 1000.0 |"
