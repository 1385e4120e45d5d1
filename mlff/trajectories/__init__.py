"""Trajectories as training data: description files, reading, pairs, balanced sampling."""

from mlff.support.errors import DataError
from mlff.trajectories.balance import BalanceConfig, cluster_labels
from mlff.trajectories.displacement import Displacement, displacement
from mlff.trajectories.features import features
from mlff.trajectories.format import (
    DATASET_FILE,
    SCHEMA_VERSION,
    SPLITS,
    SYSTEM_FILE,
    Conditions,
    Split,
    SystemRecord,
    TrajectoryRecord,
    read_record,
    write_record,
)
from mlff.trajectories.pairs import JumpBatch, PairIndices, make_batch
from mlff.trajectories.provenance import fingerprint, provenance
from mlff.trajectories.reading import SystemData, Trajectory, load_dataset, sequence_of
from mlff.trajectories.sampler import PairSampler, fixed_pairs

__all__ = [
    "DATASET_FILE",
    "SCHEMA_VERSION",
    "SPLITS",
    "SYSTEM_FILE",
    "BalanceConfig",
    "Conditions",
    "DataError",
    "Displacement",
    "JumpBatch",
    "PairIndices",
    "PairSampler",
    "Split",
    "SystemData",
    "SystemRecord",
    "Trajectory",
    "TrajectoryRecord",
    "cluster_labels",
    "displacement",
    "features",
    "fingerprint",
    "fixed_pairs",
    "load_dataset",
    "make_batch",
    "provenance",
    "read_record",
    "sequence_of",
    "write_record",
]
