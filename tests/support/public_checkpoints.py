"""Checkpoints in the layout of the public EquiformerV2 code, and outputs of that code (``imports/equiformer_v2``)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import mlff.irreps.wigner

FOLDER = Path(__file__).parents[1] / "imports" / "equiformer_v2"


@dataclass(frozen=True)
class Case:
    """A model of the public code: constructor arguments, parameters, and the graph that it was evaluated on.

    ``graph`` holds the arguments of ``Potential.forward``.
    """

    options: dict[str, Any]
    state: dict[str, Tensor]
    graph: tuple[Tensor, ...]
    arrays: Mapping[str, Any]


def published(name: str) -> Case:
    """A case of an npz file."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items() if value.dtype.kind in "fib"}
    positions, cell, batch = tensors["in/positions"], tensors["in/cell"], tensors["in/batch"].long()
    edge_index = tensors["graph/edge_index"]
    offsets = tensors["graph/edge_vec"] - (positions[edge_index[0]] - positions[edge_index[1]])
    shifts = torch.linalg.solve(cell[batch[edge_index[1]]].transpose(1, 2), offsets[:, :, None])[:, :, 0].round()
    graph = (positions, tensors["in/numbers"].long(), cell, edge_index, shifts, batch)
    state = {key.removeprefix("state/"): value for key, value in tensors.items() if key.startswith("state/")}
    return Case(json.loads(str(arrays["config"])), state, graph, tensors)


def option_cases() -> dict[str, Case]:
    """The cases of ``options.json`` by name."""
    content = json.loads((FOLDER / "options.json").read_text())
    edge_index = torch.tensor(content["edge_index"])
    graph = (
        torch.tensor(content["positions"], dtype=torch.float64),
        torch.tensor(content["numbers"]),
        20.0 * torch.eye(3, dtype=torch.float64)[None],
        edge_index,
        torch.zeros(edge_index.shape[1], 3, dtype=torch.float64),
        torch.zeros(len(content["numbers"]), dtype=torch.int64),
    )
    cases = {}
    for name, model in content["models"].items():
        state = {key: parameter(key, tuple(shape)) for key, shape in model.pop("parameters").items()}
        arrays = {"graph/edge_rot_mat": torch.tensor(content["edge_rot_mat"], dtype=torch.float64), **model}
        cases[name] = Case(model["options"], state, graph, arrays)
    return cases


def parameter(name: str, shape: tuple[int, ...]) -> Tensor:
    """The float64 values that a public parameter had when ``options.json`` was made."""
    # the one generator of NumPy whose numbers are promised never to change
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        values /= np.sqrt(shape[-1])
    else:
        values = 0.5 * values + (1.0 if name.endswith("weight") else 0.0)
    return torch.from_numpy(values)


def content(case: Case, prefix: str = "module.module.", **extra: Any) -> dict[str, Any]:
    """What a training saves: the model in one part, as the first public versions wrote it."""
    return {
        "config": {"model": "equiformer_v2", "model_attributes": dict(case.options)},
        "state_dict": {prefix + name: value for name, value in case.state.items()},
        "normalizers": {},
        **extra,
    }


def in_parts(case: Case, **extra: Any) -> dict[str, Any]:
    """What later public versions save: a backbone with heads."""
    heads = {"energy_block": "output_heads.energy.", "force_block": "output_heads.forces."}
    state = {
        f"module.{heads.get(name.partition('.')[0], 'backbone.')}{name}": value for name, value in case.state.items()
    }
    model = {
        "name": "hydra",
        "backbone": {"model": "equiformer_v2_backbone", **case.options},
        "heads": {
            "energy": {"module": "equiformerV2_scalar_head"},
            "forces": {"module": "equiformerV2_vector_head"},
        },
        "otf_graph": True,
        "pass_through_head_outputs": True,
    }
    return {"config": {"model": model}, "state_dict": state, **extra}


def with_dens(case: Case, **extra: Any) -> dict[str, Any]:
    """What the public code saves of a model with DeNS, from the names in the npz file."""
    parts = {"energy_head": "output_heads.energy", "forces_head": "output_heads.forces", "backbone": "backbone"}
    state = {}
    for name, value in case.state.items():
        part, _, rest = name.partition(".")
        state[f"module.{parts[part]}.{rest}"] = value
    heads = {"energy": {"module": "eqV2_DeNS_scalar_head"}, "forces": {"module": "eqV2_DeNS_vector_head"}}
    backbone = {"model": "equiformer_v2_dens_backbone", **case.options}
    return {"config": {"model": {"name": "hydra", "backbone": backbone, "heads": heads}}, "state_dict": state, **extra}


def save(content: Mapping[str, Any], path: Path) -> Path:
    """Write a checkpoint file."""
    torch.save(dict(content), path)
    return path


def use_frames(monkeypatch: pytest.MonkeyPatch, rotations: Tensor) -> None:
    """Make models use these edge frames [E,3,3] wherever they have E directions."""
    own: Callable[[Tensor], Tensor] = mlff.irreps.wigner.edge_rotation

    def edge_rotation(direction: Tensor) -> Tensor:
        return rotations.to(direction.dtype) if len(direction) == len(rotations) else own(direction)

    monkeypatch.setattr(mlff.irreps.wigner, "edge_rotation", edge_rotation)
