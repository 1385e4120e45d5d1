"""Structures with their outputs that travel in the file of a potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import ase
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.self_test import Outputs, Program, SelfTest
from mlff.artifacts.self_test import strided as spread_out
from mlff.artifacts.torchscript import plain_execution
from mlff.graph import AtomicGraph
from mlff.potential.artifact.claims import Claims
from mlff.potential.artifact.evaluation import deviations, has_stress, make_graph, of_output, run_model
from mlff.potential.artifact.metadata import ArtifactMetadata
from mlff.support.settings import describe

Row = tuple[float, float, float]
EXAMPLE = "frame"  # begins the names of structures that the caller gave
_SMALL = 5  # atoms: the uncertainty of forces, slow to compute, is tested on such structures only
_FORMER = ("energy", "energies", "forces", "stress")  # of files before outputs were a mapping, stress possibly null


class SelfTestFrame(BaseModel):
    """A structure (Å) and its float64 outputs by name, in the units of :data:`mlff.graph.QUANTITIES`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    numbers: Annotated[list[int], Field(min_length=1)]
    positions: list[Row]
    cell: tuple[Row, Row, Row]
    pbc: tuple[bool, bool, bool]
    results: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _collect(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or "results" in fields:
            return fields
        results = {name: fields[name] for name in _FORMER if fields.get(name) is not None}
        return {name: value for name, value in fields.items() if name not in _FORMER} | {"results": results}

    @model_validator(mode="after")
    def _check_shapes(self) -> SelfTestFrame:
        if len(self.positions) != len(self.numbers):
            raise ValueError("numbers and positions must have one entry per atom")
        if not self.results or ("energy" in self.results) != ("energies" in self.results):
            raise ValueError("outputs are missing: energy and energies come together, or properties alone")
        for name, value in self.results.items():
            row = of_output(name)
            expected = (len(self.numbers), *row.shape) if row.per == "atom" else row.shape
            array = np.asarray(value)
            if array.dtype.kind not in "if" or array.shape != expected or not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite numbers of shape {list(expected)}")
        return self

    @property
    def atoms(self) -> ase.Atoms:
        """The structure."""
        return ase.Atoms(numbers=self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)

    @property
    def outputs(self) -> Outputs:
        """The expected outputs, float64 on the CPU, with the shapes that a model returns."""
        tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.results.items()}
        return {name: x if of_output(name).per == "atom" else x[None] for name, x in tensors.items()}


@dataclass(frozen=True)
class FrameCase:
    """A frame with what the model needs to take it; see :class:`mlff.artifacts.Case`."""

    frame: SelfTestFrame
    isolated: Tensor
    metadata: ArtifactMetadata

    @property
    def name(self) -> str:
        """Of the frame."""
        return self.frame.name

    def run(
        self, program: Program, dtype: torch.dtype, device: torch.device | str = "cpu", *, strided: bool = False
    ) -> Outputs:
        """Outputs of a potential."""
        graph = make_graph(self.frame.atoms, self.metadata, dtype)
        graph = scattered(graph) if strided else graph
        return run_model(
            program,
            graph.to(device=device),
            stress="stress" in self.frame.results,
            sigmas=[name for name in self.metadata.sigmas if name in self.frame.results],
        )

    def deviations(self, outputs: Outputs, reference: Outputs | None = None) -> dict[str, float]:
        """Of every output."""
        return deviations(self.frame.outputs if reference is None else reference, outputs, self.isolated)


class PotentialSelfTest(SelfTest):
    """Frames, energies of isolated atoms (eV, by atomic number) and the tolerance of each dtype."""

    frames: Annotated[list[SelfTestFrame], Field(min_length=1)]
    isolated_energies: dict[int, float]

    @property
    def examples(self) -> list[ase.Atoms]:
        """The structures that whoever exported the model gave."""
        return [frame.atoms for frame in self.frames if frame.name.startswith(EXAMPLE)]

    @model_validator(mode="after")
    def _check_references(self) -> PotentialSelfTest:
        missing = {z for frame in self.frames for z in frame.numbers} - set(self.isolated_energies)
        if missing:
            raise ValueError(f"no isolated energies for atomic numbers {sorted(missing)}")
        return self

    def entries(self, metadata: ArtifactMetadata) -> list[FrameCase]:
        """The frames."""
        return [FrameCase(frame, self._isolated(frame), metadata) for frame in self.frames]

    def check_metadata(
        self, metadata: ArtifactMetadata, program: Program, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Elements, cutoff, outputs and whether forces are derivatives; see :mod:`mlff.potential.artifact.claims`."""
        for frame in self.frames:
            outputs = [name for name in frame.results if name not in metadata.sigmas]
            if {*outputs, "stress"} != {*metadata.outputs, "stress"}:
                raise ValueError(f"{frame.name!r} has the outputs {outputs}, not {list(metadata.outputs)}")
        tolerance = self.tolerances[str(dtype).removeprefix("torch.")]
        claims = Claims(metadata, self.isolated_energies, program, dtype, device, tolerance)
        with plain_execution(device):
            claims.check_species()
            claims.check_cutoff([frame.atoms for frame in self.frames])
            claims.check_conservative([(frame.atoms, frame.outputs) for frame in self.frames])

    def _isolated(self, frame: SelfTestFrame) -> Tensor:
        return torch.tensor([self.isolated_energies[z] for z in frame.numbers], dtype=torch.float64)


def make_self_test(
    model: Program, metadata: ArtifactMetadata, frames: Sequence[tuple[str, ase.Atoms]]
) -> PotentialSelfTest:
    """Compute the outputs of named frames with the eager float64 ``model`` (CPU).

    Raises:
        ArtifactError: an output that is not finite or missing; the message names the frame.
    """
    done = []
    for name, atoms in frames:
        try:
            stress = has_stress(atoms, metadata)
            sigmas = metadata.sigmas
            if len(atoms) > _SMALL:
                sigmas = tuple(name for name in sigmas if of_output(name).gradient_of is None)
            outputs = run_model(model, make_graph(atoms, metadata, torch.float64), stress=stress, sigmas=sigmas)
            names = [*metadata.outputs, *sigmas]
            results = {output: outputs[output] for output in names if output != "stress" or stress}
            structure = {"numbers": atoms.numbers, "positions": atoms.positions, "cell": atoms.cell, "pbc": atoms.pbc}
            content = {key: np.asarray(value).tolist() for key, value in structure.items()}
            content["results"] = {
                output: (value if of_output(output).per == "atom" else value[0]).tolist()
                for output, value in results.items()
            }
            done.append(SelfTestFrame(name=name, **content))
        except RuntimeError as error:
            raise ArtifactError(f"self-test frame {name!r}: the model cannot compute it: {error}") from error
        except KeyError as error:
            raise ArtifactError(f"self-test frame {name!r}: the model returns no output {error}") from error
        except ValidationError as error:
            raise ArtifactError(
                f"self-test frame {name!r}: the model gives wrong outputs: {describe(error)}"
            ) from error
    return PotentialSelfTest(frames=done, isolated_energies=isolated_energies(model, metadata))


def isolated_energies(model: Program, metadata: ArtifactMetadata) -> dict[int, float]:
    """Energy of one atom alone in eV, by atomic number, of all elements of a float64 ``model`` (CPU)."""
    energies = {}
    for z in metadata.species:
        graph = make_graph(ase.Atoms(numbers=[z], positions=[[0.0, 0.0, 0.0]]), metadata, torch.float64)
        energies[z] = float(run_model(model, graph, forces=False)["energies"])
    return energies


def scattered(graph: AtomicGraph) -> AtomicGraph:
    """The same graph with tensors that are not contiguous in memory, as they come out of slices and transposes."""

    def transposed(x: Tensor) -> Tensor:
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)

    matrices = ("positions", "cell", "edge_index", "shifts")
    changes = {name: transposed(getattr(graph, name)) for name in matrices}
    return graph.replace(numbers=spread_out(graph.numbers), batch=spread_out(graph.batch), **changes)
