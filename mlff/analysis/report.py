"""The report on disk: report.json, plots, index.html."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import to_json

from mlff.analysis.analyse import Analysis
from mlff.analysis.controls import DESCRIPTIONS
from mlff.analysis.curves import Curve, Kinetic, kinetic_curves
from mlff.analysis.ensemble import Ensemble
from mlff.analysis.measure import Measurement
from mlff.analysis.page import page
from mlff.analysis.plots import write_plots
from mlff.analysis.resampling import Metric
from mlff.analysis.sides import sides
from mlff.analysis.structure import contact_probabilities, rmsf
from mlff.analysis.targets import geometry_rates, target_set, targets
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
    content, kinetics = _content(analysis, created or datetime.now(UTC))
    # Numbers that JSON cannot write become None.
    content = json.loads(to_json(content, fallback=lambda value: value.tolist(), inf_nan_mode="null"))
    plots = write_plots(analysis, kinetics["reference"], kinetics["generated"], folder)
    write_text(folder / REPORT, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    images = {name: (folder / name).read_bytes() for name in plots}
    write_text(folder / PAGE, page(content, images))
    return content


def _content(analysis: Analysis, created: datetime) -> tuple[dict[str, Any], dict[str, Kinetic]]:
    """What ``report.json`` holds, and the curves of both sides."""
    both = dict(zip(("reference", "generated"), sides(analysis), strict=True))
    rates = {key: geometry_rates(analysis, side.measured) for key, side in both.items()}
    kinetics = {key: kinetic_curves(analysis, side.measured) for key, side in both.items()}
    torsions, durations = analysis.spaces.features.torsions, analysis.measured.blocks.durations
    content = {
        "schema_version": SCHEMA_VERSION,
        "created": created.isoformat(timespec="seconds"),
        "versions": installed_versions(_PACKAGES),
        "settings": analysis.settings.model_dump(mode="json"),
        "molecule": {
            "residues": [residue.name for residue in analysis.reference.topology.residues],
            "heavy_atoms": analysis.reference.topology.n_atoms,
            "torsions": torsions.names,
            "folded_torsions": [name for name, folded in zip(torsions.names, torsions.folded, strict=True) if folded],
        },
        "reference": {**_described(analysis.reference), "every": analysis.thinning},
        "fitted": _described(analysis.fitted),
        "generated": _described(analysis.generated),
        "blocks": {
            **{key: len(side.measured.blocks.durations) for key, side in both.items()},
            "longest_ps": durations.max(),
            "ps_per_half": np.mean([durations[second].sum() for _, second, _ in analysis.halves.splits]),
        },
        "features": analysis.spaces.features.description,
        "clusters": analysis.spaces.clusters,
        "lags": {
            "markov": analysis.lags.markov,
            "compared_at": analysis.kinetics.lag,
            "tica": analysis.lags.tica,
            "resolved_timescales": analysis.kinetics.resolved,
            "outside": {key: analysis.kinetics.outside(side.measured.total("clusters")) for key, side in both.items()},
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
            for target in targets(analysis, rates["reference"], rates["generated"])
        ],
        "metrics": [_metric(metric) for metric in analysis.metrics],
        "geometry": rates,
        "invalid_frames": sum((~part.valid).sum() for part in analysis.generated_measured.geometry),
        "structure": {key: _structure(analysis, side.measured) for key, side in both.items()},
        "controls": {name: DESCRIPTIONS[name] for name in analysis.control_totals},
        "curves": {key: _curves(kinetic) for key, kinetic in kinetics.items()},
        "independent_samples": {key: _independent(side.ensemble, kinetics[key]) for key, side in both.items()},
    }
    return content, kinetics


def _metric(metric: Metric) -> dict[str, Any]:
    distance = {"distance": math.sqrt(metric.value)} if metric.unit == "nats" and metric.value >= 0 else {}
    return {**asdict(metric), "ratio": metric.ratio, **distance}


def _described(ensemble: Ensemble) -> dict[str, Any]:
    return {
        "name": ensemble.name,
        "trajectories": ensemble.labels,
        "frames": ensemble.lengths,
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
