"""ASE calculator for exported potentials."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from md_drivers.ase.contacts import check_separate
from md_drivers.common.checks import check_skin, first_few
from md_drivers.common.errors import CalculationError, StructureError
from md_drivers.common.models import Model, dtype_name, model_name, open_potential, unknown_species
from md_drivers.common.neighbors import ModelGraphs, NeighborStatistics
from md_drivers.common.uncertainty import FORCES
from mlff.graph import Quantity, quantity, spans_volume
from mlff.potential.artifact import LoadedModel

CORE = ("energy", "energies", "forces", "stress")  # of every potential


class MLFFCalculator(Calculator):
    """Energy, forces and stress of an exported potential.

    Properties: ``energy`` and ``free_energy`` (eV, equal), ``energies`` (eV per atom, their sum is ``energy``),
    ``forces`` (eV/A, [N, 3]) and ``stress`` (eV/A^3, Voigt order xx yy zz yz xz xy, ASE's sign), always float64. An
    energy alone computes no gradient; forces and stress come together from one gradient wherever there is a stress,
    which needs a conservative model and a cell of nonzero volume. Any mix of periodic and open directions is allowed,
    and cells may be smaller than the cutoff. Further properties of the model, such as ``dipole`` (e·Å, with respect to
    the centre of mass), are there under ASE's name for them, for structures that they are defined for. Results are
    kept until positions, numbers, cell or pbc change; magnetic moments, charges and ``atoms.info`` are no inputs of the
    model. The atoms are never modified.

    A file that computes its uncertainty gives ``energy_uncertainty`` (eV, one standard deviation) and
    ``energies_uncertainty`` (eV, [N], of single atoms) with every energy, and ``forces_uncertainty`` (eV/A, [N, 3], of
    components) where these are asked for, by ``get_property`` or ``uncertainty=True``; it takes as long as seven
    calculations of energy and forces.

    Args:
        model: name of a pretrained model, path of an exported file, or a loaded model.
        device: of the model, such as ``"cpu"`` or ``"cuda:1"``; ``None`` leaves a loaded model where it is and puts
            others on a GPU if there is one.
        dtype: ``"float32"``, ``"float64"`` or the torch dtype to compute in; ``None`` keeps the model's own.
        properties: models by name of the quantity that each gives, such as ``{"dipole": "other.pt"}``. A property comes
            from one model: the one named here, otherwise ``model``, if it has it.
        skin: extra reach of the stored neighbour list in A. The list is rebuilt once an atom has moved by half of it;
            0 rebuilds at every change. Results do not depend on it.
        uncertainty: compute ``forces_uncertainty`` whenever forces are computed.

    Raises:
        TypeError: ``model`` is no name, path or loaded model.
        ValueError: ``model`` is not there or not a potential, ``device`` or ``dtype`` is not supported, ``skin`` is no
            length, or an uncertainty is asked for that the file does not hold.
        StructureError: (from a calculation) empty or non-finite atoms, an unknown species, an unusable cell, or two
            atoms on top of each other (closer than 0.05 A).
        PropertyNotImplementedError: (from a calculation) stress without a cell or from a direct-force model.
        CalculationError: (an ASE CalculationFailed, from a calculation) the model gave a non-finite number.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (as ASE declares it)
    ignored_changes = {"initial_magmoms", "initial_charges"}  # noqa: RUF012

    def __init__(
        self,
        model: Model,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        skin: float = 0.5,
        properties: Mapping[str, Model] | None = None,
        *,
        uncertainty: bool = False,
    ) -> None:
        check_skin(skin)
        super().__init__()
        self._model = open_potential(model, device, dtype, user="a calculator")
        self._others = {name: MLFFCalculator(other, device, dtype, skin) for name, other in (properties or {}).items()}
        for name, other in self._others.items():
            if name in CORE:
                raise ValueError(f"properties: {name} comes from the model of the calculator")
            if name not in other.properties:
                raise ValueError(f"properties: model {model_name(other.model)!r} does not compute {name!r}")
        own = {name: quantity(name) for name in self._model.metadata.outputs if name not in CORE}
        self.properties: Mapping[str, Quantity] = own | {name: quantity(name) for name in self._others}
        names = [row.ase or row.name for row in self.properties.values()]
        if len(set(names)) < len(names) or set(names) & set(type(self).implemented_properties):
            raise ValueError(f"two quantities have the same name in ASE: {', '.join(names)} beside energy and forces")
        self.implemented_properties = [*type(self).implemented_properties, *names, *self._model.sigmas]
        if uncertainty and FORCES not in self._model.sigmas:
            raise ValueError(f"model {model_name(self._model)!r} computes no uncertainty of its forces")
        self._uncertainty = uncertainty
        self._skin = float(skin)
        self._graphs = ModelGraphs(self._model, self._skin)
        # Written by ASE into trajectories, so that a frame says which model made it.
        self.parameters.update(model=model_name(self._model), sha256=self._model.sha256, dtype=self.dtype)
        for name, other in self._others.items():
            self.parameters[f"{name}_model"] = model_name(other.model)
            self.parameters[f"{name}_sha256"] = other.model.sha256

    def set(self, **changes: object) -> dict[str, object]:
        """ASE's way to change a calculator, which this one does not have: ValueError for any change."""
        if changes:
            raise ValueError(f"an MLFFCalculator cannot be changed, make another one: got {', '.join(changes)}")
        return {}

    @property
    def model(self) -> LoadedModel:
        """The loaded model; shared between copies of the calculator."""
        return self._model

    @property
    def dtype(self) -> str:
        """Name of the dtype in which the model computes."""
        return dtype_name(self._model.dtype)

    @property
    def neighbor_statistics(self) -> NeighborStatistics:
        """Queries and rebuilds of the neighbour list since the calculator was made."""
        return self._graphs.statistics

    def check_atoms(self, atoms: Atoms) -> None:
        """Raise StructureError when the model cannot be applied to ``atoms``, naming the reason."""
        if len(atoms) == 0:
            raise StructureError("the structure has no atoms")
        bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
        if bad.size:
            raise StructureError(f"positions are not finite (NaN or infinity) for atom(s) {first_few(bad.tolist(), 5)}")
        _check_cell(atoms)
        known = set(self._model.metadata.species)
        unknown = Counter(int(z) for z in atoms.numbers if int(z) not in known)
        if unknown:
            found = ", ".join(f"{_symbol(z)} ({count})" for z, count in sorted(unknown.items()))
            raise StructureError(unknown_species(self._model, found))

    def stress_obstacle(self, atoms: Atoms) -> str | None:
        """Reason why the model has no stress for ``atoms``, or ``None`` when it has one."""
        if not self._model.metadata.conservative:
            return f"model {model_name(self._model)!r} predicts forces directly; stress needs a conservative model"
        if not spans_volume(atoms.cell.array):
            return "stress needs a three-dimensional cell of nonzero volume, set atoms.cell"
        return None

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Names of the declared inputs that differ from those of the stored results by more than ``tol``."""
        changes: list[str] = super().check_state(atoms, tol)
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute ``properties`` of ``atoms`` into ``results``; called by ASE, errors as in the class docstring."""
        if atoms is None:
            atoms = self.atoms
        if atoms is None:
            raise StructureError("no atoms were given to the calculator")
        if self.check_state(atoms):
            self.reset()
            self.atoms = atoms.copy()
        self.check_atoms(atoms)
        stress = "stress" in properties
        if stress and (obstacle := self.stress_obstacle(atoms)) is not None:
            raise PropertyNotImplementedError(obstacle)
        for name, row in self.properties.items():
            if (row.ase or name) in properties and not row.periodic and atoms.pbc.any():
                raise PropertyNotImplementedError(f"a periodic structure has no {row.title}")
        # Forces and stress are the same backward pass, so one comes with the other.
        forces = stress or "forces" in properties
        asked = FORCES in properties or (self._uncertainty and forces)
        sigmas = [name for name in self._model.sigmas if name != FORCES or asked]
        with_stress = stress or (forces and self.stress_obstacle(atoms) is None)
        graph = self._graphs(atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc)
        check_separate(atoms, graph.edge_index, graph.shifts)
        further = {"sigmas": sigmas} if sigmas else {}
        outputs = self._model.evaluate(graph, forces=forces, stress=with_stress, **further)
        if with_stress and not stress and not bool(torch.isfinite(outputs["stress"]).all()):
            del outputs["stress"]  # nobody asked for it: good forces must not fail for it
        defined = [row for row in self.properties.values() if row.periodic or not atoms.pbc.any()]
        self.results.update(_to_results(outputs, [row for row in defined if row.name not in self._others], sigmas))
        for row in defined:
            key = row.ase or row.name
            if row.name in self._others and key in properties:
                self.results[key] = self._others[row.name].get_property(key, atoms)

    def __getstate__(self) -> dict[str, Any]:
        # Copies share the model, which is immutable, and pickles name its file; each has its own neighbour list.
        own = {"results": dict(self.results), "parameters": copy.copy(self.parameters), "_graphs": None}
        return self.__dict__ | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._graphs = ModelGraphs(self._model, self._skin)


def _symbol(number: int) -> str:
    return chemical_symbols[number] if 0 <= number < len(chemical_symbols) else f"Z={number}"


def _check_cell(atoms: Atoms) -> None:
    cell, pbc = atoms.cell.array, atoms.pbc
    if not np.isfinite(cell).all():
        raise StructureError("the cell has entries that are not finite (NaN or infinity)")
    if np.linalg.matrix_rank(cell[pbc]) < pbc.sum():
        axes = "".join("abc"[k] for k in np.flatnonzero(pbc))
        raise StructureError(
            f"the structure is periodic along {axes} but these cell vectors are zero or linearly dependent: "
            "set atoms.cell or switch off atoms.pbc"
        )


def _to_results(outputs: dict[str, torch.Tensor], further: Sequence[Quantity], sigmas: Sequence[str]) -> dict[str, Any]:
    energies = _to_numpy(outputs["energies"])
    energy = float(outputs["energy"].reshape(()))
    results: dict[str, Any] = {"energy": energy, "free_energy": energy, "energies": energies}
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
