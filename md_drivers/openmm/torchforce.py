"""The exported file as a TorchForce: neighbour list, model and units in one TorchScript program."""

# No `from __future__ import annotations`: TorchScript reads the annotations.

from typing import Dict, Optional, Tuple

import openmm
import torch
from openmm import Force
from torch import Tensor, nn

from md_drivers.common.engine import KJ_MOL, KJ_MOL_NM, NM
from md_drivers.common.models import model_name
from md_drivers.openmm.probe import load_plugins, require_torchforce
from md_drivers.openmm.region import Region
from mlff.graph import torch_neighbor_list
from mlff.potential.artifact import LoadedModel


class TorchForceModule(nn.Module):
    """Energy (kJ/mol) and forces [P, 3] (kJ/mol/nm) of all particles, from positions [P, 3] and box [3, 3] in nm.

    A TorchForce passes positions, the box if it is periodic and the scaling parameter if it has one, so the meaning of
    the later arguments depends on these two. Nothing is returned but contiguous memory in the dtype of the positions
    (the energy in float64): TorchForce reads addresses and ignores strides.
    """

    numbers: Tensor
    particles: Tensor
    pbc: Tensor

    def __init__(self, model: nn.Module, cutoff: float, region: Region, periodic: bool, scaled: bool) -> None:
        super().__init__()
        self.model = model
        self.cutoff = cutoff
        self.partial = region.partial
        self.periodic = periodic
        self.scaled = scaled
        self.nm = NM
        self.kj_mol = KJ_MOL
        self.kj_mol_nm = KJ_MOL_NM
        particles = range(len(region.numbers)) if region.particles is None else region.particles
        self.all_particles = region.particles is None
        self.register_buffer("numbers", torch.tensor(region.numbers))
        self.register_buffer("particles", torch.tensor(list(particles)))
        self.register_buffer("pbc", torch.tensor([periodic] * 3))

    def forward(
        self, positions: Tensor, second: Optional[Tensor] = None, third: Optional[Tensor] = None
    ) -> Tuple[Tensor, Tensor]:
        if self.all_particles and positions.size(0) != self.numbers.size(0):
            raise ValueError("the force was made from the topology of another system: the number of particles differs")
        r = positions.detach().to(torch.float64).index_select(0, self.particles) * self.nm
        cell = torch.zeros(3, 3, dtype=torch.float64, device=r.device)
        if self.periodic:
            assert second is not None  # for TorchScript
            cell = second.detach().to(r) * self.nm
            if self.partial and bool((torch.linalg.vector_norm(cell.inverse(), dim=0) * 2.0 * self.cutoff > 1.0).any()):
                raise ValueError("the box is less than two cutoffs of the model high")
        edge_index, shifts = torch_neighbor_list(r, cell, self.pbc, self.cutoff)
        batch = torch.zeros_like(self.numbers)
        out: Dict[str, Tensor] = self.model(r, self.numbers, cell.unsqueeze(0), edge_index, shifts, batch, True, False)
        energy = out["energy"].detach().to(torch.float64).sum() / self.kj_mol
        forces = out["forces"].detach().to(torch.float64) / self.kj_mol_nm
        if not bool(torch.isfinite(forces).all() & torch.isfinite(energy)):
            raise ValueError("the model gave energy or forces that are not finite (NaN or infinity)")
        if self.scaled:
            scale = third if self.periodic else second
            assert scale is not None  # for TorchScript
            energy = energy * scale.detach().to(energy)
            forces = forces * scale.detach().to(forces)
        every = torch.zeros_like(positions, memory_format=torch.contiguous_format)
        return energy, every.index_copy(0, self.particles, forces.to(positions.dtype)).contiguous()


def torch_force(model: LoadedModel, region: Region, periodic: bool, parameter: Optional[str]) -> Force:
    """The TorchForce of a region. It knows neither the domain of the model nor its uncertainty.

    Raises:
        ImportError: openmmtorch is missing, or does not work with this torch.
        ValueError: the model keeps a limited number of neighbours, which the neighbour list in the graph does not.
    """
    require_torchforce()
    if model.metadata.max_neighbors is not None:
        raise ValueError(
            f"model {model_name(model)!r} keeps {model.metadata.max_neighbors} neighbours of each atom, which a "
            "TorchForce cannot; use implementation='pythonforce'"
        )
    import openmmtorch

    load_plugins(openmm)
    # Not the module of `model`, which is frozen: its weights could not follow OpenMM to its device.
    network = model.program()
    for weight in network.parameters():
        weight.data = weight.data.to(model.dtype)
    module = TorchForceModule(network, model.metadata.cutoff, region, periodic, parameter is not None)
    force = openmmtorch.TorchForce(torch.jit.script(module.eval()))
    force.setOutputsForces(True)
    if parameter is not None:
        force.addGlobalParameter(parameter, 1.0)
    return force
