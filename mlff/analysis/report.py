"""The report on disk: report.json, plots, index.html."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mlff.analysis.analyse import Analysis
from mlff.analysis.controls import DESCRIPTIONS
from mlff.analysis.curves import Curve, Kinetic, kinetic_curves
from mlff.analysis.ensemble import Ensemble
from mlff.analysis.measure import Measurement
from mlff.analysis.page import page
from mlff.analysis.plots import write_plots
from mlff.analysis.resampling import Metric
from mlff.analysis.structure import contact_probabilities, rmsf
from mlff.analysis.targets import Target, geometry_rates, target_set, targets
from mlff.support.files import write_text
from mlff.support.versions import installed_versions

SCHEMA_VERSION = 2
REPORT, PAGE = "report.json", "index.html"
_PACKAGES = ("mlff-equijump", "mdtraj", "deeptime", "numpy", "torch")


def write_report(analysis: Analysis, folder: Path, *, created: datetime | None = None) -> dict[str, Any]:
    """Write ``report.json``, the plots and ``index.html``.

    Args:
        folder: made if missing; files of an earlier report are replaced.
        created: date in the report, default now.

    Returns:
        the content of ``report.json``.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content, found = _content(analysis, created or datetime.now(UTC))
    reference, generated = (kinetic_curves(analysis, m) for m in (analysis.measured, analysis.generated_measured))
    content["curves"] = {"reference": _curves(reference), "generated": _curves(generated)}
    content["independent_samples"] = {
        "reference": _independent(analysis.reference, reference),
        "generated": _independent(analysis.generated, generated),
    }
    content = _plain(content)
    plots = write_plots(analysis, reference, generated, folder)
    write_text(folder / REPORT, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    images = {name: (caption, (folder / name).read_bytes()) for name, caption in plots.items()}
    write_text(folder / PAGE, page(content, found, images))
    return content


def _content(analysis: Analysis, created: datetime) -> tuple[dict[str, Any], list[Target]]:
    rates = {
        "reference": geometry_rates(analysis, analysis.measured),
        "generated": geometry_rates(analysis, analysis.generated_measured),
    }
    found = targets(analysis, rates["reference"], rates["generated"])
    torsions = analysis.spaces.features.torsions
    content = {
        "schema_version": SCHEMA_VERSION,
        "created": created.isoformat(timespec="seconds"),
        "versions": installed_versions(_PACKAGES),
        "settings": analysis.settings.model_dump(mode="json"),
        "molecule": {
            "residues": [residue.name for residue in analysis.reference.topology.residues],
            "heavy_atoms": analysis.reference.topology.n_atoms,
            "torsions": list(torsions.names),
            "folded_torsions": [name for name, folded in zip(torsions.names, torsions.folded, strict=True) if folded],
        },
        "reference": {**_described(analysis.reference), "every": analysis.thinning},
        "fitted": _described(analysis.fitted),
        "generated": _described(analysis.generated),
        "blocks": {
            "reference": len(analysis.measured.blocks.durations),
            "generated": len(analysis.generated_measured.blocks.durations),
            "longest_ps": analysis.measured.blocks.durations.max(),
            "ps_per_half": float(np.mean([_duration(analysis, second) for _, second, _ in analysis.halves.splits])),
        },
        "features": analysis.spaces.features.description,
        "clusters": analysis.spaces.clusters,
        "lags": {
            "markov": analysis.lags.markov,
            "compared_at": analysis.kinetics.lag,
            "tica": analysis.lags.tica,
            "resolved_timescales": analysis.kinetics.resolved,
            "outside": {
                "reference": analysis.kinetics.outside(analysis.measured.total("clusters")),
                "generated": analysis.kinetics.outside(analysis.generated_measured.total("clusters")),
            },
        },
        "caution": analysis.caution,
        "target_set": target_set(analysis),
        "targets": [
            {
                **asdict(target),
                "passed": target.passed,
                "verdict": target.verdict,
                "reference_passed": target.reference_passed,
            }
            for target in found
        ],
        "metrics": [_metric(metric) for metric in analysis.metrics],
        "geometry": {side: {key: asdict(rate) for key, rate in table.items()} for side, table in rates.items()},
        "invalid_frames": int((~np.concatenate([g.valid for g in analysis.generated_measured.geometry])).sum()),
        "structure": {
            "reference": _structure(analysis, analysis.measured),
            "generated": _structure(analysis, analysis.generated_measured),
        },
        "controls": {name: DESCRIPTIONS[name] for name in analysis.control_totals},
    }
    return content, found


def _metric(metric: Metric) -> dict[str, Any]:
    distance = {"distance": math.sqrt(metric.value)} if metric.unit == "nats" and metric.value >= 0 else {}
    return {**asdict(metric), "ratio": metric.ratio, **distance}


def _duration(analysis: Analysis, blocks: np.ndarray) -> float:
    return float(analysis.measured.blocks.durations[blocks].sum())


def _described(ensemble: Ensemble) -> dict[str, Any]:
    return {
        "name": ensemble.name,
        "trajectories": list(ensemble.labels),
        "frames": list(ensemble.lengths),
        "interval_ps": ensemble.interval,
        "total_ns": ensemble.frames * ensemble.interval / 1e3,
        "splits": sorted(set(ensemble.splits) - {""}),
        "held_out_molecule": ensemble.held_out,
        "conditions": ensemble.conditions,
        "lost_replicas": ensemble.lost,
    }


def _structure(analysis: Analysis, measured: Measurement) -> dict[str, Any]:
    names = [f"{atom.residue.name}{atom.residue.resSeq}:{atom.name}" for atom in analysis.reference.topology.atoms]
    contacts = contact_probabilities(measured.total("contacts"))
    return {
        "rmsf_angstrom": dict(zip(names, rmsf(measured.total("fluctuation")), strict=True)),
        "contacts": [
            {"residues": [i + 1, j + 1], "probability": p}
            for (i, j), p in zip(analysis.structure.pairs, contacts, strict=True)
        ],
    }


def _curves(kinetic: Kinetic) -> dict[str, Any]:
    return {
        "implied_timescales_ps": _curve(kinetic.timescales),
        "tic1_autocorrelation": _curve(kinetic.autocorrelation),
        "chapman_kolmogorov": {
            "lags_ps": kinetic.survival_lags,
            "observed": kinetic.observed,
            "predicted": kinetic.predicted,
        },
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {"lags_ps": curve.lags, "value": curve.value, "low": curve.low, "high": curve.high}


def _independent(ensemble: Ensemble, kinetic: Kinetic) -> dict[str, float]:
    """Length over twice the relaxation time of TIC1: how many independent samples of the slowest process."""
    total = ensemble.frames * ensemble.interval
    return {"tic1_relaxation_ps": kinetic.relaxation, "samples": total / (2 * kinetic.relaxation)}


def _plain(value: Any) -> Any:
    """Lists, numbers and strings only; numbers that JSON cannot write become None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
