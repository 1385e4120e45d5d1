"""What a PythonForce calls at every evaluation."""

from __future__ import annotations

import threading
import traceback
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from openmm import unit

from md_drivers.common.domain import DomainWatch, said_in_run
from md_drivers.common.engine import KJ_MOL, KJ_MOL_NM, NM
from md_drivers.common.errors import CalculationError, StructureError
from md_drivers.common.models import default_device
from md_drivers.common.neighbors import ModelGraphs, NeighborStatistics
from md_drivers.common.uncertainty import FORCES
from md_drivers.openmm.failure import Snapshot, describe_failure
from md_drivers.openmm.options import ForceOptions
from md_drivers.openmm.region import Region, check_box
from mlff.artifacts import ArtifactError, load
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
        region: its atoms.
        periodic: the force uses the periodic box.
        options: with the dtype that the model has.
        trust: open the file whatever its program does, see :func:`mlff.load`.
    """

    model: str
    sha256: str
    region: Region
    periodic: bool
    options: ForceOptions
    trust: bool = False


class Computation:
    """Energy (kJ/mol) and forces (kJ/mol/nm) of an OpenMM State, by an exported potential.

    Pickles as its settings alone: weights stay in their file, which is opened at the first evaluation and must then
    have the same SHA-256. Nothing is opened while unpickling, because an exception at that point ends the process
    without a message (OpenMM 8.6.1). One computation may serve several contexts and threads.

    Attributes:
        energy_uncertainty: standard deviation of the energy of the last evaluation, eV; None of models without.
    """

    def __init__(self, settings: Settings, model: LoadedModel | None = None) -> None:
        self.settings = settings
        self._given = model
        self._numbers = np.array(settings.region.numbers)
        self._graphs: ModelGraphs | None = None  # with the opened model
        self._domain: DomainWatch | None = None
        self._said = said_in_run.get()
        self._before: Snapshot | None = None
        self._checked_box = np.zeros((3, 3))
        self._lock = threading.Lock()
        self.energy_uncertainty: float | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Computation, (self.settings,)

    @property
    def neighbor_statistics(self) -> NeighborStatistics:
        """Queries and rebuilds of the neighbour list so far."""
        return self._graphs.statistics if self._graphs else NeighborStatistics(0, 0, self.settings.options.skin)

    def __call__(self, state: Any) -> tuple[float, np.ndarray]:
        """Energy and forces [N, 3] of the atoms in ``state``, times the scaling parameter.

        Raises:
            ArtifactError: the model file is gone or has changed.
            StructureError: another number of atoms, an unusable box, or what lies outside of the domain, if strict.
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
        region, periodic, parameter = self.settings.region, self.settings.periodic, self.settings.options.parameter
        positions = NM * state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        if len(positions) != len(self._numbers):
            raise StructureError(
                f"the force was made for {len(self._numbers)} atoms, but the system gives it {len(positions)} "
                "particles: make it from the topology of this system, or name the atoms with atoms="
            )
        scale = 1.0 if parameter is None else state.getParameters()[parameter]
        if scale == 0.0:
            return 0.0, np.zeros_like(positions)
        cell = np.zeros((3, 3))
        if periodic:
            cell = NM * state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer)
        now = Snapshot(positions, cell, state.getStepCount(), state.getTime().value_in_unit(unit.picosecond))
        bad = _not_finite(positions)
        if bad.size:
            self._fail("positions are", bad, now)
        graphs = self._opened()
        if region.partial and periodic and not np.array_equal(cell, self._checked_box):
            check_box(cell, graphs.model.metadata.cutoff)
            self._checked_box = cell
        pbc = np.full(3, periodic)
        graph = graphs(positions, self._numbers, cell, pbc)
        if self._domain is None:
            self._domain = DomainWatch(graphs.model, self.settings.options.strict, self._said)
        self._domain.look(graph, self._numbers, cell, pbc, graphs.statistics.rebuilds)
        sigmas = [name for name in graphs.model.sigmas if name != FORCES]
        outputs = graphs.model.evaluate(graph, sigmas=sigmas)
        energy = float(outputs["energy"])
        forces = outputs["forces"].to("cpu", torch.float64).numpy()
        bad = _not_finite(forces)
        if bad.size:
            self._fail("the model gave forces that are", bad, now)
        if not np.isfinite(energy):
            self._fail("the model gave an energy that is", bad, now)
        self._domain.look_at_forces(forces)
        self._before = now
        if sigmas:
            self.energy_uncertainty = float(outputs["energy_uncertainty"])
        return scale / KJ_MOL * energy, scale / KJ_MOL_NM * forces

    def forces_uncertainty(self, positions: np.ndarray, cell: np.ndarray | None = None) -> np.ndarray | None:
        """Standard deviations [N, 3] (eV/A) of the forces of the model on its atoms; None of models without.

        Takes as long as seven evaluations.

        Args:
            positions: [P, 3] in A, of all particles of the System.
            cell: [3, 3] in A, of a periodic force.
        """
        with self._lock:
            graphs, region = self._opened(), self.settings.region
            if FORCES not in graphs.model.sigmas:
                return None
            r = positions if region.particles is None else positions[list(region.particles)]
            box = cell if self.settings.periodic and cell is not None else np.zeros((3, 3))
            anew = ModelGraphs(graphs.model, 0.0)  # dynamics go on as if nobody had asked
            graph = anew(r, self._numbers, box, np.full(3, self.settings.periodic))
            outputs = graphs.model.evaluate(graph, forces=False, sigmas=[FORCES])
            return np.array(outputs[FORCES].to("cpu", torch.float64))

    def _opened(self) -> ModelGraphs:
        if self._graphs is None:
            settings, options = self.settings, self.settings.options
            device, engine = options.device or default_device(), options.engine or "auto"
            model = self._given or load(
                settings.model, device=device, dtype=options.dtype, trust=settings.trust, engine=engine
            )
            if model.sha256 != settings.sha256:
                raise ArtifactError(
                    f"{model.path}: not the model that this force was made with (SHA-256 {model.sha256}, was "
                    f"{settings.sha256}); put that file back or make the force anew"
                )
            self._graphs = ModelGraphs(model, options.skin)
        return self._graphs

    def _fail(self, quantity: str, bad: np.ndarray, now: Snapshot) -> NoReturn:
        file = self.settings.options.failure_file
        raise CalculationError(describe_failure(quantity, bad, now, self._before, self.settings.region, file))


def _not_finite(values: np.ndarray) -> np.ndarray:
    """Indices of the rows of [N, 3] values that hold NaN or infinity."""
    return np.flatnonzero(~np.isfinite(values).all(axis=1))
