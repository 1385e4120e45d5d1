"""The calculator agrees with the model it wraps, and follows the rules of ASE calculators."""

from __future__ import annotations

import copy
import itertools
import pickle
import shutil
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed, InputError, PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.stress import full_3x3_to_voigt_6_stress
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rounding import rounding
from support.toy_potential import toy_potential

import mlff
from md_drivers import MLFFCalculator, StructureError
from md_drivers.ase.contacts import close_contacts
from mlff.artifacts import ArtifactError
from mlff.graph import graph_from_atoms, neighbor_list


def onto_periodic(atoms: Atoms) -> np.ndarray:
    """[3, 3] projector on the periodic lattice vectors."""
    basis = np.linalg.qr(atoms.cell.array[atoms.pbc].T)[0]
    return basis @ basis.T


PROPERTIES = ("energy", "free_energy", "energies", "forces", "stress")


def reference(atoms: Atoms, dtype: torch.dtype = torch.float64) -> dict[str, np.ndarray]:
    """Direct evaluation of the toy potential, without exported file and calculator."""
    graph = graph_from_atoms(atoms, 4.0, dtype=dtype)
    outputs = toy_potential(dtype=dtype)(
        graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch, True, True
    )
    return {name: value.detach().double().numpy() for name, value in outputs.items()}


@pytest.mark.parametrize("pbc", list(product([False, True], repeat=3)))
def test_values_are_those_of_the_model(model, formate, pbc):
    formate.pbc = pbc
    expected = reference(formate)
    formate.calc = MLFFCalculator(model)
    assert formate.get_potential_energy() == pytest.approx(expected["energy"][0], rel=1e-12)
    assert formate.get_potential_energy(force_consistent=True) == formate.get_potential_energy()
    np.testing.assert_allclose(formate.get_forces(), expected["forces"], rtol=1e-10, atol=1e-12)
    if any(pbc):
        inside = onto_periodic(formate)
        stress = full_3x3_to_voigt_6_stress(inside @ expected["stress"][0] @ inside)
        np.testing.assert_allclose(formate.get_stress(), stress, rtol=1e-10, atol=1e-14)
    else:
        with pytest.raises(PropertyNotImplementedError, match="needs a periodic direction"):
            formate.get_stress()
    np.testing.assert_allclose(formate.get_potential_energies(), expected["energies"], rtol=1e-12)
    assert formate.get_potential_energies().sum() == pytest.approx(formate.get_potential_energy(), rel=1e-12)


@pytest.mark.parametrize("pbc", [True, (True, True, False)])
def test_forces_and_stress_are_derivatives_of_the_energy(model, formate, pbc):
    formate.pbc = pbc
    formate.calc = MLFFCalculator(model)
    forces, stress = formate.get_forces(), formate.get_stress()
    scale = np.abs(forces).max()
    np.testing.assert_allclose(forces, calculate_numerical_forces(formate, eps=1e-4), atol=1e-6 * scale)
    scale = np.abs(stress).max()
    inside = onto_periodic(formate)
    expected = inside @ calculate_numerical_stress(formate, eps=1e-5, voigt=False) @ inside
    np.testing.assert_allclose(stress, full_3x3_to_voigt_6_stress(expected), atol=1e-6 * scale)


def test_float32_is_close_to_float64_and_returned_as_float64(model_path, formate):
    single, double = MLFFCalculator(model_path, dtype="float32"), MLFFCalculator(model_path, dtype=torch.float64)
    assert (single.dtype, double.dtype) == ("float32", "float64")
    for name in ("energies", "forces", "stress"):
        value = single.get_property(name, formate)
        assert value.dtype == np.float64
        expected = double.get_property(name, formate)
        np.testing.assert_allclose(value, expected, atol=rounding(torch.float32, max(1.0, np.abs(expected).max())))
        assert np.abs(value - expected).max() > 0  # it did compute in float32
    assert type(single.get_property("energy", formate)) is float


def test_only_what_is_asked_is_computed(model, formate, evaluations):
    formate.calc = MLFFCalculator(model)
    formate.get_potential_energy()
    formate.get_potential_energies()
    formate.get_potential_energy(force_consistent=True)
    assert evaluations == [(False, False)]
    formate.get_forces()
    formate.get_stress()  # came with the forces, as in every step of NPT dynamics
    formate.get_potential_energy()
    assert evaluations == [(False, False), (True, True)]
    formate.positions[0] += 0.1
    formate.get_stress()
    formate.get_forces()
    assert evaluations == [(False, False), (True, True), (True, True)]


def test_forces_need_no_stress(model, direct_path, formate, evaluations):
    MLFFCalculator(direct_path).get_property("forces", formate)
    formate.cell, formate.pbc = None, False
    MLFFCalculator(model).get_property("forces", formate)
    assert evaluations == [(True, False)] * 2


def test_declared_inputs_drop_the_results(model, formate, evaluations):
    formate.calc = MLFFCalculator(model)

    def energy() -> float:
        return formate.get_potential_energy()

    energies = [energy()]
    formate.positions[3, 2] += 0.05  # in place
    energies.append(energy())
    formate.numbers[0] = 8
    energies.append(energy())
    formate.cell[0, 0] += 0.1
    energies.append(energy())
    formate.pbc[0] = False
    energies.append(energy())
    del formate[0]
    energies.append(energy())
    assert len(evaluations) == len(energies) == len(set(energies))
    assert MLFFCalculator(model).get_property("energy", formate) == pytest.approx(energies[-1], rel=1e-12)


def test_other_inputs_keep_the_results(model, formate, evaluations):
    formate.calc = MLFFCalculator(model, ignore=("initial_magmoms", "initial_charges"))
    formate.get_forces()
    formate.set_initial_magnetic_moments(np.ones(len(formate)))
    formate.set_initial_charges(np.ones(len(formate)))
    formate.set_tags(range(len(formate)))
    formate.set_velocities(np.ones((len(formate), 3)))
    formate.info["field"] = np.arange(3.0)
    formate.positions[:] = formate.positions.copy()
    formate.get_forces()
    formate.get_potential_energy()
    assert len(evaluations) == 1


def test_results_belong_to_the_caller(model, formate):
    formate.calc = MLFFCalculator(model)
    for name in ("forces", "stress", "energies"):
        first = formate.calc.get_property(name, formate)
        kept = first.copy()
        first[:] = np.nan
        np.testing.assert_array_equal(formate.calc.get_property(name, formate), kept)


def test_atoms_are_never_modified(model, formate):
    formate.info["note"] = ["kept"]
    formate.positions += 30.0  # outside of the cell
    before = copy.deepcopy(formate)
    info = formate.info
    calculator = MLFFCalculator(model)
    for name in PROPERTIES:
        calculator.get_property(name, formate)
    assert formate.info is info
    assert formate.info == before.info
    assert formate.arrays.keys() == before.arrays.keys()
    for name, values in before.arrays.items():
        np.testing.assert_array_equal(formate.arrays[name], values)
    np.testing.assert_array_equal(formate.cell.array, before.cell.array)
    np.testing.assert_array_equal(formate.pbc, before.pbc)
    assert formate.calc is None


@settings(max_examples=20)
@given(st.data())
def test_whole_lattice_vectors_change_nothing(model, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    pbc = data.draw(st.tuples(*3 * [st.booleans()]))
    cell = np.eye(3) * 4.2 + rng.normal(scale=0.4, size=(3, 3))
    base = bulk("Cu", cubic=True)
    atoms = Atoms("CuOCuC", scaled_positions=base.get_scaled_positions(), cell=cell, pbc=pbc)
    atoms.rattle(0.1, rng=rng)
    calculator = MLFFCalculator(model)
    energy, forces = calculator.get_property("energy", atoms), calculator.get_property("forces", atoms)
    moved = atoms.copy()
    moved.positions += (rng.integers(-3, 4, size=(4, 3)) * np.array(pbc)) @ cell
    wrapped = moved.copy()
    wrapped.wrap()
    for equivalent in (moved, wrapped):
        for calc in (calculator, MLFFCalculator(model)):
            assert calc.get_property("energy", equivalent) == pytest.approx(energy, rel=1e-9)
            np.testing.assert_allclose(calc.get_property("forces", equivalent), forces, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_skin_list_follows_a_trajectory(model, formate, rng, pbc):
    formate.pbc = pbc
    calculator = MLFFCalculator(model, skin=0.6)
    moves = 40
    for step in range(moves):
        formate.positions += rng.normal(scale=0.02, size=(len(formate), 3))
        if step % 7 == 3:
            formate.wrap()
        if step % 10 == 5:
            formate.set_cell(formate.cell.array * 1.002, scale_atoms=True)
        fresh = MLFFCalculator(model, skin=0.0)
        np.testing.assert_allclose(
            calculator.get_property("forces", formate), fresh.get_property("forces", formate), rtol=1e-9, atol=1e-10
        )
    statistics = calculator.neighbor_statistics
    assert statistics.queries == moves
    assert 1 <= statistics.rebuilds < moves / 2
    assert statistics.skin == 0.6


def test_without_skin_every_change_is_a_rebuild(model, formate):
    calculator = MLFFCalculator(model, skin=0)
    for _ in range(3):
        formate.positions[0, 0] += 1e-3
        calculator.get_property("energy", formate)
    assert calculator.neighbor_statistics.rebuilds == 3


def test_skin_list_forgets_the_previous_structure(model, formate):
    calculator = MLFFCalculator(model)
    other = bulk("Cu", cubic=True)
    for atoms in (formate, other, formate):
        fresh = MLFFCalculator(model).get_property("energy", atoms)
        assert calculator.get_property("energy", atoms) == pytest.approx(fresh, rel=1e-12)


def test_one_atom_and_no_neighbours(model):
    atoms = Atoms("Cu", calculator=MLFFCalculator(model))
    assert atoms.get_potential_energy() == pytest.approx(-2.9)
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))


def test_cell_smaller_than_the_cutoff_equals_its_supercell(model):
    primitive, crystal = bulk("Cu", a=3.7), bulk("Cu", a=3.7) * (3, 3, 3)
    assert len(neighbor_list(primitive.positions, primitive.cell.array, True, 4.0)[1]) > 1
    energies = [MLFFCalculator(model).get_property("energy", atoms) / len(atoms) for atoms in (primitive, crystal)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)


def test_stress_needs_a_cell(model, formate):
    formate.cell = None
    formate.pbc = False
    formate.calc = MLFFCalculator(model)
    formate.get_forces()
    with pytest.raises(PropertyNotImplementedError, match="cell of nonzero volume"):
        formate.get_stress()


@pytest.mark.parametrize(
    ("vectors", "pbc"),
    [
        ([[9, 0, 0], [0, 9, 0], [9, 0, 0]], (True, True, False)),
        ([[9, 0, 0], [0, 9, 0], [9, 0, 1e-9]], (True, True, False)),
        ([[5, 0, 0], [5, 0, 0], [0, 0, 5]], (False, False, False)),
        (1e-200 * np.eye(3), (False, False, False)),
    ],
)
def test_lattice_vectors_that_nobody_uses_may_span_nothing(model, formate, vectors, pbc):
    cluster = formate[-4:]
    cluster.pbc = pbc
    cluster.cell = np.diag([9.0, 9.0, 9.0])
    cluster.calc = MLFFCalculator(model, dtype="float64")
    expected = cluster.get_forces()
    cluster.cell = vectors
    np.testing.assert_allclose(cluster.get_forces(), expected, rtol=1e-10, atol=1e-12)
    with pytest.raises(PropertyNotImplementedError, match="cell of nonzero volume"):
        cluster.get_stress()


def test_another_precision_is_that_of_the_same_file(model_path, direct_path, tmp_path):
    path = shutil.copy(model_path, tmp_path / "model.pt")
    loaded = mlff.load(path)
    other = "float32" if loaded.dtype == torch.float64 else "float64"
    assert MLFFCalculator(loaded, dtype=other).model.sha256 == loaded.sha256
    shutil.copy(direct_path, path)
    with pytest.raises(ArtifactError, match="has changed since the model was loaded"):
        MLFFCalculator(loaded, dtype=other)


def test_stress_needs_a_conservative_model(direct_path, formate):
    formate.calc = MLFFCalculator(direct_path)
    assert np.isfinite(formate.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError, match="conservative"):
        formate.get_stress()


def test_unknown_species_are_named(model, formate):
    formate.symbols[-2:] = "Ni"
    formate.symbols[0] = "F"
    formate.calc = MLFFCalculator(model)
    with pytest.raises(StructureError, match=r"F \(1\), Ni \(2\); it was trained on H, C, O, Cu"):
        formate.get_potential_energy()


def test_numbers_without_element_are_named(model):
    with pytest.raises(StructureError, match=r"Z=119 \(1\); it was trained on"):
        MLFFCalculator(model).get_property("energy", Atoms(numbers=[29, 119], positions=[[0, 0, 0], [0, 0, 2.5]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda atoms: atoms.positions.__setitem__((2, 1), np.nan), "not finite.*atom.* 2"),
        (lambda atoms: atoms.positions.__setitem__((2, 1), np.inf), "not finite.*atom.* 2"),
        (lambda atoms: atoms.cell.__setitem__((0, 0), np.nan), "cell has entries that are not finite"),
        (lambda atoms: atoms.set_cell([5.0, 5.0, 0.0]), "periodic along abc"),
        (lambda atoms: atoms.set_cell([[5, 0, 0], [5, 0, 0], [0, 0, 5]]), "linearly dependent"),
        (lambda atoms: atoms.set_cell([5.0, 5.0, 0.04]), "0.04"),
        (lambda atoms: atoms.__delitem__(slice(None)), "no atoms"),
    ],
)
def test_unusable_structures_are_refused(model, formate, change, message):
    calculator = MLFFCalculator(model)
    calculator.get_property("energy", formate)
    change(formate)
    for _ in range(2):  # the failure must not be remembered as a result
        with pytest.raises(StructureError, match=message) as error:
            calculator.get_property("energy", formate)
        assert isinstance(error.value, (InputError, ValueError))


@pytest.mark.parametrize(
    ("atoms", "pair"),
    [
        (Atoms("CuC", positions=[[0, 0, 0], [0.03, 0, 0]]), "Cu0-C1 are 0.0300 A"),
        (Atoms("OCu2", positions=[[3, 0, 0], [0, 0, 0], [0, 0, 0]]), "Cu1-Cu2 are 0.0000 A"),
        (Atoms("CuC", positions=[[0, 0, 0], [4.98, 5, 0]], cell=[5, 5, 5], pbc=True), "Cu0-C1 are 0.0200 A"),
    ],
)
def test_atoms_on_top_of_each_other_are_refused(model, atoms, pair):
    calculator = MLFFCalculator(model)
    for name in ("energy", "forces"):
        with pytest.raises(StructureError, match=pair):
            calculator.get_property(name, atoms)


def test_close_contacts_are_pairs_below_half_a_bond():
    """Covalent radii: C 0.76, O 0.66, H 0.31 A (Cordero et al. 2008)."""
    atoms = Atoms("OCHH", positions=[[0, 0, 0], [0, 0, 0.42], [3, 0, 0], [3, 0, 0.32]])
    assert close_contacts(atoms) == ("O0-C1 0.420 A",)
    atoms.positions[1, 2] = 0.72
    assert close_contacts(atoms) == ()
    atoms.positions[3, 2] = 0.30
    assert close_contacts(atoms) == ("H2-H3 0.300 A",)
    assert close_contacts(Atoms("Cu", cell=[1.2, 9, 9], pbc=[True, False, False])) == ("Cu0-Cu0 1.200 A",)
    assert close_contacts(Atoms("Cu")) == ()


def test_non_finite_results_are_an_error(tmp_path):
    potential = toy_potential((29,), dtype=torch.float64)
    path = mlff.export(potential, tmp_path / "toy.pt")
    calculator = MLFFCalculator(path)
    module = calculator.model.module
    calculator.model.module = lambda *given: {name: value * np.nan for name, value in module(*given).items()}
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]], calculator=calculator)
    with pytest.raises(CalculationFailed, match="not finite"):
        atoms.get_forces()


def test_stress_that_nobody_asked_for_does_not_spoil_the_forces(tmp_path):
    calculator = MLFFCalculator(mlff.export(toy_potential((29,), dtype=torch.float64), tmp_path / "toy.pt"))
    module = calculator.model.module

    def no_stress(*given):
        outputs = module(*given)
        if "stress" in outputs:
            outputs["stress"] = outputs["stress"] / 0.0
        return outputs

    calculator.model.module = no_stress
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.5]], cell=[9, 9, 9], pbc=True, calculator=calculator)
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(CalculationFailed, match="stress"):
        atoms.get_stress()


@pytest.mark.parametrize("skin", [0.0, 0.5])
def test_float32_model_far_from_the_origin(model_path, formate, skin):
    """float32 positions at 1000 lattice vectors would be wrong by 5e-4 A; edge vectors are formed in float64."""
    calculator = MLFFCalculator(model_path, dtype="float32", skin=skin)
    # A soft geometry: between two atoms, forces are below 10 eV/A.
    tolerance = rounding(torch.float32, size=10.0, operations=100)
    atoms = bulk("Cu", a=3.7, cubic=True)
    atoms.rattle(0.05, seed=4)
    forces, energy = calculator.get_property("forces", atoms), calculator.get_property("energy", atoms)
    assert np.abs(forces).max() > 0.1
    shifted = atoms.copy()
    shifted.positions += np.array([1000, -1000, 1000]) @ atoms.cell.array
    for calc in (calculator, MLFFCalculator(model_path, dtype="float32", skin=skin)):
        np.testing.assert_allclose(calc.get_property("forces", shifted), forces, atol=tolerance)
        assert calc.get_property("energy", shifted) == pytest.approx(energy, abs=tolerance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "float16"}, "float32 or float64, not in float16"),
        ({"dtype": torch.int64}, "float32 or float64, not in int64"),
        ({"skin": "a"}, "skin must be .*'a'"),
        ({"skin": None}, "skin must be .*None"),
        ({"skin": -0.1}, "skin"),
        ({"skin": float("nan")}, "skin"),
        ({"device": "abacus"}, "device"),
    ],
)
def test_bad_arguments_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        MLFFCalculator(model, **arguments)


@pytest.mark.parametrize("model", [None, 42, object])
def test_other_things_are_no_models(model):
    with pytest.raises(TypeError, match="model must be a name, a path or a loaded model"):
        MLFFCalculator(model)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_missing_device_is_refused(model_path):
    with pytest.raises(ValueError, match="sees no CUDA"):
        MLFFCalculator(model_path, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_device_does_not_change_the_results(model, model_path, formate):
    calculators = [
        MLFFCalculator(model),
        MLFFCalculator(model_path, device="cuda"),
        MLFFCalculator(model, device="cuda"),
    ]
    assert [calculator.model.device.type for calculator in calculators] == ["cpu", "cuda", "cuda"]
    for name in ("energies", "forces", "stress"):
        expected, *others = [calculator.get_property(name, formate) for calculator in calculators]
        for other in others:
            np.testing.assert_allclose(other, expected, rtol=1e-9, atol=1e-10)


def test_unknown_model_is_refused(tmp_path):
    with pytest.raises(ValueError):
        MLFFCalculator("no-such-model")
    with pytest.raises(ValueError):
        MLFFCalculator(tmp_path / "missing.pt")


def test_model_by_path_string_and_object(model_path, formate):
    energies = {
        MLFFCalculator(given).get_property("energy", formate)
        for given in (model_path, str(model_path), mlff.load(model_path))
    }
    assert len(energies) == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))])
def test_copies_are_independent(model, formate, duplicate):
    calculator = MLFFCalculator(model, dtype="float32", skin=0.3)
    energy = calculator.get_property("energy", formate)
    twin = duplicate(calculator)
    assert (twin.dtype, twin.neighbor_statistics.skin) == ("float32", 0.3)
    assert twin.get_property("energy", formate) == energy
    moved = formate.copy()
    moved.positions[0] += 0.3
    assert twin.get_property("energy", moved) != energy
    assert calculator.get_property("energy", formate) == energy


class _Named(MLFFCalculator):
    """A user's subclass with an argument and a member of its own."""

    def __init__(self, label, model):
        super().__init__(model)
        self.label = label


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))])
def test_copies_of_a_subclass_are_of_its_kind(model, formate, duplicate):
    calculator = _Named("mine", model)
    twin = duplicate(calculator)
    assert (type(twin), twin.label) == (_Named, "mine")
    assert twin.get_property("energy", formate) == pytest.approx(calculator.get_property("energy", formate), rel=1e-12)


def test_deep_copy_keeps_results_and_shares_the_model(model, formate, evaluations):
    formate.calc = MLFFCalculator(model)
    formate.get_forces()
    twin = copy.deepcopy(formate)
    np.testing.assert_array_equal(twin.get_forces(), formate.get_forces())
    assert len(evaluations) == 1
    assert twin.calc.model is formate.calc.model


def test_pickled_copies_share_one_model_in_a_process(model_path, tmp_path):
    path = shutil.copy(model_path, tmp_path / "model.pt")
    content = pickle.dumps(MLFFCalculator(path))
    first, second = (pickle.loads(content) for _ in range(2))
    assert first.model is second.model
    Path(path).write_bytes(b"another file")
    with pytest.raises(ValueError, match="not a model file"):
        pickle.loads(content)


def test_it_cannot_be_changed(model):
    """ASE's ``set`` would write its arguments into the record of trajectories and change nothing."""
    calculator = MLFFCalculator(model)
    before = dict(calculator.parameters)
    with pytest.raises(ValueError, match="make another one: got dtype, skin"):
        calculator.set(dtype="float64", skin=1.0)
    assert calculator.parameters == before


def test_two_threads_need_two_calculators(model, monkeypatch):
    """One has the results of one structure: a second thread would read those of the first."""
    ways = [
        lambda calculator, atoms: calculator.get_forces(atoms),
        lambda calculator, atoms: calculator.calculate(atoms, ["forces"]),
        lambda calculator, atoms: calculator.look_at(atoms),
    ]
    for first, second in itertools.product(ways[:2], ways):
        calculator = MLFFCalculator(model)
        inside, go_on = threading.Event(), threading.Event()

        def slow(atoms, *_, inside=inside, go_on=go_on):
            inside.set()
            assert go_on.wait(30)

        monkeypatch.setattr("md_drivers.ase.calculator.check_separate", slow)
        thread = threading.Thread(target=first, args=(calculator, molecule("CH3CH2OH")))
        thread.start()
        assert inside.wait(30)
        with pytest.raises(CalculationFailed, match=r"another thread uses this calculator: give each thread its own"):
            second(calculator, molecule("H2O"))
        go_on.set()
        thread.join()
        expected = MLFFCalculator(model).get_forces(molecule("CH3CH2OH"))
        np.testing.assert_array_equal(calculator.results["forces"], expected)


def test_one_thread_may_ask_while_it_is_asked(model, monkeypatch):
    """As a callback does that wants another structure; the one under way gets its own result."""
    calculator, inner = MLFFCalculator(model), []

    def ask(atoms, *_):
        if not inner:
            inner.append(None)
            inner.append(calculator.get_potential_energy(molecule("H2O")))

    monkeypatch.setattr("md_drivers.ase.calculator.check_separate", ask)
    forces = calculator.get_forces(molecule("CH3CH2OH"))
    np.testing.assert_array_equal(forces, MLFFCalculator(model).get_forces(molecule("CH3CH2OH")))
    assert inner[1] == MLFFCalculator(model).get_potential_energy(molecule("H2O"))
    assert calculator.get_forces(molecule("H2O")).shape == (3, 3)
