"""Jumps with their outcome that travel in a model file, so that every installation can check what it computes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.jump.cases import Given
from mlff.artifacts.metadata import describe
from mlff.artifacts.self_test import DTYPES, SMALLEST_TOLERANCE_FLOAT32, TOLERANCE_FLOAT64, SelfTestReport
from mlff.proteins import TensorCloud

#: ``forward`` of :class:`mlff.equijump.model.JumpModel`.
Jump = Callable[..., Tensor]

#: Å; a deviation counts relative to the largest displacement, but never to less than this.
SMALLEST_SCALE = 1.0
_SUSPICIOUS_FLOAT32 = 1e-2
_log = logging.getLogger(__name__)


class JumpCase(BaseModel):
    """One call of the model: B clouds of N residues, padded, with the noise and the float64 outcome. Å and ps."""

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
        self, model: Jump, dtype: torch.dtype, device: torch.device | str = "cpu", *, strided: bool = False
    ) -> Tensor:
        """Outcome of a model [B,N,3,C] in ``dtype``; ``strided``: of tensors that are not contiguous in memory."""
        cloud = self.cloud.to(dtype=dtype)
        noise = _tensor(self.noise).to(dtype)
        given = [cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains]
        given += [torch.full(cloud.residues.shape[:1], self.lag, dtype=dtype), noise]
        if strided:
            given = [_spread(x) for x in given]
        with torch.inference_mode():
            return model(*(x.to(device) for x in given), self.steps)

    def deviation(self, outcome: Tensor, reference: Tensor | None = None) -> float:
        """Largest deviation from a reference (None: the stored outcome), relative to the largest displacement."""
        expected = _tensor(self.outcome) if reference is None else reference.double()
        if outcome.shape != expected.shape or not bool(torch.isfinite(outcome).all()):
            return float("inf")
        displacement = float((expected - _tensor(self.coordinates)).abs().max())
        return float((outcome.cpu().double() - expected).abs().max()) / max(displacement, SMALLEST_SCALE)


class JumpSelfTest(BaseModel):
    """Cases, and the tolerance of each dtype."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cases: Annotated[list[JumpCase], Field(min_length=1)]
    tolerances: dict[str, Annotated[float, Field(gt=0.0)]]

    @model_validator(mode="after")
    def _check_tolerances(self) -> JumpSelfTest:
        if set(self.tolerances) != set(DTYPES):
            raise ValueError(f"tolerances must be given for {list(DTYPES)}")
        return self

    def worst(self, model: Jump, dtype: torch.dtype, device: torch.device | str = "cpu") -> tuple[float, str]:
        """Largest deviation of a model over all cases, and the name of the case."""
        found = [(case.deviation(case.run(model, dtype, device)), case.name) for case in self.cases]
        return max(found, key=lambda entry: entry[0])


def make_jump_self_test(double: Jump, single: Jump, given: Sequence[Given]) -> JumpSelfTest:
    """Outcomes by the eager models in float64 and float32 (CPU); float32 may deviate ten times as much as it does.

    Raises:
        ArtifactError: an outcome that is not finite.
    """
    cases = []
    for name, cloud, lag, noise, steps in given:
        content: dict[str, Any] = {
            "name": name,
            "coordinates": cloud.coordinates.tolist(),
            "residues": cloud.residues.tolist(),
            "atom_mask": cloud.atom_mask.tolist(),
            "chains": cloud.chains.tolist(),
            "lag": lag,
            "steps": steps,
            "noise": noise.tolist(),
        }
        case = JumpCase(**content, outcome=content["coordinates"])
        outcome = case.run(double, torch.float64)
        if not bool(torch.isfinite(outcome).all()):
            raise ArtifactError(f"self-test {name!r}: the model gives coordinates that are not finite")
        cases.append(case.model_copy(update={"outcome": outcome.tolist()}))
    test = JumpSelfTest(cases=cases, tolerances={"float64": TOLERANCE_FLOAT64, "float32": SMALLEST_TOLERANCE_FLOAT32})
    worst, name = test.worst(single, torch.float32)
    if worst == float("inf"):
        raise ArtifactError(f"self-test {name!r}: the model gives coordinates that are not finite in float32")
    if worst > _SUSPICIOUS_FLOAT32:
        _log.warning("float32 deviates from float64 by %.1e of a displacement; use this model in float64", worst)
    tolerance = max(SMALLEST_TOLERANCE_FLOAT32, 10.0 * worst)
    return test.model_copy(update={"tolerances": {**test.tolerances, "float32": tolerance}})


def run_jump_self_test(
    test: JumpSelfTest, model: Jump, versions: dict[str, str], dtype: torch.dtype, device: torch.device, where: str
) -> SelfTestReport:
    """Compare a model with the stored outcomes, twice, because TorchScript optimizes a program after it has run once.

    Raises:
        ArtifactError: a deviation beyond the tolerance of the dtype; ``where`` names the file in the message.
    """
    tolerance = test.tolerances[str(dtype).removeprefix("torch.")]
    for _ in range(2):
        worst, name = test.worst(model, dtype, device)
        if not worst <= tolerance:
            raise ArtifactError(
                f"{where}: self-test failed: {name!r} deviates by {worst:.1e} of its displacement (tolerance "
                f"{tolerance:.0e}) with {dtype} on {device}, torch {torch.__version__}; the file was written with "
                f"torch {versions.get('torch', 'unknown')}. Do not use this combination; float64 on the CPU is safest"
            )
    return SelfTestReport(len(test.cases), {"coordinates": worst}, tolerance, dtype, device)


def parse_jump_self_test(text: str, where: str) -> JumpSelfTest:
    """Self-test from the JSON of a model file.

    Raises:
        ArtifactError: wrong or missing fields; ``where`` names the file in the message.
    """
    try:
        return JumpSelfTest.model_validate_json(text)
    except ValidationError as error:
        raise ArtifactError(f"{where}: wrong self_test.json: {describe(error)}") from error


def _tensor(values: list[Any]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _spread(x: Tensor) -> Tensor:
    strided = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
    strided[..., ::2] = x
    return strided[..., ::2]
