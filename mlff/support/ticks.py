"""Logarithmic axes that can be read: ticks such as 0.001 or 2, 5, 10 in place of powers of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Leading digits of ticks, and how far apart the ends of an axis may be that has room for them.
_DIGITS = (((1, 2, 5), 1e3), ((1, 2, 3, 5, 7), 30.0), (tuple(range(1, 10)), 10.0))
_ENOUGH = 3  # ticks


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
        for digits, span in _DIGITS:
            if high < span * low:
                axis.set_major_locator(LogLocator(subs=digits))
                if sum(low <= tick <= high for tick in axis.get_majorticklocs()) >= _ENOUGH:
                    break
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12f}".rstrip("0").rstrip(".")))
    axis.set_minor_formatter(NullFormatter())
