"""Typed description of a data set: files, keys, units, splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from ase.data import atomic_numbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from mlff.data.units import EnergyUnit, LengthUnit, StressUnit, energy_factor, force_factor
from mlff.graph import quantity

FileFormat = Literal["auto", "extxyz", "traj", "db", "npz"]


def _as_tuple(value: object) -> object:
    """Lets a configuration name one file without a list."""
    return (value,) if isinstance(value, str | Path) else value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_tuple)]


def _share(value: int | float) -> int | float:
    if value < 0 or (isinstance(value, float) and not value <= 1):
        raise ValueError(f"must be a fraction from 0.0 to 1.0 or a number of frames (an integer); got {value}")
    return value


def _fill_shares(values: object) -> object:
    """Shares that are not given: `val` 0.1; `train` and `test` what is left, or 0.8 and 0.1; `test` 0 with counts."""
    if not isinstance(values, dict):
        return values
    given = [values[name] for name in ("train", "val", "test") if name in values]
    if any(isinstance(share, bool) or not isinstance(share, int | float) for share in given):
        return values
    if any(isinstance(share, int) and share != 0 for share in given):
        return {"test": 0, **values}
    val = values.get("val", 0.1)
    train = values.get("train", _rest(val, values.get("test", 0.1)))
    return {**values, "train": train, "val": val, "test": values.get("test", _rest(train, val))}


def _rest(*shares: float) -> float:
    return max(0.0, round(1.0 - sum(shares), 9))


Share = Annotated[int | float, AfterValidator(_share)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ByQuantity(_Frozen):
    """Fields that are not typed out are strings, and named for further quantities."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_validator(mode="after")
    def _known_quantities(self) -> Self:
        wrong = []
        for name, value in (self.model_extra or {}).items():
            try:
                quantity(name)
            except ValueError:
                wrong.append(InitErrorDetails(type="extra_forbidden", loc=(name,), input=value))
            else:
                if value is not None and not (isinstance(value, str) and value):
                    wrong.append(InitErrorDetails(type="string_type", loc=(name,), input=value))
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self


class DataKeys(_ByQuantity):
    """Names under which a file stores its labels. Further fields are names of quantities, such as ``dipole``.

    A name is looked up in the results of the frame's calculator, in `info`, in the key-value pairs and data of an ASE
    database row and in the per-atom arrays. For npz files the names of the rMD17 and MD17 layouts are tried as well.
    """

    energy: str | None = Field(default="energy", min_length=1, description="total energy; None: not read")
    forces: str | None = Field(default="forces", min_length=1, description="forces, [N,3]; None: not read")
    stress: str | None = Field(default=None, min_length=1, description="stress or virial; None: not read")

    def named(self) -> dict[str, str]:
        """Names in the file by quantity, of those that are read."""
        return {name: key for name, key in self.model_dump().items() if key is not None}


class DataUnits(_ByQuantity):
    """Units of the file. Everything is converted to those of :data:`mlff.graph.QUANTITIES` on reading."""

    energy: EnergyUnit | None = Field(default=None, description="None: eV for ASE formats; npz files must name it")
    length: LengthUnit = "A"
    forces: str | None = Field(default=None, description="<energy>/<length>; None: the units of energy and length")
    stress: StressUnit = "eV/A^3"
    stress_convention: Literal["ase", "negative", "virial"] = Field(
        default="ase",
        description="ase: (1/V) dE/dstrain; negative: its negative (as VASP prints it); "
        "virial: -dE/dstrain in the energy unit",
    )

    @field_validator("forces")
    @classmethod
    def _known_force_unit(cls, value: str | None) -> str | None:
        if value is not None:
            force_factor(value)
        return value

    @model_validator(mode="after")
    def _known_units(self) -> DataUnits:
        for name in self.model_extra or {}:
            self.factor(name)
        return self

    def factor(self, name: str) -> float:
        """What values of a quantity are multiplied by; the stress has conventions of its own."""
        if name == "energy":
            return energy_factor(self.energy or "eV")
        if name == "forces":
            return force_factor(self.forces or f"{self.energy or 'eV'}/{self.length}")
        return quantity(name).factor((self.model_extra or {}).get(name))


class RandomSplit(_Frozen):
    """Seeded random split by frame. Shares are fractions (floats) or numbers of frames (integers).

    Of fractions that are not given, `val` is 0.1 and `train` or `test` the remainder (0.8 and 0.1 if both are missing).
    With numbers of frames `train` and `val` are needed and `test` is 0 unless given.
    """

    kind: Literal["random"] = "random"
    seed: int = Field(default=0, ge=0)
    train: Share = 0.8
    val: Share = 0.1
    test: Share = 0.1

    _fill = model_validator(mode="before")(_fill_shares)

    @model_validator(mode="after")
    def _consistent_shares(self) -> RandomSplit:
        shares = {"train": self.train, "val": self.val, "test": self.test}
        # A literal 0 leaves a part out under either reading.
        kinds = {type(share) for share in shares.values() if share}
        if len(kinds) > 1:
            raise ValueError(f"train, val and test must be all fractions or all counts, not a mixture: {shares}")
        if float in kinds and sum(shares.values()) > 1 + 1e-9:
            raise ValueError(f"the fractions train, val and test add up to {sum(shares.values()):g}, more than 1")
        if not self.train:
            raise ValueError("train must be larger than 0")
        return self


class GroupSplit(_Frozen):
    """Seeded split that keeps groups of frames together. Fractions are of frames and met as well as groups allow.

    Fractions that are not given are filled in as those of `RandomSplit`.
    """

    kind: Literal["group"]
    by: str = Field(min_length=1, description="'composition', 'file', or the name of an info key such as 'run'")
    seed: int = Field(default=0, ge=0)
    train: float = Field(default=0.8, gt=0, le=1)
    val: float = Field(default=0.1, ge=0, le=1)
    test: float = Field(default=0.1, ge=0, le=1)

    _fill = model_validator(mode="before")(_fill_shares)

    @model_validator(mode="after")
    def _at_most_one(self) -> GroupSplit:
        if self.train + self.val + self.test > 1 + 1e-9:
            raise ValueError(f"the fractions train, val and test add up to {self.train + self.val + self.test:g}, > 1")
        return self


class IndexSplit(_Frozen):
    """Split fixed by index files (text: integers separated by white space or commas; or .npy), counted from 0 over all
    frames of `paths` in the order given."""

    kind: Literal["indices"]
    train: Path
    val: Path | None = None
    test: Path | None = None


SplitConfig = Annotated[RandomSplit | GroupSplit | IndexSplit, Field(discriminator="kind")]


class DataConfig(_Frozen):
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
    species: tuple[str, ...] | None = Field(default=None, description="elements allowed; None: any")
    isolated_atoms: Path | None = Field(
        default=None, description="file of one-atom frames whose energies are the references"
    )
    reference_energies: dict[str, float] | None = Field(default=None, description="energy in eV by element")
    max_train_force: float | None = Field(
        default=None, gt=0, description="eV/A; training frames with a larger force on any atom are left out"
    )
    allow_duplicates: bool = Field(
        default=False,
        description="accept equal structures in different parts of a split that is given by files or indices",
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

    @field_validator("species")
    @classmethod
    def _known_species(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        _check_elements(value or ())
        if value is not None and not value:
            raise ValueError("the list of species is empty")
        return value

    @field_validator("reference_energies")
    @classmethod
    def _known_references(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        _check_elements(tuple(value or ()))
        return value

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
        names = ("paths", "train", "val", "test")
        return self.model_copy(
            update={name: tuple(found.get(path.name, path) for path in getattr(self, name)) for name in names}
        )

    def resolved(self, base: Path) -> DataConfig:
        """A copy whose relative paths are taken from the folder `base` (that of the configuration file)."""
        changes: dict[str, object] = {
            name: tuple(base / path for path in getattr(self, name)) for name in ("paths", "train", "val", "test")
        }
        if self.cache is not None:
            changes["cache"] = base / self.cache
        if self.isolated_atoms is not None:
            changes["isolated_atoms"] = base / self.isolated_atoms
        if isinstance(self.split, IndexSplit):
            parts = {name: getattr(self.split, name) for name in ("train", "val", "test")}
            changes["split"] = self.split.model_copy(
                update={name: None if path is None else base / path for name, path in parts.items()}
            )
        return self.model_copy(update=changes)


def _check_elements(symbols: tuple[str, ...]) -> None:
    unknown = [symbol for symbol in symbols if atomic_numbers.get(symbol, 0) == 0]
    if unknown:
        raise ValueError(f"no such chemical element: {', '.join(unknown)}")
