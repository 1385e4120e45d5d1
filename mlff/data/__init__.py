"""Training data: readers, units, splits, statistics, graph data sets."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.data.config import DataConfig
    from mlff.data.dataset import GraphDataset, collate
    from mlff.data.frame import Frame, frames_fingerprint
    from mlff.data.label_config import DataKeys, DataUnits
    from mlff.data.loading import DataSplits, load_splits, split_frames
    from mlff.data.provenance import DatasetFingerprint, dataset_fingerprint
    from mlff.data.readers import read_frames, read_isolated_atoms, reference_energies
    from mlff.data.sampler import BatchSampler
    from mlff.data.split_config import GroupSplit, IndexSplit, RandomSplit
    from mlff.data.splits import SplitIndices, group_split, index_split, random_split, read_indices
    from mlff.data.statistics import DatasetStatistics, compute_statistics, fit_reference_energies
    from mlff.support.errors import DataError

__all__ = [
    "BatchSampler",
    "DataConfig",
    "DataError",
    "DataKeys",
    "DataSplits",
    "DataUnits",
    "DatasetFingerprint",
    "DatasetStatistics",
    "Frame",
    "GraphDataset",
    "GroupSplit",
    "IndexSplit",
    "RandomSplit",
    "SplitIndices",
    "collate",
    "compute_statistics",
    "dataset_fingerprint",
    "fit_reference_energies",
    "frames_fingerprint",
    "group_split",
    "index_split",
    "load_splits",
    "random_split",
    "read_frames",
    "read_indices",
    "read_isolated_atoms",
    "reference_energies",
    "split_frames",
]

__getattr__, __dir__ = lazy(__name__, __file__)
