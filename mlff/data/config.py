"""Typed description of a data set: files and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from ase.data import atomic_numbers, chemical_symbols
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mlff.data.label_config import DataKeys, DataUnits
from mlff.data.split_config import GroupSplit, IndexSplit, RandomSplit, SplitConfig
from mlff.support.errors import unknown
from mlff.support.settings import Section, with_paths

FileFormat = Literal["auto", "extxyz", "traj", "db", "npz"]


def _as_tuple(value: object) -> object:
    """Lets a configuration name one file without a list."""
    return (value,) if isinstance(value, str | Path) else value


def _known(symbol: str) -> str:
    if atomic_numbers.get(symbol, 0) == 0:
        raise ValueError(unknown("chemical element", symbol, chemical_symbols[1:]))
    return symbol


Element = Annotated[str, AfterValidator(_known)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_tuple)]


class DataConfig(Section):
    """Where the frames are, what their labels are called and measured in, and how they are divided.

    Either `paths` names all files and `split` divides their frames, or `train` (and `val`, `test`) name files of their
    own. Where `train` is given without `val`, `split` divides the frames of `train` into training and validation; its
    `test` is then 0. A `split` without `kind` is a random one.
    Files are not opened here. Raises `pydantic.ValidationError`, which names the field.
    """

    paths: Paths = ()
    train: Paths = ()
    val: Paths = ()
    test: Paths = ()
    format: FileFormat = Field(default="auto", description="auto: by suffix")
    keys: DataKeys = DataKeys()
    units: DataUnits = DataUnits()
    split: SplitConfig | None = Field(default=None, description="None: seeded random, 80/10/10 (90/10 of `train`)")
    species: tuple[Element, ...] | None = Field(default=None, min_length=1, description="elements allowed; None: any")
    isolated_atoms: Path | None = Field(
        default=None, description="file of one-atom frames whose energies are the references"
    )
    reference_energies: dict[Element, float] | None = Field(default=None, description="energy in eV by element")
    max_train_force: float | None = Field(
        default=None, gt=0, description="eV/A; training frames with a larger force on any atom are left out"
    )
    allow_duplicates: bool = Field(
        default=False,
        description="accept equal structures in different parts of a split that is given by files or indices, and "
        "equal structures with different labels, with a warning",
    )
    cache: Path | None = Field(
        default=None,
        description="folder for neighbour lists, created when missing, so that a later run on the same frames with the "
        "same cutoff starts sooner; any number of runs may share it; null: they are built at every start",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_split(cls, values: object) -> object:
        if not isinstance(values, dict) or not isinstance(values.get("split"), dict):
            return values
        split = {"kind": "random", **values["split"]}
        if values.get("train") and split["kind"] in ("random", "group"):
            split = {"test": 0, **split}
        return {**values, "split": split}

    @model_validator(mode="after")
    def _consistent_files(self) -> DataConfig:
        if bool(self.paths) == bool(self.train):
            raise ValueError("name the data files either in `paths` or in `train`, and not in both")
        if self.paths and (self.val or self.test):
            raise ValueError("`val` and `test` go with `train`; with `paths` the frames are divided by `split`")
        if self.train and self.val and self.split is not None:
            raise ValueError("`split` has nothing to divide when `train` and `val` are both given as files")
        if self.train and self.split is not None and not self.val:
            if self.split.test:
                raise ValueError("`split.test` must be 0 (or absent) when `train` names files: name `test` files")
            if not self.split.val:
                raise ValueError("`split.val` is needed when `train` is given without `val`")
        if self.isolated_atoms is not None and self.reference_energies is not None:
            raise ValueError("give `isolated_atoms` or `reference_energies`, not both")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """All data files named, in the order paths, train, val, test."""
        return self.paths + self.train + self.val + self.test

    @property
    def allowed_numbers(self) -> tuple[int, ...] | None:
        """Atomic numbers of `species`, ascending, or None."""
        return None if self.species is None else tuple(sorted({atomic_numbers[s] for s in self.species}))

    @property
    def effective_split(self) -> RandomSplit | GroupSplit | IndexSplit | None:
        """The split used: the one given, else the default; None where training and validation files are given."""
        if self.split is not None or (self.train and self.val):
            return self.split
        return RandomSplit() if self.paths else RandomSplit(train=0.9, val=0.1, test=0)

    def relocated(self, places: Sequence[Path]) -> DataConfig:
        """A copy that takes files from where they have moved: files of the same name, or in one of these folders."""
        files = [place / path.name if place.is_dir() else place for place in places for path in self.files]
        found = {path.name: path for path in files if path.exists()}
        return with_paths(self, lambda path: found.get(path.name, path))
