"""Jumps with the habits of ASE's dynamics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from ase import Atoms, units
from ase.optimize.optimize import Dynamics

from md_drivers.common.engine import import_mdtraj
from md_drivers.common.errors import StructureError
from md_drivers.common.models import Model, model_name, open_jump_model
from md_drivers.jumps.molecule import MoleculeJumper

if TYPE_CHECKING:
    from mdtraj import Topology

_NAMES = ("atomtypes", "atomnames")  # ASE's PDB reader calls names types


class JumpDynamics(Dynamics):
    """Moves ``Atoms`` of a protein or peptide by a lag time in each step; heavy atoms jump, hydrogens ride on them.

    ``run``, ``irun``, ``attach``, ``trajectory`` and ``logfile`` are those of ASE's dynamics; no calculator is needed,
    velocities and the cell are left alone, constraints are refused. Needs the arrays that ASE's PDB reader makes:
    ``residuenames``, ``residuenumbers`` and ``atomtypes`` (or ``atomnames``); ``chainids``, if there.

    Args:
        atoms: are moved.
        model: name of a pretrained model, path of an exported file, or a loaded jump model.
        lag: ps of a step, one that the model was trained for.
        seed: of the random numbers; with the same one the heavy atoms make the jumps of replica 0 of
            :func:`md_drivers.jumps.rollout`.
        latent_steps: of a jump; ``None``: the model's own.
        device, dtype: of the model; ``None``: a GPU if there is one, and as exported.
        strict: refuse molecules unlike those of the training and distorted starts, instead of a warning.
        trajectory, logfile, append_trajectory, loginterval: as in ASE.

    Raises:
        ImportError: MDTraj is not installed.
        StructureError: missing arrays, constraints, an unknown residue, missing atoms, positions that are no molecule.
        ValueError: a lag that the model was not trained for, or a model of another kind.
    """

    def __init__(
        self,
        atoms: Atoms,
        model: Model,
        lag: float,
        seed: int = 0,
        *,
        latent_steps: int | None = None,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        strict: bool = False,
        trajectory: str | Path | None = None,
        logfile: IO[str] | str | Path | None = None,
        append_trajectory: bool = False,
        loginterval: int = 1,
    ) -> None:
        loaded = open_jump_model(model, device, dtype)
        if atoms.constraints:
            raise StructureError("the atoms have constraints, which jumps do not keep; remove them")
        jumper = MoleculeJumper(loaded, topology_of(atoms), atoms.get_positions(), lag, seed, latent_steps, strict)
        # Opens files, so nothing may be refused after it.
        super().__init__(
            atoms, logfile=logfile, trajectory=trajectory, append_trajectory=append_trajectory, loginterval=loginterval
        )
        self.model, self.jumper = loaded, jumper

    def todict(self) -> dict[str, Any]:
        """What the trajectory says of how it was made."""
        return {
            "type": "jump-dynamics",
            "model": model_name(self.model),
            "sha256": self.model.sha256,
            "lag_ps": self.jumper.lag,
        }

    def get_time(self) -> float:
        """Time since the start in ASE's units, as of its molecular dynamics."""
        return float(self.nsteps * self.jumper.lag * 1e3 * units.fs)

    def step(self) -> None:
        """One jump; JumpFailed, with the atoms where they were, if it breaks the molecule."""
        self.atoms.set_positions(self.jumper.jump(self.atoms.get_positions()))

    def log(self, *args: Any) -> None:
        """One line: step, time in ps, radius of gyration of the heavy atoms in Å."""
        heavy = self.atoms.positions[self.jumper.heavy]
        radius = np.sqrt(np.square(heavy - heavy.mean(0)).sum(-1).mean())
        if self.logfile is not None:
            if self.nsteps == 0:
                self.logfile.write(f"{'step':>8} {'time (ps)':>12} {'gyration (Å)':>14}\n")
            self.logfile.write(f"{self.nsteps:8d} {self.nsteps * self.jumper.lag:12.4f} {radius:14.4f}\n")

    def irun(self, steps: int = 50) -> Iterator[bool]:  # type: ignore[override]
        """Jump as a generator; yields whether all steps are done, first before any."""
        self.max_steps = self.nsteps + steps
        if self.nsteps == 0:
            self.log()
            self.call_observers()
        yield steps == 0
        while self.nsteps < self.max_steps:
            self.step()
            self.nsteps += 1
            self.log()
            self.call_observers()
            yield self.nsteps == self.max_steps

    def run(self, steps: int = 50) -> bool:  # type: ignore[override]
        """Jump so many times."""
        *_, done = self.irun(steps)
        return done


def topology_of(atoms: Atoms) -> Topology:
    """MDTraj's topology of atoms with the names of a PDB file.

    Raises:
        ImportError: MDTraj is not installed.
        StructureError: names are missing.
    """
    mdtraj = import_mdtraj()
    found = next((name for name in _NAMES if name in atoms.arrays), None)
    missing = [name for name in ("residuenames", "residuenumbers") if name not in atoms.arrays]
    if missing or found is None:
        raise StructureError(
            f"the atoms lack the arrays {', '.join([*missing, *([] if found else ['atomtypes'])])}, which ASE's PDB "
            "reader makes: ase.io.read('structure.pdb')"
        )
    names, residues = atoms.arrays[found], atoms.arrays["residuenames"]
    numbers = atoms.arrays["residuenumbers"]
    chains = atoms.arrays.get("chainids", np.zeros(len(atoms), dtype=int))
    topology = mdtraj.Topology()
    chain = residue = before = None
    for k in range(len(atoms)):
        here = (str(chains[k]), int(numbers[k]), str(residues[k]).strip())
        # Files of several chains without chain names begin to count anew.
        if before is None or here[0] != before[0] or here[1] < before[1]:
            chain = topology.add_chain()
        if here != before:
            residue = topology.add_residue(here[2], chain, resSeq=here[1])
        before = here
        element = mdtraj.element.get_by_symbol(atoms.symbols[k])
        topology.add_atom(str(names[k]).strip(), element, residue)
    return topology
