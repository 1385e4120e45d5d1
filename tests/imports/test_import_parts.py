"""A backbone with heads: which outputs are read, under which names, and what the public calculator makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.public_checkpoints import Case, content, in_parts, option_cases, save

from mlff.artifacts import ArtifactError
from mlff.imports.equiformer_v2 import import_equiformer_v2

CASE = option_cases()["gate with grid MLP"]
SCALAR, VECTOR = "equiformerV2_scalar_head", "equiformerV2_vector_head"


def predicted(saved: dict[str, Any], folder: Path, case: Case = CASE) -> tuple[torch.Tensor, torch.Tensor]:
    model = import_equiformer_v2(save(saved, folder / "checkpoint.pt")).requires_grad_(False)
    out = model(*case.graph)
    return out["energy"], out["forces"]


@pytest.fixture
def raw(tmp_path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of the same model in one part."""
    return predicted(content(CASE), tmp_path)


def with_heads(heads: dict[str, Any], **fields: Any) -> dict[str, Any]:
    saved = in_parts(CASE)
    names = {SCALAR: "energy", VECTOR: "forces"}
    renamed = {names[head["module"]]: key for key, head in heads.items()}
    saved["config"]["model"] |= {"heads": heads, **fields}
    saved["state_dict"] = {
        ".".join(renamed.get(part, part) for part in name.split(".")): value
        for name, value in saved["state_dict"].items()
    }
    return saved


def test_linear_references_of_a_backbone_are_not_added(tmp_path):
    """fairchem's EquiformerV2Backbone holds energy_lin_ref, but neither it nor a head reads it (1.1 to 1.10)."""
    case = option_cases()["linear references"]
    without = Case({**case.options, "use_energy_lin_ref": False}, case.state, case.graph, {})
    added, forces = predicted(content(case), tmp_path, case)
    plain, _ = predicted(content(without), tmp_path, case)
    energy, same_forces = predicted(in_parts(case), tmp_path, case)
    torch.testing.assert_close(energy, plain)
    assert not torch.allclose(energy, added)
    torch.testing.assert_close(same_forces, forces)


@pytest.mark.parametrize("wrapped", ["module.", "module.module."])
def test_wrappers_behind_the_parts(wrapped, raw, tmp_path):
    """fairchem 1.2's eqv2_to_eqv2_hydra inserts ``backbone.`` behind the first ``module.`` only."""
    saved = in_parts(CASE)
    saved["state_dict"] = {}
    for name, value in CASE.state.items():
        block = name.partition(".")[0]
        head = {"energy_block": "output_heads.energy.", "force_block": "output_heads.forces."}.get(block)
        renamed = f"module.{wrapped}{head}{name}" if head else f"module.backbone.{wrapped}{name}"
        saved["state_dict"][renamed] = value
    torch.testing.assert_close(predicted(saved, tmp_path), raw)


def test_first_name_of_the_architecture(raw, tmp_path):
    """fairchem issue 540: the first eq2_83M_2M.pt named its model so; later only the name was changed."""
    saved = content(CASE)
    saved["config"]["model"] = "equiformer_v2s"
    torch.testing.assert_close(predicted(saved, tmp_path), raw)


@pytest.mark.parametrize(
    "heads",
    [
        {"e": {"module": SCALAR}, "f": {"module": VECTOR, "output_name": "forces"}},
        {"my-energy": {"module": SCALAR, "output_name": "energy"}, "forces": {"module": VECTOR}},
    ],
)
def test_keys_of_heads_are_free_where_outputs_have_names(heads, raw, tmp_path):
    saved = with_heads(heads, pass_through_head_outputs=True)
    torch.testing.assert_close(predicted(saved, tmp_path), raw)


@pytest.mark.parametrize(
    ("heads", "passed", "wrong"),
    [
        ({"bandgap": {"module": SCALAR, "output_name": "bandgap"}, "forces": {"module": VECTOR}}, True, "bandgap"),
        ({"energy": {"module": SCALAR, "output_name": "bandgap"}, "forces": {"module": VECTOR}}, True, "bandgap"),
        ({"energy": {"module": SCALAR}, "forces": {"module": VECTOR, "output_name": "dipole"}}, True, "dipole"),
        ({"energy": {"module": SCALAR, "output_name": "forces"}, "forces": {"module": VECTOR}}, True, "forces"),
        ({"bandgap": {"module": SCALAR}, "forces": {"module": VECTOR}}, False, "bandgap"),
        ({"energy": {"module": SCALAR}, "forces": {"module": VECTOR, "output_name": "dipole"}}, False, "dipole"),
    ],
)
def test_other_outputs_are_refused_by_name(heads, passed, wrong, tmp_path):
    saved = with_heads(heads, pass_through_head_outputs=passed)
    with pytest.raises(ArtifactError, match=rf"checkpoint\.pt: head .*{wrong}.*only"):
        predicted(saved, tmp_path)
