"""Trajectories as training data: description files, reading, pairs, balanced sampling."""

from mlff.equijump.dataset.balance import BalanceConfig, cluster_labels
from mlff.equijump.dataset.displacement import Displacement, displacement
from mlff.equijump.dataset.errors import DataError
from mlff.equijump.dataset.features import features
from mlff.equijump.dataset.fingerprint import fingerprint
from mlff.equijump.dataset.format import Conditions, Split, SystemRecord, TrajectoryRecord, read_record, write_record
from mlff.equijump.dataset.pairs import JumpBatch, PairIndices, make_batch
from mlff.equijump.dataset.provenance import provenance
from mlff.equijump.dataset.reading import SystemData, Trajectory, load_dataset, sequence_of
from mlff.equijump.dataset.sampler import PairSampler, fixed_pairs

__all__ = [
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
