"""Trajectories as training data: description files, reading, pairs, balanced sampling."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.support.errors import DataError as DataError
    from mlff.trajectories.balance import cluster_labels as cluster_labels
    from mlff.trajectories.config import BalanceConfig as BalanceConfig
    from mlff.trajectories.displacements import Displacement as Displacement
    from mlff.trajectories.displacements import displacement as displacement
    from mlff.trajectories.fingerprints import fingerprint as fingerprint
    from mlff.trajectories.fingerprints import provenance as provenance
    from mlff.trajectories.format import DATASET_FILE as DATASET_FILE
    from mlff.trajectories.format import SCHEMA_VERSION as SCHEMA_VERSION
    from mlff.trajectories.format import SPLITS as SPLITS
    from mlff.trajectories.format import SYSTEM_FILE as SYSTEM_FILE
    from mlff.trajectories.format import Conditions as Conditions
    from mlff.trajectories.format import Split as Split
    from mlff.trajectories.format import SystemRecord as SystemRecord
    from mlff.trajectories.format import TrajectoryRecord as TrajectoryRecord
    from mlff.trajectories.format import read_record as read_record
    from mlff.trajectories.format import write_record as write_record
    from mlff.trajectories.frame_features import features as features
    from mlff.trajectories.pairs import JumpBatch as JumpBatch
    from mlff.trajectories.pairs import PairIndices as PairIndices
    from mlff.trajectories.pairs import make_batch as make_batch
    from mlff.trajectories.reading import SystemData as SystemData
    from mlff.trajectories.reading import Trajectory as Trajectory
    from mlff.trajectories.reading import load_dataset as load_dataset
    from mlff.trajectories.reading import sequence_of as sequence_of
    from mlff.trajectories.sampler import PairSampler as PairSampler
    from mlff.trajectories.sampler import fixed_pairs as fixed_pairs

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
