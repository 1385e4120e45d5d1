"""Logarithmic axes that can be read: ticks such as 0.001 or 2, 5, 10 in place of powers of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 1e3  # between the ends of an axis that has room for 2 and 5


def log_axis(axes: Axes, which: Literal["x", "y"], linear_below: float | None = None) -> None:
    """Make an axis logarithmic, with plain numbers; call it when everything is drawn.

    Args:
        linear_below: where the axis becomes linear, so that it can show zero; None: nowhere.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    if linear_below is not None:
        set_scale("symlog", linthresh=linear_below)
    else:
        set_scale("log")
        low, high = axis.get_view_interval()
        if high < _FEW * low:
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12f}".rstrip("0").rstrip(".")))
    axis.set_minor_formatter(NullFormatter())
