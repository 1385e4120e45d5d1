"""Random-weight potentials of every kind that claims to be smooth or equivariant, small and in float64."""

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, molecule

from mlff.graph import graph_from_atoms
from mlff.potential import Potential, PotentialConfig
from mlff.testing import with_random_weights

SMALL = {
    "preset": "smooth", "num_layers": 2, "channels": 16, "message_channels": 8, "hidden_channels": 8, "num_heads": 2,
    "alpha_channels": 4, "value_channels": 8, "ffn_channels": 16, "edge_channels": 16, "num_radial": 8, "cutoff": 4.0,
}  # fmt: skip
VARIANTS = {
    "smooth": {},
    "smooth without parity": {"parity": False},
    "lmax 3, mmax 2, no attention, plain radial functions": {"lmax": 3, "attention": "none", "radial_norm": False},
    "lmax 3, mmax 2, sphere product on edges": {
        "lmax": 3, "edge_activation": "swiglu_s2", "merge": "concat", "message_channels": None, "rescale_orders": True,
    },
}  # fmt: skip


def make_potential(
    variant: str = "smooth",
    forces: str = "conservative",
    seed: int = 0,
    properties: tuple[str, ...] = (),
    last_block: str = "auto",
    **changes,
) -> Potential:
    """Weights drawn wide enough that every parameter matters."""
    torch.manual_seed(seed)
    backbone = {**SMALL, **VARIANTS[variant], **changes}
    species, fields = ("H", "C", "O", "Cu"), {"properties": properties, "last_block": last_block}
    config = PotentialConfig(species=species, forces=forces, backbone=backbone, **fields)
    potential = with_random_weights(Potential(config), seed)
    potential.set_normalization({1: -13.0, 6: -1030.0, 8: -2040.0, 29: -1650.0}, scale=1.5, avg_degree=12.0)
    return potential


def evaluate(potential: Potential, atoms: Atoms, stress: bool = False) -> dict[str, np.ndarray]:
    graph = graph_from_atoms(atoms, potential.config.cutoff, dtype=torch.float64)
    out = potential(
        graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch, True, stress
    )
    return {key: value.numpy() for key, value in out.items()}


def bonding_energy(potential: Potential, atoms: Atoms) -> float:
    """Total energy less the reference energies, eV: what the network says."""
    references = potential.reference_energies[torch.as_tensor(atoms.numbers)].sum().item()
    return evaluate(potential, atoms)["energy"].item() - references


def rattled_crystal() -> Atoms:
    """Periodic, triclinic, smaller than the cutoff in every direction."""
    atoms = bulk("Cu", "fcc", a=3.6).repeat((2, 1, 1))
    atoms.symbols[1] = "O"
    atoms.set_cell(atoms.cell + 0.05 * np.random.default_rng(1).normal(size=(3, 3)), scale_atoms=True)
    atoms.rattle(0.1, seed=2)
    return atoms


def rattled_molecule() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=3)
    return atoms
