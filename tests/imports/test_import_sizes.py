"""Options of a model that is much larger than its file are refused before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.public_checkpoints import content, option_cases, published, save

from mlff.artifacts import ArtifactError
from mlff.equiformer import EquiformerConfig
from mlff.imports.equiformer_v2 import import_equiformer_v2
from mlff.imports.equiformer_v2.options import read_options
from mlff.imports.equiformer_v2.sizes import fewest_parameters

CASE = option_cases()["rms_norm_sh"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pt"


def refused(saved: dict[str, Any], path: Path) -> str:
    with pytest.raises(ArtifactError, match=r"checkpoint\.pt: ") as caught:
        import_equiformer_v2(save(saved, path))
    return str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"num_layers": 1_000_000},
        {"ffn_hidden_channels": 10_000_000},
        {"sphere_channels": 10**9},
        {"attn_hidden_channels": 10**9},
        {"num_heads": 10**9},
        {"attn_alpha_channels": 10**9},
        {"attn_value_channels": 10**9},
        {"edge_channels": 10**9},
        {"max_num_elements": 10**9},
        {"lmax_list": [8], "ffn_hidden_channels": 10**6},
    ],
)
def test_options_of_a_model_much_larger_than_the_file(change: dict[str, Any], path):
    """Nothing of that size is built."""
    saved = content(CASE)
    saved["config"]["model_attributes"] |= change
    message = refused(saved, path)
    assert "state_dict holds" in message
    assert all(f"{name} = {value}" in message for name, value in change.items())


def test_grids_of_any_size_are_not_made(path):
    saved = content(CASE)
    saved["config"]["model_attributes"]["grid_resolution"] = 10**6
    assert "grid_resolution = 1000000" in refused(saved, path)


@pytest.mark.parametrize("value", [torch.zeros(1), torch.zeros(1, device="meta")])
def test_tensors_larger_than_the_file(value: torch.Tensor, path):
    """A file can repeat one number along an axis without holding it more than once."""
    saved = content(CASE)
    saved["config"]["model_attributes"]["max_num_elements"] = 10**9
    saved["state_dict"]["module.module.sphere_embedding.weight"] = value.expand(10**9, 4)
    assert "sphere_embedding.weight" in refused(saved, path)


def test_small_differences_are_listed_in_full(path):
    saved = content(CASE)
    saved["config"]["model_attributes"]["num_layers"] = 2
    message = refused(saved, path)
    assert "missing: blocks.1." in message
    assert message.count("blocks.1.") == sum(name.startswith("blocks.0.") for name in CASE.state)


@pytest.mark.parametrize(
    ("preset", "published"),
    [("31M", 31_058_690), ("83M", 83_164_802), ("153M", 153_602_690), ("121M-oc22", 121_526_402)],
)
def test_estimate_for_published_models(preset, published):
    """Their totals are those of the equiformer_v2 repository, see tests/equiformer."""
    config = EquiformerConfig.model_validate({"preset": f"equiformer-v2-{preset}"})
    assert 0.85 * published < fewest_parameters(config) < published


def test_estimate_with_every_option():
    cases = [*option_cases().values(), *map(published, ("eqv2_oc20_style_l4m2", "eqv2_dens_l4m2"))]
    for case in cases:
        held = sum(value.numel() for value in case.state.values())
        assert 0.5 * held < fewest_parameters(read_options(case.options, "").backbone()) < held
