"""Every layout of public checkpoints gives the same model; normalisers and references become part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.public_checkpoints import Case, content, in_parts, option_cases, published, save, with_dens

from mlff.artifacts import ArtifactError
from mlff.equiformer import EquiformerConfig
from mlff.graph import GraphInput
from mlff.imports.equiformer_v2 import import_equiformer_v2
from mlff.imports.equiformer_v2.options import read_options
from mlff.potential import Potential

CASE = option_cases()["gate with grid MLP"]


def imported(path: Path, saved: dict[str, Any]) -> Potential:
    return import_equiformer_v2(save(saved, path / "checkpoint.pt")).requires_grad_(False)


def energy_and_forces(model: Potential, case: Case = CASE) -> tuple[torch.Tensor, torch.Tensor]:
    out = model(*case.graph)
    return out["energy"], out["forces"]


@pytest.fixture
def raw(tmp_path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs without normalisers."""
    return energy_and_forces(imported(tmp_path, content(CASE)))


def same(first: tuple[torch.Tensor, ...], second: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("prefix", ["", "module.", "module.module.module."])
def test_any_number_of_prefixes(prefix, raw, tmp_path):
    assert same(raw, energy_and_forces(imported(tmp_path, content(CASE, prefix))))


def test_backbone_and_heads(raw, tmp_path):
    assert same(raw, energy_and_forces(imported(tmp_path, in_parts(CASE))))


def test_options_beside_the_name(raw, tmp_path):
    saved = content(CASE)
    saved["config"] = {"model": {"name": "equiformer_v2", **CASE.options}}
    assert same(raw, energy_and_forces(imported(tmp_path, saved)))


def test_averages_are_used_where_present(raw, tmp_path):
    worse = Case(CASE.options, {name: 0.5 * value for name, value in CASE.state.items()}, CASE.graph, {})
    averages = {"decay": 0.999, "num_updates": 5, "shadow_params": list(CASE.state.values()), "collected_params": []}
    assert same(raw, energy_and_forces(imported(tmp_path, content(worse, ema=averages))))
    assert not same(raw, energy_and_forces(imported(tmp_path, content(worse, ema=None))))


def test_averages_leave_out_what_is_not_trained(tmp_path):
    case = option_cases()["linear references"]
    trained = [value for name, value in case.state.items() if name != "energy_lin_ref"]
    averaged = imported(tmp_path, content(case, ema={"shadow_params": trained}))
    assert same(energy_and_forces(averaged, case), energy_and_forces(imported(tmp_path, content(case)), case))


@pytest.mark.parametrize("names", [("target", "grad_target", "std"), ("energy", "forces", "rmsd")])
def test_normalizers_in_both_spellings(names, raw, tmp_path):
    target, grad_target, std = names
    normalizers = {
        target: {"mean": torch.tensor([-0.75]), std: torch.tensor([2.5])},
        grad_target: {"mean": torch.tensor(0.0), std: torch.tensor(4.0)},
    }
    model = imported(tmp_path, content(CASE) | {"normalizers": normalizers})
    energy, forces = energy_and_forces(model)
    torch.testing.assert_close(energy, 2.5 * raw[0] - 0.75)
    torch.testing.assert_close(forces, 4.0 * raw[1])


def test_the_mean_is_added_once_per_structure_and_shared_by_its_atoms(tmp_path):
    positions, numbers, cell, edge_index, shifts, batch = CASE.graph
    two = (
        torch.cat([positions, positions]),
        torch.cat([numbers, numbers]),
        torch.cat([cell, cell]),
        torch.cat([edge_index, edge_index + len(numbers)], dim=1),
        torch.cat([shifts, shifts]),
        torch.cat([batch, batch + 1]),
    )
    normalizers = {"energy": {"mean": -3.0, "std": 1.0}}
    model = imported(tmp_path, content(CASE) | {"normalizers": normalizers})
    single = model(*CASE.graph)
    out = model(*two)
    torch.testing.assert_close(out["energy"], single["energy"].expand(2))
    torch.testing.assert_close(out["energies"].view(2, -1).sum(dim=1), out["energy"])
    model.energy_offset.zero_()
    torch.testing.assert_close(model(*CASE.graph)["energy"], single["energy"] + 3.0)


@pytest.mark.parametrize("bare", [True, False])
def test_element_references_are_added_for_each_atom(bare, raw, tmp_path):
    references = -torch.arange(119.0)
    elementrefs = {"energy": references if bare else {"element_references": references}}
    model = imported(tmp_path, content(CASE, elementrefs=elementrefs))
    energy, forces = energy_and_forces(model)
    torch.testing.assert_close(energy, raw[0] - CASE.graph[1].sum())
    torch.testing.assert_close(forces, raw[1])


def test_linear_references_are_scaled_with_the_energy(tmp_path):
    case = option_cases()["linear references"]
    energy, _ = energy_and_forces(imported(tmp_path, content(case)), case)
    normalizers = {"energy": {"mean": 0.5, "std": 3.0}}
    scaled, _ = energy_and_forces(imported(tmp_path, content(case) | {"normalizers": normalizers}), case)
    torch.testing.assert_close(scaled, 3.0 * energy + 0.5)


def test_float32_and_half_precision_files_become_float32(raw, tmp_path):
    for dtype, bound in ((torch.float32, 1e-4), (torch.bfloat16, 0.2)):
        rounded = {name: value.to(dtype) for name, value in CASE.state.items()}
        model = imported(tmp_path, content(Case(CASE.options, rounded, CASE.graph, {})))
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
        forces = energy_and_forces(model)[1]
        assert (forces - raw[1]).norm() < bound * raw[1].norm()


def test_dens_in_one_part_and_in_two(tmp_path):
    """atomicarchitects/DeNS keeps everything in one module, fairchem in a backbone and heads."""
    case = published("eqv2_dens_l4m2")
    parts = {"backbone.": "", "energy_head.scalar_block": "energy_block", "forces_head.vector_block": "force_block"}
    parts["forces_head.denoising_pos_block"] = "denoising_pos_block"
    state = {}
    for name, value in case.state.items():
        part = next(part for part in parts if name.startswith(part))
        state[parts[part] + name.removeprefix(part)] = value
    one = content(Case(case.options, state, case.graph, {}))
    one["config"]["model"] = "equiformer_v2_dens"
    # the trainers keep the scale of the noise among the normalizers
    one["normalizers"] = {"denoising_pos_target": {"mean": torch.tensor(0.0), "std": torch.tensor(0.1)}}
    corrupted = case.arrays["in/noise_mask"]
    outputs = []
    for saved in (one, with_dens(case, normalizers={"denoising_pos_target": {"mean": 0.0, "rmsd": 0.1}})):
        model = import_equiformer_v2(save(saved, tmp_path / "checkpoint.pt"), dens=True).requires_grad_(False)
        outputs.append(model(GraphInput(*case.graph), case.arrays["in/forces"], corrupted))
    for key in ("energy", "forces", "noise"):
        torch.testing.assert_close(outputs[0][key], outputs[1][key])


def test_without_force_encoding_only_its_bias_stays(tmp_path):
    case = published("eqv2_dens_l4m2")
    with_encoding, without = with_dens(case), with_dens(case)
    without["config"]["model"]["backbone"]["use_force_encoding"] = False
    plain = [imported(tmp_path, saved)(*case.graph)["energy"] for saved in (with_encoding, without)]
    torch.testing.assert_close(plain[0], plain[1])
    dens = import_equiformer_v2(save(without, tmp_path / "checkpoint.pt"), dens=True)
    corrupted = torch.ones(len(case.graph[1]), dtype=torch.bool)
    torch.testing.assert_close(dens(GraphInput(*case.graph), case.arrays["in/forces"], corrupted)["energy"], plain[0])


def test_dens_is_refused_where_there_is_none(tmp_path):
    with pytest.raises(ArtifactError, match="not trained with DeNS"):
        import_equiformer_v2(save(content(CASE), tmp_path / "checkpoint.pt"), dens=True)


def test_the_global_random_state_stays(tmp_path):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    imported(tmp_path, content(CASE))
    assert torch.equal(torch.rand(3), expected)


_LINEAR_REFERENCES = {"use_energy_lin_ref": True, "load_energy_lin_ref": True}
_DENS = {
    **{"use_tp_reparam": False, "use_noise_schedule_sigma_encoding": False, "use_force_encoding": True},
    **{"use_energy_lin_ref": False, "load_energy_lin_ref": False},
}


@pytest.mark.parametrize(
    ("preset", "layers", "lmax", "mmax", "drop_path", "further"),
    [
        ("31M", 8, 4, 2, 0.1, {}),
        ("83M", 12, 6, 2, 0.05, {}),
        ("83M", 12, 6, 2, 0.05, {**_DENS, "enforce_max_neighbors_strictly": True}),
        ("153M", 20, 6, 3, 0.1, {}),
        ("153M", 20, 6, 3, 0.1, {**_DENS, "enforce_max_neighbors_strictly": True}),
        ("121M-oc22", 18, 6, 2, 0.1, {**_LINEAR_REFERENCES, "enforce_max_neighbors_strictly": False}),
        ("121M-oc22", 18, 6, 2, 0.1, {**_DENS, "enforce_max_neighbors_strictly": False}),
    ],
)
def test_published_configurations_are_the_presets(preset, layers, lmax, mmax, drop_path, further):
    """Model sections of the configurations that came with the OC20 and OC22 checkpoints, those of DeNS too.

    Their numbers of parameters are tested with the presets.
    """
    options = {
        **{"use_pbc": True, "regress_forces": True, "otf_graph": True, "max_neighbors": 20, "max_radius": 12.0},
        **{"max_num_elements": 90, "num_layers": layers, "sphere_channels": 128, "attn_hidden_channels": 64},
        **{"num_heads": 8, "attn_alpha_channels": 64, "attn_value_channels": 16, "ffn_hidden_channels": 128},
        **{"norm_type": "layer_norm_sh", "lmax_list": [lmax], "mmax_list": [mmax], "grid_resolution": 18},
        **{"num_sphere_samples": 128, "edge_channels": 128, "use_atom_edge_embedding": True},
        **{"share_atom_edge_embedding": False, "use_m_share_rad": False, "use_attn_renorm": True},
        **{"use_sep_s2_act": True, "distance_function": "gaussian", "num_distance_basis": 512},
        **{"attn_activation": "silu"},
        **{"use_s2_act_attn": False, "ffn_activation": "silu", "use_gate_act": False, "use_grid_mlp": True},
        **{"alpha_drop": 0.1, "drop_path_rate": drop_path, "proj_drop": 0.0, "weight_init": "uniform"},
        **further,
    }
    expected = EquiformerConfig.model_validate({"preset": f"equiformer-v2-{preset}"})
    assert read_options(options, "file").backbone() == expected
