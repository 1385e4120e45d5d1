"""The laws of models of any kind, over a few functions that say what its inputs and outputs are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import torch
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from mlff.artifacts.exporting import in_dtype
from mlff.artifacts.self_test import Outputs, Program
from mlff.testing.comparison import agree, deviations

Input = TypeVar("Input")
Model = TypeVar("Model", bound=nn.Module)


def with_random_weights(model: Model, seed: int = 0, width: float = 0.1) -> Model:
    """The model itself in float64, with normal noise of that width on all parameters: what starts as zero, or as a
    symmetric choice, must not hide anything."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = parameter.data.double() + width * noise
    return model.eval().requires_grad_(False)


class ModelLaws(ABC, Generic[Input]):
    """Symmetries, independence of the rest of the batch and float32.

    Tests are methods that take the model, eager and in float64. The abstract methods say what inputs and outputs are.

    Attributes:
        parity: mirror images agree; False: the model tells them apart, in every output.
        tolerance: largest deviation, relative to the size of an output.
        tolerance_float32: the same for float32.
        smallest: outputs that are smaller than this count as so large, by name.
    """

    parity = True
    smallest: Mapping[str, float] = MappingProxyType({})
    tolerance = 1e-10
    tolerance_float32 = 1e-4

    @abstractmethod
    def examples(self, model: nn.Module) -> dict[str, Input]:
        """Inputs of the model by name: without symmetry, so that outputs do not vanish, and its awkward cases."""

    @abstractmethod
    def outputs(self, model: nn.Module, inputs: Sequence[Input], program: Program | None = None) -> list[Outputs]:
        """Outputs of each input, from one batch of all of them.

        Args:
            program: what computes, if it is not the model itself: the same model from TorchScript or from a file.
        """

    @abstractmethod
    def moved(self, given: Input, matrix: Tensor, shift: Tensor) -> Input:
        """The input after a rotation or reflection [3, 3], then a translation [3] in Å."""

    @abstractmethod
    def moved_output(self, name: str, value: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """What becomes of an output by that."""

    @abstractmethod
    def order(self, given: Input) -> Tensor:
        """Another order of the parts of an input that have none, [N]."""

    @abstractmethod
    def permuted(self, given: Input, order: Tensor) -> Input:
        """The input in another order."""

    @abstractmethod
    def permuted_output(self, name: str, value: Tensor, order: Tensor) -> Tensor:
        """What becomes of an output by that."""

    @abstractmethod
    def equivalents(self, given: Input) -> list[Input]:
        """Other descriptions of the same input; none where there are none, but not of all examples."""

    def each(self, model: nn.Module, inputs: Mapping[str, Input], program: Program | None = None) -> dict[str, Outputs]:
        """Outputs of inputs that are computed alone."""
        return {name: self.outputs(model, [given], program)[0] for name, given in inputs.items()}

    def together(self, model: nn.Module, program: Program | None = None) -> dict[str, Outputs]:
        """Outputs of the examples, computed as one batch."""
        examples = self.examples(model)
        return dict(zip(examples, self.outputs(model, list(examples.values()), program), strict=True))

    def test_rotation(self, model: nn.Module) -> None:
        """Outputs turn with the input."""
        rotation = torch.from_numpy(Rotation.random(random_state=4).as_matrix())
        agree("rotation", *self._after_motion(model, rotation, (0.0, 0.0, 0.0)), self.tolerance, self.smallest)

    def test_mirror(self, model: nn.Module) -> None:
        """Outputs of the mirror image are mirrored; or none is, if the model claims to tell them apart."""
        mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
        before, after = self._after_motion(model, mirror, (0.0, 0.0, 0.0))
        if self.parity:
            agree("mirror", before, after, self.tolerance, self.smallest)
            return
        for name, (deviation, _) in deviations("mirror", before, after, self.smallest).items():
            if deviation <= self.tolerance:
                raise AssertionError(f"mirror: {name} does not tell mirror images apart")

    def test_translation(self, model: nn.Module) -> None:
        """It does not matter where the input lies."""
        identity = torch.eye(3, dtype=torch.float64)
        agree("translation", *self._after_motion(model, identity, (5.3, -7.1, 11.9)), self.tolerance, self.smallest)

    def test_equivalent_inputs(self, model: nn.Module) -> None:
        """Other descriptions of the same input, such as atoms outside of the cell, have the same outputs."""
        pairs = {
            f"{name}, {i}": (given, other)
            for name, given in self.examples(model).items()
            for i, other in enumerate(self.equivalents(given))
        }
        before, after = (self.each(model, {name: pair[k] for name, pair in pairs.items()}) for k in (0, 1))
        agree("equivalent inputs", before, after, self.tolerance, self.smallest)

    def test_permutation(self, model: nn.Module) -> None:
        """Outputs follow the order of what has no order."""
        examples = self.examples(model)
        orders = {name: self.order(given) for name, given in examples.items()}
        expected = {
            example: {name: self.permuted_output(name, value, orders[example]) for name, value in outputs.items()}
            for example, outputs in self.each(model, examples).items()
        }
        found = self.each(model, {name: self.permuted(given, orders[name]) for name, given in examples.items()})
        agree("permutation", expected, found, self.tolerance, self.smallest)

    def test_rest_of_the_batch(self, model: nn.Module) -> None:
        """An input has the outputs that it has alone."""
        examples = self.examples(model)
        agree("rest of the batch", self.each(model, examples), self.together(model), self.tolerance, self.smallest)

    def test_float32(self, model: nn.Module) -> None:
        """The model is the same in float32, up to rounding."""
        found = self.together(in_dtype(model, torch.float32))
        if not any(value.dtype == torch.float32 for outputs in found.values() for value in outputs.values()):
            raise AssertionError("float32: no output is in float32")
        agree("float32", self.together(model), found, self.tolerance_float32, self.smallest)

    def _after_motion(
        self, model: nn.Module, matrix: Tensor, shift: tuple[float, float, float]
    ) -> tuple[dict[str, Outputs], dict[str, Outputs]]:
        """What outputs of moved examples have to be, and what they are."""
        moved_by: Any = (matrix, torch.tensor(shift, dtype=torch.float64))
        examples = self.examples(model)
        expected = {
            example: {name: self.moved_output(name, value, *moved_by) for name, value in outputs.items()}
            for example, outputs in self.each(model, examples).items()
        }
        return expected, self.each(model, {name: self.moved(given, *moved_by) for name, given in examples.items()})
