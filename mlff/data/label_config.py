"""Names and units of labels in files."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from mlff.data.units import ENERGY, EnergyUnit, LengthUnit, StressUnit, force_factor
from mlff.graph import quantity
from mlff.support.settings import Section


class _ByQuantity(Section):
    """Fields that are not typed out are strings, and named for further quantities."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_validator(mode="after")
    def _known_quantities(self) -> Self:
        wrong = []
        for name, value in (self.model_extra or {}).items():
            try:
                quantity(name)
            except ValueError:
                wrong.append(InitErrorDetails(type="extra_forbidden", loc=(name,), input=value))
            else:
                if value is not None and not (isinstance(value, str) and value):
                    wrong.append(InitErrorDetails(type="string_type", loc=(name,), input=value))
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self


class DataKeys(_ByQuantity):
    """Names under which a file stores its labels. Further fields are names of quantities, such as ``dipole``.

    A name is looked up in the results of the frame's calculator, in `info`, in the key-value pairs and data of an ASE
    database row and in the per-atom arrays. For npz files the names of the rMD17 and MD17 layouts are tried as well.
    """

    energy: str | None = Field(default="energy", min_length=1, description="total energy; None: not read")
    forces: str | None = Field(default="forces", min_length=1, description="forces, [N,3]; None: not read")
    stress: str | None = Field(default=None, min_length=1, description="stress or virial; None: not read")

    def named(self) -> dict[str, str]:
        """Names in the file by quantity, of those that are read."""
        return {name: key for name, key in self.model_dump().items() if key is not None}


class DataUnits(_ByQuantity):
    """Units of the file. Everything is converted to those of :data:`mlff.graph.QUANTITIES` on reading."""

    energy: EnergyUnit | None = Field(default=None, description="None: eV for ASE formats; npz files must name it")
    length: LengthUnit = "A"
    forces: str | None = Field(default=None, description="<energy>/<length>; None: the units of energy and length")
    stress: StressUnit = "eV/A^3"
    stress_convention: Literal["ase", "negative", "virial"] = Field(
        default="ase",
        description="ase: (1/V) dE/dstrain; negative: its negative (as VASP prints it); "
        "virial: -dE/dstrain in the energy unit",
    )

    @field_validator("forces")
    @classmethod
    def _known_force_unit(cls, value: str | None) -> str | None:
        if value is not None:
            force_factor(value)
        return value

    @model_validator(mode="after")
    def _known_units(self) -> DataUnits:
        for name in self.model_extra or {}:
            self.factor(name)
        return self

    def factor(self, name: str) -> float:
        """What values of a quantity are multiplied by; the stress has conventions of its own."""
        if name == "energy":
            return ENERGY[self.energy or "eV"]
        if name == "forces":
            return force_factor(self.forces or f"{self.energy or 'eV'}/{self.length}")
        return quantity(name).factor((self.model_extra or {}).get(name))
