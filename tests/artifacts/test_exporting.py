"""An export that fails leaves nothing behind, and a wrong export does not get out."""

import os
import stat
import subprocess
import sys

import ase
import pytest
import torch
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st
from support.toy_potential import ToyConfig, ToyPotential, export_toy, toy_potential
from torch import nn

import mlff
from mlff.artifacts import ArtifactError, exporting
from mlff.artifacts.torchscript import TorchScriptPayload
from mlff.potential.artifact.evaluation import deviations


class NotScriptable(ToyPotential):
    """TorchScript knows no keyword dictionaries."""

    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)


class ScriptsDifferently(ToyPotential):
    """The energy is another one once scripted."""

    def forward(
        self,
        positions: torch.Tensor,
        numbers: torch.Tensor,
        cell: torch.Tensor,
        edge_index: torch.Tensor,
        shifts: torch.Tensor,
        batch: torch.Tensor,
        compute_forces: bool = True,
        compute_stress: bool = False,
    ):
        energies = -0.1 * numbers.to(torch.float64)
        if torch.jit.is_scripting() and edge_index.shape[1] > 0:
            energies = energies + 1e-4
        energy = torch.zeros(cell.shape[0], dtype=torch.float64).index_add(0, batch, energies)
        virial = torch.zeros_like(cell)
        return {"energy": energy, "energies": energies, "forces": torch.zeros_like(positions), "stress": virial}


class FailsWithoutEdges(ToyPotential):
    """The most frequent bug of graph networks."""

    def forward(
        self,
        positions: torch.Tensor,
        numbers: torch.Tensor,
        cell: torch.Tensor,
        edge_index: torch.Tensor,
        shifts: torch.Tensor,
        batch: torch.Tensor,
        compute_forces: bool = True,
        compute_stress: bool = False,
    ):
        return {"energy": shifts.reshape(edge_index.shape[1], -1).sum(0)[:1].to(torch.float64)}


CONFIG = ToyConfig((1, 8), 3.0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NotScriptable(CONFIG), "NotScriptable cannot be exported, TorchScript refuses it"),
        (ScriptsDifferently(CONFIG), r"scripted model does not agree.*energy of 'cluster' deviates by 4\.0e-04"),
        (FailsWithoutEdges(CONFIG), "frame 'one atom': the model cannot compute it"),
    ],
)
@pytest.mark.parametrize("existing", [True, False])
def test_failing_export_leaves_everything_as_it_was(tmp_path, model, message, existing):
    path = tmp_path / "model.pt"
    if existing:
        path.write_text("before")
    with pytest.raises(ArtifactError, match=message):
        mlff.export(model, path)
    assert [file.name for file in tmp_path.iterdir()] == (["model.pt"] if existing else [])
    assert not existing or path.read_text() == "before"


def test_reloaded_file_is_compared(tmp_path, monkeypatch):
    """A payload that loses precision on the way to the file is found out."""
    honest = TorchScriptPayload.dump

    def lossy(self, module, extra):
        for parameter in module.parameters():
            parameter.data = parameter.data * (1.0 + 1e-3)
        return honest(self, module, extra)

    monkeypatch.setattr(TorchScriptPayload, "dump", lossy)
    with pytest.raises(ArtifactError, match="deviates by"):
        mlff.export(toy_potential(), tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


def test_crash_while_writing(tmp_path, monkeypatch):
    def crash(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="no space left"):
        export_toy(tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


def test_replaces_and_keeps_usual_permissions(tmp_path):
    path = tmp_path / "model.pt"
    (tmp_path / "other").touch()
    path.write_text("before")
    assert export_toy(str(path)) == path
    assert mlff.load(path, verify=False).metadata.cutoff == 4.0
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.pt", "other"]


def test_no_folder(tmp_path):
    with pytest.raises(ArtifactError, match=r"the folder .*nowhere does not exist"):
        export_toy(tmp_path / "nowhere" / "model.pt")
    with pytest.raises(ArtifactError, match="is a folder"):
        export_toy(tmp_path)


def test_wrong_frames(tmp_path):
    with pytest.raises(ArtifactError, match=r"frame 1 holds \['Ag'\]; the model knows \['H', 'C', 'O', 'Cu'\]"):
        export_toy(tmp_path / "model.pt", self_test_frames=[bulk("Cu"), bulk("Ag")])
    with pytest.raises(ArtifactError, match="frame 0 has no atoms"):
        export_toy(tmp_path / "model.pt", self_test_frames=[ase.Atoms()])
    with pytest.raises(ArtifactError, match=r"'frame 0': the model gives wrong outputs: .*energy .*finite"):
        export_toy(tmp_path / "model.pt", self_test_frames=[ase.Atoms("H2", positions=[[0, 0, 0], [0, 0, 0]])])
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_potential(tmp_path):
    with pytest.raises(ArtifactError, match="Linear cannot be exported: its config lacks"):
        mlff.export(nn.Linear(2, 2), tmp_path / "model.pt")
    mixed = toy_potential()
    mixed.depth.data = mixed.depth.data.to(torch.float64)
    with pytest.raises(ArtifactError, match=r"must have one dtype.*torch.float32.*torch.float64"):
        mlff.export(mixed, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="not in float16"):
        mlff.export(toy_potential(), tmp_path / "model.pt", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_agreement_bounds():
    """The bounds of the project's definition of an equal export."""
    assert exporting.AGREEMENT[torch.float64] == 1e-10
    assert exporting.AGREEMENT[torch.float32] == 1e-5


@given(error=st.floats(1e-6, 1.0), shift=st.floats(-1e5, 1e5), bonding=st.floats(0.1, 100.0))
def test_reference_energies_do_not_hide_deviations(error, shift, bonding):
    isolated = torch.full((4,), shift, dtype=torch.float64)
    energies = isolated - bonding
    forces = torch.zeros(4, 3, dtype=torch.float64)
    reference = {"energy": energies.sum()[None], "energies": energies, "forces": forces}
    wrong = {"energy": reference["energy"] + error, "energies": energies, "forces": forces + error}
    found = deviations(reference, wrong, isolated)
    assert found["forces"] == pytest.approx(error)
    assert found["energy"] == pytest.approx(error / max(1.0, 4 * bonding), rel=1e-2)
    assert found["energies"] == 0.0


def test_deviations_of_unusable_outputs_are_infinite():
    energies = torch.zeros(2, dtype=torch.float64)
    reference = {"energy": energies[:1], "energies": energies, "forces": torch.zeros(2, 3, dtype=torch.float64)}
    for forces in (None, torch.zeros(2, 2), torch.full((2, 3), float("nan"))):
        outputs = reference | ({} if forces is None else {"forces": forces})
        if forces is None:
            del outputs["forces"]
        assert deviations(reference, outputs, energies)["forces"] == float("inf")


def test_importing_mlff_is_light():
    code = "import sys, mlff; mlff.__version__; print(*(name in sys.modules for name in ('torch', 'numpy', 'ase')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mlff.nonsense  # noqa: B018
    assert {"load", "export", "available", "__version__"} <= set(dir(mlff))
