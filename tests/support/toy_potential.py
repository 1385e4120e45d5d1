"""A Lennard-Jones potential with the interface of ``mlff.potential.Potential``, for tests that need no network.

Tests import it as ``from support.toy_potential import ToyPotential, export_toy`` (``tests`` is on the path of pytest).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple, Union

import ase
import torch
from ase.data import covalent_radii
from torch import Tensor, nn


@dataclass(frozen=True)
class ToyConfig:
    """What exporters and drivers read of a potential's config."""

    species: Tuple[int, ...]
    cutoff: float
    max_neighbors: Optional[int] = None
    conservative: bool = True
    max_neighbors_strict: bool = True

    def model_dump(self, mode: str = "python") -> Dict[str, Any]:
        return {
            "species": list(self.species),
            "cutoff": self.cutoff,
            "max_neighbors": self.max_neighbors,
            "conservative": self.conservative,
        }


class ToyPotential(nn.Module):
    """Lennard-Jones pairs, multiplied by ``(1 - (r/cutoff)^2)^3``, plus a reference energy of ``-Z/10`` eV per atom.

    Depth and length of a pair follow from its two elements (0.1 to 0.3 eV; minimum near the sum of covalent radii).
    ``conservative=False`` gives the same forces, but declared as direct ones: stress is refused.
    """

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.cutoff = float(config.cutoff)
        self.conservative = bool(config.conservative)
        numbers = torch.tensor(config.species, dtype=torch.int64)
        index = torch.full((119,), -1, dtype=torch.int64)
        index[numbers] = torch.arange(len(config.species))
        radius = torch.tensor(covalent_radii, dtype=torch.float64)[numbers]
        self.depth = nn.Parameter(torch.linspace(0.1, 0.3, len(config.species), dtype=torch.float32))
        self.radius = nn.Parameter(radius.to(torch.float32))
        self.register_buffer("species_index", index)
        self.register_buffer("reference_energies", -0.1 * numbers.to(torch.float64))

    def forward(
        self,
        positions: Tensor,
        numbers: Tensor,
        cell: Tensor,
        edge_index: Tensor,
        shifts: Tensor,
        batch: Tensor,
        compute_forces: bool = True,
        compute_stress: bool = False,
    ) -> Dict[str, Tensor]:
        dtype = self.depth.dtype
        source, target = edge_index[0], edge_index[1]
        kind = self.species_index[numbers]
        offset = (shifts.unsqueeze(1) @ cell[batch[target]]).squeeze(1)
        edge_vec = (positions[source] - positions[target] + offset).to(dtype)
        if compute_forces or compute_stress:
            edge_vec = edge_vec.detach()
            edge_vec.requires_grad_()

        squared = (edge_vec * edge_vec).sum(1)
        depth = (self.depth[kind[source]] * self.depth[kind[target]]).sqrt()
        minimum = self.radius[kind[source]] + self.radius[kind[target]]
        sixth = (minimum * minimum / squared) ** 3
        envelope = (1.0 - squared / (self.cutoff * self.cutoff)).clamp(min=0.0) ** 3
        pair = 0.5 * depth * (sixth * sixth - 2.0 * sixth) * envelope
        energies = self.reference_energies[kind].index_add(0, target, pair.to(torch.float64))
        energy = torch.zeros(cell.shape[0], dtype=torch.float64, device=positions.device).index_add(0, batch, energies)
        outputs: Dict[str, Tensor] = {"energy": energy, "energies": energies}

        if compute_forces or compute_stress:
            gradient = torch.autograd.grad([energy.sum()], [edge_vec], create_graph=self.training)[0]
            assert gradient is not None  # TorchScript: Optional[Tensor] -> Tensor
            if compute_forces:
                forces = torch.zeros(positions.shape[0], 3, dtype=dtype, device=positions.device)
                outputs["forces"] = forces.index_add(0, target, gradient).index_add(0, source, -gradient)
            if compute_stress:
                if not self.conservative:
                    raise RuntimeError("stress needs conservative forces")
                outer = edge_vec.unsqueeze(2) * gradient.unsqueeze(1)
                virial = torch.zeros(cell.shape[0], 3, 3, dtype=dtype, device=positions.device)
                virial = virial.index_add(0, batch[target], 0.5 * (outer + outer.transpose(1, 2)))
                outputs["stress"] = virial / torch.linalg.det(cell).abs().to(dtype).reshape(-1, 1, 1)
        return outputs


def toy_potential(
    species: Sequence[int] = (1, 6, 8, 29),
    cutoff: float = 4.0,
    *,
    max_neighbors: Optional[int] = None,
    conservative: bool = True,
    dtype: torch.dtype = torch.float32,
) -> ToyPotential:
    """A toy potential in eval mode with parameters of ``dtype``."""
    model = ToyPotential(ToyConfig(tuple(species), cutoff, max_neighbors, conservative)).eval()
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def export_toy(
    path: Union[str, Path],
    species: Sequence[int] = (1, 6, 8, 29),
    cutoff: float = 4.0,
    *,
    max_neighbors: Optional[int] = None,
    conservative: bool = True,
    dtype: torch.dtype = torch.float32,
    metadata: Optional[Dict[str, Any]] = None,
    self_test_frames: Optional[Sequence[ase.Atoms]] = None,
) -> Path:
    """Export a toy potential to ``path``; ``mlff.load`` opens it."""
    import mlff

    model = toy_potential(species, cutoff, max_neighbors=max_neighbors, conservative=conservative, dtype=dtype)
    return mlff.export(model, path, metadata=metadata, self_test_frames=self_test_frames)
