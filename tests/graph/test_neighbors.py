"""Neighbour lists, pair by pair, against ase.neighborlist."""

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.neighborlist import primitive_neighbor_list
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mlff.graph import SkinNeighborList, neighbor_list, torch_neighbor_list

scripted_list = torch.jit.script(torch_neighbor_list)


def random_structure(seed, n, pbc, shape, spread, zero_rows):
    """A structure of the given kind: n atoms, `shape` of the cell, atoms up to `spread` cells away from it."""
    rng = np.random.default_rng(seed)
    lengths = rng.uniform(1.5, 7.0, 3)
    cell = np.diag(lengths)
    if shape != "orthogonal":
        cell += np.tril(rng.uniform(-0.6, 0.6, (3, 3)), -1) * lengths[:, None]
        q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        cell = cell @ q * (1 if np.linalg.det(q) > 0 else -1)
    if shape == "sheared":
        cell[2] += 3 * cell[0] - 2 * cell[1]
    if shape == "left-handed":
        cell = cell[[1, 0, 2]]
    positions = rng.uniform(-spread, 1 + spread, (n, 3)) @ cell
    if zero_rows:
        cell[~np.array(pbc)] = 0.0
    return positions, cell, np.array(pbc)


structures = st.builds(
    random_structure,
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    shape=st.sampled_from(["orthogonal", "triclinic", "left-handed", "sheared"]),
    spread=st.sampled_from([0.0, 0.5, 4.0]),
    zero_rows=st.booleans(),
)
cutoffs = st.floats(0.5, 6.0)


def ase_pairs(positions, cell, pbc, cutoff):
    """Set of (i, j, shift) with the vector r_j - r_i + shift @ cell."""
    full = cell.copy()
    if not all(pbc):  # ASE needs a complete cell; what stands on non-periodic axes does not matter
        basis = np.linalg.svd(cell[np.array(pbc)].reshape(-1, 3), full_matrices=True)[2]
        full[~np.array(pbc)] = basis[int(np.sum(pbc)) :]
    i, j, shift = primitive_neighbor_list("ijS", pbc, full, positions, cutoff)
    return {(int(a), int(b), *(int(x) for x in s)) for a, b, s in zip(i, j, shift, strict=True)}


def pairs(edges):
    edge_index, shifts = edges
    assert edge_index.dtype == torch.int64
    assert edge_index.shape[0] == 2
    assert shifts.shape == (edge_index.shape[1], 3)
    assert torch.equal(shifts, shifts.round())
    rows = [
        (int(i), int(j), *(int(x) for x in s)) for j, i, s in zip(*edge_index.tolist(), shifts.tolist(), strict=True)
    ]
    assert rows == sorted(set(rows)), "edges must be unique and ordered by target, source, shift"
    return set(rows)


def lengths(positions, cell, edges):
    edge_index, shifts = edges
    r = torch.as_tensor(positions)
    return (r[edge_index[0]] - r[edge_index[1]] + shifts @ torch.as_tensor(cell)).norm(dim=1)


@settings(max_examples=150)
@given(structure=structures, cutoff=cutoffs)
@example(structure=random_structure(0, 1, (False, False, False), "orthogonal", 0.0, True), cutoff=3.0)
@example(structure=random_structure(1, 1, (True, True, True), "sheared", 4.0, False), cutoff=6.0)
@example(structure=random_structure(2, 9, (True, False, True), "left-handed", 4.0, True), cutoff=6.0)
def test_backends_equal_ase(structure, cutoff):
    positions, cell, pbc = structure
    expected = ase_pairs(positions, cell, pbc, cutoff)
    found = neighbor_list(positions, cell, pbc, cutoff)
    assert found[1].dtype == torch.float64
    assert pairs(found) == expected
    assert pairs(neighbor_list(positions, cell, pbc, cutoff, backend="torch")) == expected
    assert pairs(SkinNeighborList(cutoff, skin=0.7).update(positions, cell, pbc)) == expected
    tensors = torch.tensor(positions), torch.tensor(cell), torch.tensor(pbc)
    assert pairs(scripted_list(*tensors, cutoff)) == expected


@settings(max_examples=25)
@given(structure=structures, cutoff=cutoffs, max_neighbors=st.integers(1, 12))
@example(structure=random_structure(0, 1, (True, True, True), "sheared", 0.0, False), cutoff=3.0, max_neighbors=1)
def test_max_neighbors_keeps_nearest(structure, cutoff, max_neighbors):
    positions, cell, pbc = structure
    full = neighbor_list(positions, cell, pbc, cutoff)
    distance = lengths(positions, cell, full).tolist()
    ranked = {}
    for d, (j, i), s in zip(distance, full[0].T.tolist(), full[1].tolist(), strict=True):
        ranked.setdefault(i, []).append((round(d / 1e-6), j, *reversed(s)))  # the last lattice vector counts most
    expected = {
        (i, int(j), *(int(x) for x in reversed(s)))
        for i, rows in ranked.items()
        for _, j, *s in sorted(rows)[:max_neighbors]
    }
    for backend in ("vesin", "torch"):
        assert pairs(neighbor_list(*structure, cutoff, max_neighbors=max_neighbors, backend=backend)) == expected
    assert pairs(SkinNeighborList(cutoff, 0.3, max_neighbors).update(*structure)) == expected


def test_max_neighbors_ties_do_not_depend_on_rounding():
    """12 equal neighbours, 5 kept: noise of the size of rounding errors must not change which."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    cell, rng = atoms.cell.array, np.random.default_rng(0)
    reference = neighbor_list(atoms.positions, cell, True, 3.0, max_neighbors=5)
    assert reference[0].shape[1] == 5 * len(atoms)
    for _ in range(5):
        noisy = atoms.positions + rng.normal(scale=1e-13, size=(len(atoms), 3))
        edge_index, shifts = neighbor_list(noisy, cell, True, 3.0, max_neighbors=5)
        assert torch.equal(edge_index, reference[0])
        assert torch.equal(shifts, reference[1])


@settings(max_examples=40)
@given(structure=structures, cutoff=cutoffs, max_neighbors=st.integers(1, 12))
def test_not_strict_keeps_all_up_to_the_first_one_beyond(structure, cutoff, max_neighbors):
    positions, cell, pbc = structure
    full = neighbor_list(positions, cell, pbc, cutoff)
    squared = np.asarray(lengths(positions, cell, full)) ** 2
    expected = set()
    for target in range(len(positions)):
        of_target = np.flatnonzero(full[0][1].numpy() == target)
        ranked = np.sort(squared[of_target])
        reach = ranked[max_neighbors] + 0.01 if len(ranked) > max_neighbors else np.inf
        assume(not np.any(np.abs(ranked - reach) < 1e-9))
        kept = of_target[squared[of_target] <= reach]
        expected |= pairs((full[0][:, kept], full[1][kept]))
    limits = {"max_neighbors": max_neighbors, "max_neighbors_strict": False}
    for backend in ("vesin", "torch"):
        assert pairs(neighbor_list(*structure, cutoff, **limits, backend=backend)) == expected
    assert pairs(SkinNeighborList(cutoff, 0.3, **limits).update(*structure)) == expected


@pytest.mark.parametrize(("max_neighbors", "kept"), [(5, 12), (11, 12), (12, 18), (17, 18), (18, 18)])
def test_not_strict_keeps_whole_shells(max_neighbors, kept):
    """fcc has 12 nearest and 6 second neighbours. With 12 allowed the first one beyond is of the second shell."""
    atoms = bulk("Cu", a=3.6, cubic=True)
    limits = {"max_neighbors": max_neighbors, "max_neighbors_strict": False}
    edge_index, _ = neighbor_list(atoms.positions, atoms.cell.array, True, 4.0, **limits)
    assert torch.bincount(edge_index[1]).tolist() == [kept] * len(atoms)


def test_known_shells_of_fcc():
    """12 nearest, 6 second, 24 third neighbours, from a primitive cell smaller than the cutoff."""
    atoms = bulk("Cu", a=3.6)
    for cutoff, count in ((2.6, 12), (3.7, 18), (4.5, 42)):
        for backend in ("vesin", "torch"):
            edge_index, _ = neighbor_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff, backend=backend)
            assert edge_index.shape == (2, count)


def test_sign_of_shift_and_direction():
    """Atom 1 near the far face: seen from atom 0, its image one cell back is the neighbour."""
    positions = np.array([[0.1, 0.0, 0.0], [9.9, 0.0, 0.0]])
    edge_index, shifts = neighbor_list(positions, 10.0 * np.eye(3), True, 1.0)
    assert edge_index.tolist() == [[1, 0], [0, 1]]
    assert shifts.tolist() == [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


@pytest.mark.parametrize("backend", ["vesin", "torch"])
def test_cutoff_is_inclusive(backend):
    positions = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    assert neighbor_list(positions, np.zeros((3, 3)), False, 2.0 - 1e-12, backend=backend)[0].shape == (2, 0)
    assert neighbor_list(positions, np.zeros((3, 3)), False, 2.0, backend=backend)[0].shape == (2, 2)


@pytest.mark.parametrize("backend", ["vesin", "torch"])
@pytest.mark.parametrize("pbc", [True, False])
def test_no_atoms_and_no_edges(backend, pbc):
    cell = 9.0 * np.eye(3)
    for positions in (np.zeros((0, 3)), np.zeros((1, 3))):
        edge_index, shifts = neighbor_list(positions, cell, pbc, 3.0, max_neighbors=2, backend=backend)
        assert edge_index.shape == (2, 0)
        assert edge_index.dtype == torch.int64
        assert shifts.shape == (0, 3)
        assert shifts.dtype == torch.float64
        assert SkinNeighborList(3.0).update(positions, cell, pbc)[0].shape == (2, 0)


@pytest.mark.parametrize("backend", ["vesin", "torch"])
def test_tensors_arrays_layouts_and_gradients(backend):
    """float32 tensors that need gradients and strided views are read as what they hold, and stay untouched."""
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    reference = neighbor_list(atoms.positions.astype(np.float32), atoms.cell.array, atoms.pbc, 4.1)
    strided = torch.zeros(3, len(atoms) * 2)[:, ::2].T
    strided.copy_(torch.tensor(atoms.positions))
    before = strided.clone()
    positions = strided.requires_grad_()
    assert not positions.is_contiguous()
    cell = torch.tensor(atoms.cell.array).T.contiguous().T
    edge_index, shifts = neighbor_list(positions, cell, torch.tensor(atoms.pbc), 4.1, backend=backend)
    assert torch.equal(edge_index, reference[0])
    assert torch.equal(shifts, reference[1])
    assert not shifts.requires_grad
    assert torch.equal(positions, before)
    assert torch.equal(SkinNeighborList(4.1).update(positions, cell, atoms.pbc)[0], reference[0])


def test_scripted_list_keeps_dtype_of_positions():
    atoms = molecule("CH3CH2OH")
    for dtype in (torch.float32, torch.float64):
        positions = torch.tensor(atoms.positions, dtype=dtype)
        edge_index, shifts = scripted_list(positions, torch.zeros(3, 3, dtype=dtype), torch.zeros(3).bool(), 3.0)
        assert shifts.dtype == dtype
        assert torch.equal(edge_index, torch_neighbor_list(positions, torch.zeros(3, 3), torch.zeros(3).bool(), 3.0)[0])


@pytest.mark.parametrize("pbc", [(False, False, False), (False, False, True), (True, True, False), (True, True, True)])
def test_atoms_far_apart(pbc):
    """A molecule that flew away, its own bond intact: found, and without a grid over the space in between."""
    near = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 4.0, 4.0]])
    positions = np.concatenate([near, near + 20_000.0, near - np.array([0.0, 0.0, 8_000.0])])
    cell = np.diag([11.0, 12.0, 13.0])
    found = neighbor_list(positions, cell, pbc, 5.0)
    by_torch = neighbor_list(positions, cell, pbc, 5.0, backend="torch")
    assert pairs(found) == pairs(by_torch)
    inside = {tuple(p) for p in found[0].T.tolist()}
    assert {(0, 1), (3, 4), (6, 7)} <= inside
    if not any(pbc):
        assert inside == {(k, k + 1) for k in (0, 3, 6)} | {(k + 1, k) for k in (0, 3, 6)}


def test_many_targets_go_through_blocks():
    """More pairs than one block of the torch list holds."""
    rng = np.random.default_rng(5)
    positions, cell = rng.uniform(0, 26, (1500, 3)), 26.0 * np.eye(3)
    by_torch = neighbor_list(positions, cell, True, 3.5, backend="torch")
    by_vesin = neighbor_list(positions, cell, True, 3.5)
    assert torch.equal(by_torch[0], by_vesin[0])
    assert torch.equal(by_torch[1], by_vesin[1])


flat = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [1.0, 1.0, 0.0]])
ORIGIN = np.zeros((1, 3))


@pytest.mark.parametrize(
    ("positions", "cell", "pbc", "cutoff", "message"),
    [
        (np.array([[0, 0, 0], [0, np.nan, 0.0]]), np.eye(3), True, 3.0, "finite"),
        (np.array([[0, 0, np.inf]]), np.eye(3), True, 3.0, "finite"),
        (np.zeros(3), np.eye(3), True, 3.0, "positions must have shape"),
        (np.zeros((2, 2)), np.eye(3), True, 3.0, "positions must have shape"),
        (ORIGIN, np.ones(3), True, 3.0, "cell must have shape"),
        (ORIGIN, np.eye(3), [True, False], 3.0, "pbc must"),
        (ORIGIN, np.eye(3), True, 0.0, "cutoff"),
        (ORIGIN, np.eye(3), True, -1.0, "cutoff"),
        (ORIGIN, np.eye(3), True, np.nan, "cutoff"),
        (ORIGIN, np.eye(3), True, np.inf, "cutoff"),
        (ORIGIN, np.zeros((3, 3)), True, 3.0, "periodic"),
        (ORIGIN, np.diag([3.0, 3.0, 0.0]), [False, False, True], 3.0, "periodic"),
        (ORIGIN, flat, True, 3.0, "volume"),
        (ORIGIN, np.eye(3) * np.nan, True, 3.0, "finite"),
    ],
)
def test_bad_input(positions, cell, pbc, cutoff, message):
    with pytest.raises(ValueError, match=message):
        neighbor_list(positions, cell, pbc, cutoff)
    with pytest.raises(ValueError, match=message):
        SkinNeighborList(cutoff).update(positions, cell, pbc)
    periodic = torch.ones(3, dtype=torch.bool) if pbc is True else torch.tensor(pbc)
    tensors = torch.tensor(positions, dtype=torch.float64), torch.tensor(cell), periodic
    with pytest.raises(ValueError, match=message):
        torch_neighbor_list(*tensors, float(cutoff))
    with pytest.raises(torch.jit.Error, match=message):
        scripted_list(*tensors, float(cutoff))


def test_bad_options():
    for wrong in (0, -3, 1.5):
        with pytest.raises(ValueError, match="max_neighbors"):
            neighbor_list(ORIGIN, np.eye(3), True, 2.0, max_neighbors=wrong)
        with pytest.raises(ValueError, match="max_neighbors"):
            SkinNeighborList(2.0, max_neighbors=wrong)
    with pytest.raises(ValueError, match="backend"):
        neighbor_list(ORIGIN, np.eye(3), True, 2.0, backend="scipy")
    for wrong in (-0.1, np.nan):
        with pytest.raises(ValueError, match="skin"):
            SkinNeighborList(2.0, skin=wrong)


@given(
    seed=st.integers(0, 2**32 - 1),
    pbc=st.sampled_from([(True, True, True), (True, False, True), (False, True, True)]),
    skew=st.lists(st.integers(-300, 300), min_size=3, max_size=3),
    cutoff=st.floats(1.0, 5.0),
)
@settings(max_examples=40)
def test_a_lattice_has_the_same_neighbours_whatever_vectors_describe_it(seed, pbc, skew, cutoff):
    positions, cell, pbc = random_structure(seed, 4, pbc, "triclinic", 0.5, False)
    change = np.eye(3)
    change[1, 0], change[2, 0], change[2, 1] = skew
    change *= np.outer(pbc, pbc) | np.eye(3, dtype=bool)
    edge_index, shifts = neighbor_list(positions, cell, pbc, cutoff)
    of_lattice = {(*edge, *shift) for edge, shift in zip(edge_index.T.tolist(), shifts.tolist(), strict=True)}
    edge_index, shifts = neighbor_list(positions, change @ cell, pbc, cutoff)
    shifts = shifts @ torch.from_numpy(change)
    found = [(*edge, *shift) for edge, shift in zip(edge_index.T.tolist(), shifts.tolist(), strict=True)]
    assert len(found) == len(of_lattice)
    assert set(found) == of_lattice


def test_a_thin_lattice_is_refused_whatever_vectors_describe_it():
    thin = np.diag([4.0, 4.0, 0.3])
    for cell in (thin, thin + np.array([[0, 0, 0], [12.0, 0, 0], [40.0, 8.0, 0]])):
        with pytest.raises(ValueError, match=r"no length|thinner than 0\.5 A"):
            neighbor_list(np.zeros((1, 3)), cell, True, 3.0)


def test_lattice_vectors_are_finite_even_where_nobody_uses_them():
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="lattice vectors must be finite"):
            neighbor_list(np.zeros((2, 3)), np.diag([4.0, 4.0, value]), (True, True, False), 3.0)


def test_pairs_as_far_as_the_cutoff_are_neighbours():
    cell, pbc = np.diag([12.0, 12.0, 12.0]), (True, True, True)
    atom = np.array([[1.0, 2.0, 3.0]])
    for edge_index, _ in (
        neighbor_list(atom, cell, pbc, 12.0),
        neighbor_list(atom, cell, pbc, 12.0, backend="torch"),
        SkinNeighborList(12.0, 0.5).update(atom, cell, pbc),
    ):
        assert edge_index.shape[1] == 6


@pytest.mark.parametrize("box", [(1000.0, 1000.0, 5.0), (5.0, 2000.0, 2000.0), (6000.0, 5.0, 6000.0)])
@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)])
def test_wide_flat_boxes(box, pbc):
    """vesin divides by zero there, and the process is gone."""
    rng = np.random.default_rng(0)
    centers = rng.random((20, 3)) * box
    positions = np.concatenate([centers, centers + rng.uniform(-1.0, 1.0, (20, 3))])
    expected = pairs(neighbor_list(positions, np.diag(box), pbc, 3.0, backend="torch"))
    assert len(expected) >= 40
    assert pairs(neighbor_list(positions, np.diag(box), pbc, 3.0)) == expected
