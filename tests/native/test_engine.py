"""Which engine computes a file, and that it does not matter for the results."""

import copy
import logging
import pickle

import numpy as np
import pytest
import torch
from support.physics_models import make_potential, rattled_crystal, rattled_molecule

import mlff
from md_drivers import MLFFCalculator
from mlff.artifacts import ArtifactError
from mlff.native import NativeEvaluator, shared_library
from mlff.potential import PotentialConfig
from mlff.potential.artifact import native

pytestmark = pytest.mark.skipif(
    shared_library() is None, reason="the native library is not built here, see docs/native.md"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return mlff.export(make_potential(), tmp_path_factory.mktemp("engine") / "model.pt", dtype="float32")


@pytest.fixture(scope="module")
def model(file):
    return mlff.load(file)


def test_the_native_engine_is_taken_and_kept(model, file):
    assert (model.engine, model.asked_engine) == ("native", "auto")
    assert model.engine_note.startswith("compiled for ")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), mlff.load(file, engine="native")):
        assert other.engine == "native"
    script = mlff.load(file, engine="torchscript")
    assert script.engine == "torchscript"
    assert pickle.loads(pickle.dumps(script)).engine == "torchscript"
    with pytest.raises(ValueError, match="engine"):
        mlff.load(file, engine="fast")


def test_steps_of_a_driver_are_those_of_torchscript(model):
    """Positions move, leave the cell and the skin; forces, energies and stress follow."""
    generator = np.random.default_rng(0)
    calculators = {name: MLFFCalculator(model, engine=name) for name in ("native", "torchscript")}
    assert {name: calculator.model.engine for name, calculator in calculators.items()} == {x: x for x in calculators}
    for atoms in (rattled_crystal(), rattled_molecule()):
        for step in range(4):
            atoms.positions += generator.normal(0.0, 0.05 + 0.2 * (step == 2), atoms.positions.shape)
            if step == 3:
                atoms.wrap()
            found, expected = (
                {name: calculator.get_property(name, atoms) for name in ("energy", "energies", "forces")}
                for calculator in calculators.values()
            )
            for name, value in expected.items():
                np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-5 * (1.0 + np.abs(value).max()))
    assert calculators["native"].neighbor_statistics.rebuilds == calculators["torchscript"].neighbor_statistics.rebuilds


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"forces": "direct"}, "no derivatives"),
        ({"properties": ["dipole"]}, "properties"),
        ({"backbone": {"preset": "equiformer-v2-31M"}}, "softmax"),
        ({"backbone": {"preset": "smooth", "norm": "layer_norm"}}, "norm layer_norm"),
        ({"backbone": {"preset": "smooth", "lmax": 5}}, "lmax 5"),
    ],
)
def test_what_the_library_lacks_is_named(fields, reason):
    assert reason in native.obstacle(PotentialConfig.model_validate({"species": ["H"], **fields}))


def test_an_architecture_larger_than_its_tensors_is_not_built(model):
    program_of_file = model.program()
    claimed = {
        **model.metadata.architecture,
        "backbone": {**model.metadata.architecture["backbone"], "channels": 10**6},
    }
    program, reason = native.native_program(claimed, program_of_file, model.module, torch.float32)
    assert program is None
    assert "tensors" in reason
    assert native.native_program({}, program_of_file, model.module, torch.float32)[0] is None


def test_a_library_that_computes_something_else_is_not_used(file, monkeypatch, caplog):
    plain = NativeEvaluator.__call__

    def wrong(self, *given, **options):
        found = plain(self, *given, **options)
        return found.__class__(**{**vars(found), "energies": found.energies + 0.1})

    monkeypatch.setattr(NativeEvaluator, "__call__", wrong)
    with caplog.at_level(logging.WARNING):
        model = mlff.load(file)
    assert model.engine == "torchscript"
    assert "self-test failed" in model.engine_note
    assert "TorchScript computes" in caplog.text
    with pytest.raises(ArtifactError, match="self-test failed"):
        mlff.load(file, engine="native")


def test_without_the_library_torchscript_computes(file, monkeypatch):
    monkeypatch.setattr(native, "shared_library", lambda: None)
    model = mlff.load(file)
    assert (model.engine, model.engine_note) == ("torchscript", native.NOT_BUILT)
