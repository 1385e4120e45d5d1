"""Inputs with their outputs that travel in a model file, so that every installation can check what it computes."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.torchscript import plain_execution
from mlff.support.settings import describe

_log = logging.getLogger(__name__)

Outputs = dict[str, Tensor]
Program = Callable[..., Any]
DTYPES = {"float32": torch.float32, "float64": torch.float64}
#: Largest relative deviation between the eager, the scripted and the reloaded model in the same dtype.
AGREEMENT = {torch.float64: 1e-10, torch.float32: 1e-5}
# float64 results differ between machines by the order of sums only.
TOLERANCE_FLOAT64 = 1e-8
SMALLEST_TOLERANCE_FLOAT32 = 1e-4
#: What deviates more is another model.
LARGEST_TOLERANCE = 1e-2


class Case(Protocol):
    """One input of a model, and what came out."""

    @property
    def name(self) -> str:
        """For messages."""

    def run(
        self, program: Program, dtype: torch.dtype, device: torch.device | str = "cpu", *, strided: bool = False
    ) -> Outputs:
        """Outputs by name of a model on ``device``; ``strided``: given tensors that are not contiguous in memory."""

    def deviations(self, outputs: Outputs, reference: Outputs | None = None) -> dict[str, float]:
        """Largest deviation of each output from a reference (None: the stored one), relative to its size.

        Infinite where an output is missing, has a wrong shape or is not finite.
        """


class SelfTest(BaseModel, ABC):
    """Cases, and the tolerance of each dtype."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tolerances: dict[str, Annotated[float, Field(gt=0.0, le=LARGEST_TOLERANCE)]] = {
        "float64": TOLERANCE_FLOAT64,
        "float32": SMALLEST_TOLERANCE_FLOAT32,
    }

    @model_validator(mode="after")
    def _check_tolerances(self) -> Self:
        if set(self.tolerances) != set(DTYPES):
            raise ValueError(f"tolerances must be given for {list(DTYPES)}")
        return self

    @abstractmethod
    def entries(self, metadata: Any) -> Sequence[Case]:
        """The cases; ``metadata`` of the file say what their inputs need, such as a cutoff."""

    def check_metadata(self, metadata: Any, program: Program, dtype: torch.dtype, device: torch.device) -> None:
        """Hold the metadata of a file against the cases in it and against what its program computes.

        Raises:
            ValueError: a contradiction.
        """


T = TypeVar("T", bound=SelfTest)


@dataclass(frozen=True)
class SelfTestReport:
    """Outcome of a passed self-test: the largest relative deviation of each output, and the tolerance they met."""

    frames: int
    deviations: dict[str, float]
    tolerance: float
    dtype: torch.dtype
    device: torch.device


def with_float32_tolerance(test: T, program: Program, metadata: Metadata) -> T:
    """The test with the float32 tolerance set to ten times what the eager float32 model (CPU) is measured to deviate.

    Raises:
        ArtifactError: values that are not finite.
    """
    deviations, culprits = worst_deviations(test.entries(metadata), program, torch.float32)
    worst = max(deviations.values())
    if not worst < float("inf"):
        culprit = culprits[max(deviations, key=deviations.__getitem__)]
        raise ArtifactError(f"self-test {culprit!r}: values that are not finite in float32, where float64 is finite")
    if worst > LARGEST_TOLERANCE:
        _log.warning("float32 deviates from float64 by %.1e of the size of an output; use this model in float64", worst)
    tolerance = min(LARGEST_TOLERANCE, max(SMALLEST_TOLERANCE_FLOAT32, 10.0 * worst))
    return test.model_copy(update={"tolerances": {**test.tolerances, "float32": tolerance}})


def worst_deviations(
    cases: Sequence[Case], program: Program, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> tuple[dict[str, float], dict[str, str]]:
    """Largest relative deviation of each output over all cases, and the name of the case where it occurs."""
    worst: dict[str, float] = {}
    culprits: dict[str, str] = {}
    for case in cases:
        for name, value in case.deviations(case.run(program, dtype, device)).items():
            if name not in worst or value > worst[name]:
                worst[name], culprits[name] = value, case.name
    return worst, culprits


def run_self_test(
    test: SelfTest, program: Program, metadata: Metadata, dtype: torch.dtype, device: torch.device, where: str
) -> SelfTestReport:
    """Compare a model with the stored outputs.

    On a GPU every case is computed twice, because TorchScript optimizes a graph after it has seen it once.

    Raises:
        ArtifactError: a deviation beyond the tolerance of the dtype; ``where`` names the file in the message.
    """
    tolerance = test.tolerances[str(dtype).removeprefix("torch.")]
    cases = test.entries(metadata)
    for _ in range(1 if device.type == "cpu" else 2):
        with plain_execution(device):
            worst, culprits = worst_deviations(cases, program, dtype, device)
        name = max(worst, key=worst.__getitem__)
        if not worst[name] <= tolerance:
            raise ArtifactError(
                f"{where}: self-test failed: {name} of {culprits[name]!r} deviates by {worst[name]:.1e} of its "
                f"size (tolerance {tolerance:.0e}) with {dtype} on {device}, torch {torch.__version__}; the file was "
                f"written with torch {metadata.versions.get('torch', 'unknown')}. Do not use this combination; float64 "
                "on the CPU is safest"
            )
    return SelfTestReport(len(cases), worst, tolerance, dtype, device)


def check_agreement(which: str, program: Program, eager: Program, dtype: torch.dtype, cases: Sequence[Case]) -> None:
    """Make sure that two models agree on all cases, before and after TorchScript has optimized its graphs.

    Raises:
        ArtifactError: they do not.
    """
    references = [case.run(eager, dtype) for case in cases]
    for repetition in range(3):
        strided = repetition == 2
        for case, reference in zip(cases, references, strict=True):
            expected = {name: value.to(torch.float64) for name, value in reference.items()}
            outputs = case.run(program, dtype, strided=strided)
            for name, deviation in case.deviations(outputs, expected).items():
                if not deviation <= AGREEMENT[dtype]:
                    layout = " (inputs not contiguous)" if strided else ""
                    raise ArtifactError(
                        f"the {which} model does not agree with the model: {name} of {case.name!r} deviates by "
                        f"{deviation:.1e} of its size (allowed {AGREEMENT[dtype]:.0e}) in {dtype}{layout}"
                    )


def parse_self_test(schema: type[T], text: str, where: str) -> T:
    """Self-test from the JSON of a model file.

    Raises:
        ArtifactError: wrong or missing fields; ``where`` names the file in the message.
    """
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        raise ArtifactError(f"{where}: wrong self_test.json: {describe(error)}") from error


def strided(x: Tensor) -> Tensor:
    """The same values in memory that is not contiguous, as slices and transposes give them."""
    spread = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype, device=x.device)
    spread[..., ::2] = x
    return spread[..., ::2]
