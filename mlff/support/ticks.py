"""Logarithmic axes that can be read: ticks such as 0.001 or 2, 5, 10 in place of powers of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

# Leading digits of ticks, and how far apart the ends of an axis may be that has room for them.
_DIGITS = (((1, 2, 5), 1e3), ((1, 2, 3, 5, 7), 30.0), (tuple(range(1, 10)), 10.0))
_ENOUGH = 3  # ticks


def log_axis(axes: Axes, which: Literal["x", "y"], linear_below: float | None = None) -> None:
    """Make an axis logarithmic, with plain numbers; call it when everything is drawn.

    Args:
        linear_below: where the axis becomes linear, so that it can show zero; None: nowhere.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    if linear_below is not None:
        set_scale("symlog", linthresh=linear_below)
    else:
        set_scale("log")
        low, high = axis.get_view_interval()
        axis.set_major_locator(_locator(low, high))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12f}".rstrip("0").rstrip(".")))
    axis.set_minor_formatter(NullFormatter())


def _locator(low: float, high: float) -> Locator:
    """Where ticks of a logarithmic axis are: few enough to read, and enough to read values off."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    if high < 2 * low:
        return MaxNLocator(5)
    chosen = LogLocator()
    for digits, span in _DIGITS:
        if high < span * low:
            chosen = LogLocator(subs=digits)
            if sum(low <= tick <= high for tick in chosen.tick_values(low, high)) >= _ENOUGH:
                break
    return chosen
