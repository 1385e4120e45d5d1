"""Jumps with their outcome that travel in the file of a jump model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.self_test import Outputs, SelfTest
from mlff.artifacts.self_test import strided as spread_out
from mlff.equijump.artifact.cases import Given
from mlff.proteins import TensorCloud

#: ``forward`` of :class:`mlff.equijump.model.JumpModel`.
Jump = Callable[..., Tensor]

#: Å; a deviation counts relative to the largest displacement, but never to less than this.
SMALLEST_SCALE = 1.0
OUTPUT = "coordinates"


class JumpCase(BaseModel):
    """One call of the model: B clouds of N residues, padded, with the noise and the float64 outcome. Å and ps.

    See :class:`mlff.artifacts.Case`; its only output is ``coordinates``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    coordinates: list[Any]  # [B,N,3,C]
    residues: list[list[int]]  # [B,N]
    atom_mask: list[list[list[bool]]]  # [B,N,C]
    chains: list[list[int]]  # [B,N]
    lag: Annotated[float, Field(gt=0.0)]
    steps: Annotated[int, Field(ge=1)] | None
    noise: list[Any]  # [K,B,N,3,C]
    outcome: list[Any]  # [B,N,3,C]

    @model_validator(mode="after")
    def _check_shapes(self) -> JumpCase:
        try:
            shape = self.cloud.coordinates.shape
            shapes = (_tensor(self.noise).shape[1:], _tensor(self.outcome).shape)
        except TypeError as error:
            raise ValueError(f"no array of numbers ({error})") from error
        if shapes != (shape, shape):
            raise ValueError(f"noise and outcome must have the shape {list(shape)} of the coordinates")
        return self

    @property
    def cloud(self) -> TensorCloud:
        """[B,N], float64 on the CPU."""
        labels = (torch.tensor(self.residues), torch.tensor(self.atom_mask), torch.tensor(self.chains))
        return TensorCloud(_tensor(self.coordinates), *labels)

    def run(
        self, program: Jump, dtype: torch.dtype, device: torch.device | str = "cpu", *, strided: bool = False
    ) -> Outputs:
        """Outcome of a model, [B,N,3,C]."""
        cloud = self.cloud.to(dtype=dtype)
        noise = _tensor(self.noise).to(dtype)
        given = [cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains]
        given += [torch.full(cloud.residues.shape[:1], self.lag, dtype=dtype), noise]
        if strided:
            given = [spread_out(x) for x in given]
        with torch.inference_mode():
            return {OUTPUT: program(*(x.to(device) for x in given), self.steps)}

    def deviations(self, outputs: Outputs, reference: Outputs | None = None) -> dict[str, float]:
        """Largest deviation, relative to the largest displacement."""
        expected = _tensor(self.outcome) if reference is None else reference[OUTPUT].double()
        outcome = outputs[OUTPUT]
        if outcome.shape != expected.shape or not bool(torch.isfinite(outcome).all()):
            return {OUTPUT: float("inf")}
        displacement = float((expected - _tensor(self.coordinates)).abs().max())
        difference = float((outcome.cpu().double() - expected).abs().max())
        return {OUTPUT: difference / max(displacement, SMALLEST_SCALE)}


class JumpSelfTest(SelfTest):
    """Cases, and the tolerance of each dtype."""

    cases: Annotated[list[JumpCase], Field(min_length=1)]

    def entries(self, metadata: Any) -> list[JumpCase]:
        """The cases."""
        return self.cases

    def check_metadata(self, metadata: Any, program: Any, dtype: torch.dtype, device: torch.device) -> None:
        """Lag times and latent steps are those of the cases."""
        for case in self.cases:
            if case.lag not in metadata.lag_times:
                raise ValueError(f"lag times of {metadata.lags_in_words} are claimed, and a case has {case.lag:g} ps")
            if case.steps is None and program.num_noises(metadata.steps) != len(case.noise):
                raise ValueError(f"{metadata.steps} latent steps are claimed, which is not the noise of {case.name!r}")


def make_jump_self_test(model: Jump, given: Sequence[Given]) -> JumpSelfTest:
    """Outcomes by the eager model in float64 (CPU).

    Raises:
        ArtifactError: an outcome that is not finite.
    """
    cases = []
    for name, cloud, lag, noise, steps in given:
        content = {field.name: getattr(cloud, field.name).tolist() for field in fields(cloud)}
        content |= {"noise": noise.tolist(), "outcome": content["coordinates"]}
        case = JumpCase(name=name, lag=lag, steps=steps, **content)
        outcome = case.run(model, torch.float64)[OUTPUT]
        if not bool(torch.isfinite(outcome).all()):
            raise ArtifactError(f"self-test {name!r}: the model gives coordinates that are not finite")
        cases.append(case.model_copy(update={"outcome": outcome.tolist()}))
    return JumpSelfTest(cases=cases)


def _tensor(values: list[Any]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
