"""ASE calculator for exported potentials."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from md_drivers.ase.checks import check_applicable, stress_obstacle
from md_drivers.ase.contacts import check_separate
from md_drivers.ase.outputs import settle_stress, to_results
from md_drivers.common.checks import check_skin
from md_drivers.common.domain import DomainWatch
from md_drivers.common.errors import CalculationError, StructureError
from md_drivers.common.models import Model, dtype_name, model_name, open_potential
from md_drivers.common.neighbors import ModelGraphs, NeighborStatistics
from md_drivers.common.together import Together
from md_drivers.common.uncertainty import FORCES
from mlff.artifacts.loaded import Engine
from mlff.graph import AtomicGraph, Quantity, origin_shift, quantity, total_charge
from mlff.potential.artifact import LoadedModel
from mlff.potential.inputs import check_ignore, input_fault

_log = logging.getLogger(__name__)
CORE = ("energy", "energies", "forces", "stress")  # of every potential


class MLFFCalculator(Calculator):
    """Energy, forces and stress of an exported potential.

    Properties: ``energy`` and ``free_energy`` (eV, equal), ``energies`` (eV per atom, their sum is ``energy``),
    ``forces`` (eV/A, [N, 3]) and ``stress`` (eV/A^3, Voigt order xx yy zz yz xz xy, ASE's sign), always float64. An
    energy alone computes no gradient; forces and stress come together from one gradient wherever there is a stress,
    which needs a conservative model, a cell of nonzero volume and a periodic direction; along open directions it is
    zero, as the log says once. Any mix of periodic and open directions is allowed,
    and cells may be smaller than the cutoff. Further properties of the model, such as ``dipole`` (e·Å), are there under
    ASE's name for them, for structures that they are defined for. Dipoles are about the origin of the coordinates: of a
    charged structure, ``atoms.info["charge"]`` (e) times the centre of mass is added to what the model returns. Results
    are kept until positions, numbers, cell, pbc or this charge change. The atoms are never modified.

    Charges, spins and magnetic moments are no inputs of the model: a total charge in ``atoms.info`` other than the one
    that the training data imply, and any other of them that is not zero, is refused. What lies outside of the training
    data (``model.metadata.domain``) gives a :class:`md_drivers.DomainWarning`, once per kind for the same atoms.

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
        strict: refuse what lies outside of the training data, instead of a warning.
        ignore: any of ``charge``, ``spin``, ``multiplicity``, ``initial_charges`` and ``initial_magmoms``, which may
            then have any value.
        engine: what computes, ``"auto"``, ``"native"`` or ``"torchscript"``, see :func:`mlff.load`; ``None`` leaves a
            loaded model as it is.

    Attributes:
        domain: watches over the domain; ``domain.notes`` has what lay outside, by kind.

    Raises:
        TypeError: ``model`` is no name, path or loaded model.
        ValueError: ``model`` is not there or not a potential, an option is not supported, or an uncertainty is asked
            for that the file does not hold.
        StructureError: (from a calculation) empty or non-finite atoms, an unknown species, an unusable cell, two atoms
            on top of each other (closer than 0.05 A), a charge or spin that is no input, or, if strict, what lies
            outside of the training data.
        PropertyNotImplementedError: (from a calculation) stress without a cell or a periodic direction, or from a
            direct-force model.
        CalculationError: (an ASE CalculationFailed, from a calculation) the model gave a non-finite number.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012 (as ASE declares it)
    ignored_changes = {"initial_magmoms", "initial_charges"}  # noqa: RUF012  # refused or ignored, never an input

    def __init__(
        self,
        model: Model,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        skin: float = 0.5,
        properties: Mapping[str, Model] | None = None,
        *,
        strict: bool = False,
        ignore: Sequence[str] = (),
        uncertainty: bool = False,
        engine: Engine | None = None,
    ) -> None:
        check_skin(skin)
        self._ignore = check_ignore(ignore)
        super().__init__()
        self._model = open_potential(model, device, dtype, engine=engine, user="a calculator", energy=False)
        self.domain = DomainWatch(self._model, strict)
        self._others = {
            name: MLFFCalculator(other, device, dtype, skin, strict=strict, ignore=ignore, engine=engine)
            for name, other in (properties or {}).items()
        }
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
        has_energy = "energy" in self._model.metadata.outputs
        self.implemented_properties = [
            *(type(self).implemented_properties if has_energy else ()),
            *names,
            *self._model.sigmas,
        ]
        if uncertainty and FORCES not in self._model.sigmas:
            raise ValueError(f"model {model_name(self._model)!r} computes no uncertainty of its forces")
        self._uncertainty = uncertainty
        self._skin, self._told = float(skin), set[str]()  # what was said once; shared by copies
        self._graphs = ModelGraphs(self._model, self._skin)
        self._together: Together | None = None
        self._busy = threading.RLock()
        self._asked: Atoms | None = None  # of the request under way
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
        check_applicable(self._model, atoms)
        self._check_inputs(atoms)

    def _check_inputs(self, atoms: Atoms) -> None:
        if fault := input_fault(atoms, self._model.metadata.domain, model_name(self._model), self._ignore):
            raise StructureError(fault)

    def joining(self, together: Together) -> MLFFCalculator:
        """A copy for one more structure of a run, which is computed with those of others."""
        other = copy.copy(self)
        other._together, other.domain = together, DomainWatch(self._model, self.domain.strict, self.domain.said)
        return other

    def look_at(self, atoms: Atoms) -> AtomicGraph:
        """The graph of ``atoms``, which was compared with the domain of the model; StructureError if strict."""
        structure = atoms.numbers, atoms.cell.array, atoms.pbc
        with self._alone():
            graph = self._graphs(atoms.positions, *structure)
            check_separate(atoms, graph.edge_index, graph.shifts)
            self.domain.look(graph, *structure, self._graphs.statistics.rebuilds)
        return graph

    def stress_obstacle(self, atoms: Atoms) -> str | None:
        """Reason why the model has no stress for ``atoms``, or ``None`` when it has one."""
        return stress_obstacle(self._model, atoms)

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Names of the declared inputs that differ from those of the stored results by more than ``tol``.

        Raises:
            StructureError: a charge or spin that is no input, also where stored results would do.
        """
        self._check_inputs(atoms)
        changes: list[str] = super().check_state(atoms, tol)
        if self.atoms is not None and self._charge(atoms) != self._charge(self.atoms):
            changes.append("charge")
        return changes

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """A result, as of ASE."""
        with self._alone(atoms):
            return super().get_property(name, atoms, allow_calculation)

    @contextmanager
    def _alone(self, asked: Atoms | None = None) -> Iterator[Atoms | None]:
        """CalculationError while another thread is here; gives the atoms of the request around, which ASE checked."""
        if not self._busy.acquire(blocking=False):
            raise CalculationError(
                "another thread uses this calculator: give each thread its own, MLFFCalculator(calculator.model) "
                "shares the model"
            )
        before, self._asked = self._asked, asked
        try:
            yield before
        finally:
            self._asked = before
            self._busy.release()

    def _charge(self, atoms: Atoms) -> float:
        """Total charge, where a property depends on it; 0 otherwise."""
        if all(row.origin is None for row in self.properties.values()):
            return 0.0
        try:
            return total_charge(atoms.info) or 0.0
        except ValueError as error:
            raise StructureError(f"atoms.info: {error}") from None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute ``properties`` of ``atoms`` into ``results``; called by ASE, errors as in the class docstring."""
        with self._alone() as asked:
            atoms = self.atoms if atoms is None else atoms
            if atoms is None:
                raise StructureError("no atoms were given to the calculator")
            if atoms is not asked and self.check_state(atoms):
                self.reset()
            if self.atoms is None:
                self.atoms = atoms.copy()
            structure, results = self.atoms, self._compute(atoms, properties)
            if self.atoms is not structure:  # this thread asked for another one meanwhile
                self.reset()
                self.atoms = structure
            self.results.update(results)

    def _compute(self, atoms: Atoms, properties: Sequence[str]) -> dict[str, Any]:
        check_applicable(self._model, atoms)
        stress = "stress" in properties
        if stress and not atoms.pbc.all() and atoms.pbc.any() and "open" not in self._told:
            self._told.add("open")
            _log.warning("stress has components along the periodic directions alone, those along open ones are zero")
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
        graph = self.look_at(atoms)
        for name in {"forces", "stress"}.intersection(properties):
            self.domain.look_at_request(name)
        outputs = (self._together or self._model).evaluate(graph, forces=forces, stress=with_stress, sigmas=sigmas)
        if with_stress:
            settle_stress(outputs, atoms, asked=stress)
        defined = [row for row in self.properties.values() if row.periodic or not atoms.pbc.any()]
        results = to_results(outputs, [row for row in defined if row.name not in self._others], sigmas)
        if forces:
            self.domain.look_at_forces(results["forces"])
        for row in defined:
            key = row.ase or row.name
            if row.name not in self._others and row.origin is not None:
                results[key] = results[key] + origin_shift(row, atoms, self._charge(atoms))
            if row.name in self._others and key in properties:
                results[key] = self._others[row.name].get_property(key, atoms)
        return results

    def __getstate__(self) -> dict[str, Any]:
        # Copies share the model, which is immutable, and pickles name its file; each has its own neighbour list.
        own = {"results": dict(self.results), "parameters": copy.copy(self.parameters), "_graphs": None}
        kept = self.__dict__ | own | {"domain": (self.domain.strict, self.domain.notes), "_together": None}
        return {name: value for name, value in kept.items() if name not in ("_busy", "_asked")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _asked=None)
        strict, notes = state["domain"]
        self.domain = DomainWatch(self._model, strict)
        self.domain.notes = dict(notes)  # of the results
        self._graphs = ModelGraphs(self._model, self._skin)
        self._busy = threading.RLock()
