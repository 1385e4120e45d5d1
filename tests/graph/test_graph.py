"""AtomicGraph: construction, batches, conversions."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.constraints import FixAtoms
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.graph import AtomicGraph, graph_from_atoms, neighbor_list

FIELDS = (
    "positions", "numbers", "cell", "pbc", "edge_index", "shifts", "batch", "energy", "forces", "stress", "fixed",
)  # fmt: skip
STRUCTURES = [molecule("H2O"), bulk("Cu"), fcc111("Ni", (2, 2, 2), vacuum=5.0), Atoms("He"), molecule("CH4")]


def assert_same(a, b):
    for name in FIELDS:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            assert x.dtype == y.dtype, name
            assert torch.equal(x, y), name


def labelled(atoms, seed=0):
    graph = graph_from_atoms(atoms, 4.0, dtype=torch.float64)
    rng = torch.Generator().manual_seed(seed)
    return graph.replace(
        energy=torch.randn(1, generator=rng, dtype=torch.float64),
        forces=torch.randn(len(atoms), 3, generator=rng, dtype=torch.float64),
        stress=torch.randn(1, 3, 3, generator=rng, dtype=torch.float64),
    )


def test_graph_from_atoms_holds_the_structure():
    atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0)
    atoms.set_constraint(FixAtoms(indices=[0, 3]))
    before = atoms.copy()
    graph = graph_from_atoms(atoms, 3.0)
    assert graph.positions.dtype == graph.cell.dtype == graph.shifts.dtype == torch.float32
    assert graph.numbers.tolist() == [29] * 12
    assert graph.pbc.tolist() == [[True, True, False]]
    assert graph.fixed.nonzero().flatten().tolist() == [0, 3]
    assert graph.energy is None
    assert graph.forces is None
    assert graph.stress is None
    np.testing.assert_allclose(graph.positions.numpy(), atoms.positions, rtol=1e-6)
    np.testing.assert_allclose(graph.cell[0].numpy(), atoms.cell.array, rtol=1e-6)
    assert graph.num_edges == 8 * 9 + 4 * 12  # two surface layers, one inside
    assert atoms == before
    graph.positions.zero_()  # the graph owns its memory
    assert atoms == before


def test_graph_edges_are_the_neighbour_list():
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    graph = graph_from_atoms(atoms, 5.0, max_neighbors=7, dtype=torch.float64)
    edge_index, shifts = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, 5.0, max_neighbors=7)
    assert torch.equal(graph.edge_index, edge_index)
    assert torch.equal(graph.shifts, shifts)
    assert torch.bincount(graph.edge_index[1]).tolist() == [7, 7]


def test_edge_list_does_not_depend_on_dtype():
    """Perfect shells at the cutoff: float32 and float64 graphs have the same edges."""
    atoms = bulk("Cu", a=3.7, cubic=True) * (2, 2, 2)
    single = graph_from_atoms(atoms, 3.7 + 1e-9, dtype=torch.float32)
    double = graph_from_atoms(atoms, 3.7 + 1e-9, dtype=torch.float64)
    assert torch.equal(single.edge_index, double.edge_index)


@settings(max_examples=30)
@given(st.lists(st.integers(0, len(STRUCTURES) - 1), min_size=1, max_size=5))
def test_collate_split_round_trip(indices):
    graphs = [labelled(STRUCTURES[k], seed) for seed, k in enumerate(indices)]
    batch = AtomicGraph.collate(graphs)
    assert batch.num_graphs == len(graphs)
    assert batch.num_atoms.tolist() == [len(STRUCTURES[k]) for k in indices]
    assert batch.num_edges == sum(graph.num_edges for graph in graphs)
    assert (batch.batch.diff() >= 0).all()
    assert torch.equal(batch.batch[batch.edge_index[0]], batch.batch[batch.edge_index[1]])
    for graph, part in zip(graphs, batch.split(), strict=True):
        assert_same(graph, part)
    assert_same(AtomicGraph.collate([AtomicGraph.collate(graphs[:1]), *graphs[1:]]), batch)
    nested = AtomicGraph.collate([AtomicGraph.collate(graphs), *graphs])
    assert_same(nested, AtomicGraph.collate(graphs + graphs))


def test_collate_keeps_edge_vectors():
    graphs = [labelled(atoms) for atoms in STRUCTURES]

    def vectors(g):
        cell = g.cell[g.batch[g.edge_index[1]]]
        return g.positions[g.edge_index[0]] - g.positions[g.edge_index[1]] + torch.einsum("ek,ekx->ex", g.shifts, cell)

    assert torch.equal(vectors(AtomicGraph.collate(graphs)), torch.cat([vectors(g) for g in graphs]))
    assert (vectors(AtomicGraph.collate(graphs)).norm(dim=1) < 4.0).all()


def test_collate_drops_labels_that_one_graph_lacks():
    full = labelled(STRUCTURES[0])
    batch = AtomicGraph.collate([full, full.replace(stress=None), full.replace(energy=None)])
    assert batch.stress is None
    assert batch.energy is None
    assert torch.equal(batch.forces, torch.cat([full.forces] * 3))


def test_collate_errors():
    graph = labelled(STRUCTURES[0])
    with pytest.raises(ValueError, match="empty"):
        AtomicGraph.collate([])
    with pytest.raises(ValueError, match="one dtype"):
        AtomicGraph.collate([graph, graph.to(dtype=torch.float32)])


def test_to_converts_floats_but_energy():
    graph = labelled(STRUCTURES[1]).replace(energy=torch.tensor([-123456.789012], dtype=torch.float64))
    moved = graph.to("cpu", torch.float32)
    for name in ("positions", "cell", "shifts", "forces", "stress"):
        assert getattr(moved, name).dtype == torch.float32
    assert moved.energy.item() == -123456.789012
    for name in ("numbers", "edge_index", "batch", "pbc", "fixed"):
        assert getattr(moved, name).dtype == getattr(graph, name).dtype
    assert graph.positions.dtype == torch.float64
    assert_same(graph.to("cpu"), graph)
    assert graph.to(torch.device("meta")).positions.device.type == "meta"
    with pytest.raises(ValueError, match="floating"):
        graph.to(dtype=torch.int64)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("positions", torch.zeros(3, 2), "positions"),
        ("numbers", torch.zeros(2, dtype=torch.int64), "numbers"),
        ("numbers", torch.zeros(3), "int64"),
        ("cell", torch.zeros(3, 3), "cell"),
        ("pbc", torch.zeros(1, 3), "bool"),
        ("edge_index", torch.zeros(4, 2, dtype=torch.int64), "edge_index"),
        ("shifts", torch.zeros(2, 3, dtype=torch.float64), "shifts"),
        ("energy", torch.zeros(1), "float64"),
        ("forces", torch.zeros(2, 3), "forces"),
        ("stress", torch.zeros(1, 6), "stress"),
    ],
)
def test_malformed_graph_names_the_field(name, value, message):
    graph = graph_from_atoms(molecule("H2O"), 4.0)
    with pytest.raises(ValueError, match=message):
        graph.replace(**{name: value})


def test_single_atom_and_bad_cell():
    graph = graph_from_atoms(Atoms("He"), 5.0)
    assert graph.num_edges == 0
    assert graph.num_atoms.tolist() == [1]
    with pytest.raises(ValueError, match="periodic"):
        graph_from_atoms(Atoms("He", pbc=True), 5.0)
    with pytest.raises(ValueError, match="floating"):
        graph_from_atoms(Atoms("He"), 5.0, dtype=torch.int64)
