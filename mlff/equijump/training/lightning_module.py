"""The Lightning module of jump models: draws the latent time, perturbs sources, takes the loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlff.equijump.model import JumpModel
from mlff.equijump.network import ResidueGraph
from mlff.equijump.training.config import JumpTrainingConfig
from mlff.equijump.training.recorded import RecordedLoss
from mlff.irreps import SO2Linear, SO3Linear
from mlff.proteins.cloud import TensorCloud
from mlff.training.lightning_module import SteppedModule
from mlff.trajectories import JumpBatch


class JumpModule(SteppedModule):
    """A jump model in training.

    Args:
        model: the model.
        config: the run.
        total_steps: optimiser steps of the whole run.
        steps_per_epoch: steps in which as many jumps are drawn as the training part holds frames.
    """

    model: JumpModel
    config: JumpTrainingConfig
    linear_maps = (nn.Linear, SO2Linear, SO3Linear)

    def __init__(self, model: JumpModel, config: JumpTrainingConfig, total_steps: int, steps_per_epoch: float) -> None:
        super().__init__(model, config, total_steps, ("loss_anchors", "loss_vectors"), steps_per_epoch)
        self._progress = 0.0
        self._recorder = RecordedLoss(model, self._losses) if config.record else None

    def begin_step(self, optimizer: torch.optim.Optimizer, time_fraction: float) -> float:
        """Set learning rate and random numbers of the coming step; returns the learning rate."""
        self._progress = max(self.step / self.total_steps, self.progress(time_fraction))
        return super().begin_step(optimizer, time_fraction)

    def transfer_batch_to_device(self, batch: JumpBatch, device: torch.device, dataloader_idx: int) -> JumpBatch:
        """Called by Lightning; the batch moves itself."""
        return batch.to(device, self.model.network.header.norm.weight.dtype)

    def training_step(self, batch: JumpBatch, batch_idx: int) -> Tensor:
        """Loss of a batch; raises RunError when it is not finite."""
        unrolls = self._unrolls(batch)
        if self._recorder is not None and self._recorder.takes(batch):
            total, parts = self._recorder(batch, unrolls)
        else:
            generator = torch.Generator(self.device).manual_seed(self.step_seed(purpose=1))
            total, parts = self._losses(batch, unrolls, generator)
        self.check_finite("loss", total)
        self.add_losses(torch.cat([total[None], parts]).detach(), len(batch))
        return total

    def _losses(
        self, batch: JumpBatch, unrolls: bool, generator: torch.Generator | None, graph: ResidueGraph | None = None
    ) -> tuple[Tensor, Tensor]:
        """The loss, and those of anchors and vectors [2]."""
        source, target = self._pair(batch, unrolls, generator, graph)
        source = with_input_noise(self.model, source, self.config.input_noise, generator)
        losses = jump_losses(self.model, JumpBatch(source, (target,), batch.lag), generator, graph=graph)
        return losses.mean(), losses.mean(0)

    def _unrolls(self, batch: JumpBatch) -> bool:
        """Whether the model makes some of the sources of this batch: those with two targets can be unrolled."""
        unroll = self.config.unroll
        return unroll is not None and len(batch.targets) > 1 and self._progress >= unroll.begin

    def _pair(
        self, batch: JumpBatch, unrolls: bool, generator: torch.Generator | None, graph: ResidueGraph | None
    ) -> tuple[TensorCloud, TensorCloud]:
        """Source and target of the step; where it unrolls all are one lag later, and the model makes some sources."""
        unroll = self.config.unroll
        if not unrolls or unroll is None:
            return batch.source, batch.target
        first, second = batch.targets
        draws = torch.rand(2, len(batch), device=batch.lag.device, dtype=batch.lag.dtype, generator=generator)
        low, high = unroll.time_range
        time = low + (high - low) * draws[1] * (1.0 - 1e-3)
        chosen = draws[0] < unroll.probability
        if graph is not None:  # shapes must not depend on chance: make all, take some
            made = denoised(self.model, batch, time, generator, graph)
            return first.replace(coordinates=torch.where(chosen[:, None, None, None], made, first.coordinates)), second
        rows = torch.nonzero(chosen).flatten()
        if rows.numel() == 0:
            return first, second
        some = JumpBatch(batch.source[rows], (first[rows],), batch.lag[rows])
        made = denoised(self.model, some, time[rows], generator)
        return first.replace(coordinates=first.coordinates.index_copy(0, rows, made)), second


def with_input_noise(
    model: JumpModel, source: TensorCloud, std: float, generator: torch.Generator | None
) -> TensorCloud:
    """Half of the sources [B,...] with Gaussian noise, as errors of rollouts are.

    ``std`` in Å is that of the anchors and of the vectors, so atoms beside the anchor move by √2 as much.
    """
    if std == 0.0:
        return source
    noise = model.transport.draw_noise(source.coordinates, source.atom_mask, generator)
    shape = (len(source.residues), 1, 1, 1)
    chosen = torch.rand(shape, device=noise.device, dtype=noise.dtype, generator=generator) < 0.5
    return source.replace(coordinates=source.coordinates + std * chosen * noise)


def jump_losses(
    model: JumpModel,
    batch: JumpBatch,
    generator: torch.Generator | None,
    time: Tensor | None = None,
    graph: ResidueGraph | None = None,
) -> Tensor:
    """Losses [num_outputs, 2] of anchors and vectors, at random latent times or at ``time`` [B]."""
    transport, mask = model.transport, batch.source.atom_mask
    x0, x1 = batch.source.coordinates, batch.target.coordinates
    time = transport.draw_times(x0, generator) if time is None else time
    noise = transport.draw_noise(x0, mask, generator)
    _, outputs = _answer(model, batch, time, noise, graph)
    return transport.loss(outputs, transport.targets(x0, x1, time, noise), mask)


@torch.no_grad()
def denoised(
    model: JumpModel,
    batch: JumpBatch,
    time: Tensor,
    generator: torch.Generator | None,
    graph: ResidueGraph | None = None,
) -> Tensor:
    """Coordinates of E[x1 | x_t, x0] by the model, for the x_t of pairs at times [B]; no gradient passes."""
    transport, x0, mask = model.transport, batch.source.coordinates, batch.source.atom_mask
    noise = transport.draw_noise(x0, mask, generator)
    state, outputs = _answer(model, batch, time, noise, graph)
    return transport.project(transport.endpoint(x0, state, outputs, time), mask)


def _answer(
    model: JumpModel, batch: JumpBatch, time: Tensor, noise: Tensor, graph: ResidueGraph | None
) -> tuple[Tensor, Tensor]:
    """The latent states of pairs at times [B], and what the model says about them."""
    transport, source, x0 = model.transport, batch.source, batch.source.coordinates
    state = transport.project(transport.interpolate(x0, batch.target.coordinates, time, noise), source.atom_mask)
    condition = model.network.condition(x0, source.residues, source.atom_mask, source.chains, batch.lag, graph)
    return state, model.outputs(state, time, condition, x0)


def validation_losses(model: JumpModel, batches: Sequence[JumpBatch], seed: int) -> Tensor:
    """[2]: mean losses of anchors and vectors, at the same latent times and noise in every call."""
    device = batches[0].lag.device
    total, count = torch.zeros(2, device=device), 0
    low, high = model.transport.time_range
    with torch.no_grad():
        for number, batch in enumerate(batches):
            generator = torch.Generator(device).manual_seed(seed + number)
            size = len(batch)
            # a grid of times has less scatter than random ones
            grid = (torch.arange(size, device=device, dtype=batch.lag.dtype) * 0.618034 + 0.5) % 1.0
            time = low + (high - low) * grid
            losses = jump_losses(model, batch, generator, time)
            total += size * losses.mean(0)
            count += size
    return total / max(1, count)
