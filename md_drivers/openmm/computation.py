"""What a PythonForce calls at every evaluation."""

from __future__ import annotations

import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from openmm import unit
from torch import Tensor

from md_drivers.common.engine import KJ_MOL, KJ_MOL_NM, NM
from md_drivers.common.errors import CalculationError, StructureError
from md_drivers.common.models import open_potential
from md_drivers.common.neighbors import NeighborStatistics, new_neighbor_list, statistics_of
from md_drivers.openmm.failure import Snapshot, describe_failure
from md_drivers.openmm.region import check_box
from mlff.artifacts import ArtifactError
from mlff.graph import AtomicGraph, SkinNeighborList
from mlff.potential.artifact import LoadedModel

# Their messages say everything; of other errors the traceback is needed, and OpenMM passes on nothing but the message.
_CLEAR = (StructureError, CalculationError, ArtifactError)

#: What OpenMM's exception says where a signal came during an evaluation.
INTERRUPTED = "interrupted during a force evaluation"


@dataclass(frozen=True)
class Settings:
    """All that a computation needs to be made again, in another process or on another machine.

    Attributes:
        model: name of a pretrained model or absolute path.
        sha256: of the model file.
        device: ``None`` for a GPU if there is one.
        dtype: ``float32`` or ``float64``.
        skin: of the neighbour list in A.
        numbers, particles, partial: see :class:`md_drivers.openmm.region.Region`.
        periodic: the force uses the periodic box.
        parameter: global parameter that scales energy and forces, or ``None``.
        failure_file: where positions go if the force fails.
    """

    model: str
    sha256: str
    device: str | None
    dtype: str
    skin: float
    numbers: tuple[int, ...]
    particles: tuple[int, ...] | None
    partial: bool
    periodic: bool
    parameter: str | None
    failure_file: str


@dataclass(frozen=True)
class _Opened:
    """A model with what stays the same from step to step, on its device."""

    model: LoadedModel
    neighbors: SkinNeighborList
    numbers: Tensor
    pbc: Tensor
    batch: Tensor


class Computation:
    """Energy (kJ/mol) and forces (kJ/mol/nm) of an OpenMM State, by an exported potential.

    Pickles as its settings alone: weights stay in their file, which is opened at the first evaluation and must then
    have the same SHA-256. Nothing is opened while unpickling, because an exception at that point ends the process
    without a message (OpenMM 8.6.1). One computation may serve several contexts and threads.
    """

    def __init__(self, settings: Settings, model: LoadedModel | None = None) -> None:
        self.settings = settings
        self._given = model
        self._open: _Opened | None = None
        self._before: Snapshot | None = None
        self._checked_box = np.zeros((3, 3))
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        return Computation, (self.settings,)

    @property
    def neighbor_statistics(self) -> NeighborStatistics:
        """Queries and rebuilds of the neighbour list so far."""
        return statistics_of(self._open.neighbors if self._open else None, self.settings.skin)

    def __call__(self, state: Any) -> tuple[float, np.ndarray]:
        """Energy and forces [N, 3] of the atoms in ``state``, times the scaling parameter.

        Raises:
            ArtifactError: the model file is gone or has changed.
            StructureError: another number of atoms, an unusable box.
            CalculationError: positions, energy or forces are not finite.
        """
        try:
            with self._lock:
                return self._compute(state)
        except _CLEAR:
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(INTERRUPTED) from None
        except Exception as error:
            raise RuntimeError("".join(traceback.format_exception(error))) from error

    def _compute(self, state: Any) -> tuple[float, np.ndarray]:
        settings = self.settings
        positions = NM * state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        if len(positions) != len(settings.numbers):
            raise StructureError(
                f"the force was made for {len(settings.numbers)} atoms, but the system gives it {len(positions)} "
                "particles: make it from the topology of this system, or name the atoms with atoms="
            )
        scale = 1.0 if settings.parameter is None else state.getParameters()[settings.parameter]
        if scale == 0.0:
            return 0.0, np.zeros_like(positions)
        cell = np.zeros((3, 3))
        if settings.periodic:
            cell = NM * state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
        now = Snapshot(positions, cell, state.getStepCount(), state.getTime().value_in_unit(unit.picosecond))
        bad = _not_finite(positions)
        if bad.size:
            self._fail("positions are", bad, now)
        opened = self._opened()
        if settings.partial and settings.periodic and not np.array_equal(cell, self._checked_box):
            check_box(cell, opened.model.metadata.cutoff)
            self._checked_box = cell
        outputs = opened.model.evaluate(self._graph(opened, positions, cell))
        energy = float(outputs["energy"])
        forces = outputs["forces"].to("cpu", torch.float64).numpy()
        bad = _not_finite(forces)
        if bad.size:
            self._fail("the model gave forces that are", bad, now)
        if not np.isfinite(energy):
            self._fail("the model gave an energy that is", bad, now)
        self._before = now
        return scale / KJ_MOL * energy, scale / KJ_MOL_NM * forces

    def _opened(self) -> _Opened:
        if self._open is None:
            settings = self.settings
            model = self._given or open_potential(settings.model, settings.device, settings.dtype)
            if model.sha256 != settings.sha256:
                raise ArtifactError(
                    f"{model.path}: not the model that this force was made with (SHA-256 {model.sha256}, was "
                    f"{settings.sha256}); put that file back or make the force anew"
                )
            numbers = torch.tensor(settings.numbers, device=model.device)
            self._open = _Opened(
                model=model,
                neighbors=new_neighbor_list(model, settings.skin),
                numbers=numbers,
                pbc=torch.full((1, 3), settings.periodic, device=model.device),
                batch=torch.zeros_like(numbers),
            )
        return self._open

    def _graph(self, opened: _Opened, positions: np.ndarray, cell: np.ndarray) -> AtomicGraph:
        # float64 whatever the model computes in: it rounds edge vectors, so atoms far from the origin stay exact.
        r = torch.from_numpy(positions).to(opened.model.device)
        try:
            edge_index, shifts = opened.neighbors.update(r, cell, self.settings.periodic)
        except ValueError as error:  # a box too flat for a neighbour list
            raise StructureError(str(error)) from error
        return AtomicGraph(
            positions=r,
            numbers=opened.numbers,
            cell=torch.from_numpy(cell).to(r.device).unsqueeze(0),
            pbc=opened.pbc,
            edge_index=edge_index,
            shifts=shifts,
            batch=opened.batch,
        )

    def _fail(self, quantity: str, bad: np.ndarray, now: Snapshot) -> NoReturn:
        settings = self.settings
        raise CalculationError(
            describe_failure(
                quantity, bad, now, self._before, settings.numbers, settings.particles, Path(settings.failure_file)
            )
        )


def _not_finite(values: np.ndarray) -> np.ndarray:
    """Indices of the rows of [N, 3] values that hold NaN or infinity."""
    return np.flatnonzero(~np.isfinite(values).all(axis=1))
