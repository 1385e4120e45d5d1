"""Options of forces. Imports no OpenMM."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from md_drivers.common.checks import check_choice, check_skin
from mlff.artifacts.loaded import Engine

Implementation = Literal["pythonforce", "torchforce"]


@dataclass(frozen=True)
class ForceOptions:
    """Options of a force, as :func:`md_drivers.openmm_force` explains them; ValueError for values that cannot be."""

    device: str | torch.device | None = None
    dtype: str | torch.dtype | None = None
    skin: float = 0.5
    parameter: str | None = None
    implementation: Implementation = "pythonforce"
    failure_file: str | os.PathLike[str] = "mlff-failure.extxyz"
    strict: bool = False
    engine: Engine | None = None

    def __post_init__(self) -> None:
        check_skin(self.skin)
        if self.parameter == "":
            raise ValueError("parameter must be a name, or None for a force that cannot be scaled")
        check_choice("implementation", self.implementation, get_args(Implementation))
        if self.strict and self.implementation == "torchforce":
            raise ValueError("strict needs implementation='pythonforce': a TorchForce does not know the training data")
