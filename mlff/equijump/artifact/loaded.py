"""A jump model that was read from a file."""

from __future__ import annotations

import torch
from torch import Tensor

from mlff.artifacts.loaded import Loaded
from mlff.artifacts.torchscript import plain_execution
from mlff.equijump.artifact.familiarity import Familiarity
from mlff.equijump.artifact.metadata import JumpMetadata
from mlff.proteins import TensorCloud
from mlff.proteins.residues import RESIDUE_NAMES

_SAME_LAG = 1e-6  # relative


class LoadedJump(Loaded):
    """A network that jumps, with what its file says about it. Made by :func:`mlff.load`.

    Attributes:
        metadata: of the file.
        module, device, dtype, name, path, sha256: of every loaded file, see :class:`mlff.artifacts.Loaded`.
    """

    metadata: JumpMetadata

    def __repr__(self) -> str:
        return f"LoadedJump({self.name}, lag {self.metadata.lags_in_words}, {self.dtype}, {self.device})"

    def check_lag(self, lag: float) -> None:
        """Make sure that the model was trained for a lag time in ps.

        Raises:
            ValueError: it was not; the message names the lag times it was trained for.
        """
        if not any(abs(lag - known) <= _SAME_LAG * known for known in self.metadata.lag_times):
            raise ValueError(
                f"the model {self.name} was not trained for a lag of {lag:g} ps; it was for "
                f"{self.metadata.lags_in_words}"
            )

    def familiarity(self, cloud: TensorCloud) -> Familiarity:
        """How far the molecule of a cloud is from those that the model was trained on."""
        return Familiarity.of(self.metadata, cloud, self.untrained_residues(cloud))

    def untrained_residues(self, cloud: TensorCloud) -> list[str]:
        """Names of residues of a cloud that were not in the training data; none where these are not known."""
        present = {RESIDUE_NAMES[token] for token in cloud.residues.unique().tolist() if token}
        return sorted(present - set(self.metadata.residues)) if self.metadata.residues else []

    def num_noises(self, steps: int | None = None) -> int:
        """Noises that a jump of so many latent steps (None: the model's own) takes.

        Raises:
            ValueError: no steps.
        """
        chosen = self.metadata.steps if steps is None else steps
        if chosen < 1:
            raise ValueError(f"a jump takes at least one latent step, got {chosen}")
        return int(self.module.num_noises(chosen))

    def jump(
        self,
        cloud: TensorCloud,
        lag: float,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
        steps: int | None = None,
    ) -> TensorCloud:
        """Jump by a lag time, all leading dimensions of the cloud in one call of the network.

        Args:
            cloud: [..., N], padded or not; moved to the device and the dtype of the model, where the outcome stays.
            lag: ps, one that the model was trained for.
            noise: [num_noises(steps), ..., N, 3, C], independent and of unit variance. Equal noise gives equal jumps,
                rotated noise rotated ones. None: drawn.
            generator: of the noise, on its device; None: torch's global one.
            steps: latent steps; None: the model's own.

        Raises:
            ValueError: a lag that the model was not trained for, noise of another shape, no steps.
        """
        self.check_lag(lag)
        moved = cloud.to(self.device, self.dtype)
        shape = (self.num_noises(steps), *moved.coordinates.shape)
        if noise is None:
            place = self.device if generator is None else generator.device
            noise = torch.randn(shape, generator=generator, dtype=self.dtype, device=place)
        elif noise.shape != shape:
            raise ValueError(f"the noise of this jump must have the shape {list(shape)}, got {list(noise.shape)}")
        size = moved.residues.shape[-1]
        members = moved.residues.numel() // max(size, 1)
        given = (
            moved.coordinates.reshape(members, size, *shape[-2:]),
            moved.residues.reshape(members, size),
            moved.atom_mask.reshape(members, size, shape[-1]),
            moved.chains.reshape(members, size),
            torch.full((members,), lag, dtype=self.dtype, device=self.device),
            noise.to(self.device, self.dtype).reshape(shape[0], members, size, *shape[-2:]),
        )
        with torch.inference_mode(), plain_execution(self.device):
            coordinates = self.module(*given, steps)
        # Tensors made in inference mode cannot take part in autograd; their clones can.
        return moved.replace(coordinates=coordinates.clone().reshape(shape[1:]))
