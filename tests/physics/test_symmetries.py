"""The laws every potential must obey: invariances, in float64 to 1e-10 relative."""

import numpy as np
import pytest
import torch
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from support.physics_models import VARIANTS, bonding_energy, evaluate, make_potential, rattled_crystal, rattled_molecule

from mlff.irreps import wigner

RELATIVE = 1e-10


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.linalg.norm(a - b) <= RELATIVE * np.linalg.norm(b))


def rotated(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    copy = atoms.copy()
    copy.set_cell(atoms.cell @ matrix.T)
    copy.positions = atoms.positions @ matrix.T
    return copy


@pytest.fixture(scope="module", params=VARIANTS)
def potential(request):
    return make_potential(request.param)


@pytest.mark.parametrize("make", [rattled_crystal, rattled_molecule])
def test_rotation(potential, make):
    atoms, matrix = make(), Rotation.random(random_state=4).as_matrix()
    out, turned = evaluate(potential, atoms, stress=True), evaluate(potential, rotated(atoms, matrix), stress=True)
    assert close(turned["energies"], out["energies"])
    assert close(turned["forces"], out["forces"] @ matrix.T)
    if atoms.pbc.any():
        assert close(turned["stress"][0], matrix @ out["stress"][0] @ matrix.T)


@pytest.mark.parametrize("axis", [(0, 1, 0), (0, -1, 0), (1, 0, 0)])
def test_every_edge_direction_of_a_dimer_gives_the_same_energy(potential, axis):
    reference = bonding_energy(potential, Atoms("CO", [[0, 0, 0], np.array([1, 2, 2]) / 3 * 1.3]))
    along = bonding_energy(potential, Atoms("CO", [[0, 0, 0], np.array(axis) * 1.3]))
    assert along == pytest.approx(reference, rel=RELATIVE)


def test_roll_of_the_edge_frames_is_invisible(potential, monkeypatch):
    atoms = rattled_crystal()
    out = evaluate(potential, atoms)
    plain = wigner.edge_rotation

    def rolled(direction):
        angle = 1.0 + torch.arange(len(direction), dtype=torch.float64)  # another angle for every edge
        roll = torch.zeros(len(direction), 3, 3, dtype=torch.float64)
        roll[:, 0, 0] = roll[:, 2, 2] = torch.cos(angle)
        roll[:, 0, 2], roll[:, 2, 0] = torch.sin(angle), -torch.sin(angle)
        roll[:, 1, 1] = 1.0
        return roll @ plain(direction)

    monkeypatch.setattr(wigner, "edge_rotation", rolled)
    turned = evaluate(potential, atoms)
    assert close(turned["energies"], out["energies"])
    assert close(turned["forces"], out["forces"])


def test_mirror_images_agree_exactly_when_parity_is_on():
    for variant, symmetric in (("smooth", True), ("smooth without parity", False)):
        potential, atoms = make_potential(variant), rattled_molecule()
        mirror = np.diag([-1.0, 1.0, 1.0])
        out, image = evaluate(potential, atoms), evaluate(potential, rotated(atoms, mirror))
        assert close(image["energies"], out["energies"]) == symmetric
        assert close(image["forces"], out["forces"] @ mirror) == symmetric


@settings(max_examples=10, deadline=None)
@given(fractions=st.tuples(*[st.floats(-3, 3)] * 3))
def test_translation_by_fractions_of_lattice_vectors_and_wrapping(fractions):
    potential, atoms = make_potential(), rattled_crystal()
    out = evaluate(potential, atoms)
    moved = atoms.copy()
    moved.positions += np.array(fractions) @ atoms.cell.array
    for candidate in (moved, wrapped := moved.copy()):
        if candidate is wrapped:
            candidate.wrap()
        shifted = evaluate(potential, candidate)
        assert close(shifted["energies"], out["energies"])
        assert close(shifted["forces"], out["forces"])


def test_permutation(potential):
    atoms = rattled_molecule()
    order = np.random.default_rng(5).permutation(len(atoms))
    out, permuted = evaluate(potential, atoms), evaluate(potential, atoms[order])
    assert close(permuted["energies"], out["energies"][order])
    assert close(permuted["forces"], out["forces"][order])


def test_supercell_and_two_distant_copies_are_extensive(potential):
    crystal = rattled_crystal()
    assert bonding_energy(potential, crystal.repeat((2, 1, 3))) == pytest.approx(
        6 * bonding_energy(potential, crystal), rel=RELATIVE
    )
    alone = rattled_molecule()
    apart = alone.copy()
    apart.positions += [100.0, 0.0, 0.0]
    assert bonding_energy(potential, alone + apart) == pytest.approx(2 * bonding_energy(potential, alone), rel=RELATIVE)


def test_energy_does_not_depend_on_the_rest_of_the_batch(potential):
    from mlff.graph import AtomicGraph, graph_from_atoms

    frames = [rattled_crystal(), rattled_molecule(), Atoms("H")]
    graph = AtomicGraph.collate([graph_from_atoms(a, potential.config.cutoff, dtype=torch.float64) for a in frames])
    together = potential(graph.positions, graph.numbers, graph.cell, graph.edge_index, graph.shifts, graph.batch)
    alone = [evaluate(potential, atoms) for atoms in frames]
    assert close(together["energy"].numpy(), np.concatenate([out["energy"] for out in alone]))
    assert close(together["forces"].numpy(), np.concatenate([out["forces"] for out in alone]))


def test_direct_forces_are_equivariant():
    potential, atoms = make_potential(forces="direct"), rattled_molecule()
    matrix = Rotation.random(random_state=6).as_matrix()
    assert close(evaluate(potential, rotated(atoms, matrix))["forces"], evaluate(potential, atoms)["forces"] @ matrix.T)


def test_published_architecture_is_equivariant_up_to_its_grid():
    """SiLU on an 18 × 18 grid: small but visible errors, as in the public model (see the design literature)."""
    torch.manual_seed(0)
    from mlff.potential import Potential, PotentialConfig

    backbone = {
        "preset": "equiformer-v2-31M", "num_layers": 2, "channels": 16, "hidden_channels": 8, "num_heads": 2,
        "alpha_channels": 8, "value_channels": 8, "ffn_channels": 16, "edge_channels": 16, "num_radial": 32,
    }  # fmt: skip
    potential = Potential(PotentialConfig(species=("H", "C", "O"), forces="direct", backbone=backbone)).eval()
    for parameter in potential.parameters():
        parameter.data = parameter.data.double()
    atoms, matrix = rattled_molecule(), Rotation.random(random_state=6).as_matrix()
    out = evaluate(potential.requires_grad_(False), atoms)
    turned = evaluate(potential, rotated(atoms, matrix))
    error = np.linalg.norm(turned["forces"] - out["forces"] @ matrix.T) / np.linalg.norm(out["forces"])
    assert 1e-12 < error < 1e-2
