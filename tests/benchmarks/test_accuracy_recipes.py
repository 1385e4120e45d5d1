"""Recipes: every file is a valid configuration, and one runs from files to a result whose figures are right."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import ase
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.accuracy import __main__ as command
from benchmarks.accuracy import outside
from benchmarks.accuracy.recipe import Choice, check_data, configuration, load_recipe, names
from benchmarks.accuracy.result import Result, load_results
from md_drivers import MLFFCalculator
from mlff.artifacts import export
from mlff.potential.training import load_trained
from mlff.training import ConfigError, TrainingInterrupted, load_config

ROOT = Path(__file__).resolve().parents[2]
KCAL_PER_MOL = 4184 / (6.02214076e23 * 1.602176634e-19)  # eV, from the definitions of the SI


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dens", [False, True], ids=["plain", "dens"])
def test_recipes_are_configurations(name: str, dens: bool, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    configs = []
    for molecule in recipe.molecules or [None]:
        config = configuration(recipe, Choice(molecule, dens, seed=7), tmp_path, tmp_path / "run")
        assert all(path.is_relative_to(tmp_path.resolve() / recipe.folder) for path in config.data.files)
        assert not any("{" in path.name for path in config.data.files)
        assert (config.seed, config.dens is not None, config.max_minutes) == (7, dens, None)
        # The frames of a part must not depend on the seed of the run.
        assert config.data.split is None or config.data.split.seed == 0
        configs.append(config.model_dump(exclude={"data": {"train", "test"}, "model": {"species"}}))
    assert all(config == configs[0] for config in configs), "one set of hyper-parameters for all molecules"


def test_recipes_cover_the_public_sets() -> None:
    assert set(names()) == {"rmd17", "3bpa", "co2_ni100", "formate_cu110", "spice_dipeptides"}
    assert len(load_recipe("rmd17").molecules) == 10
    assert set(load_recipe("3bpa").tests) == {"300 K", "600 K"}


def test_budget_in_minutes_anneals_by_the_clock(tmp_path: Path) -> None:
    recipe = load_recipe("3bpa")
    config = configuration(recipe, Choice(minutes=5.0), tmp_path, tmp_path / "run")
    assert (config.max_minutes, config.optimizer.anneal_by) == (5.0, "time")
    assert config.epochs == recipe.training["epochs"]
    assert configuration(recipe, Choice(epochs=3), tmp_path, tmp_path / "run").epochs == 3


def test_choices_with_different_results_have_different_names() -> None:
    recipe = load_recipe("rmd17")
    choices = [
        *(Choice("ethanol", seed=seed) for seed in (0, 1)),
        Choice("aspirin"),
        Choice("ethanol", dens=True),
        Choice("ethanol", minutes=60.0),
        Choice("ethanol", minutes=0.5),
        Choice("ethanol", epochs=60),
        # In minutes more threads or a compiled step do more epochs.
        Choice("ethanol", minutes=60.0, threads=2),
        Choice("ethanol", minutes=60.0, compile=not recipe.training.get("compile", False)),
    ]
    assert len({choice.name(recipe) for choice in choices}) == len(choices)


def test_choices_with_equal_results_share_a_name() -> None:
    recipe = load_recipe("rmd17")
    for first, second in (
        (Choice("ethanol"), Choice("ethanol", threads=2, compile=True)),
        (Choice("ethanol", epochs=60), Choice("ethanol", epochs=60, threads=2, compile=False)),
        (
            Choice("ethanol", minutes=60.0),
            Choice("ethanol", minutes=60.0, compile=bool(recipe.training.get("compile"))),
        ),
    ):
        assert first.name(recipe) == second.name(recipe)


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        ("rmd17", Choice(), "needs --molecule, one of: aspirin"),
        ("rmd17", Choice("water"), "--molecule water: rmd17 knows aspirin"),
        ("3bpa", Choice("ethanol"), "leave the option out"),
        ("3bpa", Choice(epochs=10**6), "the full recipe 3bpa has"),
    ],
)
def test_impossible_choices_are_named(name: str, choice: Choice, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        configuration(load_recipe(name), choice, tmp_path, tmp_path / "run")


def test_unknown_and_malformed_recipes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recipe 'md17'; there are: 3bpa"):
        load_recipe("md17")
    path = tmp_path / "bad.yaml"
    for text in ("- 1", "title: [", "title: only", ""):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.yaml"):
            load_recipe(str(path))


def test_missing_data_say_where_to_get_them(tmp_path: Path) -> None:
    recipe = load_recipe("3bpa")
    config = configuration(recipe, Choice(), tmp_path / "absent", tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        check_data(recipe, config)
    for words in ("absent", "train_300K.xyz.gz", "test_600K.xyz.gz", "--data", "BOTNet-datasets"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_configuration_of_the_learning_curve_stays_a_plain_one() -> None:
    config = load_config(ROOT / "benchmarks" / "accuracy" / "co2_ni100_20min.yaml")
    assert config.output.resolve() == ROOT / "runs" / "co2-ni100-20min"
    assert config.max_minutes == 20


# --- one run ----------------------------------------------------------------------------------------------------------

NUMBERS = np.array([8, 1, 1])


def write_npz(path: Path, count: int, seed: int) -> None:
    """Water with harmonic bonds in the layout and units of rMD17: A, kcal/mol, kcal/mol/A."""
    rng = np.random.default_rng(seed)
    rest = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
    positions = rest + 0.05 * rng.normal(size=(count, 3, 3))
    bonds = positions[:, 1:] - positions[:, :1]
    lengths = np.linalg.norm(bonds, axis=2, keepdims=True)
    pulls = -400.0 * (lengths - 0.96) * bonds / lengths
    forces = np.concatenate([-pulls.sum(axis=1, keepdims=True), pulls], axis=1)
    energies = -47000.0 + 200.0 * np.square(lengths - 0.96).sum(axis=(1, 2))
    np.savez(path, nuclear_charges=NUMBERS, coords=positions, energies=energies, forces=forces)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a recipe of two epochs of two steps."""
    root = tmp_path_factory.mktemp("recipe")
    (root / "data" / "waters").mkdir(parents=True)
    write_npz(root / "data" / "waters" / "water_train.npz", 10, seed=0)
    write_npz(root / "data" / "waters" / "water_test.npz", 7, seed=1)
    recipe = {
        "title": "toy",
        "folder": "waters",
        "origin": "this test",
        "molecules": {"water": ["H", "O"]},
        "tests": {"test": "{molecule}_test.npz"},
        "dens": {"noise_std": 0.05},
        "training": {
            "data": {
                "train": ["{molecule}_train.npz"],
                "units": {"energy": "kcal/mol"},
                "split": {"kind": "random", "seed": 0, "train": 8, "val": 2},
            },
            "model": {
                "backbone": {
                    **{"preset": "smooth", "num_layers": 1, "lmax": 1, "mmax": 1, "num_heads": 2, "num_radial": 6},
                    **{"channels": 8, "hidden_channels": 8, "alpha_channels": 4, "value_channels": 4},
                    **{"ffn_channels": 8, "edge_channels": 8, "cutoff": 3.0},
                }
            },
            "optimizer": {"lr": 0.01, "warmup_steps": 1},
            "batch_size": 4,
            "epochs": 2,
            "accelerator": "cpu",
        },
    }
    (root / "toy.yaml").write_text(yaml.safe_dump(recipe))
    return root


def call(root: Path, output: str, *options: str) -> Any:
    files = {"--data": "data", "-o": output, "--run-folder": "run"}
    places = [word for option, name in files.items() for word in (option, str(root / name))]
    return CliRunner().invoke(
        command.app, [str(root / "toy.yaml"), "--molecule", "water", *places, *options], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def result(toy: Path) -> Result:
    outcome = call(toy, "results/first.json", "--epochs", "1", "--seed", "3")
    assert outcome.exit_code == 0, outcome.output
    (loaded,) = load_results(toy / "results")
    return loaded


def test_result_has_all_that_is_needed_to_repeat_it(result: Result, toy: Path) -> None:
    assert (result.recipe, result.molecule, result.dens, result.seed) == ("toy", "water", False, 3)
    budget = result.budget
    assert (budget.kind, budget.epochs, budget.epochs_of_recipe, budget.max_epochs) == ("reduced", 1, 2, 1)
    assert result.training.steps == 2
    assert result.training.wall_minutes > 0
    assert result.training.parameters > 1000
    assert result.hardware.threads == 1
    assert "logical cores" in result.hardware.machine
    assert "torch" in result.versions
    assert result.config["optimizer"]["lr"] == 0.01
    assert result.config["data"]["test"] == ["water_test.npz"]
    assert set(result.data) == {"water_train.npz", "water_test.npz"}
    assert str(toy) not in (toy / "results" / "first.json").read_text()


def test_errors_are_those_of_an_independent_evaluation(result: Result, toy: Path, tmp_path: Path) -> None:
    potential, _ = load_trained(toy / "run")
    frames = np.load(toy / "data" / "waters" / "water_test.npz")
    calculator = MLFFCalculator(export(potential, tmp_path / "model.pt"), dtype="float64")
    energies, forces = [], []
    for positions in frames["coords"]:
        atoms = ase.Atoms(NUMBERS, positions, calculator=calculator)
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    energy = 1e3 * (np.array(energies) - KCAL_PER_MOL * frames["energies"])
    force = 1e3 * (np.array(forces) - KCAL_PER_MOL * frames["forces"])
    errors = result.tests["test"]
    assert (errors.structures, errors.atoms) == (7, 21)
    assert errors.energy_mae == pytest.approx(np.abs(energy).mean(), rel=1e-3)
    assert errors.energy_rmse == pytest.approx(np.sqrt(np.square(energy).mean()), rel=1e-3)
    assert errors.energy_per_atom_mae == pytest.approx(np.abs(energy).mean() / 3, rel=1e-3)
    assert errors.energy_per_atom_rmse == pytest.approx(np.sqrt(np.square(energy).mean()) / 3, rel=1e-3)
    assert errors.forces_mae == pytest.approx(np.abs(force).mean(), rel=1e-4)
    assert errors.forces_rmse == pytest.approx(np.sqrt(np.square(force).mean()), rel=1e-4)


def test_frames_with_a_bond_outside_of_its_training_range_are_told_apart(result: Result, toy: Path) -> None:
    files = ("water_train.npz", "water_test.npz")
    train, test = ([ase.Atoms(NUMBERS, r) for r in np.load(toy / "data" / "waters" / name)["coords"]] for name in files)
    record = json.loads((toy / "run" / "report" / "data.json").read_text())["split"]["train"]
    pairs = np.triu_indices(3, 1)
    known = np.array([train[frame["index"]].get_all_distances()[pairs] for frame in record])
    new = np.array([atoms.get_all_distances()[pairs] for atoms in test])
    assert (known.mean(axis=0) < 1.8).all()  # H-H too
    count = int(((new < known.min(axis=0)) | (new > known.max(axis=0))).any(axis=1).sum())
    assert 0 < count < len(test)
    found = outside.errors(toy / "run")
    assert (found["frames"], found["frames_outside"]) == (7, count)
    assert found["mae"] == pytest.approx(result.tests["test"].forces_mae, rel=1e-12)
    total = count * found["mae_outside"] + (7 - count) * found["mae_elsewhere"]
    assert total / 7 == pytest.approx(found["mae"], rel=1e-12)
    assert 4 / 7 < found["worst"]["share_of_squared_error"] < 1


def test_a_finished_run_is_tested_again_on_resume_and_not_overwritten_without(result: Result, toy: Path) -> None:
    refused = call(toy, "second.json", "--epochs", "1", "--seed", "3")
    assert refused.exit_code == 2
    assert not (toy / "second.json").exists()
    assert call(toy, "second.json", "--epochs", "1", "--seed", "3", "--resume").exit_code == 0
    again = Result.model_validate(json.loads((toy / "second.json").read_text()))
    assert again.tests == result.tests
    assert again.training.steps == result.training.steps


def test_ctrl_c_leaves_no_result(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise TrainingInterrupted(signal.SIGINT)

    monkeypatch.setattr(command, "run", interrupted)
    assert call(toy, "third.json").exit_code == 130
    assert not (toy / "third.json").exists()
