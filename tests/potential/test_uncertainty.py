"""The uncertainty of a potential: laws of what it predicts, how it is made, and that it costs nothing unasked."""

from dataclasses import replace

import ase
import numpy as np
import pytest
import torch
from ase.build import molecule
from support.rotations import random_rotation

import mlff
from md_drivers import MLFFCalculator, RelaxFailed, relax
from md_drivers.ase.settings import RelaxSettings
from mlff.artifacts.exporting import in_dtype
from mlff.data import Frame, frames_fingerprint
from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.graph.graph import GraphInput
from mlff.potential import Potential, PotentialConfig
from mlff.potential.artifact.uncertainty import INTERVAL
from mlff.potential.training.uncertainty import _POWERS, _calibrated, curve, with_uncertainty

CUTOFF = 3.0
SIZES = {"channels": 8, "hidden_channels": 8, "ffn_channels": 16, "edge_channels": 8, "num_heads": 2, "num_layers": 1}
SIGMAS = ("energy_uncertainty", "energies_uncertainty", "forces_uncertainty")


def ethanol(rattle: float, seed: int) -> ase.Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(rattle, seed=seed)
    return atoms


def labelled(model: Potential, count: int, seed: int) -> list[Frame]:
    """Rattled ethanol with the labels of ``model`` and noise: 0.01 eV and 0.05 eV/Å."""
    generator = np.random.default_rng(seed)
    frames = []
    for k in range(count):
        atoms = ethanol(0.05, 100 * seed + k)
        out = model(*graph(atoms).inputs)
        labels = {
            "energy": out["energy"][0].numpy() + generator.normal(scale=0.01),
            "forces": out["forces"].numpy() + generator.normal(scale=0.05, size=(len(atoms), 3)),
        }
        frames.append(Frame(atoms, labels, index=k))
    return frames


def graph(atoms: ase.Atoms) -> AtomicGraph:
    return graph_from_atoms(atoms, CUTOFF, dtype=torch.float64)


def sigmas(model: Potential, of: AtomicGraph) -> dict[str, torch.Tensor]:
    out = model(*of.inputs, True, False, True, True)
    return {name: out[name] for name in SIGMAS}


@pytest.fixture(scope="module")
def plain() -> Potential:
    torch.manual_seed(0)
    config = PotentialConfig(species=("H", "C", "O"), backbone={**SIZES, "cutoff": CUTOFF})
    return in_dtype(Potential(config).eval().requires_grad_(False), torch.float64)


@pytest.fixture(scope="module")
def data(plain) -> tuple[list[Frame], list[Frame]]:
    return labelled(plain, 12, 1), labelled(plain, 20, 2)


@pytest.fixture(scope="module")
def model(plain, data) -> Potential:
    return with_uncertainty(plain, *data)


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    return mlff.export(model, tmp_path_factory.mktemp("uncertain") / "model.pt", self_test_frames=[ethanol(0.05, 7)])


def test_nothing_else_changes(plain, model):
    given = graph(ethanol(0.1, 0)).inputs
    before = plain(*given)
    for asked in ((), (True,), (True, True)):
        after = model(*given, True, False, *asked)
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert set(after) - set(before) == set(SIGMAS[: (0, 2, 3)[len(asked)]])
    energies = model(*given, False, False, True)
    assert set(energies) == {"energy", "energies", *SIGMAS[:2]}


def test_rotations_translations_and_permutations(model):
    atoms, rotation = ethanol(0.1, 3), random_rotation(4)
    order = np.random.default_rng(5).permutation(len(atoms))
    moved = atoms[order]
    moved.positions = moved.positions @ rotation.numpy().T + [1.0, -2.0, 3.0]
    here, there = sigmas(model, graph(atoms)), sigmas(model, graph(moved))
    torch.testing.assert_close(there["energy_uncertainty"], here["energy_uncertainty"])
    torch.testing.assert_close(there["energies_uncertainty"], here["energies_uncertainty"][order])
    covariance, turned = (covariance_of_forces(model, graph(one)) for one in (atoms, moved))
    torch.testing.assert_close(turned, rotation @ covariance[order] @ rotation.T)
    torch.testing.assert_close(there["forces_uncertainty"].square(), torch.diagonal(turned, dim1=1, dim2=2))
    assert bool((torch.linalg.eigvalsh(covariance) > 0).all())


def covariance_of_forces(model: Potential, of: AtomicGraph) -> torch.Tensor:
    given = GraphInput(*of.inputs)
    edge_vec, _ = model.edge_vectors(given, True)
    species, context = model.context(given, edge_vec)
    inputs = model.energy_head.last_inputs(model.backbone(species, context))
    return model.uncertainty.covariance_of_forces(inputs, edge_vec, given)


def test_an_energy_is_as_uncertain_as_its_atoms_and_their_correlations_say(model):
    atoms = ethanol(0.1, 6)
    one = sigmas(model, graph(atoms))
    apart = atoms.copy()
    apart.translate([50.0, 0.0, 0.0])
    # the errors of equal atoms are equal, so those of two copies add up
    torch.testing.assert_close(
        sigmas(model, graph(atoms + apart))["energy_uncertainty"], 2.0 * one["energy_uncertainty"]
    )
    assert float(one["energy_uncertainty"]) <= float(one["energies_uncertainty"].sum())
    alone = sigmas(model, graph(ase.Atoms("O")))
    torch.testing.assert_close(alone["energy_uncertainty"], alone["energies_uncertainty"])
    torch.testing.assert_close(alone["forces_uncertainty"], model.uncertainty.floors[1].expand(1, 3))
    batch = AtomicGraph.collate([graph(atoms), graph(ase.Atoms("O"))])
    both = torch.cat([one["energy_uncertainty"], alone["energy_uncertainty"]])
    torch.testing.assert_close(sigmas(model, batch)["energy_uncertainty"], both)


def test_members_are_potentials_whose_forces_are_gradients(model):
    atoms = ethanol(0.1, 8)

    def energies(at: ase.Atoms) -> torch.Tensor:
        given = GraphInput(*graph(at).inputs)
        edge_vec, _ = model.edge_vectors(given, False)
        species, context = model.context(given, edge_vec)
        return model.energy_head.last_inputs(model.backbone(species, context)).sum(0) @ model.uncertainty.members

    numbers = torch.zeros(len(atoms), 3, model.uncertainty.members.shape[1], dtype=torch.float64)
    for atom in range(len(atoms)):
        for axis in range(3):
            ends = []
            for sign in (1.0, -1.0):
                shifted = atoms.copy()
                shifted.positions[atom, axis] += 1e-4 * sign
                ends.append(energies(shifted))
            numbers[atom, axis] = (ends[0] - ends[1]) / 2e-4
    variance = numbers.square().sum(dim=2)
    of_atom, law = variance.mean(dim=1, keepdim=True), model.uncertainty
    grown = (of_atom / law.typical**2) ** (law.power - 1.0)
    expected = grown * (0.5 * variance + 0.5 * of_atom) + law.floors[1] ** 2
    torch.testing.assert_close(
        sigmas(model, graph(atoms))["forces_uncertainty"].square(), expected, rtol=1e-5, atol=1e-10
    )


def test_it_grows_away_from_the_data(model):
    def typical(rattle: float) -> float:
        of = [sigmas(model, graph(ethanol(rattle, 1000 + k)))["forces_uncertainty"] for k in range(5)]
        return float(np.median([x.square().mean() - model.uncertainty.floors[1] ** 2 for x in of])) ** 0.5

    near, far = (typical(rattle) for rattle in (0.05, 0.2))
    assert 1.5 * near < far


def test_calibrated_as_the_record_says(plain, model, data):
    record = model.uncertainty.record
    assert (record.frames, record.of_frames, record.calibration_frames) == (12, 12, 20)
    assert (record.sha256, record.calibration_sha256) == tuple(map(frames_fingerprint, data))
    assert record.noise == pytest.approx({"energy": 0.01, "forces": 0.05}, rel=0.4)
    for name in ("energy", "forces"):
        errors, spread = [], []
        for frame in data[1]:
            out = model(*graph(frame.atoms).inputs, True, False, True, True)
            errors.append((out[name] - torch.tensor(frame.labels[name])).abs().ravel())
            spread.append(out[f"{name}_uncertainty"].ravel())
        inside = (torch.cat(errors) <= INTERVAL * torch.cat(spread)).double().mean()
        assert 0.9 <= float(inside) <= 0.96  # of 20 frames 0.9 × 21 / 20, so that 0.9 are expected of others
        assert sum(point.count for point in record.calibration[name].curve) == len(torch.cat(errors))
    again = with_uncertainty(plain, *data)
    assert torch.equal(again.uncertainty.members, model.uncertainty.members)


@pytest.mark.parametrize("power", [0.625, 1.0, 1.5])
def test_the_power_by_which_errors_grow_is_found(power):
    """Of 20 000 forces whose errors are drawn from the law; the floor is a tenth of the typical σ."""
    generator = np.random.default_rng(0)
    s = np.exp(generator.normal(scale=0.7, size=(20_000, 1))) * generator.uniform(0.8, 1.2, size=(20_000, 3))
    of_atom = np.sqrt(np.square(s).mean(axis=1, keepdims=True))
    sigma = np.hypot(3.0 * s * of_atom ** (power - 1.0), 0.1)
    errors = np.abs(generator.laplace(scale=sigma / np.sqrt(2.0)))
    law = _calibrated(errors.ravel(), s.ravel(), np.ones(s.size), 1000, _POWERS)
    assert law.power == pytest.approx(power, abs=0.126)
    inside = np.array([point.covered for point in law.curve])
    np.testing.assert_allclose(inside, 0.9, atol=0.02)


def test_an_interval_allows_for_the_frames_that_it_was_made_with():
    """90 % of further errors lie within, on average over calibrations by 20 frames; by the plain quantile 86 %."""
    generator, found = np.random.default_rng(1), []
    for _ in range(2000):
        errors = np.abs(generator.normal(size=20))
        law = _calibrated(errors, np.ones(20), np.ones(20), 20)
        found.append(np.hypot(law.factor, law.floor) * INTERVAL)
    covered = np.mean([np.mean(np.abs(generator.normal(size=1000)) <= limit) for limit in found])
    assert 0.885 <= covered <= 0.915


def test_less_data_make_it_more_uncertain(plain, data):
    def relative(frames: list[Frame]) -> float:
        made = with_uncertainty(plain, frames, data[1])
        of, about = ethanol(0.05, 3), made.uncertainty.record.calibration["energy"]
        value = float(sigmas(made, graph(of))["energy_uncertainty"])
        return float(np.sqrt(value**2 - (len(of) * about.floor) ** 2)) / about.factor

    assert relative(data[0][:3]) > 1.2 * relative(data[0])


def test_without_forces_and_without_energies(plain, data):
    energies = [replace(frame, labels={"energy": frame.labels["energy"]}) for frame in data[0]]
    made = with_uncertainty(plain, energies)
    assert made.uncertainty.record.outputs == SIGMAS[:2]
    assert made.uncertainty.record.calibrated_on == "training"
    forces = [replace(frame, labels={"forces": frame.labels["forces"]}) for frame in data[0]]
    with pytest.raises(ValueError, match="frames with energies"):
        with_uncertainty(plain, forces)


def test_curve():
    generator = np.random.default_rng(0)
    sigma = generator.uniform(0.1, 1.0, 20_000)
    points = curve(np.abs(generator.normal(scale=sigma)), sigma)
    assert len(points) == 10
    for point in points:
        assert point.error == pytest.approx(point.sigma, rel=0.06)
        assert point.covered == pytest.approx(0.9, abs=0.025)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_files(model, file, dtype):
    loaded = mlff.load(file, dtype=dtype)
    assert loaded.sigmas == SIGMAS
    assert set(SIGMAS) <= set(loaded.self_test().deviations)
    of = loaded.graph(ethanol(0.1, 9))
    out, expected = loaded.evaluate(of, sigmas=SIGMAS), sigmas(model, of)
    for name in SIGMAS:
        torch.testing.assert_close(
            out[name].double(), expected[name], rtol=1e-10 if dtype == "float64" else 2e-2, atol=1e-10
        )
    assert set(loaded.evaluate(of)) == {"energy", "energies", "forces"}
    assert loaded.metadata.uncertainty == model.uncertainty.record
    assert "calibrated on 20 validation frames" in loaded.metadata.facts()["uncertainty"]


def test_a_file_without(plain, tmp_path):
    loaded = mlff.load(mlff.export(plain, tmp_path / "model.pt"))
    assert loaded.sigmas == ()
    with pytest.raises(ValueError, match="mlff export --uncertainty"):
        loaded.evaluate(loaded.graph(ethanol(0.1, 9)), sigmas=["energy_uncertainty"])
    with pytest.raises(ValueError, match="no uncertainty"):
        MLFFCalculator(loaded, uncertainty=True)
    with pytest.raises(ValueError, match="no uncertainty"):
        relax({"e": ethanol(0.1, 9)}, loaded, settings=RelaxSettings(stop_above=1.0))


def test_calculator(file):
    calculator, atoms = MLFFCalculator(file), ethanol(0.1, 9)
    atoms.calc = calculator
    atoms.get_forces()
    assert isinstance(calculator.results["energy_uncertainty"], float)
    assert calculator.results["energies_uncertainty"].shape == (9,)
    assert "forces_uncertainty" not in calculator.results
    asked = calculator.get_property("forces_uncertainty", atoms)
    assert asked.shape == (9, 3)
    other = MLFFCalculator(file, uncertainty=True)
    other.calculate(atoms, ["forces"])
    np.testing.assert_allclose(other.results["forces_uncertainty"], asked, rtol=1e-6)


def test_relaxations_show_it_warn_and_stop(file, tmp_path, caplog):
    atoms = ethanol(0.3, 9)
    (every,) = relax({"e": atoms}, file, tmp_path / "a", steps=2, settings=RelaxSettings(uncertainty=True))
    assert len(every.uncertainties) == len(every.forces_uncertainties) == 3
    assert "more than in any structure" in caplog.text
    assert caplog.text.count("more than in any structure") == 1
    (end,) = relax({"e": atoms}, file, tmp_path / "b", steps=2)
    assert end.forces_uncertainties == pytest.approx(every.forces_uncertainties[-1:])
    assert "energy_uncertainty_eV" in (tmp_path / "b" / "summary.csv").read_text()
    with pytest.raises(RelaxFailed, match="stop_above"):
        relax({"e": atoms}, file, tmp_path / "c", steps=2, settings=RelaxSettings(stop_above=1e-6))
    with pytest.raises(ValueError, match="stop_above must be"):
        RelaxSettings(stop_above=-1.0)
