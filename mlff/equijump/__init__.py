"""EquiJump: tensor clouds of proteins, and transports that jump from one frame to the next."""

from mlff.equijump.alignment import align, kabsch_rotation
from mlff.equijump.cloud import TensorCloud
from mlff.equijump.errors import StructureError
from mlff.equijump.layout import CloudLayout
from mlff.equijump.relabelling import random_relabelling, relabelled, relabelling
from mlff.equijump.trajectories import cloud_from_trajectory, trajectory_from_cloud

__all__ = [
    "CloudLayout",
    "StructureError",
    "TensorCloud",
    "align",
    "cloud_from_trajectory",
    "kabsch_rotation",
    "random_relabelling",
    "relabelled",
    "relabelling",
    "trajectory_from_cloud",
]
