"""Who is faster, by how much, and from when on it pays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.speed.break_even import SlowTimes, break_even, independent_per_second


def judge(rows: list[dict[str, Any]], slow: SlowTimes | None) -> dict[str, Any]:
    """The best of either side, and their ratios; adds ratios and independent samples to the rows."""
    jumps = [row for row in rows if row["kind"] == "jumps"]
    dynamics = [row for row in rows if row["kind"] != "jumps"]
    best, rival = (max(part, key=lambda row: row["ns_per_second"]) for part in (jumps, dynamics))
    for row in rows:
        row["ratio"] = row["ns_per_second"] / rival["ns_per_second"]
        if slow is not None:
            time = slow.model if row["kind"] == "jumps" else slow.md
            row["independent_samples_per_second"] = independent_per_second(row["ns_per_second"], time)
    found = {
        "model": best["name"],
        "dynamics": rival["name"],
        "ratio": best["ratio"],
        "ratio_to_one_copy": next(
            (best["ns_per_second"] / row["ns_per_second"] for row in dynamics if row["kind"] == "plain dynamics"), None
        ),
    }
    if slow is not None:
        name = "independent_samples_per_second"
        found["ratio_of_independent_samples"] = best[name] / rival[name]
    return found


def invested(
    rows: list[dict[str, Any]],
    best: dict[str, Any],
    slow: SlowTimes | None,
    hours: tuple[float | None, float | None],
    unit: tuple[str, int],
) -> dict[str, Any]:
    """The break-even, against every kind of dynamics.

    Args:
        hours: of data and training; None counts as none.
        unit: of the hours in words, and how many of such units worked.
    """
    words, units = unit
    total = sum(part or 0.0 for part in hours)
    speed = {row["name"]: row["ns_per_second"] for row in rows}
    points = {
        row["name"]: asdict(break_even(total, row["ns_per_second"], speed[best["model"]], units, slow))
        for row in rows
        if row["kind"] != "jumps"
    }
    return {
        "unit": words,
        "units": units,
        "data_hours": hours[0],
        "training_hours": hours[1],
        "by": "ns" if slow is None else "independent samples of the slowest process",
        "against": points,
    }


def show(record: dict[str, Any], console: Console) -> None:
    """Print the table and what follows from it."""
    slow, best = record["slow_times"] is not None, record["best"]
    table = Table(title=f"{record['molecule']['residues']}: trajectory per second, a jump is {record['lag_ps']:g} ps")
    table.add_column("", no_wrap=True)
    for heading in ["processes", "ns/s", "range", "ratio"] + (["samples/s"] if slow else []):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in record["rows"]:
        span = f"{row['lowest_ns_per_second']:.3g} – {row['highest_ns_per_second']:.3g}"
        cells = [str(row["processes"]), f"{row['ns_per_second']:.3g}", span, f"{row['ratio']:.3g}"]
        cells += [f"{row['independent_samples_per_second']:.3g}"] if slow else []
        table.add_row(row["name"] + (" (exploded)" if row["exploded"] else ""), *cells)
    table.caption = f"medians of {record['repeats']} turns; ratio: to {best['dynamics']}, the fastest dynamics"
    if slow:
        table.caption += "; samples: independent ones of the slowest process"
    console.print(table)
    if slow:
        console.print(f"independent samples of the slowest process: {best['ratio_of_independent_samples']:.3g} times")
    if record["break_even"] is None:
        return
    part = record["break_even"]
    for name, point in part["against"].items():
        if point["ns"] is None:
            console.print(f"against {name}: the model never pays, as it is not faster by {part['by']}")
        else:
            console.print(
                f"against {name}: the model pays from {point['ns']:.3g} ns of MD on ({point['hours']:.3g} "
                f"{part['unit']}; compared by {part['by']})"
            )
