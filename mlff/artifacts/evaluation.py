"""Calling a model on a graph, and comparing what two models return."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mlff.graph import AtomicGraph

Outputs = dict[str, Tensor]
Model = Callable[..., Outputs]

# A deviation counts relative to the largest value in the frame, but never to less than these: below them, sums over
# bonds cancel (atoms at rest, for example) and rounding errors follow the bonds, not the sum. eV, eV/A, eV/A^3.
SMALLEST_SCALE: Mapping[str, float] = {"energy": 1.0, "energies": 1.0, "forces": 1.0, "stress": 0.1}
_ROUNDING = 16.0 * torch.finfo(torch.float64).eps


def run_model(model: Model, graph: AtomicGraph, *, forces: bool = True, stress: bool = False) -> Outputs:
    """Outputs of ``model`` for ``graph``, detached and contiguous, whatever autograd mode the caller is in.

    Args:
        model: takes positions, numbers, cell, edge_index, shifts, batch, compute_forces, compute_stress.
        graph: on the device of the model, in its dtype.
        forces, stress: compute them too.
    """
    with torch.inference_mode(False), torch.enable_grad():
        given = (graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)
        # Tensors made in inference mode cannot take part in autograd; their clones can.
        inputs = [x.clone() if x.is_inference() else x.detach() for x in given]
        outputs = model(*inputs, forces, stress)
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
    bonding = float((reference["energies"] - isolated).abs().max())
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
            scale = bonding * (len(isolated) if name == "energy" else 1)
        result[name] = difference / max(scale, SMALLEST_SCALE.get(name, 1.0))
    return result
