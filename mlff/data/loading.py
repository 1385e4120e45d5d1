"""From a `DataConfig` to the frames of the three parts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlff.data.config import DataConfig
from mlff.data.frame import Frame, label_difference, structure_key
from mlff.data.provenance import DatasetFingerprint, dataset_fingerprint
from mlff.data.readers import read_frames, reference_energies
from mlff.data.split_config import GroupSplit, IndexSplit, RandomSplit
from mlff.data.splits import SplitIndices, group_split, index_split, random_split, read_indices
from mlff.support.errors import DataError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSplits:
    """Frames of the three parts and where they come from.

    Attributes:
        train, val, test: frames; val and test may be empty.
        isolated_atoms: energies of isolated atoms (eV by atomic number) where the configuration gives them.
        fingerprint: SHA-256 of the source files.
        left_out: number of training frames left out for their forces (`max_train_force`).
    """

    train: list[Frame]
    val: list[Frame]
    test: list[Frame]
    isolated_atoms: dict[int, float] | None
    fingerprint: DatasetFingerprint
    left_out: int = 0

    @property
    def parts(self) -> dict[str, list[Frame]]:
        """The frames by name of the part."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers present in any part, ascending."""
        frames = self.train + self.val + self.test
        return tuple(sorted({int(z) for frame in frames for z in np.unique(frame.atoms.numbers)}))


def load_splits(config: DataConfig) -> DataSplits:
    """Reads, checks and divides the frames that a configuration names.

    Equal structures (within 1e-5 A) never lie in two parts: random and group splits keep them together; splits given by
    files or indices are refused unless `config.allow_duplicates`. So are equal structures with different labels.

    Raises:
        DataError: see `read_frames` and `mlff.data.splits`; also when no training frame is left.
    """
    split = config.effective_split
    group_by = split.by if isinstance(split, GroupSplit) else None

    def read(paths: tuple[Path, ...], group_by: str | None = None) -> list[Frame]:
        return read_frames(
            paths,
            keys=config.keys,
            units=config.units,
            format=config.format,
            group_by=group_by,
            species=config.allowed_numbers,
        )

    parts: dict[str, list[Frame]] = {}
    if split is None:
        parts = {"train": read(config.train), "val": read(config.val)}
    else:
        frames = read(config.paths or config.train, group_by)
        indices = split_frames(frames, split)
        parts = {name: [frames[i] for i in getattr(indices, name)] for name in ("train", "val", "test")}
    if config.test:
        parts["test"] = read(config.test)
    _check_duplicates(parts, refuse=not config.allow_duplicates)
    train = parts["train"]
    if config.max_train_force is not None:
        train = [frame for frame in train if frame.max_force <= config.max_train_force]
        if not train:
            raise DataError(f"no training frame has forces below `max_train_force` {config.max_train_force:g} eV/A")
    left_out = len(parts["train"]) - len(train)
    if left_out:
        _LOG.warning("left out %d training frames with forces above %g eV/A", left_out, config.max_train_force)
    return DataSplits(
        train=train,
        val=parts["val"],
        test=parts.get("test", []),
        isolated_atoms=reference_energies(config),
        fingerprint=dataset_fingerprint(config.files),
        left_out=left_out,
    )


def split_frames(frames: Sequence[Frame], split: RandomSplit | GroupSplit | IndexSplit) -> SplitIndices:
    """Indices of the parts for frames in memory; equal structures stay together in random and group splits.

    Raises:
        DataError: not enough frames or groups, or bad index files.
    """
    if isinstance(split, IndexSplit):
        none = np.zeros(0, dtype=np.int64)
        files = (split.train, split.val, split.test)
        return index_split(*(none if path is None else read_indices(path, len(frames)) for path in files))
    keys = [structure_key(frame) for frame in frames]
    if isinstance(split, RandomSplit):
        return random_split(len(frames), split.train, split.val, split.test, seed=split.seed, clusters=keys)
    if any(frame.group is None for frame in frames):
        raise DataError("frames carry no group", hint="read them with `group_by`")
    return group_split(_joined_groups(frames, keys), split.train, split.val, split.test, seed=split.seed)


def _joined_groups(frames: Sequence[Frame], keys: Sequence[bytes]) -> list[str]:
    """Groups of the frames, where groups that share a structure are made one."""
    parent: dict[str, str] = {str(frame.group): str(frame.group) for frame in frames}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    owner: dict[bytes, str] = {}
    for frame, key in zip(frames, keys, strict=True):
        first, second = root(owner.setdefault(key, str(frame.group))), root(str(frame.group))
        # The smaller name leads, so that the result does not depend on the order of the frames.
        parent[max(first, second)] = min(first, second)
    return [root(str(frame.group)) for frame in frames]


def _check_duplicates(parts: dict[str, list[Frame]], refuse: bool) -> None:
    """Refuse, or warn of, equal structures in two parts or with labels that differ by more than noise."""
    seen: dict[bytes, tuple[str, Frame]] = {}
    conflicts = []
    for name, frames in parts.items():
        for frame in frames:
            other, first = seen.setdefault(structure_key(frame), (name, frame))
            if refuse and other != name:
                raise frame.error(
                    f"the same structure is in {other} ({first.source}, frame {first.index}) and in {name}",
                    "remove it from one part or set `allow_duplicates`",
                )
            if difference := label_difference(first, frame):
                reason = (
                    f"the same structure as in {first.source}, frame {first.index}, with other labels: {difference}"
                )
                conflicts.append(frame.error(reason, "remove one, or set `allow_duplicates` to train on both"))
    if conflicts and refuse:
        raise conflicts[0]
    if conflicts:
        _LOG.warning("%d frames have other labels than an equal structure; %s", len(conflicts), conflicts[0])
