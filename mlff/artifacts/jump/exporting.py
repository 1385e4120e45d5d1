"""Writing the file of a jump model, and making sure that it computes what the model computes."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from mlff.artifacts.container import METADATA, SELF_TEST, Container, replaced_at_end
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.exporting import AGREEMENT, in_dtype, parameter_dtype
from mlff.artifacts.jump.cases import make_cases
from mlff.artifacts.jump.loading import open_jump
from mlff.artifacts.jump.self_test import Jump, JumpSelfTest, make_jump_self_test
from mlff.artifacts.loading import find_dtype
from mlff.artifacts.metadata import build_jump_metadata
from mlff.artifacts.torchscript import TorchScriptPayload, convert_parameters
from mlff.equijump.model import JumpModel
from mlff.proteins import TensorCloud
from mlff.proteins.geometry import GeometryReference


def export_jump(
    model: JumpModel,
    path: str | os.PathLike[str],
    *,
    residues: Sequence[str] = (),
    sequences: Sequence[str] = (),
    conditions: Sequence[Mapping[str, str | float]] = (),
    geometry: GeometryReference | None = None,
    metadata: Mapping[str, Any] | None = None,
    self_test_clouds: Sequence[TensorCloud] = (),
    dtype: torch.dtype | str | None = None,
) -> Path:
    """Write a jump model to one file that :func:`mlff.load_jump` and any libtorch program can open.

    Like :func:`mlff.export`: scripted model and reloaded file are compared with the model in both precisions, on
    contiguous tensors or not, before the file appears.

    Args:
        model: copied, not changed.
        path: of the file; its folder must exist.
        residues, sequences, conditions, geometry: what is known of the training data, see
            :class:`mlff.artifacts.JumpMetadata`.
        metadata: any of ``name``, ``description``, ``licence``, ``training_data``, ``training_config``, ``extra``.
        self_test_clouds: single frames [N] that are stored with a jump each; small ones are always added.
        dtype: of the stored parameters; None keeps that of the model.

    Raises:
        ArtifactError: wrong metadata, a model that cannot be scripted or does not agree with its export, no folder to
            write to.
        ValueError: a dtype other than float32 and float64.
    """
    target = Path(path)
    model = copy.deepcopy(model).to(device="cpu").eval().requires_grad_(False)
    stored = parameter_dtype(model) if dtype is None else find_dtype(dtype)
    convert_parameters(model, stored)
    about = build_jump_metadata(
        metadata,
        dtype=str(stored).removeprefix("torch."),
        lag_times=list(model.lag_times),
        steps=model.steps,
        transport=model.config.transport.kind,
        residues=list(residues),
        sequences=list(sequences),
        conditions=[dict(entry) for entry in conditions],
        geometry=None if geometry is None else geometry.model_dump(mode="json"),
        architecture=model.config.model_dump(mode="json"),
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
    eager = {d: in_dtype(model, d) for d in AGREEMENT}
    given = make_cases(
        about.residues,
        about.lag_times,
        lambda steps: model.num_noises(model.steps if steps is None else steps),
        [cloud.to("cpu", torch.float64) for cloud in self_test_clouds],
    )
    test = make_jump_self_test(eager[torch.float64], eager[torch.float32], given)
    payload = TorchScriptPayload()
    scripted = payload.script(model)
    extra = {METADATA: about.model_dump_json(indent=1), SELF_TEST: test.model_dump_json()}
    with replaced_at_end(target) as temporary:
        temporary.write_bytes(payload.dump(scripted, extra))
        _check_agreement("scripted", scripted, eager[stored], stored, test)
        for d, reference in eager.items():
            reloaded = open_jump(Container(temporary), device=torch.device("cpu"), dtype=d)
            if reloaded.metadata != about:
                raise ArtifactError("the metadata does not survive writing and reading; report this as a bug")
            _check_agreement("reloaded", reloaded.module, reference, d, test)
    return target


def _check_agreement(which: str, module: Jump, eager: Jump, dtype: torch.dtype, test: JumpSelfTest) -> None:
    """Raise unless two models agree on all cases, before and after TorchScript has optimized its graphs."""
    for repetition in range(3):
        for case in test.cases:
            strided = repetition == 2
            deviation = case.deviation(case.run(module, dtype, strided=strided), case.run(eager, dtype))
            if not deviation <= AGREEMENT[dtype]:
                layout = " (inputs not contiguous)" if strided else ""
                raise ArtifactError(
                    f"the {which} model does not agree with the model: {case.name!r} deviates by {deviation:.1e} of "
                    f"its displacement (allowed {AGREEMENT[dtype]:.0e}) in {dtype}{layout}"
                )
