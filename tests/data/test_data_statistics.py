"""Reference energies, scale and counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from support.labels import labels_of

from mlff.data import DataError, Frame, GraphDataset, collate, compute_statistics, fit_reference_energies
from mlff.data.statistics import DatasetStatistics, composition_rank

E0 = {1: -13.6, 6: -1030.0, 8: -2041.0}


def frames_of(compositions, rng, noise=0.0):
    frames = []
    for composition in compositions:
        numbers = np.repeat(list(E0), composition)
        positions = np.arange(len(numbers))[:, None] * [1.2, 0.1, 0.0] + rng.normal(scale=0.05, size=(len(numbers), 3))
        energy = float(np.dot(composition, list(E0.values())) + noise * rng.normal() * len(numbers))
        frames.append(Frame(Atoms(numbers, positions=positions), labels_of(energy, rng.normal(size=(len(numbers), 3)))))
    return frames


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_least_squares_recovers_additive_energies(rng):
    data = GraphDataset(frames_of([(2, 0, 1), (4, 1, 0), (2, 1, 2), (6, 2, 1)], rng), 3.0)
    found = compute_statistics(data[i] for i in range(4))
    for number, energy in E0.items():
        assert found.reference_energies[number] == pytest.approx(energy, abs=1e-6)
    assert found.composition_rank == 3
    assert found.energy_rms < 1e-8
    assert found.reference_source == "least_squares"


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.floats(-1e5, 1e5), st.integers(1, 40))
def test_fixed_composition_gives_the_minimal_norm_solution(composition, energy, copies):
    counts = np.tile(composition, (copies, 1))
    found = fit_reference_energies(counts, np.full(copies, energy))
    # Of all solutions of n.x = E the shortest is E n / n.n.
    expected = energy * np.array(composition) / np.dot(composition, composition)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    assert composition_rank(counts) == 1


def test_collinear_elements_stay_bounded(rng):
    # C and O always one to one: only their sum is determined.
    counts = np.array([[h, n, n] for h in range(1, 6) for n in range(1, 4)])
    energies = counts @ np.array(list(E0.values())) + rng.normal(scale=1e-3, size=len(counts))
    found = fit_reference_energies(counts, energies)
    assert composition_rank(counts) == 2
    assert found[1] == pytest.approx(found[2], rel=1e-9)
    assert found[1] + found[2] == pytest.approx(E0[6] + E0[8], abs=0.1)
    assert found[0] == pytest.approx(E0[1], abs=0.1)


def test_isolated_atoms_are_used_unchanged(rng):
    data = GraphDataset(frames_of([(2, 1, 1)] * 3, rng), 3.0)
    found = compute_statistics((data[i] for i in range(3)), isolated_atoms={**E0, 29: 7.0})
    assert found.reference_energies == E0
    assert found.reference_source == "isolated_atoms"
    assert found.energy_rms == pytest.approx(0.0, abs=1e-9)
    shifted = compute_statistics((data[i] for i in range(3)), isolated_atoms={z: e + 2.0 for z, e in E0.items()})
    assert shifted.energy_mean == pytest.approx(-2.0)
    with pytest.raises(DataError, match="no isolated-atom energy for C, O"):
        compute_statistics((data[i] for i in range(3)), isolated_atoms={1: 0.0})


def test_scale_counts_degree_and_quantiles_against_direct_sums(rng):
    frames = frames_of([(2, 0, 1), (4, 1, 0), (2, 1, 2)], rng, noise=0.3)
    data = GraphDataset(frames, 3.0, dtype=torch.float64)
    found = compute_statistics(data[i] for i in range(3))
    forces = np.concatenate([frame.forces for frame in frames])
    assert found.scale == pytest.approx(np.sqrt((forces**2).mean()), rel=1e-12)
    assert found.element_counts == {1: 8, 6: 2, 8: 3}
    pairs = sum(int((frame.atoms.get_all_distances() < 3.0).sum()) - len(frame.atoms) for frame in frames)
    assert found.num_edges == pairs
    assert found.avg_degree == pytest.approx(pairs / 13)
    norms = np.linalg.norm(forces, axis=1)
    assert found.force_norm_quantiles["1"] == pytest.approx(norms.max())
    assert found.force_norm_quantiles["0.5"] == pytest.approx(np.median(norms))
    assert found.edges_per_frame == (*np.quantile(data.edge_counts, [0, 0.5, 1]),)
    # Batches count as their structures.
    batched = compute_statistics([collate([data[0], data[1]]), data[2]])
    assert batched == found
    assert DatasetStatistics.model_validate(found.model_dump(mode="json")) == found


def test_held_atoms_do_not_count_for_the_scale(tmp_path, slabs):
    frames = []
    for atoms in slabs(2):
        forces = atoms.calc.results["forces"].copy()
        forces[:4] = 0.0
        frames.append(Frame(atoms, labels_of(0.0, forces)))
    data = GraphDataset(frames, 4.0, dtype=torch.float64)
    free = np.concatenate([frame.forces[4:] for frame in frames])
    assert compute_statistics(data[i] for i in range(2)).scale == pytest.approx(np.sqrt((free**2).mean()))


def test_single_atoms_have_scale_one():
    data = GraphDataset([Frame(Atoms("O"), labels_of(-2041.0, np.zeros((1, 3))))], 4.0)
    found = compute_statistics([data[0]])
    assert (found.scale, found.avg_degree, found.num_edges) == (1.0, 0.0, 0)
    assert found.reference_energies == {8: pytest.approx(-2041.0)}


def test_unlabelled_or_no_graphs(rng):
    graph = GraphDataset(frames_of([(2, 1, 1)], rng), 3.0)[0]
    unlabelled = graph.replace(energy=None, forces=None)
    found = compute_statistics([unlabelled, unlabelled])
    assert (found.num_frames, found.scale, found.energy_rms, found.reference_source) == (2, 1.0, 0.0, "none")
    assert set(found.reference_energies.values()) == {0.0}
    assert compute_statistics([graph.replace(energy=None)]).scale == compute_statistics([graph]).scale
    assert compute_statistics([graph.replace(forces=None)]).energy_mean == compute_statistics([graph]).energy_mean
    with pytest.raises(DataError, match="some training graphs have an energy and others none"):
        compute_statistics([graph, unlabelled])
    with pytest.raises(DataError, match="no training graphs"):
        compute_statistics([])
