"""Writing a model file, and making sure that it computes what the model computes."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlff.artifacts.container import METADATA, SELF_TEST, Container, replaced_at_end
from mlff.artifacts.devices import find_dtype
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.kind import ModelKind
from mlff.artifacts.loaded import open_container
from mlff.artifacts.metadata import build_metadata
from mlff.artifacts.self_test import AGREEMENT, check_agreement, with_float32_tolerance
from mlff.artifacts.torchscript import TorchScriptPayload, convert_parameters
from mlff.support import kinds


def export(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, Any] | None = None,
    self_test_frames: Sequence[Any] | None = None,
    dtype: torch.dtype | str | None = None,
) -> Path:
    """Write a model of any kind to one file that :func:`mlff.load` and any libtorch program can open.

    The file is TorchScript with ``metadata.json`` and ``self_test.json`` inside. Before it appears at ``path``, the
    scripted model and the reloaded file are compared with the model on all cases of the self-test, contiguous or not,
    to 1e-10 (float64) and 1e-5 (float32) of the size of each output. A file that was at ``path`` is replaced at the
    end, or kept if anything fails.

    Args:
        model: its attribute ``kind`` names its kind, by default a potential. Copied, not changed. A potential is a
            :class:`mlff.potential.Potential`, or a scriptable module with the same ``forward`` and a ``config`` with
            ``species``, ``cutoff``, ``max_neighbors``, ``max_neighbors_strict`` and ``conservative``.
        path: of the file; its folder must exist.
        metadata: any of ``name``, ``description``, ``licence``, ``training_data`` (one data set or several, mappings
            with ``name``, ``source``, ``licence``, ``sha256``, ``frames`` ...), ``training_config``, ``extra``, and
            what the kind says of its training data, such as ``residues`` of jump models.
        self_test_frames: inputs whose outputs are stored for later checks, for example some of the training set: ASE
            structures for a potential, clouds for a jump model. Small ones of the kind's own are always added.
        dtype: of the stored parameters; None keeps that of the model.

    Returns:
        The path of the file.

    Raises:
        ArtifactError: wrong metadata or inputs, a model that cannot be scripted or does not agree with its export, no
            folder to write to.
        ValueError: a dtype other than float32 and float64.
    """
    target, payload = Path(path), TorchScriptPayload()
    kind: ModelKind = kinds.find(_kind_of(model)).model_kind
    model = copy.deepcopy(model).to(device="cpu").eval().requires_grad_(False)
    stored = parameter_dtype(model) if dtype is None else find_dtype(dtype)
    convert_parameters(model, stored)
    facts = {**kind.facts(model), **_facts(model, stored), "payload": payload.name}
    about = build_metadata(kind.metadata, metadata, facts, kind.of_data)
    eager = {d: in_dtype(model, d) for d in AGREEMENT}
    test = kind.make_self_test(eager[torch.float64], about, self_test_frames or [])
    test = with_float32_tolerance(test, eager[torch.float32], about)
    cases = test.entries(about)
    scripted = payload.script(model)
    extra = {METADATA: about.model_dump_json(indent=1), SELF_TEST: test.model_dump_json()}
    with replaced_at_end(target) as temporary:
        temporary.write_bytes(payload.dump(scripted, extra))
        check_agreement("scripted", scripted, eager[stored], stored, cases)
        for d, reference in eager.items():
            reloaded = open_container(Container(temporary), device=torch.device("cpu"), dtype=d)
            if reloaded.metadata != about:
                raise ArtifactError("the metadata does not survive writing and reading; report this as a bug")
            check_agreement("reloaded", reloaded.module, reference, d, cases)
    return target


def _kind_of(model: nn.Module) -> str:
    return getattr(model, "kind", kinds.DEFAULT)


def _facts(model: nn.Module, dtype: torch.dtype) -> dict[str, Any]:
    size = sum(parameter.numel() for parameter in model.parameters())
    return {"kind": _kind_of(model), "dtype": str(dtype).removeprefix("torch."), "num_parameters": size}


def parameter_dtype(model: nn.Module) -> torch.dtype:
    """The one dtype of the parameters of a model.

    Raises:
        ArtifactError: there are several.
    """
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if len(dtypes) != 1:
        raise ArtifactError(f"all parameters must have one dtype, found {sorted(map(str, dtypes))}; pass dtype=")
    return find_dtype(dtypes.pop())


def in_dtype(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy with parameters in ``dtype``."""
    converted = copy.deepcopy(model)
    convert_parameters(converted, dtype)
    return converted
