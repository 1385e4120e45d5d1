"""The state of EquiJump: a protein as a cloud of anchors with vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as replace_fields

import torch
from torch import Tensor

from mlff.proteins.residues import ANCHOR, NUM_CHANNELS, PADDING

_PADDING = {"coordinates": 0.0, "residues": PADDING, "atom_mask": False, "chains": -1}


@dataclass(frozen=True, eq=False)
class TensorCloud:
    """N residues, in any number of frames, replicas or padded batches ``...``, which all fields share.

    A residue is its anchor (the alpha carbon; the methyl carbon of a cap) and the vectors from the anchor to its other
    heavy atoms (EquiJump, arXiv:2410.09667). Both are columns of one tensor, because all that moves a cloud
    (interpolation, noise, rotation, integration) treats them alike; only a translation tells them apart.

    Attributes:
        coordinates: [..., N, 3, C] in Å, C = 15 channels as in ``residues.channel_names``: channel 0 is the position of
            the anchor, the others are vectors from it, zero where the residue has no such atom. Rows are x, y, z, which
            is e3nn's order of l = 1.
        residues: [..., N] int64, tokens; 0 for padding.
        atom_mask: [..., N, C] bool, atoms that exist.
        chains: [..., N] int64, number of the covalent chain; -1 for padding. Residues of a chain follow each other.

    Raises:
        ValueError: if a tensor has the wrong shape or kind; the message names the field.
    """

    coordinates: Tensor
    residues: Tensor
    atom_mask: Tensor
    chains: Tensor

    def __post_init__(self) -> None:
        if self.residues.ndim == 0:
            raise ValueError("TensorCloud.residues must have shape [..., N], got a scalar")
        shape = tuple(self.residues.shape)
        expected: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            "coordinates": ((*shape, 3, NUM_CHANNELS), self.coordinates.dtype),
            "residues": (shape, torch.int64),
            "atom_mask": ((*shape, NUM_CHANNELS), torch.bool),
            "chains": (shape, torch.int64),
        }
        for name, (size, dtype) in expected.items():
            value = getattr(self, name)
            if tuple(value.shape) != size:
                raise ValueError(f"TensorCloud.{name} must have shape {list(size)}, got {list(value.shape)}")
            if value.dtype != dtype:
                raise ValueError(f"TensorCloud.{name} must be {dtype}, got {value.dtype}")
        if not self.coordinates.is_floating_point():
            raise ValueError(f"TensorCloud.coordinates must be floating point, got {self.coordinates.dtype}")

    @property
    def positions(self) -> Tensor:
        """[..., N, 3] in Å, the anchors."""
        return self.coordinates[..., ANCHOR]

    @property
    def vectors(self) -> Tensor:
        """[..., N, 3, C-1] in Å, from the anchor to the other heavy atoms."""
        return self.coordinates[..., 1:]

    @property
    def mask(self) -> Tensor:
        """[..., N] bool, False for padding."""
        return self.atom_mask[..., ANCHOR]

    def atoms(self) -> Tensor:
        """[..., N, C, 3] in Å, positions of all heavy atoms; zero where ``atom_mask`` is False."""
        anchors = self.coordinates[..., :1]
        atoms = torch.cat([anchors, anchors + self.vectors], dim=-1) * self.atom_mask.unsqueeze(-2)
        return atoms.transpose(-1, -2)

    @staticmethod
    def from_atoms(atoms: Tensor, residues: Tensor, atom_mask: Tensor, chains: Tensor) -> TensorCloud:
        """The inverse of :meth:`atoms`; the labels may lack leading dimensions.

        Args:
            atoms: [..., N, C, 3] in Å; what lies where ``atom_mask`` is False does not matter.
        """
        lead = atoms.shape[:-3]
        atom_mask = atom_mask.expand(*lead, *atom_mask.shape[-2:])
        columns = atoms.transpose(-1, -2)
        anchors = columns[..., :1]
        columns = torch.cat([anchors, columns[..., 1:] - anchors], dim=-1)
        return TensorCloud(
            # where, not a product: what has no atom may be nan
            coordinates=torch.where(atom_mask.unsqueeze(-2), columns, torch.zeros_like(columns)),
            residues=residues.expand(*lead, residues.shape[-1]),
            atom_mask=atom_mask,
            chains=chains.expand(*lead, chains.shape[-1]),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> TensorCloud:
        """A cloud on ``device`` with coordinates of ``dtype``.

        Raises:
            ValueError: if ``dtype`` is not a floating-point dtype.
        """
        return self._each(lambda tensor: tensor.to(device, dtype if tensor.is_floating_point() else None))

    def pin_memory(self) -> TensorCloud:
        """A copy in page-locked memory; data loaders call it before an asynchronous copy to a GPU."""
        return self._each(Tensor.pin_memory)

    def replace(self, **changes: Tensor) -> TensorCloud:
        """A copy with some fields replaced."""
        return replace_fields(self, **changes)

    def __getitem__(self, index: int | slice | Tensor) -> TensorCloud:
        """Frames or members along the first leading dimension.

        Raises:
            IndexError: the cloud has no leading dimension.
        """
        if self.residues.ndim == 1:
            raise IndexError("this cloud is a single frame; only its leading dimensions can be indexed")
        return self._each(lambda tensor: tensor[index])

    def rotate(self, rotation: Tensor) -> TensorCloud:
        """Rotate about the origin by [..., 3, 3] (columns: x' = R x)."""
        rotation = rotation.to(self.coordinates.dtype)
        return self.replace(coordinates=torch.matmul(rotation.unsqueeze(-3), self.coordinates))

    def translate(self, shift: Tensor) -> TensorCloud:
        """Move by [..., 3] in Å."""
        shift = shift.to(self.coordinates.dtype).unsqueeze(-2) * self.mask.unsqueeze(-1)
        return self.replace(coordinates=torch.cat([(self.positions + shift).unsqueeze(-1), self.vectors], dim=-1))

    def center(self) -> Tensor:
        """[..., 3] in Å, the mean of the anchors."""
        count = self.mask.sum(-1, keepdim=True).clamp(min=1)
        return (self.positions * self.mask.unsqueeze(-1)).sum(-2) / count

    def centred(self) -> TensorCloud:
        """The cloud with the mean of its anchors at the origin."""
        return self.translate(-self.center())

    @staticmethod
    def collate(clouds: Sequence[TensorCloud]) -> TensorCloud:
        """Stack clouds along a new first dimension, padded at the end to the largest number of residues.

        Raises:
            ValueError: for an empty list, or clouds that differ in dtype or in their leading dimensions.
        """
        if len(clouds) == 0:
            raise ValueError("TensorCloud.collate needs at least one cloud, got an empty list")
        leads = {cloud.residues.shape[:-1] for cloud in clouds}
        dtypes = {str(cloud.coordinates.dtype) for cloud in clouds}
        if len(leads) > 1 or len(dtypes) > 1:
            raise ValueError(
                "TensorCloud.collate needs clouds of equal dtype and leading dimensions, "
                f"got {sorted(dtypes)} and {sorted(map(list, leads))}"
            )
        size = max(cloud.residues.shape[-1] for cloud in clouds)
        padded = [cloud.padded(size) for cloud in clouds]
        return TensorCloud(**{name: torch.stack([getattr(cloud, name) for cloud in padded]) for name in _PADDING})

    def padded(self, size: int) -> TensorCloud:
        """The cloud with padding at the end, up to so many residues."""
        dim = self.residues.ndim - 1
        return TensorCloud(**{name: _pad(getattr(self, name), dim, size, value) for name, value in _PADDING.items()})

    def split(self) -> list[TensorCloud]:
        """The members along the first dimension without their padding, the inverse of ``collate``.

        Raises:
            IndexError: the cloud has no leading dimension.
        """
        members = [self[i] for i in range(len(self.residues))]
        return [member._shortened(int(member.mask.sum(-1).max())) for member in members]

    def _shortened(self, size: int) -> TensorCloud:
        """The first residues."""
        return self._each(lambda tensor: tensor.narrow(self.residues.ndim - 1, 0, size))

    def _each(self, function: Callable[[Tensor], Tensor]) -> TensorCloud:
        """A cloud of what a function makes of every field."""
        return TensorCloud(**{field.name: function(getattr(self, field.name)) for field in fields(self)})


def _pad(tensor: Tensor, dim: int, size: int, value: float) -> Tensor:
    shape = list(tensor.shape)
    shape[dim] = size - shape[dim]
    return torch.cat([tensor, tensor.new_full(shape, value)], dim=dim)
