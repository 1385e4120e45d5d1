"""The laws of jump models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlff.artifacts.exporting import parameter_dtype
from mlff.artifacts.self_test import Outputs, Program
from mlff.equijump.artifact.cases import make_cases
from mlff.proteins import TensorCloud
from mlff.testing.files import FileLaws
from mlff.testing.laws import ModelLaws

_RESIDUES = ("ACE", "ALA", "TRP", "NME")
_HIDDEN = 9.0  # Å, put where there are no atoms


class JumpInput(NamedTuple):
    """A cloud [N], the noise [K, N, 3, C] of a jump with the model's own latent steps, and its lag time in ps."""

    cloud: TensorCloud
    noise: Tensor
    lag: float


class CloudLaws(ModelLaws[JumpInput]):
    """The laws of what takes clouds and noise as :class:`mlff.equijump.model.JumpModel` does; the output is the
    displacement [N, 3, C] in Å.

    Chains have no order, residues of a chain have. Mirror images differ: amino acids have a hand.
    """

    parity = False

    def examples(self, model: Any) -> dict[str, JumpInput]:
        """One residue, a chain, a residue in a longer batch, two chains."""
        noises = model.num_noises(model.steps)
        return {
            f"{name}, {i}": JumpInput(member, noise[:, i, : len(member.residues)], lag)
            for name, batch, lag, noise, _ in make_cases(_RESIDUES, model.lag_times, lambda steps: noises, [])
            for i, member in enumerate(batch.split())
        }

    def outputs(self, model: Any, inputs: Sequence[JumpInput], program: Program | None = None) -> list[Outputs]:
        """Displacements, of a padded batch."""
        cloud = TensorCloud.collate([given.cloud for given in inputs]).to(dtype=parameter_dtype(model))
        noise = torch.zeros(len(inputs[0].noise), *cloud.coordinates.shape, dtype=cloud.coordinates.dtype)
        for i, given in enumerate(inputs):
            noise[:, i, : given.noise.shape[1]] = given.noise
        lags = torch.tensor([given.lag for given in inputs], dtype=noise.dtype)
        jump = program or model
        with torch.no_grad():
            after = jump(cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains, lags, noise, None)
        displacement = (after - cloud.coordinates) * cloud.atom_mask.unsqueeze(-2)
        return [{"displacement": displacement[i, : given.noise.shape[1]]} for i, given in enumerate(inputs)]

    def moved(self, given: JumpInput, matrix: Tensor, shift: Tensor) -> JumpInput:
        """Cloud and noise."""
        cloud = given.cloud.rotate(matrix).translate(shift)
        return given._replace(cloud=cloud, noise=matrix @ given.noise)

    def moved_output(self, name: str, value: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Vectors."""
        return matrix @ value

    def order(self, given: JumpInput) -> Tensor:
        """The last chain first."""
        return torch.argsort(given.cloud.chains, descending=True, stable=True)

    def permuted(self, given: JumpInput, order: Tensor) -> JumpInput:
        """Another chain first."""
        cloud = given.cloud
        fields = (cloud.coordinates[order], cloud.residues[order], cloud.atom_mask[order], cloud.chains[order])
        return given._replace(cloud=TensorCloud(*fields), noise=given.noise[:, order])

    def permuted_output(self, name: str, value: Tensor, order: Tensor) -> Tensor:
        """Residues follow their chain."""
        return value[order]

    def equivalents(self, given: JumpInput) -> list[JumpInput]:
        """Anything where there are no atoms, in the cloud and in the noise."""
        hidden = _HIDDEN * ~given.cloud.atom_mask.unsqueeze(-2)
        cloud = given.cloud.replace(coordinates=given.cloud.coordinates + hidden)
        return [given._replace(cloud=cloud), given._replace(noise=given.noise + hidden)]


class JumpLaws(CloudLaws, FileLaws[JumpInput]):
    """The laws of jump models."""
