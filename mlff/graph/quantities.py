"""The quantities that structures have: one row each, over which readers, losses, reports, files and drivers iterate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from keyword import iskeyword
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

from ase import units
from pydantic import AfterValidator

from mlff.support.errors import unknown

if TYPE_CHECKING:
    from torch import Tensor


# Names of the tensors of a graph and of the keys of `data.units`, beside which labels stand.
_TAKEN = {"positions", "numbers", "cell", "pbc", "edge_index", "shifts", "batch", "fixed", "partly_fixed"}
_TAKEN |= {"length", "stress_convention"}
# What torch's ModuleDict has, which holds the read-outs by name; written out because torch is not imported here.
_OF_MODULES = """
T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches eval
extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu items keys load_state_dict
modules mtia named_buffers named_children named_modules named_parameters parameters pop register_backward_hook
register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
set_submodule share_memory state_dict to to_empty train training type update values xpu zero_grad
"""
# Beside which outputs and losses stand: those of modules and of DeNS.
_TAKEN_IN_MODELS = {*_OF_MODULES.split(), "noise", "dens"}


@dataclass(frozen=True)
class Quantity:
    """A physical quantity of a structure or of each of its atoms.

    Values are Cartesian up to rank two: ``0e`` scalar, ``1o`` and ``1e`` vectors [3], ``2e`` traceless and ``0e+2e``
    symmetric matrices [3, 3]; higher degrees are rows of 2l + 1 components in the order of :mod:`mlff.irreps`.

    Attributes:
        name: key of labels, outputs and results.
        per: what has a value each.
        irreps: how a value turns under rotations and reflections.
        unit: at every public border.
        ase: property of ASE's calculators that it is, if any.
        extensive: values of structures that do not interact add up.
        gradient_of: quantity of which it is a derivative, as forces and stress are of the energy.
        head: ``module:class`` of the read-out; None: the general one for its irreps.
        periodic: it means something for periodic structures, too.
        origin: point that values of models refer to, where those of charged structures depend on it: ``centre of
            mass``. Files and results of ASE refer to the origin of the coordinates, see :mod:`mlff.graph.origin`.
        label: words for tables and axes.
        per_atom: compared, in losses and errors, divided by the number of atoms.
        milli: errors are shown in thousandths of the unit.
        decimals: of errors as they are shown.
        smallest: deviations between two evaluations count relative to the value, but never to less than this, in the
            unit: below it sums over bonds cancel, and rounding errors follow the bonds.
        factors: value of one of each unit that files may use.
    """

    name: str
    per: Literal["structure", "atom"]
    irreps: str
    unit: str
    ase: str | None = None
    extensive: bool = False
    gradient_of: str | None = None
    head: str | None = None
    periodic: bool = True
    origin: Literal["centre of mass"] | None = None
    label: str = ""
    per_atom: bool = False
    milli: bool = True
    decimals: int = 1
    smallest: float = 1.0
    factors: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or iskeyword(self.name) or self.name.startswith("_"):
            raise ValueError(f"the name of a quantity is an identifier without a leading underscore, got {self.name!r}")
        if self.name in _TAKEN:
            raise ValueError(f"no quantity can be called {self.name}, which is an entry of graphs or of configurations")
        self.degrees  # noqa: B018  # refuses irreps that are none
        if self.origin is not None:
            if (self.per, self.irreps, self.periodic) != ("structure", "1o", False):
                raise ValueError(f"{self.name}: only vectors (1o) of structures that are not periodic have an origin")
            self.factor("e·Å")  # the unit of a charge times its arm

    @property
    def degrees(self) -> tuple[int, ...]:
        """The degrees l of the irreps, in order.

        Raises:
            ValueError: irreps that are not written like ``0e+2e``.
        """
        parts = [re.fullmatch(r"(\d+)[eo]", part) for part in self.irreps.split("+")]
        if not all(parts):
            raise ValueError(f"{self.name}: irreps are written like 1o or 0e+2e, got {self.irreps!r}")
        return tuple(int(part[1]) for part in parts if part)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one value."""
        if self.degrees in ((0,), (1,)):
            return () if self.degrees == (0,) else (3,)
        if self.degrees in ((2,), (0, 2)):
            return (3, 3)
        return (sum(2 * degree + 1 for degree in self.degrees),)

    @property
    def title(self) -> str:
        """Words for tables and axes."""
        return self.label or self.name.replace("_", " ")

    @property
    def error_key(self) -> str:
        """Name of its errors in tables and records, before ``_mae`` and ``_rmse``."""
        return f"{self.name}_per_atom" if self.per_atom else self.name

    @property
    def compared_unit(self) -> str:
        """Unit of what losses and errors compare."""
        return f"{self.unit}/atom" if self.per_atom else self.unit

    @property
    def error_unit(self) -> tuple[float, str]:
        """Factor and unit in which errors are shown."""
        return (1e3, f"m{self.compared_unit}") if self.milli else (1.0, self.compared_unit)

    def factor(self, unit: str | None) -> float:
        """Value of one ``unit`` of a file; None and the own unit are 1.

        Raises:
            ValueError: another unit; the message lists those there are.
        """
        known = {self.unit: 1.0, **self.factors}
        if unit is not None and unit not in known:
            raise ValueError(unknown(f"unit of {self.title}", unit, known))
        return 1.0 if unit is None else known[unit]

    def transformed(self, value: Tensor, matrix: Tensor) -> Tensor:
        """Values `[..., *shape]` of structures that an orthogonal matrix [3, 3] has rotated or reflected.

        Raises:
            ValueError: degrees above two, whose components have no Cartesian rule.
        """
        matrix = matrix.to(value)
        if max(self.degrees) > 2:
            raise ValueError(f"{self.name}: no Cartesian rule for {self.irreps}")
        if self.shape == (3, 3):
            return matrix @ value @ matrix.T
        if self.shape == (3,):
            turned = value @ matrix.T
            return turned * matrix.det() if "e" in self.irreps else turned
        return value * matrix.det() if "o" in self.irreps else value


_rows = {
    row.name: row
    for row in (
        Quantity("energy", "structure", "0e", "eV", ase="energy", extensive=True, per_atom=True, decimals=2),
        Quantity("energies", "atom", "0e", "eV", ase="energies"),
        Quantity("forces", "atom", "1o", "eV/Å", ase="forces", gradient_of="energy", label="force"),
        Quantity("stress", "structure", "0e+2e", "eV/Å³", ase="stress", gradient_of="energy", smallest=0.1, decimals=2),
        Quantity(
            *("dipole", "structure", "1o", "e·Å"),
            ase="dipole",
            extensive=True,
            head="mlff.heads.dipole:DipoleHead",
            origin="centre of mass",
            label="dipole moment",
            periodic=False,
            factors={"Debye": units.Debye, "e*Bohr": units.Bohr},
        ),
    )
}
#: All quantities by name; :func:`register` adds to them.
QUANTITIES: Mapping[str, Quantity] = MappingProxyType(_rows)


def register(row: Quantity) -> None:
    """Add a quantity for this process.

    Raises:
        ValueError: another quantity has that name, or a model something else.
    """
    if row.name in _TAKEN_IN_MODELS:
        raise ValueError(
            f"no quantity can be called {row.name}, which outputs of DeNS or attributes of torch's modules are called"
        )
    if _rows.setdefault(row.name, row) != row:
        raise ValueError(f"there is a quantity {row.name!r} already")


def quantity(name: str) -> Quantity:
    """The quantity of that name, also from the entry points ``mlff.quantities`` of other distributions.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in _rows:
        for entry in entry_points(group="mlff.quantities", name=name):
            register(entry.load())
    if name not in _rows:
        raise ValueError(unknown("quantity", name, _rows))
    return _rows[name]


#: In configurations and records: refused where there is no such quantity.
QuantityName = Annotated[str, AfterValidator(lambda name: quantity(name).name)]
