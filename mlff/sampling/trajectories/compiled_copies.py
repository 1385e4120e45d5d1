"""Many trajectories of one small molecule in compiled PyTorch, several times faster than OpenMM on a processor
(``benchmarks/results/speed_jumps.json``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlff.sampling.building import Peptide
from mlff.sampling.engine import LangevinStep, langevin_step
from mlff.sampling.trajectories.config import GenerationConfig
from mlff.sampling.trajectories.copies import UNTIL_PUT_BACK, Bonds, Copies, copies_system
from mlff.support.compiling import CompilerError, compile_function
from mlff.support.errors import InputError
from mlff.support.units import NM_PER_ANGSTROM

Array = NDArray[np.float64]


class CompiledCopies:
    """Langevin dynamics of C copies of a molecule of N atoms; another :class:`mlff.sampling.trajectories.Copies`.

    Arithmetic is in single precision, the same on every run with the same processor and number of threads.

    Args:
        peptide: the molecule; its positions give the lengths of its bonds.
        number: of copies; 64 and more make the best use of a processor.
        config: conditions.

    Raises:
        InputError: the force field does not know the molecule, or it is in several pieces.
    """

    def __init__(self, peptide: Peptide, number: int, config: GenerationConfig) -> None:
        positions = peptide.positions * NM_PER_ANGSTROM
        self._bonds = Bonds(peptide.topology, positions)
        self._config = config
        self._step = _step(peptide, config)
        self._positions = torch.from_numpy(positions.T.copy()).float().unsqueeze(-1).repeat(1, 1, number)
        self._velocities = torch.zeros_like(self._positions)
        self._generator = torch.Generator()
        self._compiled: Any = None

    def prepare(self) -> None:
        """Compile, unless that is done; the first ``run`` would.

        Raises:
            InputError: there is no C++ compiler, or it fails.
        """
        if self._compiled is None:
            self._compiled = _compile(self._step, self._positions)

    def start(self, positions: Array, velocities: Array | None, seed: int) -> None:
        """Set [C,N,3] nm and nm/ps (None: thermal), and all random numbers that follow."""
        self._generator.manual_seed(seed)
        self._positions = _to_tensor(positions)
        if velocities is None:
            self._velocities = self._step.draw(self._noise(), self._positions)
        else:
            self._velocities = _to_tensor(velocities)

    def run(self, steps: int) -> Array:
        """Go on by some steps and return positions [C,N,3] in nm, the centre of every copy at the origin.

        Raises:
            RunError: the dynamics exploded.
            InputError: they cannot be compiled.
        """
        self.prepare()
        # Numbers of single precision are densest about the origin.
        most = max(1, round(1e3 * UNTIL_PUT_BACK / self._config.dynamics.time_step))
        while steps > 0:
            now = min(steps, most)
            steps -= now
            for _ in range(now):
                self._positions, self._velocities = self._compiled(self._positions, self._velocities, self._noise())
            self._positions = self._positions - self._positions.mean(dim=1, keepdim=True)
        positions = self.positions()
        self._bonds.check(positions)
        return positions

    def positions(self) -> Array:
        """[C,N,3] in nm."""
        return _to_array(self._positions)

    def velocities(self) -> Array:
        """[C,N,3] in nm/ps."""
        return _to_array(self._velocities)

    def forces(self) -> Array:
        """[C,N,3] in kJ/mol/nm."""
        return _to_array(self._step.forces(self._positions)[1])

    def _noise(self) -> Tensor:
        return torch.randn(self._positions.shape, generator=self._generator)


def side_by_side(peptide: Peptide, number: int, config: GenerationConfig) -> Copies | CompiledCopies:
    """So many copies under the conditions and on the platform of ``config``.

    Raises:
        InputError: see :class:`Copies` and :class:`CompiledCopies`.
    """
    if config.platform == "torch":
        return CompiledCopies(peptide, number, config)
    return Copies(peptide, number, config)


def _step(peptide: Peptide, config: GenerationConfig) -> LangevinStep:
    return langevin_step(
        copies_system(peptide.topology, config, cutoff=None),
        torch.from_numpy(peptide.positions * NM_PER_ANGSTROM),
        time_step=1e-3 * config.dynamics.time_step,
        temperature=config.temperature,
        friction=config.dynamics.friction,
    )


def _compile(step: LangevinStep, positions: Tensor) -> Any:
    """The step for so many copies as a function of positions, velocities and noise."""
    try:
        return compile_function(step, [positions, torch.zeros_like(positions), torch.zeros_like(positions)])
    except CompilerError as error:
        raise InputError(
            f"the dynamics cannot be compiled ({error}); the platform torch takes a C++ compiler, the platform CPU "
            "does not"
        ) from error


def _to_tensor(array: Array) -> Tensor:
    return torch.from_numpy(array).float().permute(2, 1, 0).contiguous()


def _to_array(tensor: Tensor) -> Array:
    return tensor.permute(2, 1, 0).double().numpy()
