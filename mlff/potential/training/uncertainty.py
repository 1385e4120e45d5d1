"""From training frames to the uncertainty of a potential."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlff.data import Frame, GraphDataset
from mlff.data.frame import frames_fingerprint
from mlff.graph import AtomicGraph
from mlff.graph.graph import GraphInput
from mlff.potential.artifact.uncertainty import INTERVAL, Calibration, CurvePoint, UncertaintyRecord
from mlff.potential.potential import Potential
from mlff.potential.training.batches import graph_batches
from mlff.potential.training.fixed_atoms import force_atoms
from mlff.potential.uncertainty import LastLayerUncertainty

PAIRS = 10  # of members: all takes about 7 × the time of energy and forces
MOST_FRAMES = {"training": 1000, "validation": 200}
_PROBES = 500  # rows for forces, where it takes no more than 8 of each frame
_STEP = 1e-4  # Å, of their finite differences
_RIDGE = 1e-6  # of the largest eigenvalue
_BATCH = 4
_BINS = 10
_FLOORS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)  # over the typical σ
_POWERS = tuple(0.5 + k / 8 for k in range(13))  # of forces; so few energies could not tell
_SHARES = (0.5, 0.9, 1.0)

_log = logging.getLogger(__name__)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Errors:
    """|error|, σ and number of atoms of the energies [B] and of the force components [C] of frames.

    The number is that of floors, 1 for forces. ``atoms``: root mean square σ of the force on each atom [N].
    """

    energy: tuple[Floats, Floats, Floats]
    forces: tuple[Floats, Floats, Floats]
    atoms: Floats


def with_uncertainty(
    potential: Potential, train: Sequence[Frame], val: Sequence[Frame] = (), *, seed: int = 0
) -> Potential:
    """A copy that computes how uncertain it is, where asked to.

    The covariance of the last layer comes from a row for each energy, f = Σ_i f_i, and random combinations of the rows
    of force components, v · ∂f/∂r with v = ±1 for each, whose mean square is that of all rows; each over the error of
    its kind. Then energies and forces get a factor and a floor each, and forces a power, by which 90 % of the errors of
    frames like those in ``val`` are within ± 1.645 σ.

    Args:
        potential: trained, in evaluation mode.
        train: frames it was trained on; 1000 of them where there are more.
        val: held-out frames, of which 200 count; without any, those of the training, which flatters.
        seed: of the choices.

    Raises:
        ValueError: no training frames, or none with energies.
    """
    generator = np.random.default_rng(seed)
    used = _some(train, MOST_FRAMES["training"], generator)
    judges = _some(val or train, MOST_FRAMES["validation"], generator)
    if not used or not all("energy" in frame.labels for frame in (*used, *judges)):
        raise ValueError("an uncertainty needs training frames with energies")
    model = copy.deepcopy(potential).eval().requires_grad_(False)
    model.uncertainty = None
    plain = _errors(model, judges)
    noise = {name: _rms(getattr(plain, name)[0]) for name in ("energy", "forces") if getattr(plain, name)[0].size}
    factor = _factor(model, used, noise, generator)
    pairs = min(PAIRS, len(factor)) if model.conservative and "forces" in noise else 0
    directions, _ = np.linalg.qr(generator.standard_normal((len(factor), max(pairs, 1))))
    members = factor @ directions[:, :pairs] * np.sqrt(len(factor) / max(pairs, 1))
    model.uncertainty = LastLayerUncertainty(torch.tensor(factor), torch.tensor(members), torch.zeros(2).double())
    raw = _errors(model, judges)
    made = {"energy": _calibrated(*raw.energy, len(judges))}
    if pairs:
        made["forces"] = _calibrated(*raw.forces, len(judges), _POWERS)
    energy, forces = made["energy"], made.get("forces")
    record = UncertaintyRecord(
        features=len(factor),
        members=2 * pairs,
        frames=len(used),
        of_frames=len(train),
        sha256=frames_fingerprint(used),
        noise=noise,
        calibrated_on="validation" if val else "training",
        calibration_frames=len(judges),
        calibration_sha256=frames_fingerprint(judges),
        calibration=made,
        frame_quantiles={} if forces is None else _frame_quantiles(raw, forces),
    )
    law = forces or Calibration(factor=1.0, floor=0.0, curve=())
    floors = torch.tensor([energy.floor, law.floor], dtype=torch.float64)
    tensors = torch.tensor(factor * energy.factor), torch.tensor(members * law.factor), floors
    model.uncertainty = LastLayerUncertainty(*tensors, record, law.power, law.factor * law.typical)
    return model


def curve(errors: Floats, sigmas: Floats) -> tuple[CurvePoint, ...]:
    """Errors against σ, in up to ten groups of equal size."""
    order = np.argsort(sigmas, kind="stable")
    groups = np.array_split(order, min(_BINS, max(1, len(order) // 5)))
    return tuple(
        CurvePoint(
            count=len(group),
            sigma=_rms(sigmas[group]),
            error=_rms(errors[group]),
            covered=float(np.mean(np.abs(errors[group]) <= INTERVAL * sigmas[group])),
        )
        for group in groups
        if len(group)
    )


def _some(frames: Sequence[Frame], most: int, generator: np.random.Generator) -> list[Frame]:
    if len(frames) <= most:
        return list(frames)
    return [frames[k] for k in sorted(generator.choice(len(frames), most, replace=False))]


def _graphs(model: Potential, frames: Sequence[Frame], dtype: torch.dtype) -> Iterator[AtomicGraph]:
    config = model.config
    limits, strict = (config.cutoff, config.max_neighbors), config.max_neighbors_strict
    dataset = GraphDataset(frames, *limits, max_neighbors_strict=strict, dtype=dtype)
    device = model.reference_energies.device
    return graph_batches(dataset, range(len(dataset)), _BATCH, device)


def _factor(
    model: Potential, frames: Sequence[Frame], noise: dict[str, float], generator: np.random.Generator
) -> Floats:
    """A factor [D,D] in eV of the posterior covariance."""
    double = copy.deepcopy(model)
    for parameter in double.parameters():
        parameter.data = parameter.data.to(torch.float64)
    probes = min(8, -(-_PROBES // len(frames))) if model.conservative and "forces" in noise else 0
    precision: Any = 0.0
    for graph in _graphs(double, frames, torch.float64):
        rows = _row(double, graph, graph.positions) / noise["energy"]
        precision = precision + rows.T @ rows
        for _ in range(probes):
            signs = generator.choice([-1.0, 1.0], size=tuple(graph.positions.shape))
            shift = _STEP * torch.tensor(signs, device=graph.positions.device)
            rows = _row(double, graph, graph.positions + shift) - _row(double, graph, graph.positions - shift)
            rows = rows / (2.0 * _STEP * noise["forces"])
            precision = precision + rows.T @ rows / probes
    values, vectors = np.linalg.eigh(precision)
    scale = float(model.scale) / model.energy_head.divisor
    return scale * vectors / np.sqrt(np.maximum(values, 0.0) + _RIDGE * max(values[-1], 1e-300))


@torch.no_grad()
def _row(model: Potential, graph: AtomicGraph, positions: Tensor) -> Floats:
    """[B,D] in eV, of what a unit of each weight gives."""
    given = GraphInput(positions, *graph.inputs[1:])
    edge_vec, _ = model.edge_vectors(given, False)
    species, context = model.context(given, edge_vec)
    inputs = model.energy_head.last_inputs(model.backbone(species, context))
    total = inputs.new_zeros(graph.num_graphs, inputs.shape[1]).index_add(0, graph.batch, inputs)
    return (float(model.scale) / model.energy_head.divisor * total).cpu().numpy()


def _errors(model: Potential, frames: Sequence[Frame]) -> _Errors:
    energy, forces, atoms = [], [], []
    of_forces = model.conservative and all("forces" in frame.labels for frame in frames)
    for graph in _graphs(model, frames, next(model.parameters()).dtype):
        asked = model.uncertainty is not None, model.uncertainty is not None and of_forces
        out = {name: value.double() for name, value in model(*graph.inputs, of_forces, False, *asked).items()}
        error = (out["energy"] - graph.labels["energy"]).abs()
        energy.append(torch.stack([error, out.get("energy_uncertainty", torch.ones_like(error))]))
        if of_forces:
            error = (out["forces"] - graph.labels["forces"]).abs()
            sigma = out.get("forces_uncertainty", torch.ones_like(error))
            counted = force_atoms(graph, "auto")
            kept = torch.ones_like(graph.batch, dtype=torch.bool) if counted is None else counted
            forces.append(torch.stack([error[kept].ravel(), sigma[kept].ravel()]))
            atoms.append(sigma.square().mean(dim=1).sqrt())
    empty = [torch.zeros(2, 0)]
    (e, s), (f, t) = (torch.cat(parts or empty, dim=1).cpu().numpy() for parts in (energy, forces))
    sizes = np.array([len(frame.atoms) for frame in frames], dtype=float)
    return _Errors((e, s, sizes), (f, t, np.ones_like(f)), torch.cat(atoms or [torch.zeros(0)]).cpu().numpy())


def _calibrated(
    errors: Floats, sigmas: Floats, sizes: Floats, frames: int, powers: Sequence[float] = (1.0,)
) -> Calibration:
    """The most likely law, for Laplace's distribution, with the factor as said in the class."""
    typical, share = max(_rms(sigmas / sizes), 1e-12), min(1.0, 0.9 * (frames + 1) / frames)
    best: tuple[float, ...] = (np.inf, 1.0, 0.0, 1.0)
    for power in powers:
        grown = sigmas if power == 1.0 else sigmas * _growth(_of_atoms(sigmas), typical, power).repeat(3)
        for ratio in _FLOORS:
            spread = np.hypot(grown, ratio * typical * sizes)
            factor = max(float(np.quantile(errors / np.maximum(spread, 1e-12), share)) / INTERVAL, 1e-9)
            scaled = np.maximum(factor * spread, 1e-12)
            likely = float(np.mean(np.log(scaled) + np.sqrt(2.0) * errors / scaled))
            if likely < best[0]:
                best, points = (likely, factor, factor * ratio * typical, power), curve(errors, scaled)
    _, factor, floor, power = best
    return Calibration(factor=factor, floor=floor, power=power, typical=typical, curve=points)


def _of_atoms(sigmas: Floats) -> Floats:
    """Root mean squares over the three components of each force."""
    return np.sqrt(np.square(sigmas.reshape(-1, 3)).mean(axis=1))


def _growth(of_atoms: Floats, typical: float, power: float) -> Floats:
    return np.maximum(of_atoms / typical, 1e-6) ** (power - 1.0)


def _frame_quantiles(raw: _Errors, law: Calibration) -> dict[str, float]:
    """Of the root mean square σ of forces in a frame, by share."""
    sigmas = np.hypot(law.factor * raw.atoms * _growth(raw.atoms, law.typical, law.power), law.floor)
    parts = np.split(sigmas, np.cumsum(raw.energy[2].astype(int))[:-1])
    return {f"{share:g}": float(np.quantile([_rms(part) for part in parts], share)) for share in _SHARES}


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))
