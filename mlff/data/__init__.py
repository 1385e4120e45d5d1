"""Training data: readers, units, splits, statistics, graph data sets."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.data.config import DataConfig as DataConfig
    from mlff.data.dataset import GraphDataset as GraphDataset
    from mlff.data.dataset import collate as collate
    from mlff.data.frame import Frame as Frame
    from mlff.data.frame import frames_fingerprint as frames_fingerprint
    from mlff.data.frame import in_symbols as in_symbols
    from mlff.data.label_config import DataKeys as DataKeys
    from mlff.data.label_config import DataUnits as DataUnits
    from mlff.data.loading import DataSplits as DataSplits
    from mlff.data.loading import load_splits as load_splits
    from mlff.data.loading import split_frames as split_frames
    from mlff.data.provenance import DatasetFingerprint as DatasetFingerprint
    from mlff.data.provenance import dataset_fingerprint as dataset_fingerprint
    from mlff.data.readers import read_frames as read_frames
    from mlff.data.readers import read_isolated_atoms as read_isolated_atoms
    from mlff.data.readers import reference_energies as reference_energies
    from mlff.data.sampler import BatchSampler as BatchSampler
    from mlff.data.split_config import GroupSplit as GroupSplit
    from mlff.data.split_config import IndexSplit as IndexSplit
    from mlff.data.split_config import RandomSplit as RandomSplit
    from mlff.data.splits import SplitIndices as SplitIndices
    from mlff.data.splits import group_split as group_split
    from mlff.data.splits import index_split as index_split
    from mlff.data.splits import random_split as random_split
    from mlff.data.splits import read_indices as read_indices
    from mlff.data.statistics import DatasetStatistics as DatasetStatistics
    from mlff.data.statistics import compute_statistics as compute_statistics
    from mlff.data.statistics import fit_reference_energies as fit_reference_energies
    from mlff.support.errors import DataError as DataError

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
