"""What the file of a potential says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from ase.data import chemical_symbols
from pydantic import AfterValidator, Field, model_validator

from mlff.artifacts.metadata import Metadata
from mlff.graph import QUANTITIES, describe_neighbors
from mlff.graph.quantities import QuantityName
from mlff.potential.artifact.uncertainty import UncertaintyRecord
from mlff.potential.domain import Domain

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "length": "angstrom",
        "energy": "eV",
        "forces": "eV/angstrom",
        "stress": "eV/angstrom^3",
        "mass": "amu",
        "time": "fs",
    }
)

UNKNOWN_DOMAIN = "not recorded: the file does not know what it was trained on, and nothing is said of what lies outside"


def _check_species(species: tuple[int, ...]) -> tuple[int, ...]:
    if not species:
        raise ValueError("a model must know at least one element")
    if len(set(species)) != len(species):
        raise ValueError("an element is listed twice")
    wrong = [z for z in species if not 1 <= z < len(chemical_symbols)]
    if wrong:
        raise ValueError(f"not atomic numbers: {wrong}")
    return species


class ArtifactMetadata(Metadata):
    """Metadata of a potential, schema version 1; further fields are those of every file.

    Attributes:
        kind: ``potential``.
        units: unit of each quantity: ``UNITS``, and those of further outputs.
        cutoff: in Å; the graphs given to the model must hold all pairs closer than this.
        max_neighbors: nearest neighbours that are kept of each atom, or None for all.
        max_neighbors_strict: not one more; False: see :func:`mlff.graph.neighbor_list`.
        species: atomic numbers that the model knows.
        conservative: forces are the exact derivative of the energy.
        outputs: what the model can compute, names of :data:`mlff.graph.QUANTITIES`.
        receptive_field: Å; the energy of an atom depends on no atom farther away. None: not recorded.
        domain: what the model was trained on; None in files that do not know.
        uncertainty: how the standard deviations were made that the program computes on request; None: it has none.
    """

    kind: Literal["potential"] = "potential"
    units: dict[str, str] = Field(default_factory=lambda: dict(UNITS))
    cutoff: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    max_neighbors: Annotated[int, Field(ge=1)] | None = None
    max_neighbors_strict: bool = True
    species: Annotated[tuple[int, ...], AfterValidator(_check_species)]
    conservative: bool
    outputs: tuple[QuantityName, ...]
    receptive_field: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    domain: Domain | None = None
    uncertainty: UncertaintyRecord | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_lag_time(cls, fields: Any) -> Any:
        # Files written before there were jump models have this field, which is null in all of them.
        if isinstance(fields, dict) and fields.get("lag_time", 0.0) is None:
            return {name: value for name, value in fields.items() if name != "lag_time"}
        return fields

    @model_validator(mode="after")
    def _check_outputs(self) -> ArtifactMetadata:
        if len(set(self.outputs)) != len(self.outputs):
            raise ValueError("an output is listed twice")
        if "stress" in self.outputs and not self.conservative:
            raise ValueError("a stress needs conservative forces")
        for name in ("species", "cutoff"):
            value = getattr(self, name)
            built = self.architecture.get(name, value)
            if (tuple(built) if isinstance(built, list) else built) != value:
                raise ValueError(f"{name} is {value}, and the network was built for {built}")
        return self

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbols of ``species``."""
        return tuple(chemical_symbols[z] for z in self.species)

    @property
    def scope(self) -> str:
        """The elements."""
        return " ".join(self.symbols)

    @property
    def accuracy(self) -> str:
        """Mean absolute error of the forces on the test frames of its training."""
        error = self._errors.get("forces_mae")
        return "" if error is None else f"force MAE {1e3 * error:.1f} meV/Å"

    def facts(self) -> dict[str, str]:
        """Lines of ``mlff inspect``."""
        return {
            "elements": self.scope,
            "cutoff": f"{self.cutoff:g} Å, {describe_neighbors(self.max_neighbors, self.max_neighbors_strict)}",
            "receptive field": "" if self.receptive_field is None else f"{self.receptive_field:g} Å",
            "forces": self._forces,
            "outputs": ", ".join(self.outputs),
            "uncertainty": "" if self.uncertainty is None else self.uncertainty.in_words(),
            "test errors": ", ".join(errors_in_words(self._errors)),
            "domain": UNKNOWN_DOMAIN if self.domain is None else self.domain.facts(),
        }

    @property
    def sigmas(self) -> tuple[str, ...]:
        """Names of the standard deviations that the program computes on request."""
        return () if self.uncertainty is None else self.uncertainty.outputs

    @property
    def _forces(self) -> str:
        if "forces" not in self.outputs:
            return "none"
        return "conservative (gradient of the energy)" if self.conservative else "direct"

    @property
    def _errors(self) -> dict[str, float]:
        return (self.extra.get("test") or {}).get("errors") or {}


def errors_in_words(errors: Mapping[str, float]) -> list[str]:
    """``force MAE 12.9 meV/Å`` and so on, for each quantity that has an error."""
    words = []
    for row in QUANTITIES.values():
        if f"{row.error_key}_mae" in errors:
            factor, unit = row.error_unit
            words.append(f"{row.title} MAE {factor * errors[f'{row.error_key}_mae']:.{row.decimals}f} {unit}")
    return words
