"""What speed is worth: independent samples, and the length of trajectory from which a model pays."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

_SECONDS_PER_HOUR = 3600.0
_PS_PER_NS = 1e3


@dataclass(frozen=True)
class SlowTimes:
    """Autocorrelation times of the slowest process in ps, of MD and of the model."""

    md: float
    model: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0.0 < value < float("inf"):
                raise ValueError(f"the autocorrelation time of {name} must be a positive time in ps, got {value!r}")


@dataclass(frozen=True)
class BreakEven:
    """From where on the model pays.

    Attributes:
        ns: of trajectory, in the kinetics of MD; None: the model is not faster, and never pays.
        hours: of computing that MD needs for it, and the model with data and training; None likewise.
    """

    ns: float | None
    hours: float | None


def read_slow_times(report: Path) -> SlowTimes:
    """Those that `equijump analyze` found, from its ``report.json``.

    Raises:
        ValueError: no such report, or one without these times.
    """
    try:
        found = json.loads(report.read_text(encoding="utf-8"))["independent_samples"]
        times = [found[side]["tic1_relaxation_ps"] for side in ("reference", "generated")]
    except OSError as error:
        raise ValueError(f"{report}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{report}: is no report.json of equijump analyze ({error!r})") from error
    if None in times:
        which = "MD" if times[0] is None else "the generated ensemble"
        raise ValueError(f"{report}: has no relaxation time of TIC1 of {which}; give --slow-time-md, --slow-time-model")
    return SlowTimes(*map(float, times))


def independent_per_second(ns_per_second: float, slow_time: float) -> float:
    """Independent samples of a process per second: the length over twice its autocorrelation time in ps.

    The statistical inefficiency of a mean is 1 + 2 Σ C(t) (Müller-Krumbhaar and Binder, J. Stat. Phys. 8, 1 (1973)).
    """
    return _PS_PER_NS * ns_per_second / (2.0 * slow_time)


def break_even(invested_hours: float, md: float, model: float, units: float, slow: SlowTimes | None) -> BreakEven:
    """Where the cost of data, training and jumps equals the cost of MD.

    L ns cost L / v_MD hours of MD and I + L / v_model hours with the model. Where autocorrelation times are known, the
    speed of the model is scaled by their ratio: then L ns of MD are compared with as many independent samples of the
    slowest process by the model.

    Args:
        invested_hours: I, for data and training, in hours of a unit (a core or a device).
        md, model: ns per second of all units together.
        units: that the speeds were measured with.

    Raises:
        ValueError: negative hours.
    """
    if not invested_hours >= 0.0:
        raise ValueError(f"hours of data and training cannot be negative, got {invested_hours}")
    if slow is not None:
        model *= slow.md / slow.model
    if not model > md:
        return BreakEven(None, None)
    per_ns_md, per_ns_model = (units / (speed * _SECONDS_PER_HOUR) for speed in (md, model))
    length = invested_hours / (per_ns_md - per_ns_model)
    return BreakEven(length, length * per_ns_md)
