"""Logarithmic axes that can be read: ticks such as 0.001 or 2, 5, 10 in place of powers of ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

# Leading digits of ticks, and how far apart the ends of an axis may be that has room for them.
_DIGITS = (((1, 2, 5), 1e3), ((1, 2, 3, 5, 7), 30.0), (tuple(range(1, 10)), 10.0))
_ENOUGH = 3  # ticks
_LARGEST_GAP = 0.4  # of an axis, between ticks or before the first or after the last


def log_axis(axes: Axes, which: Literal["x", "y"], linear_below: float | None = None) -> None:
    """Make an axis logarithmic, with plain numbers; call it when everything is drawn.

    Args:
        linear_below: where the axis becomes linear, so that it can show zero; None: nowhere. A line and the label of
            the axis say so.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter, SymmetricalLogLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    if linear_below is not None:
        set_scale("symlog", linthresh=linear_below)
        digits, span = _DIGITS[0]
        if axis.get_view_interval()[1] < span * linear_below:
            axis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=linear_below, subs=digits))
        draw = axes.axvline if which == "x" else axes.axhline
        draw(linear_below, color="0.85", linewidth=1, zorder=0)
        axis.set_label_text(f"{axis.get_label_text()}; linear below {linear_below:g}")
    else:
        set_scale("log")
        low, high = axis.get_view_interval()
        axis.set_major_locator(_locator(low, high))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.12f}".rstrip("0").rstrip(".")))
    axis.set_minor_formatter(NullFormatter())


def _locator(low: float, high: float) -> Locator:
    """Where ticks of a logarithmic axis are: few enough to read, and enough to read values off."""
    import numpy as np
    from matplotlib.ticker import LogLocator, MaxNLocator

    if high >= _DIGITS[0][1] * low:
        return LogLocator()
    for digits, span in _DIGITS:
        if 2 * low < high < span * low:
            chosen = LogLocator(subs=digits)
            inside = [tick for tick in chosen.tick_values(low, high) if low <= tick <= high]
            gap = np.diff(np.log([low, *inside, high])).max() / np.log(high / low)
            if len(inside) >= _ENOUGH and gap < _LARGEST_GAP:
                return chosen
    return MaxNLocator(8, steps=[1, 2, 5, 10], min_n_ticks=_ENOUGH)
