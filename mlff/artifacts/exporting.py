"""Writing a model file, and making sure that it computes what the model computes."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase
import torch
from torch import nn

from mlff.artifacts.container import METADATA, SELF_TEST, Container, replaced_at_end
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.evaluation import Model, deviations, run_model
from mlff.artifacts.frames import edge_cases
from mlff.artifacts.loading import find_dtype, open_model
from mlff.artifacts.metadata import ArtifactMetadata, build_metadata
from mlff.artifacts.self_test import SelfTest, make_graph, make_self_test, with_float32_tolerance
from mlff.artifacts.torchscript import TorchScriptPayload, convert_parameters
from mlff.graph import AtomicGraph

# Largest relative deviation between the eager, the scripted and the reloaded model in the same dtype.
AGREEMENT = {torch.float64: 1e-10, torch.float32: 1e-5}


def export(
    potential: nn.Module,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, Any] | None = None,
    self_test_frames: Sequence[ase.Atoms] | None = None,
    dtype: torch.dtype | str | None = None,
) -> Path:
    """Write a potential to one file that :func:`mlff.load` and any libtorch program can open.

    The file is TorchScript with ``metadata.json`` and ``self_test.json`` inside. Before it appears at ``path``, the
    scripted model and the reloaded file are compared with the potential on all self-test frames, contiguous or not,
    to 1e-10 (float64) and 1e-5 (float32) of the size of each output. A file that was at ``path`` is replaced at the
    end, or kept if anything fails.

    Args:
        potential: a :class:`mlff.potential.Potential`, or a scriptable module with the same ``forward`` and a
            ``config`` with ``species``, ``cutoff``, ``max_neighbors``, ``max_neighbors_strict`` and ``conservative``.
            Copied, not changed.
        path: of the file; its folder must exist.
        metadata: any of ``name``, ``description``, ``licence``, ``training_data`` (one data set or several, mappings
            with ``name``, ``source``, ``licence``, ``sha256``, ``frames`` ...), ``training_config``, ``extra``.
        self_test_frames: structures whose outputs are stored for later checks, for example some of the training set.
            Small structures of the model's elements are always added.
        dtype: of the stored parameters; None keeps that of the potential.

    Returns:
        The path of the file.

    Raises:
        ArtifactError: wrong metadata or frames, a model that cannot be scripted or does not agree with its export, no
            folder to write to.
        ValueError: a dtype other than float32 and float64.
    """
    target = Path(path)
    model = copy.deepcopy(potential).to(device="cpu").eval().requires_grad_(False)
    stored = parameter_dtype(model) if dtype is None else find_dtype(dtype)
    convert_parameters(model, stored)
    about = _describe(model, stored, metadata)
    frames = [(f"frame {i}", atoms) for i, atoms in enumerate(self_test_frames or [])]
    _check_frames(frames, about)
    # The frames of the caller go last: the first ones are quick to fail.
    frames = edge_cases(about.species, about.cutoff) + frames

    eager = {d: in_dtype(model, d) for d in AGREEMENT}
    test = make_self_test(eager[torch.float64], about, frames)
    test = with_float32_tolerance(test, eager[torch.float32], about)
    payload = TorchScriptPayload()
    scripted = payload.script(model)
    extra = {METADATA: about.model_dump_json(indent=1), SELF_TEST: test.model_dump_json()}
    with replaced_at_end(target) as temporary:
        temporary.write_bytes(payload.dump(scripted, extra))
        _check_agreement("scripted", scripted, eager[stored], stored, about, test)
        for d, reference in eager.items():
            reloaded = open_model(Container(temporary), device=torch.device("cpu"), dtype=d)
            if reloaded.metadata != about:
                raise ArtifactError("the metadata does not survive writing and reading; report this as a bug")
            _check_agreement("reloaded", reloaded.module, reference, d, about, test)
    return target


def parameter_dtype(model: nn.Module) -> torch.dtype:
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if len(dtypes) != 1:
        raise ArtifactError(f"all parameters must have one dtype, found {sorted(map(str, dtypes))}; pass dtype=")
    return find_dtype(dtypes.pop())


def in_dtype(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    converted = copy.deepcopy(model)
    convert_parameters(converted, dtype)
    return converted


def _describe(model: nn.Module, dtype: torch.dtype, author: Mapping[str, Any] | None) -> ArtifactMetadata:
    config: Any = getattr(model, "config", None)
    needed = ("species", "cutoff", "max_neighbors", "max_neighbors_strict", "conservative", "model_dump")
    missing = [name for name in needed if not hasattr(config, name)]
    if missing:
        raise ArtifactError(f"{type(model).__name__} cannot be exported: its config lacks {missing}")
    outputs = ["energy", "energies", "forces", *(["stress"] if config.conservative else [])]
    return build_metadata(
        author,
        payload=TorchScriptPayload.name,
        cutoff=config.cutoff,
        max_neighbors=config.max_neighbors,
        max_neighbors_strict=config.max_neighbors_strict,
        species=list(config.species),
        dtype=str(dtype).removeprefix("torch."),
        conservative=config.conservative,
        outputs=outputs,
        architecture=config.model_dump(mode="json"),
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def _check_frames(frames: Sequence[tuple[str, ase.Atoms]], about: ArtifactMetadata) -> None:
    for name, atoms in frames:
        if len(atoms) == 0:
            raise ArtifactError(f"self-test {name} has no atoms")
        unknown = sorted(set(atoms.symbols) - set(about.symbols))
        if unknown:
            raise ArtifactError(f"self-test {name} holds {unknown}; the model knows {list(about.symbols)}")


def _check_agreement(
    which: str, module: Model, eager: Model, dtype: torch.dtype, about: ArtifactMetadata, test: SelfTest
) -> None:
    """Raise unless two models agree on all frames, before and after TorchScript has optimized its graphs."""
    for repetition in range(3):
        for frame in test.frames:
            graph = make_graph(frame.atoms, about, dtype)
            stress = frame.stress is not None
            expected = {k: v.to(torch.float64) for k, v in run_model(eager, graph, stress=stress).items()}
            given = scattered(graph) if repetition == 2 else graph
            outputs = run_model(module, given, stress=stress)
            for name, deviation in deviations(expected, outputs, test.isolated(frame)).items():
                if not deviation <= AGREEMENT[dtype]:
                    layout = " (inputs not contiguous)" if repetition == 2 else ""
                    raise ArtifactError(
                        f"the {which} model does not agree with the potential: {name} of {frame.name!r} deviates by "
                        f"{deviation:.1e} of its size (allowed {AGREEMENT[dtype]:.0e}) in {dtype}{layout}"
                    )


def scattered(graph: AtomicGraph) -> AtomicGraph:
    """The same graph with tensors that are not contiguous in memory, as they come out of slices and transposes."""

    def spread(x: torch.Tensor) -> torch.Tensor:
        strided = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype, device=x.device)
        strided[..., ::2] = x
        return strided[..., ::2]

    def transposed(x: torch.Tensor) -> torch.Tensor:
        return x.transpose(-1, -2).contiguous().transpose(-1, -2)

    return AtomicGraph(
        positions=transposed(graph.positions),
        numbers=spread(graph.numbers),
        cell=transposed(graph.cell),
        pbc=graph.pbc,
        edge_index=transposed(graph.edge_index),
        shifts=transposed(graph.shifts),
        batch=spread(graph.batch),
    )
