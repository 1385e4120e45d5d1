"""Calling a potential on a graph, and comparing what two of them return."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import torch
from torch import Tensor

from mlff.artifacts.self_test import Outputs, Program
from mlff.graph import AtomicGraph, Quantity, graph_from_atoms, quantity, spans_volume
from mlff.potential.artifact.metadata import ArtifactMetadata

_ROUNDING = 16.0 * torch.finfo(torch.float64).eps


def run_model(
    model: Program, graph: AtomicGraph, *, forces: bool = True, stress: bool = False, sigmas: Sequence[str] = ()
) -> Outputs:
    """Outputs of ``model`` for ``graph``, detached and contiguous, whatever autograd mode the caller is in.

    Args:
        model: takes the tensors of :class:`mlff.graph.GraphInput`, compute_forces, compute_stress.
        graph: on the device of the model, in its dtype.
        forces, stress: compute them too.
        sigmas: the standard deviations to compute, of those that the model has: ``energy_uncertainty`` ...
    """
    further = (True, "forces_uncertainty" in sigmas) if sigmas else ()
    with torch.inference_mode(False), torch.enable_grad():
        # Tensors made in inference mode cannot take part in autograd; their clones can.
        inputs = [x.clone() if x.is_inference() else x.detach() for x in graph.inputs]
        outputs = model(*inputs, forces, stress, *further)
    return {name: value.detach().contiguous() for name, value in outputs.items()}


def deviations(reference: Outputs, outputs: Outputs, isolated: Tensor) -> dict[str, float]:
    """Largest deviation of every output of one structure, relative to the size of that output.

    Energies are measured against the energy of bonding, so that large reference energies do not hide anything; what
    float64 cannot resolve of them is no deviation.

    Args:
        reference, outputs: outputs of one structure; ``outputs`` on any device, in any dtype.
        isolated: [N] energies of the isolated atoms in eV.

    Returns:
        Deviation by name of the output; infinite where an output is missing, has a wrong shape or is not finite.
    """
    result = {}
    for name, expected in reference.items():
        value = outputs.get(name)
        if value is None or value.shape != expected.shape or not bool(torch.isfinite(value).all()):
            result[name] = float("inf")
            continue
        difference = float((value.to("cpu", torch.float64) - expected).abs().max())
        scale = float(expected.abs().max())
        if name in ("energy", "energies"):
            difference = max(0.0, difference - _ROUNDING * float(reference["energies"].abs().sum()))
            bonding = float((reference["energies"] - isolated).abs().max())
            scale = bonding * (len(isolated) if name == "energy" else 1)
        result[name] = difference / max(scale, of_output(name).smallest)
    return result


def of_output(name: str) -> Quantity:
    """The quantity of an output, which may be its standard deviation."""
    return quantity(name.removesuffix("_uncertainty"))


def make_graph(atoms: ase.Atoms, metadata: ArtifactMetadata, dtype: torch.dtype) -> AtomicGraph:
    """The graph that the model expects of a structure, on the CPU."""
    return graph_from_atoms(
        atoms,
        metadata.cutoff,
        max_neighbors=metadata.max_neighbors,
        max_neighbors_strict=metadata.max_neighbors_strict,
        dtype=dtype,
    )


def has_stress(atoms: ase.Atoms, metadata: ArtifactMetadata) -> bool:
    """Whether the model can compute a stress of this structure."""
    return "stress" in metadata.outputs and bool(atoms.pbc.any()) and spans_volume(atoms.cell.array)
