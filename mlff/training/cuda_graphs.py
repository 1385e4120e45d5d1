"""Functions that know their gradients, and functions of tensors as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

_WARM_UP = 2  # calls before the recording: libraries allocate their workspaces in the first


class Replay:
    """A recorded call, started at once: launching a thousand small kernels one by one costs more than they do.

    Results are overwritten by the next call.

    Args:
        function: of tensors; no shape, and no decision on the host, may depend on values.
        inputs: on a GPU, of the shapes that all calls have.
        fixed: the first so many inputs, such as parameters, are read where they are now in every call, so they may only
            change in place. The others are copied.
    """

    def __init__(self, function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], fixed: int) -> None:
        own = [x.detach() for x in inputs[:fixed]]
        self._fixed = fixed
        self._inputs = [x.detach().clone() for x in inputs[fixed:]]
        # draws of the calls before the recording must not shift those of the step that is recorded
        with torch.random.fork_rng(devices=[torch.cuda.current_device()]):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    function(*own, *self._inputs)
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = list(function(*own, *self._inputs))

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        for kept, given in zip(self._inputs, inputs[self._fixed :], strict=True):
            kept.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._outputs


def trained(parameters: Iterable[Tensor]) -> list[Tensor]:
    """Those that take part in the training, in order; the others are frozen."""
    return [parameter for parameter in parameters if parameter.requires_grad]


class KnownGradients(torch.autograd.Function):
    """Puts gradients that are already known where autograd, and with it every trainer, looks for them.

    ``KnownGradients.apply(function, inputs, count, *parameters)`` gives the first ``count`` of ``function(*inputs)``,
    of which the first is differentiable; the others are its gradients, one for each parameter.
    """

    @staticmethod
    def forward(
        ctx: Any, function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], count: int, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        outputs = function(*inputs)
        # clones, as a recorded graph writes to the same places again; gradients are used before that
        terms, gradients = tuple(term.clone() for term in outputs[:count]), outputs[count:]
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(*terms[1:])
        return terms

    @staticmethod
    def backward(ctx: Any, factor: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, *torch._foreach_mul(ctx.saved_tensors, factor)
