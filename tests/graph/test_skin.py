"""The skin list returns at every query what a fresh search returns, and searches only when it must."""

from unittest.mock import Mock, patch

import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111
from hypothesis import given, settings
from hypothesis import strategies as st

from mlff.graph import SkinNeighborList, neighbor_list

CUTOFF = 3.0
SKIN = 0.6


class Walker:
    """A structure that changes in place, by the moves that simulations make."""

    def __init__(self, seed, n, pbc):
        self.rng = np.random.default_rng(seed)
        self.cell = np.diag(self.rng.uniform(2.0, 8.0, 3)) + self.rng.uniform(-1.0, 1.0, (3, 3))
        self.pbc = np.array(pbc)
        self.positions = self.rng.uniform(-0.2, 1.2, (n, 3)) @ self.cell

    def step(self):
        self.positions += self.rng.normal(scale=0.04, size=self.positions.shape)

    def jump(self):
        self.positions[self.rng.integers(len(self.positions))] += self.rng.normal(scale=2.0, size=3)

    def wrap(self):
        """Every atom into the cell, along the periodic axes."""
        fractional = self.positions @ np.linalg.inv(self.cell)
        self.positions -= (np.floor(fractional) * self.pbc) @ self.cell

    def images(self):
        """Every atom to a random periodic image."""
        self.positions += (self.rng.integers(-3, 4, self.positions.shape) * self.pbc) @ self.cell

    def drift(self):
        self.positions += self.rng.normal(size=3)

    def strain(self, scale=0.01):
        deformation = np.eye(3) + self.rng.normal(scale=scale, size=(3, 3))
        self.cell[:] = self.cell @ deformation
        self.positions[:] = self.positions @ deformation

    def big_strain(self):
        self.strain(0.1)

    def cell_only(self):
        """The cell changes under atoms that stay."""
        self.cell += self.rng.normal(scale=0.03, size=(3, 3))

    def other_lattice_vectors(self):
        """The same lattice, described by other vectors."""
        if self.pbc.all():
            self.cell[2] += self.cell[0]

    def pbc_flip(self):
        self.pbc[self.rng.integers(3)] ^= True

    def remove(self):
        if len(self.positions) > 1:
            self.positions = np.delete(self.positions, 0, axis=0)

    def insert(self):
        self.positions = np.vstack([self.positions, self.rng.uniform(size=3) @ self.cell])


MOVES = [name for name in vars(Walker) if not name.startswith("_")]


def assert_fresh(skin, positions, cell, pbc):
    edge_index, shifts = skin.update(positions, cell, pbc)
    limits = {"max_neighbors": skin.max_neighbors, "max_neighbors_strict": skin.max_neighbors_strict}
    expected_index, expected_shifts = neighbor_list(positions, cell, pbc, skin.cutoff, **limits)
    assert torch.equal(edge_index, expected_index)
    assert torch.equal(shifts, expected_shifts)


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 8),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    max_neighbors=st.sampled_from([None, None, 4]),
    moves=st.lists(st.sampled_from(["step", "step", "step", *MOVES]), min_size=1, max_size=20),
)
def test_walk_equals_fresh_search(seed, n, pbc, max_neighbors, moves):
    walker = Walker(seed, n, pbc)
    skin = SkinNeighborList(CUTOFF, SKIN, max_neighbors)
    for move in ["step", *moves]:
        getattr(walker, move)()
        if abs(np.linalg.det(walker.cell)) < 1.0:  # a cell that collapsed under the moves
            break
        assert_fresh(skin, walker.positions, walker.cell, walker.pbc)


def test_long_walk_counts_few_searches():
    atoms = bulk("Al", cubic=True) * (2, 2, 2)
    rng = np.random.default_rng(3)
    positions, cell = atoms.get_positions(), atoms.cell.array
    skin = SkinNeighborList(4.5, 1.0)
    velocity = rng.normal(scale=0.02, size=positions.shape)
    for step in range(100):
        positions += velocity  # in place
        if step % 5 == 0:
            positions -= np.floor(positions @ np.linalg.inv(cell)) @ cell
        assert_fresh(skin, positions, cell, True)
    assert skin.queries == 100
    # The fastest atom travels about 7 A in all, the criterion allows 1 A for two atoms together.
    assert 5 <= skin.rebuilds <= 25


@pytest.fixture
def slab():
    return fcc111("Cu", (3, 3, 3), vacuum=6.0)  # zero height is not periodic


def test_no_search_for_what_moves_no_pair(slab):
    """Repeated queries, wraps, other images, a drift of all atoms, a new cell along the non-periodic axis."""
    skin = SkinNeighborList(4.0, 0.5)
    positions, cell, pbc = slab.get_positions(), slab.cell.array.copy(), slab.pbc
    rng = np.random.default_rng(0)
    assert_fresh(skin, positions, cell, pbc)
    assert_fresh(skin, positions, cell, pbc)
    positions += (rng.integers(-2, 3, positions.shape) * pbc) @ cell
    assert_fresh(skin, positions, cell, pbc)
    positions += np.array([0.0, 0.0, 3.0])
    assert_fresh(skin, positions, cell, pbc)
    cell[2] = [0.0, 0.0, 99.0]
    assert_fresh(skin, positions, cell, pbc)
    cell[2] = 0.0
    assert_fresh(skin, positions, cell, pbc)
    assert (skin.queries, skin.rebuilds) == (6, 1)


def test_small_strain_needs_no_search_large_strain_does():
    atoms = bulk("Al", cubic=True) * (2, 2, 2)
    skin = SkinNeighborList(4.5, 0.5)
    for factor, rebuilds in ((1.0, 1), (1.05, 1), (0.95, 1), (0.91, 1), (0.89, 2)):
        assert_fresh(skin, atoms.positions * factor, atoms.cell.array * factor, True)
        assert skin.rebuilds == rebuilds, factor  # 0.9 = cutoff / (cutoff + skin)


@pytest.mark.parametrize(("step", "rebuilds"), [(0.249, 1), (0.251, 2)])
def test_two_atoms_share_the_skin(step, rebuilds):
    """Both move towards each other: the list holds until together they used up the skin."""
    skin = SkinNeighborList(CUTOFF, 0.5)
    start = CUTOFF + 0.5 + 1e-3  # outside of cutoff + skin
    positions = torch.tensor([[0.0, 0.0, 0.0], [start, 0.0, 0.0]], dtype=torch.float64)
    assert_fresh(skin, positions, torch.zeros(3, 3), False)
    positions[0, 0] += step
    positions[1, 0] -= step
    assert_fresh(skin, positions, torch.zeros(3, 3), False)
    assert skin.rebuilds == rebuilds


def test_pair_that_enters_by_one_atom_in_place():
    """A stale list would miss it: the array object is the same, one atom crossed the skin."""
    skin = SkinNeighborList(CUTOFF, 0.5)
    positions = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
    assert skin.update(positions, np.zeros((3, 3)), False)[0].shape[1] == 0
    positions[1, 0] = 2.9
    assert skin.update(positions, np.zeros((3, 3)), False)[0].tolist() == [[1, 0], [0, 1]]
    assert skin.rebuilds == 2


def test_jump_that_looks_like_a_wrap():
    """A move by a lattice vector along an axis that is not periodic is a real move."""
    cell = 10.0 * np.eye(3)
    skin = SkinNeighborList(CUTOFF, 0.5)
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for pbc, edges in (([True, True, True], 2), ([True, True, False], 0)):
        skin.update(positions, cell, pbc)
        moved = positions + np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 10.0]])
        assert skin.update(moved, cell, pbc)[0].shape[1] == edges
    assert skin.rebuilds == 3


def test_change_of_atoms_and_pbc_searches():
    atoms = bulk("Al", cubic=True)
    skin = SkinNeighborList(CUTOFF, 0.5)
    for count, pbc in ((4, True), (3, True), (4, True), (4, [True, True, False]), (4, False)):
        assert_fresh(skin, atoms.positions[:count], atoms.cell.array, pbc)
    assert skin.rebuilds == 5


def test_results_do_not_change_with_later_queries():
    atoms = bulk("Al", cubic=True)
    skin = SkinNeighborList(CUTOFF, 0.5)
    edge_index, shifts = skin.update(atoms.positions, atoms.cell.array, True)
    kept = edge_index.clone(), shifts.clone()
    edge_index += 1
    shifts += 1.0
    again = skin.update(atoms.positions, atoms.cell.array, True)
    assert torch.equal(again[0], kept[0])
    assert torch.equal(again[1], kept[1])


def test_zero_skin_searches_every_time_and_is_right():
    walker = Walker(11, 6, (True, True, False))
    skin = SkinNeighborList(CUTOFF, 0.0)
    for _ in range(5):
        walker.step()
        assert_fresh(skin, walker.positions, walker.cell, walker.pbc)
    assert skin.rebuilds == 5


def test_an_interrupt_between_two_queries_leaves_nothing_half_changed():
    """The cell and its shift vectors change together: edges after the interrupt are those of a fresh search."""
    crystal = bulk("Cu", cubic=True)
    strained = crystal.copy()
    strained.set_cell(1.02 * crystal.cell, scale_atoms=True)
    skinned = SkinNeighborList(3.65, 0.5)
    skinned.update(crystal.positions, crystal.cell.array, crystal.pbc)
    failing = patch("mlff.graph.skin.torch.from_numpy", Mock(side_effect=MemoryError))
    with failing, pytest.raises(MemoryError):
        skinned.update(strained.positions, strained.cell.array, strained.pbc)
    edges, shifts = skinned.update(strained.positions, strained.cell.array, strained.pbc)
    fresh, fresh_shifts = neighbor_list(strained.positions, strained.cell.array, strained.pbc, 3.65)
    torch.testing.assert_close(edges, fresh)
    torch.testing.assert_close(shifts, fresh_shifts)
