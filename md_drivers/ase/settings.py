"""What a relaxation is asked to do. Imports neither torch nor ASE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from md_drivers.common.checks import check_choice, check_count, check_limit, check_skin, is_finite
from mlff.potential.inputs import check_ignore

if TYPE_CHECKING:
    import torch

    from md_drivers.ase.selection import FixSpec

OptimizerName = Literal["FIRE", "BFGS", "LBFGS"]
CellFilterName = Literal["unit", "exp", "frechet"]


@dataclass(frozen=True)
class RelaxSettings:
    """How structures are relaxed; a resumed relaxation keeps cell, cell_mask, hydrostatic, pressure and fix.

    Attributes:
        fmax: converged when no atom has a force above this, eV/A; with ``cell`` the same threshold holds for the
            generalized forces on the cell (ASE's cell filters).
        optimizer: ``FIRE``, ``BFGS`` or ``LBFGS``, of ASE, in any case.
        cell: relax the cell too, along its periodic directions, with ASE's ``unit``, ``exp`` or ``frechet`` filter (the
            latter is best).
        cell_mask: six bools, which strain components xx yy zz yz xz xy may change; default all.
        hydrostatic: change only the volume of the cell.
        pressure: external pressure in eV/A^3 for a cell relaxation.
        fix: further atoms to fix: a selection such as ``"layers:2"`` or ``"symbol:Cu & z<5"`` (see
            ``md_drivers.ase.selection``), several of them, atom numbers, or a mask.
        dtype: of the model, as in ``MLFFCalculator``.
        skin: of the neighbour list in A, as in ``MLFFCalculator``.
        strict, ignore: as in ``MLFFCalculator``.
        batch: structures that are relaxed side by side, their forces computed together; results are those of one after
            the other.
        uncertainty: compute that of the forces at every step, which takes about seven times as long.
        stop_above: give a structure up where the uncertainty of its forces (root mean square over components) is above
            this, eV/A; implies ``uncertainty``.

    Raises:
        ValueError: naming the setting that has no meaning.
    """

    fmax: float = 0.05
    optimizer: str = "FIRE"
    cell: str | None = None
    cell_mask: Sequence[bool] | None = None
    hydrostatic: bool = False
    pressure: float = 0.0
    fix: FixSpec | None = None
    dtype: str | torch.dtype | None = None
    skin: float = 0.5
    strict: bool = False
    ignore: Sequence[str] = ()
    batch: int = 1
    uncertainty: bool = False
    stop_above: float | None = None

    def __post_init__(self) -> None:
        if not (is_finite(self.fmax) and self.fmax > 0):
            raise ValueError(f"fmax must be a positive force in eV/A, got {self.fmax!r}")
        if not isinstance(self.optimizer, str) or self.optimizer.upper() not in get_args(OptimizerName):
            check_choice("optimizer", self.optimizer, get_args(OptimizerName))
        if self.cell is not None:
            check_choice("cell", self.cell, get_args(CellFilterName))
        if not is_finite(self.pressure):
            raise ValueError(f"pressure must be a finite number in eV/A^3, got {self.pressure!r}")
        if self.cell is None and (self.cell_mask is not None or self.hydrostatic or self.pressure != 0.0):
            raise ValueError("cell_mask, hydrostatic and pressure need a cell relaxation: give cell='frechet'")
        if self.cell_mask is not None and np.shape(self.cell_mask) != (6,):
            raise ValueError(f"cell_mask needs six entries, xx yy zz yz xz xy, got {self.cell_mask!r}")
        check_skin(self.skin)
        check_count("batch", self.batch, least=1)
        check_ignore(self.ignore)
        check_limit(self.stop_above)

    @property
    def watched(self) -> bool:
        """Whether every step has the uncertainty of its forces."""
        return self.uncertainty or self.stop_above is not None

    def changed(self, values: Sequence[Any]) -> RelaxSettings:
        """With other values, one for each of the first settings above; ``None`` leaves a setting as it is."""
        names = [field.name for field in fields(self)]
        return replace(self, **{name: x for name, x in zip(names, values, strict=False) if x is not None})

    def as_dict(self) -> dict[str, Any]:
        """The settings as JSON holds them."""
        plain: dict[str, Any] = {"fmax": float(self.fmax), "pressure": float(self.pressure), "skin": float(self.skin)}
        plain["cell_mask"] = None if self.cell_mask is None else [bool(entry) for entry in self.cell_mask]
        plain["ignore"] = list(self.ignore)
        plain["fix"] = None if self.fix is None else np.asarray(self.fix).tolist()
        return {**asdict(self), **plain, "dtype": None if self.dtype is None else str(self.dtype)}
