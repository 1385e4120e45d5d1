"""Opening models: one default device, and one message for a model of another kind."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.toy_jump import toy_jump

import md_drivers
import md_drivers.jumps
import mlff
from md_drivers import MLFFCalculator, relax, simulate
from md_drivers.common import models
from md_drivers.openmm.force import openmm_force
from mlff.artifacts.names import pretrained

STRUCTURE = Path(__file__).parents[3] / "examples" / "alanine_dipeptide.pdb"


@pytest.fixture(scope="module")
def jump_file(tmp_path_factory) -> Path:
    return mlff.export(toy_jump(), tmp_path_factory.mktemp("jump") / "jump.pt")


@pytest.mark.parametrize("opened", [False, True])
def test_a_jump_model_in_place_of_a_potential(jump_file, tmp_path, formate, opened):
    model = mlff.load(jump_file) if opened else jump_file
    says = r"needs a model of kind 'potential', and .*jump\.pt is of kind 'jump', which runs with equijump rollout"
    with pytest.raises(ValueError, match=f"a calculator {says}"):
        MLFFCalculator(model)
    with pytest.raises(ValueError, match=f"a calculator {says}"):
        relax(formate, model, tmp_path / "out")
    app = pytest.importorskip("openmm.app")
    with pytest.raises(ValueError, match=f"a force {says}"):
        openmm_force(model, app.PDBFile(str(STRUCTURE)).topology)
    with pytest.raises(ValueError, match=f"a simulation {says}"):
        simulate(STRUCTURE, model, tmp_path / "out", steps=1)
    assert not (tmp_path / "out").exists()


def test_all_drivers_have_the_same_default_device():
    for function in (MLFFCalculator, relax, simulate, openmm_force, md_drivers.jumps.rollout):
        assert signature(function).parameters["device"].default is None, function


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_default_device_is_a_gpu_if_there_is_one(monkeypatch, model, model_path, there, device):
    asked: list[str] = []

    def load(path, *, device, dtype, engine):
        asked.append(device)
        return model

    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    monkeypatch.setattr(models, "load", load)
    assert models.open_potential(model_path, None, None) is model
    assert asked == [device]
    assert models.open_potential(model, None, None) is model  # a loaded model stays where it is
    assert asked == [device]


def test_a_model_without_a_name_has_that_of_its_file(tmp_path):
    """Not that of the folder that happens to hold it."""
    unnamed = SimpleNamespace(name=None)
    assert models.model_name(SimpleNamespace(path=tmp_path / "model.pt", metadata=unnamed)) == "model.pt"
    assert models.model_name(SimpleNamespace(path=pretrained()["peptides"], metadata=unnamed)) == "peptides"
