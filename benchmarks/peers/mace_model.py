"""MACE models and their inputs, shared by the two peer scripts (own environment: `make peers`)."""

from __future__ import annotations

from typing import Any

import ase
import numpy as np
import torch
from mace import data, modules, tools  # first: it lets e3nn 0.4.4 read its own constants under a recent torch

# isort: split
from e3nn import o3

KEYS = data.KeySpecification(info_keys={"energy": "energy"}, arrays_keys={"forces": "forces"})


def build(
    hidden: str,
    numbers: list[int],
    cutoff: float,
    avg_num_neighbors: float,
    *,
    layers: int = 2,
    atomic_energies: np.ndarray | None = None,
    scale: float = 1.0,
    shift: float = 0.0,
) -> torch.nn.Module:
    """Return a ScaleShiftMACE with the defaults of mace-torch's own training command.

    `hidden` is an irreps string such as ``"128x0e+128x1o"``, `numbers` the sorted atomic numbers the model knows;
    `cutoff` is in A, `scale`, `shift` and `atomic_energies` [len(numbers)] (zeros when absent) in eV.
    """
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    energies = np.zeros(len(numbers)) if atomic_energies is None else atomic_energies
    return modules.ScaleShiftMACE(
        r_max=cutoff,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=layers,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.atleast_2d(energies),
        avg_num_neighbors=avg_num_neighbors,
        atomic_numbers=numbers,
        correlation=3,
        gate=torch.nn.functional.silu,
        use_reduced_cg=False,
        radial_MLP=[64, 64, 64],
        atomic_inter_scale=scale,
        atomic_inter_shift=shift,
    )


def to_data(atoms: ase.Atoms, numbers: list[int], cutoff: float) -> Any:
    """Return mace's graph of `atoms`; labels are read from ``info["energy"]`` (eV) and ``arrays["forces"]`` (eV/A)."""
    table = tools.AtomicNumberTable(numbers)
    return data.AtomicData.from_config(data.config_from_atoms(atoms, KEYS), z_table=table, cutoff=cutoff)


def to_batch(graphs: list[Any], shuffle_seed: int | None = None, batch_size: int | None = None) -> Any:
    """Return mace's loader over `graphs`, shuffled when a seed is given; by default one batch of all graphs."""
    generator = None
    if shuffle_seed is not None:
        generator = torch.Generator()
        generator.manual_seed(shuffle_seed)
    return tools.torch_geometric.dataloader.DataLoader(
        dataset=graphs,
        batch_size=batch_size or len(graphs),
        shuffle=shuffle_seed is not None,
        drop_last=False,
        generator=generator,
    )
