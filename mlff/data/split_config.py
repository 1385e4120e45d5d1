"""How frames are divided into parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mlff.support.settings import Section


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


class RandomSplit(Section):
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


class GroupSplit(Section):
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


class IndexSplit(Section):
    """Split fixed by index files (text: integers separated by white space or commas; or .npy), counted from 0 over all
    frames of `paths` in the order given."""

    kind: Literal["indices"]
    train: Path
    val: Path | None = None
    test: Path | None = None


SplitConfig = Annotated[RandomSplit | GroupSplit | IndexSplit, Field(discriminator="kind")]
