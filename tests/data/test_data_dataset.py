"""Graph data sets and their cache."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list as ase_neighbor_list
from support.labels import labels_of
from torch.utils.data import DataLoader

import mlff.data.cache as cache_module
from mlff.data import BatchSampler, DataError, Frame, GraphDataset, collate


@pytest.fixture
def frames(slabs):
    return [
        Frame(atoms, labels_of(atoms.calc.results["energy"], atoms.calc.results["forces"]), index=i)
        for i, atoms in enumerate(slabs(6))
    ]


@pytest.fixture
def builds(monkeypatch):
    """Number of times neighbour lists were computed."""
    counter = []
    build = cache_module.build_edges
    monkeypatch.setattr(cache_module, "build_edges", lambda *args: counter.append(1) or build(*args))
    return counter


def edge_vectors(graph):
    source, target = graph.edge_index
    return graph.positions[source] - graph.positions[target] + graph.shifts @ graph.cell[0]


def in_order(rows):
    """Rows sorted by their values in steps of 0.01."""
    return rows[np.lexsort(np.round(rows, 2).T[::-1])]


def test_float32_graphs_do_not_depend_on_where_a_frame_lies_and_how_far_its_atoms_have_travelled(frames):
    atoms = frames[0].atoms.copy()
    cells = np.random.default_rng(0).integers(-3000, 3000, (len(atoms), 3)) * atoms.pbc
    atoms.positions += cells @ atoms.cell.array + [1e5, -3e4, 2e5]
    near, far = (GraphDataset([f], 4.0, dtype=torch.float32)[0] for f in (frames[0], replace(frames[0], atoms=atoms)))
    rows = [in_order(np.column_stack([*graph.edge_index, edge_vectors(graph)])) for graph in (near, far)]
    np.testing.assert_allclose(*rows, rtol=0, atol=5e-6)


def same(first, second):
    for name in ("positions", "edge_index", "shifts", "energy", "forces", "cell", "pbc", "fixed", "numbers"):
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_graphs_carry_labels_and_the_neighbours_of_ase(frames, dtype):
    data = GraphDataset(frames, 4.0, dtype=dtype)
    for index, frame in enumerate(frames):
        graph = data[index]
        # ASE's vector runs from i to j, as here with j the source.
        i, j, vectors = ase_neighbor_list("ijD", frame.atoms, 4.0)
        expected = in_order(np.column_stack([j, i, vectors]))
        found = in_order(np.column_stack([*graph.edge_index, edge_vectors(graph)]))
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
        assert len(expected) == graph.num_edges == data.edge_counts[index]
        assert graph.energy.dtype == torch.float64
        assert graph.energy.item() == frame.energy
        assert graph.forces.dtype == graph.positions.dtype == dtype
        np.testing.assert_allclose(graph.forces.numpy(), frame.forces, rtol=1e-6, atol=1e-6)
        assert graph.fixed.tolist() == [True] * 4 + [False] * 9
        assert graph.stress is None
    same(data[-1], data[len(data) - 1])
    with pytest.raises(IndexError):
        data[len(data)]


def test_neighbour_cap_keeps_the_nearest(frames):
    graph = GraphDataset(frames, 5.0, max_neighbors=5, dtype=torch.float64)[0]
    distances = np.sort(frames[0].atoms.get_all_distances(mic=False), axis=1)
    assert torch.bincount(graph.edge_index[1]).tolist() == [5] * 13
    vectors = graph.positions[graph.edge_index[0]] - graph.positions[graph.edge_index[1]] + graph.shifts @ graph.cell[0]
    nearest = vectors.norm(dim=1)[graph.edge_index[1] == 12].min().item()
    assert nearest == pytest.approx(distances[12, 1], abs=1e-9)


def test_cache_is_used_and_gives_the_same_graphs(tmp_path, frames, builds):
    plain = GraphDataset(frames, 4.0)
    first = GraphDataset(frames, 4.0, cache_dir=tmp_path / "new" / "cache")
    again = GraphDataset(frames, 4.0, cache_dir=str(tmp_path / "new" / "cache"))
    assert len(builds) == 2
    for index in range(len(frames)):
        same(plain[index], first[index])
        same(plain[index], again[index])
    (file,) = (tmp_path / "new" / "cache").iterdir()
    assert file.suffix == ".safetensors"


def test_any_change_gets_its_own_cache(tmp_path, frames, builds):
    def moved(change):
        atoms = frames[0].atoms.copy()
        change(atoms)
        return [Frame(atoms, frames[0].labels), *frames[1:]]

    variants = [
        (frames, 4.0, None),
        (frames, 4.1, None),
        (frames, 4.0, 10),
        (frames[::-1], 4.0, None),
        (frames[:3], 4.0, None),
        (moved(lambda atoms: atoms.positions.__iadd__(1e-12)), 4.0, None),
        (moved(lambda atoms: atoms.set_cell(atoms.cell.array * 1.001)), 4.0, None),
        (moved(lambda atoms: atoms.set_pbc(False)), 4.0, None),
        (moved(lambda atoms: atoms.set_constraint()), 4.0, None),
        ([Frame(frames[0].atoms, labels_of(0.0, frames[0].forces)), *frames[1:]], 4.0, None),
        ([Frame(frames[0].atoms, labels_of(frames[0].energy, -frames[0].forces)), *frames[1:]], 4.0, None),
    ]
    for variant in variants:
        GraphDataset(*variant, cache_dir=tmp_path)
    assert len(builds) == len(variants) == len(list(tmp_path.iterdir()))


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty", "flip", "other"])
def test_damaged_cache_is_rebuilt(tmp_path, frames, builds, caplog, damage):
    expected = GraphDataset(frames, 4.0, cache_dir=tmp_path)[2]
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    if damage == "other":
        # A sound file of other data under this name.
        (tmp_path / "x").mkdir()
        GraphDataset(frames[:2], 4.0, cache_dir=tmp_path / "x")
        (other,) = (tmp_path / "x").iterdir()
        damaged = other.read_bytes()
    else:
        flipped = bytearray(whole)
        flipped[-5] ^= 1
        damaged = {"truncate": whole[:-100], "garbage": b"x" * 500, "empty": b"", "flip": bytes(flipped)}[damage]
    file.write_bytes(damaged)
    builds.clear()
    with caplog.at_level(logging.WARNING):
        same(GraphDataset(frames, 4.0, cache_dir=tmp_path)[2], expected)
    assert len(builds) == 1
    assert "damaged" in caplog.text
    assert file.read_bytes() == whole
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp"))


def test_unwritable_cache_is_a_warning(tmp_path, frames, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        data = GraphDataset(frames, 4.0, cache_dir=tmp_path / "file" / "cache")
    assert data[0].num_edges > 0
    assert "cannot write" in caplog.text


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_gives_every_label_once(frames, workers):
    data = GraphDataset(frames, 4.0)
    loader = DataLoader(
        data, batch_sampler=BatchSampler(data.edge_counts, 4, seed=1), collate_fn=collate, num_workers=workers
    )
    batches = list(loader)
    assert [batch.num_graphs for batch in batches] == [4, 2]
    energies = torch.cat([batch.energy for batch in batches]).tolist()
    assert sorted(energies) == sorted(frame.energy for frame in frames)
    assert all(batch.fixed is not None for batch in batches)


def test_a_stress_without_a_cell_is_refused(frames, molecules):
    """Also of frames that were made in Python: a batch with one of them would have no finite loss."""
    molecule = molecules(1)[0]
    stressed = Frame(
        molecule, labels_of(0.0, np.zeros((len(molecule), 3)), np.ones((3, 3))), source=Path("made.py"), index=7
    )
    with pytest.raises(DataError, match=r"made\.py, frame 7: has a stress or virial but its cell has zero volume"):
        GraphDataset([frames[0], stressed], 4.0)


def test_stress_reaches_the_graph_and_leaves_mixed_batches(frames):
    stress = np.diag([1.0, 2.0, 3.0])
    bulk = frames[0].atoms.copy()
    bulk.pbc = True
    stressed = Frame(bulk, labels_of(frames[0].energy, frames[0].forces, stress))
    data = GraphDataset([stressed, frames[1]], 4.0)
    np.testing.assert_array_equal(data[0].stress.numpy(), stress[None])
    assert collate([data[0], data[1]]).stress is None
    assert collate([data[0], data[0]]).stress.shape == (2, 3, 3)


def test_atoms_without_neighbours():
    data = GraphDataset([Frame(Atoms("Ar"), labels_of(1.0, np.zeros((1, 3))))], 4.0)
    assert data[0].num_edges == 0
    assert data[0].edge_index.shape == (2, 0)
    assert collate([data[0], data[0]]).num_graphs == 2
    assert len(GraphDataset([], 4.0)) == 0


@pytest.mark.parametrize(("cutoff", "cap"), [(0.0, None), (float("nan"), None), (5.0, 0)])
def test_arguments_are_checked(frames, cutoff, cap):
    with pytest.raises(ValueError, match=r"cutoff|max_neighbors"):
        GraphDataset(frames, cutoff, cap)


def test_fingerprint_follows_the_content(frames):
    assert GraphDataset(frames, 4.0).fingerprint == GraphDataset(list(frames), 5.0).fingerprint
    assert GraphDataset(frames, 4.0).fingerprint != GraphDataset(frames[1:], 4.0).fingerprint
