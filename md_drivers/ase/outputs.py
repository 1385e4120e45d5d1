"""What a model computes as results of ASE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from md_drivers.common.errors import CalculationError
from mlff.graph import Quantity


def periodic_projector(atoms: Atoms) -> np.ndarray:
    """[3, 3] projector on the space of the periodic lattice vectors."""
    vectors = atoms.cell.array[atoms.pbc]
    return np.asarray(np.linalg.pinv(vectors) @ vectors)


def settle_stress(outputs: dict[str, torch.Tensor], atoms: Atoms, asked: bool) -> None:
    """Keep the stress along periodic directions; one that is not finite and that nobody asked for is left out."""
    if not atoms.pbc.all():
        inside = torch.as_tensor(periodic_projector(atoms)).to(outputs["stress"])
        outputs["stress"] = inside @ outputs["stress"] @ inside
    if not asked and not bool(torch.isfinite(outputs["stress"]).all()):
        del outputs["stress"]  # good forces must not fail for it


def to_results(outputs: dict[str, torch.Tensor], further: Sequence[Quantity], sigmas: Sequence[str]) -> dict[str, Any]:
    """Results by their names in ASE: core, ``further`` and standard deviations; CalculationError where not finite."""
    results: dict[str, Any] = {}
    if "energy" in outputs:
        results["energy"] = results["free_energy"] = float(outputs["energy"].reshape(()))
        results["energies"] = _to_numpy(outputs["energies"])
    if "forces" in outputs:
        results["forces"] = _to_numpy(outputs["forces"])
    if "stress" in outputs:
        results["stress"] = full_3x3_to_voigt_6_stress(_to_numpy(outputs["stress"])[0])
    for row in further:
        value = _to_numpy(outputs[row.name])
        results[row.ase or row.name] = value if row.per == "atom" else value[0]
    for name in sigmas:
        results[name] = float(outputs[name]) if name == "energy_uncertainty" else _to_numpy(outputs[name])
    for name, value in results.items():
        if not np.isfinite(value).all():
            raise CalculationError(
                f"the model gave {name} that are not finite (NaN or infinity); atoms may lie on top of each other "
                "or far outside the training data"
            )
    return results


def _to_numpy(values: torch.Tensor) -> np.ndarray:
    return np.array(values.detach().to("cpu", torch.float64).numpy())
