"""The report as one HTML page, with its plots inside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from mlff.analysis.targets import Target

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 0.8em 0; } th, td { padding: 0.25em 0.8em; text-align: right; }
th { border-bottom: 1px solid #999; font-weight: 600; } td { border-bottom: 1px solid #eee; }
th:first-child, td:first-child { text-align: left; } td.group { font-weight: 600; padding-top: 0.8em; }
.met { color: #0a7030; font-weight: 600; } .missed { color: #b00020; font-weight: 600; }
table.wide { font-size: 0.85em; } table.wide td, table.wide th { padding: 0.25em 0.5em; }
.note { color: #555; font-size: 0.92em; } figure { margin: 1.2em 0; } img { max-width: 100%; }
figcaption { color: #555; font-size: 0.92em; }
"""


def page(content: Mapping[str, Any], targets: Sequence[Target], images: Mapping[str, tuple[str, bytes]]) -> str:
    """The page.

    Args:
        content: that of ``report.json``.
        targets: those of the content.
        images: captions and PNG files by name.
    """
    title = "EquiJump report: " + "-".join(content["molecule"]["residues"])
    parts = [
        f"<h1>{escape(title)}</h1>",
        _summary(content, targets),
        "<h2>Targets</h2>",
        _targets(targets),
        "<h2>What was compared</h2>",
        _ensembles(content),
        "<h2>Metrics against the noise floor</h2>",
        _metrics(content),
        "<h2>Geometry of every frame</h2>",
        _rates(content),
        "<h2>Plots</h2>",
        *(_image(name, caption, data) for name, (caption, data) in images.items()),
        "<h2>What these metrics do not say</h2>",
        _honesty(content),
        _colophon(content),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _summary(content: Mapping[str, Any], targets: Sequence[Target]) -> str:
    required = [target for target in targets if target.required]
    kept = sum(target.passed for target in required)
    kind = "a molecule of the training data" if content["target_set"] == "seen" else "a molecule never seen in training"
    total = sum(content["generated"]["frames"])
    failed = {
        verdict: ", ".join(target.name for target in required if not target.passed and target.verdict == verdict)
        for verdict in ("missed", "not measured")
    }
    return (
        f"<p>{kept} of {len(required)} required targets are met (those for {kind})"
        + "".join(f"; {verdict}: {escape(names)}" for verdict, names in failed.items() if names)
        + f". All {total} generated frames count in every metric, {content['invalid_frames']} of them are invalid.</p>"
        + (f'<p class="missed">Caution: {escape(content["caution"])}.</p>' if content["caution"] else "")
    )


def _targets(targets: Sequence[Target]) -> str:
    rows = [["", "generated", "limit", "MD or noise floor", "verdict"]]
    for required, heading in ((True, "required"), (False, "further")):
        rows.append([heading])
        for target in (target for target in targets if target.required == required):
            verdict = f'<span class="{"met" if target.passed else "missed"}">{target.verdict}</span>'
            if not target.passed and not target.reference_passed:
                verdict += " (by MD, too)"
            cells = [_with_unit(value, target.unit) for value in (target.value, target.limit, target.reference)]
            rows.append([escape(target.name), cells[0], f"{target.sense} {cells[1]}", cells[2], verdict])
    note = "“MD or noise floor” is what the reference itself has: its own rate, or the median of the noise floor."
    note += " What was not measured, such as the time of a passage that was never made, does not count as met."
    return _table(rows) + f'<p class="note">{note}</p>'


def _ensembles(content: Mapping[str, Any]) -> str:
    rows = [["", "trajectories", "frames", "interval (ps)", "total (ns)", "splits"]]
    for key, name in (("reference", "MD, compared"), ("fitted", "MD, fitted"), ("generated", "generated")):
        part = content[key]
        rows.append(
            [
                name,
                str(len(part["trajectories"])),
                str(sum(part["frames"])),
                f"{part['interval_ps']:g}",
                f"{part['total_ns']:.4g}",
                escape(", ".join(part["splits"]) or "not known"),
            ]
        )
    lags, blocks, samples = content["lags"], content["blocks"], content["independent_samples"]
    notes = [
        f"Slow coordinates (TICA, lag {lags['tica']:g} ps, from {content['features']}), {content['clusters']} "
        "clusters, bins and mean geometry come from “MD, fitted” only.",
        f"Markov models are compared at {lags['compared_at']:g} ps, where the slowest timescale of MD has become "
        f"constant; {lags['resolved_timescales']} of 3 timescales are longer than that. Timescales and passage times "
        f"are among the states that MD leads to and back from, which have {1 - lags['outside']['reference']:.2%} of "
        f"its frames and {1 - lags['outside']['generated']:.2%} of the generated ones.",
        f"Halves of MD have {blocks['ps_per_half'] / 1e3:.4g} ns on average; MD was cut into {blocks['reference']} "
        f"blocks, the generated ensemble into {blocks['generated']}.",
        "Independent samples of the slowest process (length over twice the relaxation time of TIC1): MD "
        f"{_number(samples['reference']['samples'])}, generated {_number(samples['generated']['samples'])}.",
    ]
    if content["reference"]["every"] > 1:
        notes.append(f"One of {content['reference']['every']} frames of MD was used, to match the generated interval.")
    if content["reference"]["conditions"]:
        notes.append(f"Conditions of MD: {content['reference']['conditions']}.")
    return _table(rows) + _list(notes)


def _metrics(content: Mapping[str, Any]) -> str:
    controls = list(content["controls"])
    rows = [["", "all frames", "95 % bootstrap", "noise floor (MD | MD)", "generated | MD", "ratio", *controls]]
    group = None
    for metric in content["metrics"]:
        if metric["group"] != group:
            group = metric["group"]
            rows.append([escape(group)])
        unit = f" ({metric['unit']})" if metric["unit"] else ""
        rows.append(
            [
                escape(metric["name"] + unit),
                _number(metric["value"]),
                f"{_number(metric['interval']['low'])} – {_number(metric['interval']['high'])}",
                _spread(metric["floor"]),
                _spread(metric["matched"]),
                _number(metric["ratio"]),
                *(_number(metric["controls"][name]) for name in controls),
            ]
        )
    notes = [
        "Divergences are Jensen-Shannon divergences in nats (at most 0.693); their square roots, the distances, are in "
        "report.json. The smaller, the better; 1 is the best factor. A dash stands for what is infinite or not "
        "defined, such as a timescale of what never moves.",
        "Noise floor: how much split halves of MD differ from each other. Generated | MD: as much of the generated "
        "ensemble as such a half against the same halves; medians with 95 % intervals. The ratio of both medians is 1 "
        "where the two cannot be told apart with this much data.",
        "Bootstrap: trajectories (blocks, if there are fewer than eight) of both drawn with replacement. "
        "Divergences of resamples are larger than that of all frames, as resamples hold fewer different frames.",
        *(f"{name}: {text}." for name, text in content["controls"].items()),
    ]
    return _table(rows, "wide") + _list(notes)


def _rates(content: Mapping[str, Any]) -> str:
    rows = [["", "generated", "95 % bootstrap", "MD", "95 % bootstrap"]]
    for key, rate in content["geometry"]["generated"].items():
        cells = []
        for entry in (rate, content["geometry"]["reference"][key]):
            low, high = (_with_unit(entry["interval"][end], "%") for end in ("low", "high"))
            cells += [_with_unit(entry["value"], "%"), f"{low} – {high}"]
        rows.append([escape(rate["name"]), *cells])
    text = (
        "A frame is valid if no bond and no angle is an outlier, no atoms overlap beyond the limit, no stereocentre is "
        "inverted and all coordinates are numbers. Overlaps are those of van der Waals spheres of heavy atoms four or "
        "more bonds apart. Thermal motion alone makes some frames of MD invalid, the more the larger the molecule."
    )
    return _table(rows) + f'<p class="note">{text}</p>'


def _honesty(content: Mapping[str, Any]) -> str:
    conditions = content["reference"]["conditions"]
    return _list(
        [
            "The model imitates the force field, the solvent model and the thermostat of its MD"
            + (f" ({conditions})" if conditions else "")
            + "; where these are wrong about nature, so is the model. Kinetics of Langevin dynamics in implicit "
            "solvent are a surrogate for those in water.",
            "Nothing guarantees detailed balance of a learned jump; the flux asymmetry is an estimate with a noise "
            "floor of its own.",
            "A ratio near 1 means that this much data shows no difference, not that there is none; longer MD lowers "
            "the noise floor.",
            "Blocks of one trajectory are not independent if they are shorter than the slowest process: where "
            "trajectories are few, noise floors and intervals are too narrow.",
            "One molecule says nothing about others; a report on a molecule of the training data says nothing about "
            "transfer.",
            "No frame was repaired, filtered or left out.",
        ]
    )


def _colophon(content: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    return f'<p class="note">{escape(content["created"])}; {escape(versions)}; seed {content["settings"]["seed"]}.</p>'


def _image(name: str, caption: str, data: bytes) -> str:
    encoded = base64.b64encode(data).decode("ascii")
    return (
        f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{escape(caption)}.</figcaption></figure>"
    )


def _table(rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML; the first row is the head, rows of one cell are headings of groups."""
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    lines = []
    for row in rows[1:]:
        if len(row) == 1:
            lines.append(f'<tr><td class="group" colspan="{len(rows[0])}">{row[0]}</td></tr>')
        else:
            lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
    return f'<table class="{kind}">' + f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _list(items: Sequence[str]) -> str:
    return '<ul class="note">' + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _spread(spread: Mapping[str, float | None]) -> str:
    return f"{_number(spread['median'])} [{_number(spread['low'])}, {_number(spread['high'])}]"


def _with_unit(value: float | None, unit: str) -> str:
    if unit == "%" and value is not None and np.isfinite(value):
        return f"{100 * value:.3g} %"
    return f"{_number(value)} {unit}".strip() if value is not None and np.isfinite(value) else "–"


def _number(value: float | None) -> str:
    """Three digits; a dash for what is not known or not finite."""
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{value:.1e}"
