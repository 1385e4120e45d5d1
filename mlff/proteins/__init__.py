"""Proteins as tensor clouds: residues and their atoms, layout, alignment, geometry, integrity and validity."""

from mlff.proteins.alignment import align, kabsch_rotation
from mlff.proteins.cloud import TensorCloud
from mlff.proteins.conversion import cloud_from_trajectory, trajectory_from_cloud
from mlff.proteins.geometry import GeometryReference, GeometryTerms
from mlff.proteins.integrity import IntegrityCheck
from mlff.proteins.layout import CloudLayout
from mlff.proteins.relabelling import random_relabelling, relabelled, relabelling
from mlff.proteins.residues import (
    ACE,
    NME,
    NUM_CHANNELS,
    NUM_TOKENS,
    RESIDUE_NAMES,
    TERMINAL_OXYGEN,
    channel_names,
)
from mlff.proteins.validity import FrameGeometry, GeometryCheck, ValidityLimits
from mlff.support.errors import DataError

StructureError = DataError  # its name in earlier versions

__all__ = [
    "ACE",
    "NME",
    "NUM_CHANNELS",
    "NUM_TOKENS",
    "RESIDUE_NAMES",
    "TERMINAL_OXYGEN",
    "CloudLayout",
    "FrameGeometry",
    "GeometryCheck",
    "GeometryReference",
    "GeometryTerms",
    "IntegrityCheck",
    "StructureError",
    "TensorCloud",
    "ValidityLimits",
    "align",
    "channel_names",
    "cloud_from_trajectory",
    "kabsch_rotation",
    "random_relabelling",
    "relabelled",
    "relabelling",
    "trajectory_from_cloud",
]
