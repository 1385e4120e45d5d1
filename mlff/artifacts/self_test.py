"""Structures with their outputs that travel in a model file, so that every installation can check what it computes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import ase
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.evaluation import Model, Outputs, deviations, run_model
from mlff.artifacts.metadata import ArtifactMetadata, describe
from mlff.graph import AtomicGraph, graph_from_atoms, spans_volume

_log = logging.getLogger(__name__)

Row = tuple[float, float, float]
DTYPES = {"float32": torch.float32, "float64": torch.float64}
# float64 results differ between machines by the order of sums only.
TOLERANCE_FLOAT64 = 1e-8
SMALLEST_TOLERANCE_FLOAT32 = 1e-4
_SUSPICIOUS_FLOAT32 = 1e-2


class SelfTestFrame(BaseModel):
    """A structure (A) and its float64 outputs (eV, eV/A, eV/A^3)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    numbers: Annotated[list[int], Field(min_length=1)]
    positions: list[Row]
    cell: tuple[Row, Row, Row]
    pbc: tuple[bool, bool, bool]
    energy: float
    energies: list[float]
    forces: list[Row]
    stress: tuple[Row, Row, Row] | None = None

    @model_validator(mode="after")
    def _check_lengths(self) -> SelfTestFrame:
        lengths = {len(self.numbers), len(self.positions), len(self.energies), len(self.forces)}
        if len(lengths) > 1:
            raise ValueError("numbers, positions, energies and forces must have one entry per atom")
        return self

    @property
    def atoms(self) -> ase.Atoms:
        """The structure."""
        return ase.Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)

    @property
    def outputs(self) -> Outputs:
        """The expected outputs, float64 on the CPU, with the shapes that a model returns."""
        outputs: dict[str, Any] = {"energy": [self.energy], "energies": self.energies, "forces": self.forces}
        if self.stress is not None:
            outputs["stress"] = [self.stress]
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in outputs.items()}


class SelfTest(BaseModel):
    """Frames, energies of isolated atoms (eV, by atomic number) and the tolerance of each dtype."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    frames: Annotated[list[SelfTestFrame], Field(min_length=1)]
    isolated_energies: dict[int, float]
    tolerances: dict[str, Annotated[float, Field(gt=0.0)]]

    @model_validator(mode="after")
    def _check_references(self) -> SelfTest:
        missing = {z for frame in self.frames for z in frame.numbers} - set(self.isolated_energies)
        if missing:
            raise ValueError(f"no isolated energies for atomic numbers {sorted(missing)}")
        if set(self.tolerances) != set(DTYPES):
            raise ValueError(f"tolerances must be given for {list(DTYPES)}")
        return self

    def isolated(self, frame: SelfTestFrame) -> Tensor:
        """[N] float64, energies of the isolated atoms of a frame."""
        return torch.tensor([self.isolated_energies[z] for z in frame.numbers], dtype=torch.float64)


@dataclass(frozen=True)
class SelfTestReport:
    """Outcome of a passed self-test: the largest relative deviation of each output, and the tolerance they met."""

    frames: int
    deviations: dict[str, float]
    tolerance: float
    dtype: torch.dtype
    device: torch.device


def make_self_test(model: Model, metadata: ArtifactMetadata, frames: Sequence[tuple[str, ase.Atoms]]) -> SelfTest:
    """Compute the outputs of named frames with the eager float64 ``model`` (CPU).

    Raises:
        ArtifactError: if an output is not finite or missing; the message names the frame.
    """
    done = []
    for name, atoms in frames:
        stress = has_stress(atoms, metadata)
        try:
            outputs = run_model(model, make_graph(atoms, metadata, torch.float64), stress=stress)
            done.append(
                SelfTestFrame(
                    name=name,
                    numbers=atoms.numbers.tolist(),
                    positions=atoms.positions.tolist(),
                    cell=atoms.cell.array.tolist(),
                    pbc=atoms.pbc.tolist(),
                    energy=outputs["energy"].item(),
                    energies=outputs["energies"].tolist(),
                    forces=outputs["forces"].tolist(),
                    stress=outputs["stress"][0].tolist() if stress else None,  # type: ignore[arg-type]
                )
            )
        except RuntimeError as error:
            raise ArtifactError(f"self-test frame {name!r}: the model cannot compute it: {error}") from error
        except KeyError as error:
            raise ArtifactError(f"self-test frame {name!r}: the model returns no output {error}") from error
        except ValidationError as error:
            raise ArtifactError(
                f"self-test frame {name!r}: the model gives wrong outputs: {describe(error)}"
            ) from error
    tolerances = {"float64": TOLERANCE_FLOAT64, "float32": SMALLEST_TOLERANCE_FLOAT32}
    return SelfTest(frames=done, isolated_energies=isolated_energies(model, metadata), tolerances=tolerances)


def isolated_energies(model: Model, metadata: ArtifactMetadata) -> dict[int, float]:
    """Energy of one atom alone in eV, by atomic number, of all elements of a float64 ``model`` (CPU)."""
    energies = {}
    for z in metadata.species:
        graph = make_graph(ase.Atoms(numbers=[z], positions=[[0.0, 0.0, 0.0]]), metadata, torch.float64)
        energies[z] = float(run_model(model, graph, forces=False)["energies"])
    return energies


def with_float32_tolerance(test: SelfTest, model: Model, metadata: ArtifactMetadata) -> SelfTest:
    """The test with the float32 tolerance set to ten times what the float32 ``model`` (CPU) is measured to deviate."""
    worst = max(worst_deviations(test, model, metadata, torch.float32)[0].values())
    if not np.isfinite(worst):
        raise ArtifactError(
            "the model gives values that are not finite in float32, on structures where float64 is finite"
        )
    if worst > _SUSPICIOUS_FLOAT32:
        _log.warning("float32 deviates from float64 by %.1e of the size of an output; use this model in float64", worst)
    tolerance = max(SMALLEST_TOLERANCE_FLOAT32, 10.0 * worst)
    return test.model_copy(update={"tolerances": {**test.tolerances, "float32": tolerance}})


def run_self_test(
    test: SelfTest, model: Model, metadata: ArtifactMetadata, dtype: torch.dtype, device: torch.device, where: str
) -> SelfTestReport:
    """Compare ``model`` with the stored outputs.

    Every frame is computed twice, because TorchScript optimizes a graph after it has seen it once.

    Raises:
        ArtifactError: a deviation beyond the tolerance of the dtype; ``where`` names the file in the message.
    """
    tolerance = test.tolerances[str(dtype).removeprefix("torch.")]
    for _ in range(2):
        worst, culprits = worst_deviations(test, model, metadata, dtype, device)
        name = max(worst, key=worst.__getitem__)
        if not worst[name] <= tolerance:
            raise ArtifactError(
                f"{where}: self-test failed: {name} of frame {culprits[name]!r} deviates by {worst[name]:.1e} of its "
                f"size (tolerance {tolerance:.0e}) with {dtype} on {device}, torch {torch.__version__}; the file was "
                f"written with torch {metadata.versions.get('torch', 'unknown')}. Do not use this combination; float64 "
                "on the CPU is safest"
            )
    return SelfTestReport(len(test.frames), worst, tolerance, dtype, device)


def worst_deviations(
    test: SelfTest, model: Model, metadata: ArtifactMetadata, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> tuple[dict[str, float], dict[str, str]]:
    """Largest relative deviation of each output over all frames, and the name of the frame where it occurs."""
    worst: dict[str, float] = {}
    culprits: dict[str, str] = {}
    for frame in test.frames:
        graph = make_graph(frame.atoms, metadata, dtype).to(device=device)
        outputs = run_model(model, graph, stress=frame.stress is not None)
        for name, value in deviations(frame.outputs, outputs, test.isolated(frame)).items():
            if name not in worst or value > worst[name]:
                worst[name], culprits[name] = value, frame.name
    return worst, culprits


def make_graph(atoms: ase.Atoms, metadata: ArtifactMetadata, dtype: torch.dtype) -> AtomicGraph:
    """The graph that the model expects of a structure, on the CPU."""
    return graph_from_atoms(
        atoms,
        metadata.cutoff,
        max_neighbors=metadata.max_neighbors,
        max_neighbors_strict=metadata.max_neighbors_strict,
        dtype=dtype,
    )


def has_stress(atoms: ase.Atoms, metadata: ArtifactMetadata) -> bool:
    """Whether the model can compute a stress of this structure."""
    return "stress" in metadata.outputs and bool(atoms.pbc.any()) and spans_volume(atoms.cell.array)


def parse_self_test(text: str, where: str) -> SelfTest:
    """Self-test from the JSON of a model file.

    Raises:
        ArtifactError: wrong or missing fields; ``where`` names the file in the message.
    """
    try:
        return SelfTest.model_validate_json(text)
    except ValidationError as error:
        raise ArtifactError(f"{where}: wrong self_test.json: {describe(error)}") from error
