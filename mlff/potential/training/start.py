"""The start of a run: normalisation, initial weights and their reference energies."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from mlff.artifacts.torchscript import convert_parameters
from mlff.data import DatasetStatistics, Frame, GraphDataset, fit_reference_energies, in_symbols
from mlff.graph import quantity
from mlff.potential import DensPotential, Potential, PotentialConfig, completed, scalar_part
from mlff.potential.training.batches import graph_batches
from mlff.potential.training.config import TrainingConfig
from mlff.potential.training.trained import InitialWeights
from mlff.support.errors import ConfigError
from mlff.training.checkpointing import load_matching

logger = logging.getLogger(__name__)

_REFIT_FRAMES = 200


def build_potential(config: TrainingConfig) -> Potential:
    """Potential of a configuration with parameters of the configured dtype; buffers keep theirs.

    Raises:
        ConfigError: fields of the model that contradict each other.
    """
    try:
        potential = Potential(config.model)
    except ValueError as error:
        raise ConfigError(f"model: {error}") from error
    convert_parameters(potential, getattr(torch, config.dtype))
    return potential


def known_species(model: PotentialConfig, frames: Sequence[Frame], initial: InitialWeights | None) -> tuple[int, ...]:
    """Atomic numbers that a new potential will know.

    Those listed, as far as the training frames or the initial weights hold them; ``auto``: all of these.

    Raises:
        ConfigError: the initial weights know other species than those listed.
    """
    if initial is None:
        known = tuple(sorted({int(number) for frame in frames for number in frame.atoms.numbers}))
    else:
        known = tuple(initial.species)
    listed = model.species or known
    if initial is not None and listed != known:
        raise ConfigError(
            f"init_from: its weights know {in_symbols(known)}, model.species is {in_symbols(listed)}; "
            "they must be equal: leave model.species out"
        )
    absent = set(listed) - set(known)
    if absent:
        logger.warning("model.species: no training frame holds %s; left out of the model", in_symbols(absent))
    return tuple(number for number in listed if number in known)


def known_last_block(model: PotentialConfig, initial: InitialWeights | None) -> str:
    """``last_block`` of a new potential: ``auto`` follows initial weights that hold its scalars only."""
    name = f"backbone.blocks.{model.backbone.num_layers - 1}.attention.projection.weight"
    if model.last_block != "auto" or not model.energy_needs_scalars or initial is None or name not in initial.tensors:
        return model.last_block
    return "scalars" if len(initial.tensors[name]) == 1 else "auto"  # rows by degree


def add_dens(potential: Potential, config: TrainingConfig) -> DensPotential | None:
    """The potential with what ``config.dens`` adds to it; None without that section.

    Draws no number from torch's global generator that anything else would have drawn.
    """
    if config.dens is None:
        return None
    with torch.random.fork_rng(devices=[]):
        dens = DensPotential(potential, config.dens.encode_forces)
    convert_parameters(dens, getattr(torch, config.dtype))
    return dens


def set_start(
    potential: Potential, statistics: DatasetStatistics, initial: InitialWeights | None, frozen: Sequence[str] = ()
) -> None:
    """Normalise a new potential and copy the initial weights that fit.

    Raises:
        ConfigError: a species of the model is neither in the data nor has a reference energy in the initial weights, or
            these lack a tensor of the ``frozen`` parts.
    """
    species = potential.config.species
    references = dict(statistics.reference_energies)
    if initial is not None and "reference_energies" in initial.tensors:
        references = {number: float(initial.tensors["reference_energies"][number]) for number in species}
    absent = [number for number in species if number not in references]
    if absent:
        raise ConfigError(f"model.species: no training frame holds {in_symbols(absent)}; remove them")
    potential.set_normalization(references, statistics.scale, statistics.avg_degree)
    if initial is None:
        return
    new, unused = load_matching(potential, scalar_part(potential, completed(initial.tensors)), frozen)
    logger.info("initial weights: %d tensors used", len(potential.state_dict()) - len(new))
    if new:
        logger.warning("not in the initial weights, started afresh: %s", ", ".join(new))
    if unused:
        logger.warning("initial weights without a place in this model: %s", ", ".join(unused))


def set_property_scales(potential: Potential, graphs: GraphDataset) -> None:
    """Give read-outs that have a scale the size of their labels, so that outputs of the network are of order one.

    It is the RMS of the components; of what adds up over atoms, that of the sum of as many independent terms.
    """
    for name, head in potential.properties.items():
        scale = getattr(head, "scale", None)
        labels = [frame.labels[name] for frame in graphs.frames if name in frame.labels]
        if scale is None or not labels:
            continue
        rms = float(np.sqrt(np.mean([np.mean(np.square(label)) for label in labels])))
        row = quantity(name)
        terms = np.mean([len(frame.atoms) for frame in graphs.frames]) if row.extensive else 1.0
        scale.fill_(rms / float(np.sqrt(terms)) if rms > 0 else 1.0)


def refit_reference_energies(
    potential: Potential, graphs: GraphDataset, *, device: torch.device | str, batch_size: int, seed: int
) -> dict[int, float]:
    """Shift the reference energies so that the potential's energies match the labels best; changes ``potential``.

    Data of another code or functional have another zero of energy. The shifts are the least-squares solution of least
    norm for the energy per atom; what the compositions do not determine, and elements that the graphs do not hold, keep
    their values. A sample of the graphs that covers their compositions is evaluated, energies only.

    Args:
        potential: on the CPU, where it is left.
        graphs: labelled graphs.
        device: where to evaluate.
        batch_size: graphs at a time.
        seed: of the sample.

    Returns:
        shift in eV by atomic number.
    """
    compositions = np.stack([np.bincount(frame.atoms.numbers, minlength=119) for frame in graphs.frames])
    chosen = _spread(compositions, _REFIT_FRAMES, seed)
    was_training = potential.training
    potential.to(device=device).eval()
    labels, predictions = [], []
    with torch.no_grad():
        for graph in graph_batches(graphs, chosen, batch_size, device):
            if graph.energy is None:
                raise ValueError("the graphs have no energy labels")
            output = potential(*graph.inputs, False)
            labels.append(graph.energy.cpu().numpy())
            predictions.append(output["energy"].cpu().numpy())
    potential.to(device="cpu").train(was_training)
    counts = compositions[chosen]
    present = np.flatnonzero(counts.sum(axis=0))
    residual = np.concatenate(labels) - np.concatenate(predictions)
    shifts = dict(zip(present.tolist(), fit_reference_energies(counts[:, present], residual).tolist(), strict=True))
    for number, shift in shifts.items():
        potential.reference_energies[number] += shift
    listed = ", ".join(f"{chemical_symbols[number]} {shift:+.4f}" for number, shift in shifts.items())
    logger.info("reference energies shifted to the training frames (eV): %s", listed)
    return shifts


def _spread(compositions: NDArray[np.int64], count: int, seed: int) -> list[int]:
    """Rows to evaluate: about ``count``, from each composition in turn; every element is among them."""
    order = np.random.default_rng(seed).permutation(len(compositions))
    seen: Counter[bytes] = Counter()
    turn = {}
    for index in order.tolist():
        key = compositions[index].tobytes()
        turn[index] = seen[key]
        seen[key] += 1
    ranked = sorted(turn, key=lambda index: turn[index])
    chosen = ranked[:count]
    for element in np.flatnonzero(compositions.any(axis=0)):
        if not compositions[chosen, element].any():
            chosen.append(next(index for index in ranked if compositions[index, element]))
    return sorted(chosen)
