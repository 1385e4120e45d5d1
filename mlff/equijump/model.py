"""The jump: network and transport as one module, in training, in Python and in exported files."""

from typing import List, Optional

import torch
from torch import Tensor, nn

from mlff.equijump.config import JumpConfig as JumpConfig
from mlff.equijump.network import Condition, JumpNetwork
from mlff.proteins.residues import NUM_CHANNELS
from mlff.transports import build_transport
from mlff.transports.base import Motion


class JumpModel(nn.Module):
    """p(X at t + lag | X at t): EquiJump (arXiv:2410.09667).

    Args:
        config: architecture.
        lag_times: ps, what the model is trained for; kept for drivers, which refuse others.
    """

    kind = "jump"
    lag_times: List[float]

    def __init__(self, config: JumpConfig, lag_times: List[float]) -> None:
        super().__init__()
        self.config = config
        self.steps = config.steps
        self.lag_times = lag_times
        self.transport = build_transport(config.transport)
        sigma = self.transport.sigma_of(torch.zeros(NUM_CHANNELS, dtype=torch.float64))
        self.network = JumpNetwork(config.network, self.transport.num_outputs, sigma)

    def outputs(self, state: Tensor, time: Tensor, condition: Condition, source: Tensor) -> Tensor:
        """Outputs of the transport [num_outputs,B,N,3,C] for a state [B,N,3,C] at times [B]."""
        return self.transport.outputs(self.network(state, time, condition), source, state, time)

    @torch.jit.export
    def num_noises(self, steps: int) -> int:
        """Length of the noise that ``forward`` takes for this many latent steps."""
        return self.transport.num_noises(steps)

    def forward(
        self,
        coordinates: Tensor,
        residues: Tensor,
        atom_mask: Tensor,
        chains: Tensor,
        lag: Tensor,
        noise: Tensor,
        steps: Optional[int] = None,
    ) -> Tensor:
        """One jump of every member of a batch.

        Args:
            coordinates: [B,N,3,C] in Å, see :class:`mlff.proteins.TensorCloud`, as are the next three.
            residues, chains: [B,N] int64.
            atom_mask: [B,N,C] bool.
            lag: [B] in ps.
            noise: [num_noises(steps),B,N,3,C], of unit variance and independent. Equal noise gives equal jumps, rotated
                noise rotated ones.
            steps: latent steps; None: the model's own.

        Returns:
            [B,N,3,C] in Å. The mean of the anchors stays where it is: jumps are internal motion and rotation.

        Raises:
            ValueError: noise of another length.
        """
        num_steps = self.steps if steps is None else steps
        if noise.shape[0] != self.transport.num_noises(num_steps):
            raise ValueError("noise must have as many entries as the transport draws in these steps")
        anchors = coordinates[..., :1]
        weights = atom_mask[..., :1].to(coordinates.dtype).unsqueeze(-2)
        center = (anchors * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1.0) * weights
        source = torch.cat([anchors - center, coordinates[..., 1:]], dim=-1)
        source = self.transport.project(source, atom_mask)
        condition = self.network.condition(source, residues, atom_mask, chains, lag)

        empty = torch.zeros_like(source)
        used = 0
        first = empty
        if self.transport.random_start:
            first = self.transport.project(noise[used], atom_mask)
            used += 1
        state = self.transport.start(source, atom_mask, first)
        last = Motion(state, state)
        for stage in range(self.transport.num_stages(num_steps)):
            time = torch.full_like(lag, self.transport.time(stage, num_steps), dtype=source.dtype)
            outputs = self.outputs(last.state, time, condition, source)
            kick = empty
            if self.transport.needs_noise(stage):
                kick = self.transport.project(noise[used], atom_mask)
                used += 1
            last = self.transport.advance(stage, num_steps, source, last, outputs, atom_mask, kick)
        return torch.cat([last.state[..., :1] + center, last.state[..., 1:]], dim=-1)
