"""Measures of uncertainties against errors, with bootstrap intervals over frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mlff.data import Frame
from mlff.potential.artifact import LoadedModel
from mlff.potential.artifact.uncertainty import INTERVAL, UncertaintyRecord

_BOOTSTRAPS = 500
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frames:
    """B structures: |error| and σ of energies [B] (eV), and of force components, one array for each frame (eV/Å).

    ``distance`` [B]: of each composition to the nearest of the training data, in atoms.
    """

    energy: tuple[Floats, Floats]
    forces: tuple[list[Floats], list[Floats]]
    distance: Floats

    @classmethod
    def of(cls, model: LoadedModel, frames: Sequence[Frame], train: Sequence[Frame]) -> Frames:
        """Evaluate a model."""
        known = np.array([_composition(frame.atoms) for frame in train] or [np.zeros(119)])
        energy, forces, distance = [], ([], []), []
        for frame in frames:
            outputs = model.evaluate(model.graph(frame.atoms), sigmas=model.sigmas)
            out = {name: value.double().cpu().numpy() for name, value in outputs.items()}
            energy.append((abs(out["energy"][0] - frame.labels["energy"]), out["energy_uncertainty"][0]))
            forces[0].append(np.abs(out["forces"] - frame.labels["forces"]).ravel())
            forces[1].append(out["forces_uncertainty"].ravel())
            distance.append(np.abs(known - _composition(frame.atoms)).sum(axis=1).min())
        errors, sigmas = np.array(energy).T
        return cls((errors, sigmas), forces, np.array(distance))


def _composition(atoms: ase.Atoms) -> Floats:
    return np.bincount(atoms.numbers, minlength=119).astype(float)


def measures(of: Frames, record: UncertaintyRecord, reference_mae: float | None) -> dict[str, Any]:
    """The numbers of a row of the table; each a value and the ends of its 95 % interval.

    Args:
        reference_mae: of forces, in the in-distribution set; None: this one.
    """
    count = len(of.distance)
    rms = [np.array([np.sqrt(np.square(x).mean()) for x in part]) for part in of.forces]
    mae = np.array([x.mean() for x in of.forces[0]])
    threshold = record.frame_quantiles["0.9"]
    bad = mae > 5.0 * (mae.mean() if reference_mae is None else reference_mae)
    flagged = rms[1] > threshold
    sizes = np.array([len(x) for x in of.forces[0]])
    errors, sigmas = (np.concatenate(part) for part in of.forces)
    frame_of = np.repeat(np.arange(count), sizes)
    constant = record.noise["forces"]  # what one σ for all would be, from the calibration structures
    return {
        "force_mae": float(mae.mean()),
        "spearman": _with_ends(lambda k: _spearman(rms[0][k], rms[1][k]), count),
        "spearman_composition": _spearman(rms[0], of.distance),
        "energy_covered": _with_ends(lambda k: float((of.energy[0] <= INTERVAL * of.energy[1])[k].mean()), count),
        "energy_quartiles": _quartiles(*of.energy, np.arange(count), count),
        "forces_covered": _covered(errors, sigmas, frame_of, count),
        "forces_quartiles": _quartiles(errors, sigmas, frame_of, count),
        "members": record.members,
        "log_likelihood": _likelihood(errors, sigmas),
        "log_likelihood_constant": _likelihood(errors, np.full_like(errors, constant)),
        "threshold": threshold,
        "flagged": _with_ends(lambda k: float(flagged[k].mean()), count),
        "bad_frames": int(bad.sum()),
        "bad_flagged": float(flagged[bad].mean()) if bad.any() else None,
        "bad_flagged_composition": float((of.distance > 0)[bad].mean()) if bad.any() else None,
    }


def _spearman(a: Floats, b: Floats) -> float:
    """0 where one of them is constant, which orders nothing."""
    if np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return 0.0
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _likelihood(errors: Floats, sigmas: Floats) -> float:
    """Mean log likelihood of normal distributions."""
    return float(np.mean(-0.5 * np.square(errors / sigmas) - np.log(sigmas)))


def _with_ends(measure: Callable[[Any], float], count: int) -> list[float]:
    generator = np.random.default_rng(0)
    again = [measure(generator.integers(count, size=count)) for _ in range(_BOOTSTRAPS)]
    return [measure(np.arange(count)), *(float(x) for x in np.quantile(again, (0.025, 0.975)))]


def _covered(errors: Floats, sigmas: Floats, frame_of: NDArray[np.int64], count: int) -> list[float]:
    inside = np.bincount(frame_of, weights=errors <= INTERVAL * sigmas, minlength=count)
    sizes = np.bincount(frame_of, minlength=count)
    return _with_ends(lambda k: float(inside[k].sum() / max(1, sizes[k].sum())), count)


def _quartiles(errors: Floats, sigmas: Floats, frame_of: NDArray[np.int64], count: int) -> list[list[float]]:
    parts = np.array_split(np.argsort(sigmas, kind="stable"), 4)
    return [_covered(errors[part], sigmas[part], frame_of[part], count) for part in parts]


def cost(model: LoadedModel, atoms: ase.Atoms, repetitions: int = 7) -> dict[str, float]:
    """Process time over that of energy and forces: with the uncertainty of energies, and of all."""
    graph = model.graph(atoms)
    ways = {"plain": (), "energy": model.sigmas[:2], "all": model.sigmas}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, sigmas in ways.items():
            begun = time.process_time()
            model.evaluate(graph, sigmas=sigmas)
            times[name].append(time.process_time() - begun)
    best = {name: min(values[1:]) for name, values in times.items()}
    return {"atoms": len(atoms), **{name: best[name] / best["plain"] for name in ("energy", "all")}}
