"""What drivers say of atoms that lie outside of the training data, and of inputs that no model takes."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import add_adsorbate, bulk, fcc100, molecule
from ase.io import write
from ase.md.langevin import Langevin
from support.domains import domain_of_atoms
from support.toy_potential import export_toy
from typer.testing import CliRunner

import md_drivers.ase.calculator
import mlff
from md_drivers import DomainWarning, MLFFCalculator, StructureError, relax
from md_drivers.cli import app
from mlff.graph import AtomicGraph

SLAB = fcc100("Cu", (2, 2, 3), vacuum=6, periodic=True)
add_adsorbate(SLAB, molecule("CO"), 2.0, "hollow")


def rattled(count: int, amount: float = 0.08) -> list[Atoms]:
    frames = [SLAB.copy() for _ in range(count)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(amount, seed=seed)
    return frames


@pytest.fixture(scope="module")
def slab_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on one slab with CO, without stress."""
    domain = domain_of_atoms(rattled(60), force=60.0)
    domain |= {"temperature": (300.0, 300.0)}
    path = tmp_path_factory.mktemp("toy") / "slab.pt"
    return export_toy(path, dtype=torch.float64, metadata={"name": "slab", "domain": domain})


@pytest.fixture(scope="module")
def ion_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on a cation and a neutral molecule."""
    frames = [molecule("CH3OH"), molecule("H2O")]
    for atoms, charge in zip(frames, (1, 0), strict=True):
        atoms.info["charge"] = charge
    path = tmp_path_factory.mktemp("toy") / "ion.pt"
    return export_toy(path, metadata={"name": "ion", "domain": domain_of_atoms(frames)})


def said(path: Path | MLFFCalculator, atoms: Atoms, property: str = "forces") -> dict[str, str]:
    """The warnings of a calculation, by kind."""
    calculator = path if isinstance(path, MLFFCalculator) else MLFFCalculator(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        calculator.get_property(property, atoms)
    found = [one.message for one in caught if isinstance(one.message, DomainWarning)]
    assert all("\n" not in str(one) and "outside of what model" in str(one) for one in found)
    assert len({one.kind for one in found}) == len(found)
    return {one.kind: one.text for one in found}


def random_carbon() -> Atoms:
    return Atoms("C60", np.random.default_rng(0).uniform(0.0, 9.0, (60, 3)))


def pressed() -> Atoms:
    atoms = SLAB.copy()
    atoms.positions[-1, 2] = atoms.positions[-2, 2] + 0.7
    return atoms


def stretched(factor: float) -> Atoms:
    atoms = SLAB.copy()
    atoms.set_cell(atoms.cell.array * [[factor], [factor], [1.0]], scale_atoms=True)
    return atoms


def second_molecule() -> Atoms:
    atoms = SLAB.repeat((1, 1, 1))
    atoms.positions[:2] = [[1.3, 1.3, 15.0], [1.3, 1.3, 16.2]]
    atoms.numbers[:2] = [6, 8]
    return atoms


OUTSIDE: dict[str, tuple[Callable[[], Atoms], set[str]]] = {
    "bulk metal": (lambda: bulk("Cu", cubic=True), {"composition", "periodicity"}),
    "clean slab": (lambda: fcc100("Cu", (2, 2, 3), vacuum=6), {"composition"}),
    "gas": (lambda: molecule("CO"), {"composition", "periodicity"}),
    "random carbon": (random_carbon, {"composition", "periodicity", "pairs"}),
    "atoms pressed together": (pressed, {"distances"}),
    "expanded by a tenth": (lambda: stretched(1.1), {"cell"}),
    "another coverage": (second_molecule, {"composition"}),
    "not periodic": (lambda: Atoms(SLAB, pbc=False), {"periodicity"}),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_lies_outside_is_named(name: str, slab_path: Path) -> None:
    make, kinds = OUTSIDE[name]
    found = said(slab_path, make(), "energy")
    assert kinds <= set(found) <= kinds | {"pairs", "distances"}, found
    if "composition" in kinds:
        assert "cannot be compared" in found["composition"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_strict_refuses_and_keeps_no_result(name: str, slab_path: Path) -> None:
    calculator = MLFFCalculator(slab_path, strict=True)
    for _ in range(2):
        with pytest.raises(StructureError, match="outside of what model 'slab' was trained on"):
            calculator.get_property("energy", OUTSIDE[name][0]())
    assert calculator.results == {}


@pytest.mark.parametrize("rattle", [0.0, 0.05, 0.08])
def test_frames_like_those_of_the_training_pass_in_silence(slab_path: Path, rattle: float) -> None:
    for atoms in (*rattled(3, rattle), Atoms(SLAB, pbc=(True, True, False)), SLAB.repeat((2, 2, 1)), stretched(1.01)):
        atoms.wrap()
        assert said(slab_path, atoms) == {}


def test_dynamics_at_the_temperature_of_the_data_pass_in_silence(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True).repeat(2)
    trajectory: list[Atoms] = []

    def run(path: Path, seed: int, steps: int) -> None:
        atoms.calc = MLFFCalculator(path)
        rng = np.random.default_rng(seed)
        engine = Langevin(atoms, 4 * units.fs, temperature_K=600, friction=0.05, rng=rng, fixcm=False)
        engine.attach(lambda: trajectory.append(atoms.copy()), interval=4)
        engine.run(steps)

    run(export_toy(tmp_path / "first.pt", (29,)), 0, 200)
    domain = domain_of_atoms([Atoms(one) for one in trajectory[10:]], force=3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DomainWarning)
        run(export_toy(tmp_path / "second.pt", (29,), metadata={"domain": domain}), 1, 200)


def test_a_kind_is_said_once_for_the_same_atoms_and_anew_for_others(slab_path: Path) -> None:
    calculator = MLFFCalculator(slab_path)
    crystal = bulk("Cu", cubic=True)
    assert set(said(calculator, crystal)) == {"composition", "periodicity"}
    crystal.rattle(0.01)
    assert said(calculator, crystal) == {}
    assert set(calculator.domain.notes) == {"composition", "periodicity"}
    assert set(said(calculator, crystal.repeat(2))) == {"composition", "periodicity"}
    assert said(calculator, SLAB) == {}
    assert calculator.domain.notes == {}
    strict = MLFFCalculator(slab_path, strict=True)
    assert copy.deepcopy(strict).domain.strict
    assert pickle.loads(pickle.dumps(strict)).domain.strict
    assert set(said(pickle.loads(pickle.dumps(calculator)), crystal)) == {"composition", "periodicity"}


def test_frames_of_one_composition_are_judged_each(slab_path: Path) -> None:
    """Also where pbc, numbers and number of atoms are those of the frame before."""
    thick = Atoms(SLAB)
    thick.cell[2, 2] = np.ptp(SLAB.positions[:, 2]) + 2.0  # images meet: bulk
    apart = Atoms(SLAB, positions=SLAB.positions * [1.0, 1.0, 3.0])
    apart.cell[2, 2] *= 3.0
    for frames in ([SLAB, thick], [thick, SLAB, stretched(1.1)], [apart, thick]):
        calculator, found = MLFFCalculator(slab_path), set[str]()
        for atoms in frames:
            found |= said(calculator, atoms, "energy").keys()
        assert found >= {"periodicity"}
        assert ("cell" in found) == (len(frames) == 3)
    strict = MLFFCalculator(slab_path, strict=True)
    for _ in range(2):
        assert np.isfinite(strict.get_potential_energy(SLAB))
        with pytest.raises(StructureError, match="bulk, training had slabs"):
            strict.get_potential_energy(thick)


def test_a_second_run_says_it_again_whatever_python_has_shown(slab_path: Path, tmp_path: Path) -> None:
    """At one line of code, with the default filter, which shows an equal warning of a module once."""
    calculator, crystal = MLFFCalculator(slab_path), bulk("Cu", cubic=True)
    for action, shown in (("default", 2), ("always", 2), ("ignore", 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            for steps in (0, 1, 0):
                before = len(caught)
                outside = relax(crystal, calculator, steps=steps)[0].outside
                assert set(outside) == {"composition", "periodicity"}
                assert len(caught) - before == shown
        assert all(one.filename == __file__ for one in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DomainWarning)
        with pytest.raises(DomainWarning):
            relax(crystal, calculator, steps=0)
    assert not hasattr(sys.modules[__name__], "__warningregistry__")


def test_kept_results_keep_what_was_said_of_them(slab_path: Path) -> None:
    calculator, crystal = MLFFCalculator(slab_path), bulk("Cu", cubic=True)
    notes = said(calculator, crystal)
    for again in (copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):
        assert said(again, crystal) == {}
        assert again.domain.notes == notes


def test_forces_far_beyond_those_of_the_training_and_untrained_derivatives_are_named(slab_path: Path) -> None:
    atoms = SLAB.copy()
    domain = mlff.load(slab_path, verify=False).metadata.domain
    assert domain.force_violations(1.4 * domain.largest_force) == {}
    assert "training had" in domain.force_violations(1.6 * domain.largest_force)["forces"]
    assert set(said(slab_path, atoms, "stress")) == {"stress"}
    assert domain.temperature_violations(310.0) == {}
    assert "600 K" in domain.temperature_violations(600.0)["temperature"]


def test_a_file_without_a_domain_says_nothing(model_path: Path) -> None:
    assert said(model_path, bulk("Cu", cubic=True)) == {}


STATED: dict[str, Callable[[Atoms], object]] = {
    "charge": lambda atoms: atoms.info.update(charge=-1),
    "total_charge": lambda atoms: atoms.info.update(total_charge=2.0),
    "Charge": lambda atoms: atoms.info.update(Charge=np.array([1])),
    "spin": lambda atoms: atoms.info.update(spin=1),
    "multiplicity": lambda atoms: atoms.info.update(multiplicity=3),
    "magmom": lambda atoms: atoms.info.update(magmom=1.5),
    "initial_charges": lambda atoms: atoms.set_initial_charges([0.5, -0.5, *[0.0] * (len(atoms) - 2)]),
    "initial_magmoms": lambda atoms: atoms.set_initial_magnetic_moments([0.6] * len(atoms)),
    "non-collinear moments": lambda atoms: atoms.set_initial_magnetic_moments(np.eye(len(atoms), 3)),
    "words": lambda atoms: atoms.info.update(charge="plus one"),
}


@pytest.mark.parametrize("name", STATED)
def test_what_no_model_takes_is_refused_by_name_also_after_a_calculation(name: str, model_path: Path) -> None:
    calculator, atoms = MLFFCalculator(model_path), molecule("CH3OH")
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    STATED[name](atoms)
    with pytest.raises(StructureError, match=r"charge|spin|multiplicity|mag") as refused:
        atoms.get_potential_energy()
    assert "\n" not in str(refused.value)
    if name != "words":
        atoms.calc = MLFFCalculator(
            model_path, ignore=("charge", "spin", "multiplicity", "initial_charges", "initial_magmoms")
        )
        assert atoms.get_potential_energy() == energy


def test_the_refusal_says_what_to_type(model_path: Path, tmp_path: Path) -> None:
    nickel = bulk("Ni", cubic=True)
    path = export_toy(tmp_path / "toy.pt", (28,))
    with pytest.raises(StructureError, match=r"ase\.build\.bulk sets it for Fe, Co and Ni") as refused:
        MLFFCalculator(path).get_potential_energy(nickel)
    assert "(del atoms.arrays['initial_magmoms'])" in str(refused.value)
    assert "pass ignore=('initial_magmoms',) (--ignore initial_magmoms)" in str(refused.value)
    energy = MLFFCalculator(path, ignore=("initial_magmoms",)).get_potential_energy(nickel)
    write(tmp_path / "ni.extxyz", nickel)
    command = ["relax", str(tmp_path / "ni.extxyz"), "-m", str(path), "--steps", "0", "--no-figure"]
    refused = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "out")])
    assert refused.exit_code == 2
    assert "--ignore initial_magmoms" in refused.stderr
    command += ["--ignore", "initial_magmoms", "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(app, command).exit_code in (0, 3)
    del nickel.arrays["initial_magmoms"]
    assert MLFFCalculator(path).get_potential_energy(nickel) == energy
    ion = molecule("CH3OH")
    ion.info["charge"] = -1
    with pytest.raises(StructureError, match=r"does not say which charges.*\(del atoms\.info\['charge'\]\).*dipole"):
        MLFFCalculator(model_path).get_potential_energy(ion)


def test_inputs_are_checked_once_for_each_question(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Atoms] = []
    monkeypatch.setattr(md_drivers.ase.calculator, "input_fault", lambda atoms, *_: asked.append(atoms))
    calculator, atoms = MLFFCalculator(model_path), molecule("CH3OH")
    atoms.calc = calculator
    atoms.get_forces()
    assert len(asked) == 1
    calculator.calculate(atoms, ["forces"])
    assert len(asked) == 2


def test_zeros_and_singlets_ask_for_nothing(model_path: Path) -> None:
    atoms = molecule("CH3OH")
    atoms.info |= {"charge": 0, "spin": 0, "multiplicity": 1, "total_charge": None, "Spin": 0.0}
    atoms.set_initial_charges(np.zeros(len(atoms)))
    atoms.set_initial_magnetic_moments(np.zeros(len(atoms)))
    assert np.isfinite(MLFFCalculator(model_path).get_potential_energy(atoms))
    with pytest.raises(ValueError, match="ignore takes any of charge, spin"):
        MLFFCalculator(model_path, ignore=("charges",))


def test_a_charge_passes_where_the_training_data_imply_it(ion_path: Path) -> None:
    calculator = MLFFCalculator(ion_path)
    atoms = molecule("CH3OH")
    atoms.info["charge"] = 1
    assert np.isfinite(calculator.get_potential_energy(atoms))
    for charge in (0, 2):
        atoms.info["charge"] = charge
        with pytest.raises(StructureError, match=r"frames of this composition had total charge \+1"):
            calculator.get_potential_energy(atoms)


def test_relaxations_tell_it_in_their_summary_and_refuse_before_they_write(slab_path: Path, tmp_path: Path) -> None:
    crystal = bulk("Cu", cubic=True)
    files = []
    for name, atoms in (("bulk", crystal), ("inside", Atoms(SLAB)), ("again", crystal.repeat(2))):
        atoms.info.clear()
        files.append(tmp_path / f"{name}.extxyz")
        write(files[-1], atoms)

    def command(*arguments: object) -> object:
        return CliRunner().invoke(app, ["relax", *map(str, arguments), "-m", str(slab_path), "--no-figure"])

    result = command(*files, "-o", tmp_path / "out", "--steps", 1)
    lines = [line for line in result.stderr.splitlines() if "outside of what" in line]
    assert len(lines) == 2, result.stderr
    assert all("warning: " in line for line in lines)
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["structures"]
    kinds = {"composition", "periodicity"}
    assert [set(row["outside_domain"]) for row in rows] == [kinds, set(), kinds]

    charged = tmp_path / "charged.extxyz"
    write(charged, Atoms(SLAB, info={"charge": 1}))
    for arguments, reason in (((files[0], "--strict"), "outside of what model"), ((charged,), "charge")):
        refused = command(*arguments, "-o", tmp_path / "refused")
        assert refused.exit_code == 2
        assert reason in refused.stderr
        assert not (tmp_path / "refused").exists()
    result = command(charged, "-o", tmp_path / "ok", "--steps", 0, "--ignore", "charge")
    assert result.exit_code == 3
    with pytest.raises(StructureError, match="outside"):
        relax(bulk("Cu", cubic=True), slab_path, strict=True)


def test_of_a_batch_only_the_molecule_has_no_stress(slab_path: Path) -> None:
    model = mlff.load(slab_path)
    graphs = [model.graph(atoms) for atoms in (SLAB, molecule("CH3OH"), bulk("Cu"))]
    together = model.evaluate(AtomicGraph.collate(graphs), stress=True)["stress"]
    assert torch.isnan(together[1]).all()
    for k in (0, 2):
        alone = model.evaluate(graphs[k], stress=True)["stress"][0]
        torch.testing.assert_close(together[k], alone, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="which no structure has"):
        model.evaluate(graphs[1], stress=True)
