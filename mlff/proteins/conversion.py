"""Tensor clouds from and to MDTraj trajectories. MDTraj counts in nm and float32, clouds in Å."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from mlff.proteins.cloud import TensorCloud
from mlff.proteins.layout import CloudLayout
from mlff.support.units import ANGSTROM_PER_NM

if TYPE_CHECKING:
    from mdtraj import Trajectory


def cloud_from_trajectory(
    trajectory: Trajectory, dtype: torch.dtype = torch.float32
) -> tuple[TensorCloud, CloudLayout]:
    """Frames of a protein or peptide as a cloud [T, N, ...], and the way back.

    Args:
        trajectory: any MDTraj trajectory without solvent; hydrogens are left out.

    Raises:
        DataError: see :meth:`CloudLayout.of` and :meth:`CloudLayout.check_chains`.
    """
    layout = CloudLayout.of(trajectory.topology)
    xyz = torch.from_numpy(trajectory.xyz[:, layout.heavy_atoms.numpy()].astype(np.float64) * ANGSTROM_PER_NM)
    cloud = layout.cloud(xyz.to(dtype))
    layout.check_chains(cloud)
    return cloud, layout


def trajectory_from_cloud(cloud: TensorCloud, layout: CloudLayout, time: np.ndarray | None = None) -> Trajectory:
    """Heavy atoms of a cloud [T, N, ...] or [N, ...] as a trajectory, in the atom order of the input.

    Args:
        time: [T] in ps.

    Raises:
        ValueError: the cloud is not of this layout.
    """
    import mdtraj  # an optional dependency, there if a layout is

    if cloud.residues.ndim == 1:
        cloud = TensorCloud.collate([cloud])
    xyz = layout.atoms(cloud).detach().cpu().double().numpy() / ANGSTROM_PER_NM
    return mdtraj.Trajectory(xyz.astype(np.float32), layout.topology, time=time)
