"""What programs in model files may use: ``operators.json``, with a reason for each entry, and what a kind adds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

#: What an operator does beyond computing from its inputs: ``new``: nothing, and its outputs are in memory of their own;
#: ``pure``: nothing; ``view``: nothing, and outputs may share the memory of the first input; ``writes``: changes its
#: first input, which the program must have made; ``dead``: acts on the process, so that a frozen program has none.
Effect = Literal["new", "pure", "view", "writes", "dead"]


@cache
def operators() -> Mapping[str, Effect]:
    """Effect of each operator that any program may use, by its name in TorchScript, such as ``aten::add``."""
    groups = json.loads(files("mlff.artifacts").joinpath("operators.json").read_text("utf-8"))
    return MappingProxyType({name: group["effect"] for group in groups for name in group["operators"]})


def operators_of(kind: object) -> Mapping[str, Effect]:
    """The same with what a kind of model adds, see :class:`mlff.artifacts.ModelKind`."""
    return {**getattr(kind, "operators", {}), **operators()}
