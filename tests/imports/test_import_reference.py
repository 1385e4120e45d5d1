"""Imported models give the numbers of the public EquiformerV2 code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.public_checkpoints import Case, content, option_cases, published, save, use_frames, with_dens
from torch import Tensor, nn

from mlff.artifacts.torchscript import convert_parameters
from mlff.graph import GraphInput, neighbor_list
from mlff.imports.equiformer_v2 import import_equiformer_v2

FILES = ("eqv2_oc20_style_l4m2", "eqv2_oc20_style_l6m3")
EXACT, FLOAT32 = 1e-11, 1e-4
# SiLU on a grid makes outputs depend on the roll of the frames. That scatter, not the import, is what these bound; it
# grows with mmax at 18 points per axis.
OWN_FRAMES = {FILES[0]: 1e-6, FILES[1]: 2e-5}


def deviation(value: Tensor, reference: Tensor) -> float:
    """Largest deviation relative to the largest value."""
    return float((value.double() - reference).abs().max() / reference.abs().max())


def outputs(model: nn.Module, case: Case) -> dict[str, Tensor]:
    return model.requires_grad_(False)(*case.graph)


@pytest.fixture(params=FILES)
def case(request: pytest.FixtureRequest) -> Case:
    return published(request.param)


@pytest.fixture
def model(case: Case, tmp_path: Path) -> nn.Module:
    return import_equiformer_v2(save(content(case), tmp_path / "checkpoint.pt"))


def test_float64_with_the_frames_of_the_reference(model, case, monkeypatch):
    use_frames(monkeypatch, case.arrays["graph/edge_rot_mat"])
    out = outputs(model, case)
    # per structure: the energies of the batch differ in size
    assert ((out["energy"] / case.arrays["out/energy"] - 1).abs() < EXACT).all()
    assert deviation(out["forces"], case.arrays["out/forces"]) < EXACT


def test_own_neighbours_are_those_of_the_reference(case):
    """Also where images of one atom tie for the last place."""
    positions, _, cell, edge_index, shifts, batch = case.graph
    of_edge = batch[edge_index[1]]
    for structure in range(len(cell)):
        own = batch == structure
        limits = {"cutoff": case.options["max_radius"], "max_neighbors": case.options["max_neighbors"]}
        found, counts = neighbor_list(positions[own], cell[structure], True, **limits)
        start = int(torch.nonzero(own)[0])
        expected = {
            (int(i) - start, int(j) - start, *map(int, shift))
            for i, j, shift in zip(*edge_index[:, of_edge == structure], shifts[of_edge == structure], strict=True)
        }
        assert {(int(i), int(j), *map(int, shift)) for i, j, shift in zip(*found, counts, strict=True)} == expected


@pytest.mark.parametrize("name", FILES)
def test_float64_with_own_frames(name, tmp_path):
    case = published(name)
    out = outputs(import_equiformer_v2(save(content(case), tmp_path / "checkpoint.pt")), case)
    assert ((out["energy"] / case.arrays["out/energy"] - 1).abs() < 1e-6).all()
    assert deviation(out["forces"], case.arrays["out/forces"]) < OWN_FRAMES[name]


def test_float32(model, case):
    convert_parameters(model, torch.float32)
    out = outputs(model, case)
    assert ((out["energy"] / case.arrays["out/energy"] - 1).abs() < FLOAT32).all()
    assert deviation(out["forces"], case.arrays["out/forces"]) < FLOAT32


@pytest.mark.parametrize(
    ("dtype", "own_frames", "bound"),
    [(torch.float64, False, EXACT), (torch.float64, True, 1e-6), (torch.float32, True, FLOAT32)],
)
def test_dens(dtype, own_frames, bound, tmp_path, monkeypatch):
    case = published("eqv2_dens_l4m2")
    path = save(with_dens(case), tmp_path / "checkpoint.pt")

    plain = import_equiformer_v2(path)
    convert_parameters(plain, dtype)
    with monkeypatch.context() as patch:
        if not own_frames:
            use_frames(patch, case.arrays["plain/edge_rot_mat"])
        out = outputs(plain, case)
    assert deviation(out["energy"], case.arrays["plain/energy"]) < bound
    assert deviation(out["forces"], case.arrays["plain/forces"]) < bound

    dens = import_equiformer_v2(path, dens=True).requires_grad_(False)
    convert_parameters(dens, dtype)
    corrupted = case.arrays["in/noise_mask"]
    with monkeypatch.context() as patch:
        if not own_frames:
            use_frames(patch, case.arrays["dens/edge_rot_mat"])
        out = dens(GraphInput(*case.graph), case.arrays["in/forces"], corrupted)
    forces_or_noise = torch.where(corrupted[:, None], out["noise"], out["forces"])
    assert deviation(out["energy"], case.arrays["dens/energy"]) < bound
    assert deviation(forces_or_noise, case.arrays["dens/forces_or_noise"]) < bound


@pytest.mark.parametrize("name", option_cases())
def test_every_option(name, tmp_path, monkeypatch):
    case = option_cases()[name]
    # values of buffers are not read: names are enough
    buffers = {f"module.module.{key}": torch.zeros(1) for key in case.arrays.get("buffers", ())}
    saved = content(case)
    saved["state_dict"] |= buffers
    use_frames(monkeypatch, case.arrays["graph/edge_rot_mat"])
    model = import_equiformer_v2(save(saved, tmp_path / "checkpoint.pt"))
    out = outputs(model, case)
    energy, forces = (torch.tensor(case.arrays[key], dtype=torch.float64) for key in ("energy", "forces"))
    assert float((out["energy"] / energy - 1).abs()) < EXACT
    assert deviation(out["forces"], forces) < EXACT
    trained = [value.numel() for key, value in case.state.items() if key != "energy_lin_ref"]
    assert sum(parameter.numel() for parameter in model.parameters()) == sum(trained)
