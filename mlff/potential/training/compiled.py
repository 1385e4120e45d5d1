"""Training steps on batches of one size as a single compiled graph: loss, double backward and all.

Eager training of a small model spends most of its time between the operations. Tracing the loss together with its
gradients, forces included, leaves one graph of plain tensor operations that ``torch.compile`` can fuse. On a GPU the
fused kernels are recorded and started as one (:class:`mlff.training.cuda_graphs.Replay`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from mlff.graph import AtomicGraph
from mlff.potential import CorruptedGraph
from mlff.potential.training.losses import LossTerms
from mlff.potential.training.objective import Objective
from mlff.potential.training.padding import BatchSize, pad, pad_corrupted
from mlff.support.compiling import compile_function
from mlff.support.errors import RunError, first_line
from mlff.training.cuda_graphs import KnownGradients, Replay, trained

logger = logging.getLogger(__name__)

_OF_DENS = tuple(field.name for field in fields(CorruptedGraph) if field.name != "graph")


@dataclass
class CompiledObjective:
    """An :class:`Objective` on full batches, compiled at the first one; others are for the caller to evaluate.

    Attributes:
        objective: what to compile.
        size: of the padded batches.
        cutoff: Å, of the model.
    """

    objective: Objective
    size: BatchSize
    cutoff: float

    def __post_init__(self) -> None:
        self._compiled: Any = None

    def takes(self, batch: AtomicGraph | CorruptedGraph) -> bool:
        """Whether the batch is of the size that the step is compiled for."""
        return self.size.holds(batch.graph if isinstance(batch, CorruptedGraph) else batch)

    def __call__(self, batch: AtomicGraph | CorruptedGraph, noise_weight: float) -> LossTerms:
        """The loss; its backward pass hands out gradients that have been computed with it.

        Raises:
            RunError: no C++ compiler, or an operation that cannot be compiled.
        """
        if isinstance(batch, CorruptedGraph):
            batch = pad_corrupted(batch, self.size, self.cutoff)
        else:
            batch = pad(batch, self.size, self.cutoff)
        named = _named_tensors(batch)
        weight = torch.full((), noise_weight, dtype=named["positions"].dtype, device=named["positions"].device)
        tensors = [weight, *named.values()]
        parameters: list[Tensor] = list(self.objective.parameters())
        if self._compiled is None:
            self._compiled = self._compile(list(named), parameters, tensors)
        inputs = [*(parameter.detach() for parameter in parameters), *tensors]
        names = self.objective.loss_names(batch)
        total, *parts = KnownGradients.apply(self._compiled, inputs, 1 + len(names), *trained(parameters))
        return LossTerms(total, dict(zip(names, parts, strict=True)))

    def _compile(self, names: Sequence[str], parameters: list[Tensor], tensors: list[Tensor]) -> Any:
        count, parameter_names = len(parameters), [name for name, _ in self.objective.named_parameters()]

        def loss_and_gradients(*inputs: Tensor) -> list[Tensor]:
            parameters, weight, values = inputs[:count], inputs[count], inputs[count + 1 :]
            batch = _batch(dict(zip(names, values, strict=True)))
            given = dict(zip(parameter_names, parameters, strict=True))
            terms = functional_call(self.objective, given, (batch, weight, True))
            gradients = torch.autograd.grad(terms.total, trained(parameters), allow_unused=True, materialize_grads=True)
            return [terms.total, *terms.parts.values(), *gradients]

        logger.info("compiling the training step, which takes minutes (a cache on disk shortens the next time)")
        start = time.monotonic()
        inputs = [x.detach() for x in (*parameters, *tensors)]
        try:
            compiled = compile_function(loss_and_gradients, [*parameters, *tensors])
            if inputs[0].is_cuda:
                compiled = Replay(compiled, inputs, fixed=count)
        except Exception as error:  # whatever compiling and recording raise
            raise RunError(
                f"the training step cannot be compiled ({first_line(error)}); it takes a C++ compiler, "
                "on a GPU Triton, or set compile: false"
            ) from error
        logger.info("compiled in %.0f s", time.monotonic() - start)
        return compiled


def _named_tensors(batch: AtomicGraph | CorruptedGraph) -> dict[str, Tensor]:
    """All tensors of a padded batch; what is absent from one is absent from all of a run."""
    named = {}
    if isinstance(batch, CorruptedGraph):
        named = {name: getattr(batch, name) for name in _OF_DENS}
        batch = batch.graph
    return named | batch.tensors()


def _batch(named: dict[str, Tensor]) -> AtomicGraph | CorruptedGraph:
    """Inverse of :func:`_named_tensors`."""
    if "corrupted" not in named:
        return AtomicGraph.from_tensors(named)
    own = {name: named.pop(name) for name in _OF_DENS}
    return CorruptedGraph(AtomicGraph.from_tensors(named), **own)
