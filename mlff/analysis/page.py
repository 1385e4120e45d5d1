"""The report as one HTML page, with its plots inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlff.analysis.distribution_plots import MOST_PANELS, MOST_ROWS
from mlff.support.templates import render


def page(content: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """The page.

    Args:
        content: that of ``report.json``.
        images: PNG files by name; the template has their captions.
    """
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in images.items()}
    limits = {"most_panels": MOST_PANELS, "most_rows": MOST_ROWS}
    values = {**content, **limits, "images": encoded, "number": _number, "with_unit": _with_unit}
    return render("analysis/page.html.j2", values)


def _with_unit(value: float | None, unit: str) -> str:
    if value is None or not np.isfinite(value):
        return "–"
    return f"{100 * value:.3g} %" if unit == "%" else f"{_number(value)} {unit}".strip()


def _number(value: float | None) -> str:
    """Three digits; a dash for what is not known or not finite."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{value:.1e}"
