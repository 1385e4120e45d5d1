"""What is exported computes what the potential computes."""

import copy
import pickle
import warnings
from dataclasses import replace

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rounding import rounding
from support.toy_potential import export_toy, toy_potential

import mlff
from md_drivers import MLFFCalculator
from mlff.artifacts.torchscript import TorchScriptPayload, convert_parameters
from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.potential.artifact.evaluation import run_model
from mlff.potential.artifact.examples import edge_cases
from mlff.potential.artifact.self_test import scattered

TOLERANCE = {torch.float64: 1e-10, torch.float32: rounding(torch.float32)}
CUTOFF = 4.0
SPECIES = (1, 6, 8, 29)


def assert_equal(outputs, expected, dtype):
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(outputs[name], value, rtol=0.0, atol=TOLERANCE[dtype] * scale)


def structures():
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.1, seed=3)
    slab = bulk("Cu").repeat((2, 2, 1))
    slab.rattle(0.1, seed=4)
    slab.pbc = (True, True, False)
    named = [("crystal", crystal), ("slab", slab), ("molecule", molecule("CH3OH"))]
    return edge_cases(SPECIES, CUTOFF) + named


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["float32", "float64"])
def models(request, tmp_path_factory):
    """Eager, scripted and reloaded model in one dtype."""
    potential = toy_potential(SPECIES, CUTOFF, dtype=request.param)
    path = mlff.export(potential, tmp_path_factory.mktemp("models") / "model.pt")
    return potential, TorchScriptPayload().script(potential), mlff.load(path)


@pytest.mark.parametrize("atoms", [pytest.param(atoms, id=name) for name, atoms in structures()])
@pytest.mark.parametrize("layout", ["contiguous", "scattered"])
def test_eager_scripted_and_reloaded_agree(models, atoms, layout):
    eager, scripted, reloaded = models
    dtype = reloaded.dtype
    graph = graph_from_atoms(atoms, CUTOFF, dtype=dtype)
    stress = atoms.cell.rank == 3
    expected = run_model(eager, graph, stress=stress)
    if layout == "scattered":
        graph = scattered(graph)
        assert not graph.numbers.is_contiguous() or len(atoms) == 1
    for _ in range(3):  # TorchScript optimizes after the first call
        assert_equal(run_model(scripted, graph, stress=stress), expected, dtype)
        assert_equal(reloaded.evaluate(graph, stress=stress), expected, dtype)


def test_edge_cases_are_what_they_claim():
    cases = dict(edge_cases(SPECIES, CUTOFF))
    edges = {name: graph_from_atoms(atoms, CUTOFF).num_edges for name, atoms in cases.items()}
    assert len(cases["one atom"]) == 1
    assert edges["one atom"] == edges["atoms beyond the cutoff"] == 0
    assert set(cases["atoms beyond the cutoff"].numbers) == set(SPECIES)
    small = cases["cell smaller than the cutoff"]
    assert (small.cell.lengths() < CUTOFF).all()
    assert small.pbc.all()
    chain = cases["chain"]
    assert (chain.get_scaled_positions(wrap=False)[:, 0] > 1).any()
    for name in ("cluster", "cell smaller than the cutoff", "chain"):
        outputs = run_model(toy_potential(SPECIES, CUTOFF), graph_from_atoms(cases[name], CUTOFF))
        assert float(outputs["forces"].abs().max()) > 1e-2


def test_scattered_is_not_contiguous_but_equal():
    graph = graph_from_atoms(bulk("Cu", cubic=True), CUTOFF)
    other = scattered(graph)
    for name in ("positions", "numbers", "cell", "edge_index", "shifts", "batch"):
        assert not getattr(other, name).is_contiguous()
        assert torch.equal(getattr(other, name), getattr(graph, name))


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6), periodic=st.tuples(*[st.booleans()] * 3))
def test_random_structures(toy_file, seed, count, periodic):
    model = mlff.load(toy_file, dtype="float64", verify=False)
    rng = np.random.default_rng(seed)
    cell = 3.5 * np.eye(3) + rng.uniform(-0.5, 0.5, (3, 3))
    positions = 1.7 * rng.permutation([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])[:count]
    positions = positions + rng.uniform(-0.3, 0.3, (count, 3))
    atoms = ase.Atoms(numbers=rng.choice(SPECIES, count), positions=positions, cell=cell, pbc=periodic)
    potential = toy_potential(SPECIES, CUTOFF)
    convert_parameters(potential, torch.float64)
    graph = model.graph(atoms)
    assert_equal(model.evaluate(graph, stress=True), run_model(potential, graph, stress=True), torch.float64)


def test_batch_equals_single_structures(toy_file, frames):
    model = mlff.load(toy_file, dtype=torch.float64)
    graphs = [model.graph(atoms) for atoms in frames]
    batch = model.evaluate(AtomicGraph.collate(graphs))
    single = [model.evaluate(graph) for graph in graphs]
    for name in ("energy", "energies", "forces"):
        torch.testing.assert_close(batch[name], torch.cat([s[name] for s in single]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("stored", [torch.float32, torch.float64])
def test_dtype_of_the_file(tmp_path, stored):
    """Without a wish the dtype is kept; parameters, not constant tables, are converted."""
    path = mlff.export(toy_potential(dtype=stored), tmp_path / "model.pt")
    assert mlff.load(path).dtype == stored
    assert mlff.load(path).metadata.dtype == str(stored).removeprefix("torch.")
    atoms = ase.Atoms("Cu2", positions=[[0, 0, 0], [2.3, 0, 0]])
    for wish in (torch.float32, "float64"):
        model = mlff.load(path, dtype=wish)
        outputs = model.evaluate(model.graph(atoms))
        assert outputs["forces"].dtype == model.dtype
        assert outputs["energy"].dtype == torch.float64
    # Upcast parameters give float64 accuracy: a float32 computation would be off by 1e-8 and more.
    reference = toy_potential(dtype=stored)
    convert_parameters(reference, torch.float64)
    model = mlff.load(path, dtype=torch.float64)
    expected = run_model(reference, model.graph(atoms))
    torch.testing.assert_close(model.evaluate(model.graph(atoms))["energy"], expected["energy"], rtol=0, atol=1e-13)


def test_export_converts_on_request_and_leaves_the_potential_alone(tmp_path):
    potential = toy_potential(dtype=torch.float64).train()
    before = {name: value.clone() for name, value in potential.state_dict().items()}
    path = mlff.export(potential, tmp_path / "model.pt", dtype="float32")
    assert mlff.load(path).dtype == torch.float32
    assert potential.training
    assert all(parameter.requires_grad for parameter in potential.parameters())
    for name, value in potential.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_module_is_frozen(toy_file):
    module = mlff.load(toy_file).module
    assert isinstance(module, torch.jit.ScriptModule)
    assert list(module.parameters()) == []
    assert "prim::GetAttr" not in str(module.graph)  # weights and eval mode are constants
    assert not getattr(module.eval(), "training", False)


def test_evaluate_in_every_autograd_mode(toy_file, frames):
    model = mlff.load(toy_file)
    expected = model.evaluate(model.graph(frames[0]))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            outputs = model.evaluate(model.graph(frames[0]))
        assert_equal(outputs, expected, torch.float32)
    graph = model.graph(frames[0])
    outputs = model.evaluate(graph.replace(positions=graph.positions.requires_grad_()))
    assert all(not value.requires_grad and value.is_contiguous() for value in outputs.values())


def test_evaluate_computes_what_is_asked(toy_file, frames):
    model = mlff.load(toy_file)
    graph = model.graph(frames[0])
    assert model.evaluate(graph, forces=False).keys() == {"energy", "energies"}
    assert model.evaluate(graph, forces=False, stress=True).keys() == {"energy", "energies", "stress"}
    assert model.evaluate(graph.to(dtype=torch.float64))["forces"].dtype == torch.float32


def test_evaluate_refuses(toy_file, tmp_path, frames):
    model = mlff.load(toy_file)
    atoms = ase.Atoms("HFCuFAu", positions=np.arange(15.0).reshape(5, 3))
    with pytest.raises(ValueError, match=r"F \(Z=9, atom 1\), Au \(Z=79, atom 4\); it knows H, C, O, Cu"):
        model.graph(atoms)
    with pytest.raises(ValueError, match="does not know F"):
        model.evaluate(graph_from_atoms(atoms, CUTOFF))
    with pytest.raises(ValueError, match=r"Z=200, atom 1\)"):
        model.check_species(torch.tensor([1, 200]))
    with pytest.raises(ValueError, match="volume"):
        model.evaluate(model.graph(frames[1]), stress=True)
    direct = mlff.load(export_toy(tmp_path / "direct.pt", conservative=False))
    assert not direct.metadata.conservative
    assert "stress" not in direct.metadata.outputs
    assert "forces" in direct.evaluate(direct.graph(frames[0]))
    with pytest.raises(ValueError, match="no stress"):
        direct.evaluate(direct.graph(frames[0]), stress=True)


def test_max_neighbors_reaches_the_graph(tmp_path, frames):
    model = mlff.load(export_toy(tmp_path / "model.pt", max_neighbors=3))
    assert model.graph(frames[0]).num_edges == 3 * len(frames[0])


def test_degenerate_neighbors_reach_graph_and_calculator(tmp_path):
    """fcc, 5 of 12 equal neighbours allowed: without strictness all 12 stay, and forces vanish by symmetry."""
    copper = bulk("Cu", cubic=True) * (2, 2, 2)
    potential = toy_potential((29,), 3.0, max_neighbors=5)
    potential.config = replace(potential.config, max_neighbors_strict=False)
    loaded = mlff.load(mlff.export(potential, tmp_path / "model.pt"))
    assert loaded.metadata.max_neighbors_strict is False
    assert loaded.graph(copper).num_edges == 12 * len(copper)
    copper.calc = MLFFCalculator(loaded)
    assert np.abs(copper.get_forces()).max() < 1e-6


def test_pickles_by_path_and_hash(tmp_path, frames):
    path = export_toy(tmp_path / "model.pt")
    model = mlff.load(path, dtype="float64")
    data = pickle.dumps(model)
    assert len(data) < 1000
    for again in (pickle.loads(data), copy.deepcopy(model)):
        assert again.dtype == torch.float64
        graph = model.graph(frames[0])
        assert_equal(again.evaluate(graph), model.evaluate(graph), torch.float64)
    export_toy(path, cutoff=3.0)
    with pytest.raises(mlff.artifacts.ArtifactError, match="changed"):
        pickle.loads(data)


def test_no_warnings_but_other_peoples_pass(tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mlff.load(export_toy(tmp_path / "model.pt"))
        warnings.warn("mine", DeprecationWarning, stacklevel=1)
    assert [str(w.message) for w in caught if "Python 3.14" not in str(w.message)] == ["mine"]
