"""The loss of a jump model and its gradients as a recorded CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mlff.equijump.model import JumpModel
from mlff.equijump.network import ResidueGraph
from mlff.proteins.cloud import TensorCloud
from mlff.training.cuda_graphs import KnownGradients, Replay, trained
from mlff.trajectories import JumpBatch

_MOST_SHAPES = 4  # each keeps its own memory; batches of further shapes take the plain way
_CLOUD = 4  # tensors of a cloud

Losses = Callable[[JumpBatch, bool, torch.Generator | None, ResidueGraph | None], tuple[Tensor, Tensor]]


class RecordedLoss:
    """Loss of a batch on a GPU. Random numbers are those of torch's global generator, which is seeded at every step.

    Args:
        model: its parameters must stay where they are.
        losses: of a batch: whether it unrolls, a generator, the graph of its residues; gives the loss and its parts.
    """

    def __init__(self, model: JumpModel, losses: Losses) -> None:
        self._model = model
        self._losses = losses
        self._replays: dict[tuple[object, ...], Replay] = {}

    def takes(self, batch: JumpBatch) -> bool:
        """On a GPU, and with chains so short that all residues are connected, whatever the source of the jump."""
        most = self._model.network.config.num_neighbors + 1
        return batch.lag.is_cuda and batch.source.residues.shape[1] <= most

    def __call__(self, batch: JumpBatch, unrolls: bool) -> tuple[Tensor, Tensor]:
        """The loss, with its gradient, and its parts."""
        source = batch.source
        graph = self._model.network.graph(source.coordinates, source.residues, source.atom_mask, source.chains)
        tensors = [x for cloud in (source, *batch.targets) for x in _tensors(cloud)] + [batch.lag, *graph]
        key = (unrolls, *(tuple(x.shape) for x in tensors))
        if key not in self._replays:
            if len(self._replays) == _MOST_SHAPES:
                return self._losses(batch, unrolls, None, graph)
            self._replays[key] = Replay(self._function(len(batch.targets), unrolls), tensors, fixed=0)
        parameters = trained(self._model.parameters())
        total, parts = KnownGradients.apply(self._replays[key], tensors, 2, *parameters)
        return total, parts

    def _function(self, targets: int, unrolls: bool) -> Callable[..., list[Tensor]]:
        parameters = trained(self._model.parameters())
        split = _CLOUD * (targets + 1)

        def loss_and_gradients(*tensors: Tensor) -> list[Tensor]:
            clouds = [TensorCloud(*tensors[k : k + _CLOUD]) for k in range(0, split, _CLOUD)]
            batch = JumpBatch(clouds[0], tuple(clouds[1:]), tensors[split])
            with torch.enable_grad():
                total, parts = self._losses(batch, unrolls, None, ResidueGraph(*tensors[split + 1 :]))
                gradients = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
            return [total.detach(), parts.detach(), *gradients]

        return loss_and_gradients


def _tensors(cloud: TensorCloud) -> tuple[Tensor, ...]:
    return cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains
