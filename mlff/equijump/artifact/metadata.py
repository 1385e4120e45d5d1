"""What the file of a jump model says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mlff.artifacts.metadata import Metadata
from mlff.proteins.geometry import GeometryReference
from mlff.proteins.residues import RESIDUE_NAMES

UNITS: Mapping[str, str] = MappingProxyType({"length": "angstrom", "time": "ps"})
_MOST_SEQUENCES = 8


def _check_lag_times(lags: tuple[float, ...]) -> tuple[float, ...]:
    if not lags or not all(0.0 < lag < float("inf") for lag in lags) or list(lags) != sorted(set(lags)):
        raise ValueError(f"lag times must be positive, different and in ascending order, got {list(lags)}")
    return lags


def _check_residues(residues: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in residues if not name or name not in RESIDUE_NAMES]
    if unknown:
        raise ValueError(f"unknown residues {unknown}; there are {', '.join(RESIDUE_NAMES[1:])}")
    return residues


class JumpMetadata(Metadata):
    """Metadata of a jump model, schema version 1; further fields are those of every file.

    Attributes:
        kind: ``jump``.
        units: unit of each quantity, always ``UNITS``.
        lag_times: ps, that the model was trained for, in ascending order.
        steps: latent steps of a jump unless the caller asks for others.
        transport: name of the transport.
        residues: three-letter names of the residues in the training data; empty where this is not known.
        sequences: molecules in the training data, residues joined by ``-`` and chains by ``/``.
        conditions: of the simulations that it imitates, one mapping for each different set of them: force field,
            solvent, temperature (K), friction (1/ps), time step (fs) ..., as far as they are known.
        geometry: mean bond lengths and angles of the training data, by which frames are judged.
        invalid_share: share of the training frames that are invalid by it; None where this is not known.
    """

    kind: Literal["jump"] = "jump"
    units: dict[str, str] = Field(default_factory=lambda: dict(UNITS))
    lag_times: Annotated[tuple[float, ...], AfterValidator(_check_lag_times)]
    steps: Annotated[int, Field(ge=1)]
    transport: str
    residues: Annotated[tuple[str, ...], AfterValidator(_check_residues)] = ()
    sequences: tuple[str, ...] = ()
    conditions: tuple[dict[str, str | float], ...] = ()
    geometry: GeometryReference | None = None
    invalid_share: Annotated[float, Field(ge=0, le=1)] | None = None

    @property
    def lags_in_words(self) -> str:
        """``10, 50 ps``."""
        return ", ".join(f"{lag:g}" for lag in self.lag_times) + " ps"

    @property
    def scope(self) -> str:
        """The residues."""
        return " ".join(self.residues) or "residues not known"

    @property
    def accuracy(self) -> str:
        """Lowest validation loss, in units of the noise."""
        loss = (self.extra.get("best_validation") or {}).get("val_loss")
        return "" if loss is None else f"validation loss {loss:.3f}"

    def facts(self) -> dict[str, str]:
        """Lines of ``mlff inspect``."""
        more = len(self.sequences) - _MOST_SEQUENCES
        geometry = self.geometry
        return {
            "lag times": self.lags_in_words,
            "jump": f"{self.transport}, {self.steps} latent steps",
            "residues": ", ".join(self.residues) or "not known",
            "sequences": ", ".join(self.sequences[:_MOST_SEQUENCES]) + (f" and {more} more" if more > 0 else ""),
            "imitates": "; ".join(
                ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry.items())
                for entry in self.conditions
            ),
            "geometry": "no reference for bonds and angles"
            if geometry is None
            else f"reference for {len(geometry.bonds)} bonds and {len(geometry.angles)} angles",
            "invalid frames": "share of the training data not known"
            if self.invalid_share is None
            else f"{100 * self.invalid_share:.2f} % of the training data",
        }
