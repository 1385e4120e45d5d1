"""``mlff import-equiformer-v2``: from a checkpoint file to a relaxed structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from ase.build import add_adsorbate, fcc111
from support.public_checkpoints import Case, content, in_parts, parameter, save
from typer.testing import CliRunner

import mlff
import mlff.imports.equiformer_v2.folder as command
from md_drivers import MLFFCalculator, relax
from mlff.artifacts import ArtifactError
from mlff.cli import app
from mlff.imports.equiformer_v2 import import_equiformer_v2
from mlff.imports.equiformer_v2.names import public_name
from mlff.imports.equiformer_v2.options import read_options
from mlff.potential import Potential, PotentialConfig
from mlff.potential.training import load_trained

OPTIONS = {
    **{"max_neighbors": 12, "max_radius": 6.0, "max_num_elements": 30, "num_layers": 2, "sphere_channels": 8},
    **{"attn_hidden_channels": 4, "num_heads": 2, "attn_alpha_channels": 4, "attn_value_channels": 4},
    **{"ffn_hidden_channels": 8, "lmax_list": [2], "mmax_list": [2], "grid_resolution": 18, "edge_channels": 8},
    **{"norm_type": "layer_norm_sh", "use_grid_mlp": True},
}
NORMALIZERS = {"energy": {"mean": -3.0, "rmsd": 2.0}, "forces": {"mean": 0.0, "rmsd": 0.1}}


@pytest.fixture(scope="module")
def case() -> Case:
    """Random weights under public names."""
    config = PotentialConfig(
        species=tuple(range(1, 30)), forces="direct", backbone=read_options(OPTIONS, "").backbone()
    )
    state = {}
    for name, value in Potential(config).named_parameters():
        if value.numel():
            public = public_name(name, config.backbone)
            state[public] = parameter(public, tuple(value.shape)).float()
    return Case(OPTIONS, state, (), {})


@pytest.fixture
def checkpoint(case: Case, tmp_path: Path) -> Path:
    averages = {"shadow_params": list(case.state.values())}
    return save(in_parts(case, normalizers=NORMALIZERS, ema=averages, epoch=3.5), tmp_path / "public.pt")


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["import-equiformer-v2", *map(str, arguments)], catch_exceptions=False)


def test_from_checkpoint_to_a_relaxed_structure(checkpoint, tmp_path):
    folder = tmp_path / "models" / "public"
    result = invoke(checkpoint, "-o", folder, "--licence", "MIT", "--name", "random weights")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == [
        "MODEL_CARD.md", "config.yaml", "model.pt", "weights.safetensors",
    ]  # fmt: skip
    assert [path.name for path in folder.parent.iterdir()] == ["public"]

    model = mlff.load(folder)
    about = model.metadata
    assert (about.name, about.licence, about.conservative, about.max_neighbors) == ("random weights", "MIT", False, 12)
    assert about.extra["imported"]["averaged_weights"]
    assert about.extra["imported"]["energy_mean"] == -3.0
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "not extensive" in card
    assert "MIT" in card

    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True)
    add_adsorbate(slab, "O", height=1.3, position="fcc")
    slab.rattle(0.05, seed=1)
    imported = import_equiformer_v2(checkpoint).requires_grad_(False)
    graph = model.graph(slab)
    expected = imported(graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)
    slab.calc = MLFFCalculator(folder)
    assert slab.get_potential_energy() == pytest.approx(expected["energy"].item(), abs=1e-4)
    np.testing.assert_allclose(slab.get_forces(), expected["forces"], atol=1e-4)

    (relaxed,) = relax({"slab": slab}, folder, fmax=1e-9, steps=20, optimizer="FIRE", output=tmp_path / "relaxed")
    assert relaxed.steps == 20
    assert np.isfinite(relaxed.energy)

    # trained further from here, and evaluated: the folder is one of weights too
    potential, _ = load_trained(folder)
    assert all(torch.equal(a, b) for a, b in zip(potential.parameters(), imported.parameters(), strict=True))
    section = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["model"]
    assert PotentialConfig.model_validate(section) == imported.config


def test_existing_folders_are_replaced_only_when_asked(checkpoint, case, tmp_path):
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    refused = invoke(checkpoint, "-o", folder)
    assert refused.exit_code == 2
    assert "--force" in refused.output
    assert invoke(checkpoint, "-o", folder, "--force").exit_code == 0
    assert (folder / "notes.txt").read_text() == "mine"
    assert json.loads(mlff.load(folder).metadata.model_dump_json())["name"] == "public"
    assert invoke(checkpoint, "-o", checkpoint).exit_code == 2


def test_nothing_is_left_behind_by_a_failure(checkpoint, case, tmp_path, monkeypatch):
    folder = tmp_path / "public"
    damaged = save(content(case) | {"state_dict": {}}, tmp_path / "damaged.pt")
    result = invoke(damaged, "-o", folder)
    assert result.exit_code == 2
    assert "no 'state_dict'" in result.output

    def fail(*arguments: object, **options: object) -> None:
        raise ArtifactError("no space")

    monkeypatch.setattr(command, "save_weights", fail)
    assert invoke(checkpoint, "-o", folder).exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.pt", "public.pt"]


def test_help_shows_an_example():
    result = invoke("--help")
    assert result.exit_code == 0
    assert "import-equiformer-v2" in result.output
