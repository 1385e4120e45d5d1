"""Corrupted structures: statistics of the noise, what never moves, and their edges."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import fcc111
from ase.constraints import FixAtoms
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.physics_models import rattled_crystal, rattled_molecule

from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.potential import CorruptedGraph, DensConfig, PotentialConfig, corrupt
from mlff.potential.repulsion import NuclearRepulsion

CUTOFF = 4.0


def model(max_neighbors: int | None = None, repulsion: str = "none") -> PotentialConfig:
    backbone = {"cutoff": CUTOFF, "max_neighbors": max_neighbors}
    return PotentialConfig.model_validate({"species": ["H"], "repulsion": repulsion, "backbone": backbone})


SURE = {"probability": 1.0, "atom_fraction": 1.0}


def slab() -> Atoms:
    """Periodic in two directions, its lower layer fixed."""
    atoms = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms([atom.index for atom in atoms if atom.tag == 2]))
    atoms.rattle(0.05, seed=1)
    return atoms


def labelled(frames: list[Atoms], dtype: torch.dtype = torch.float64, max_neighbors: int | None = None) -> AtomicGraph:
    graph = AtomicGraph.collate(
        [graph_from_atoms(atoms, CUTOFF, dtype=dtype, max_neighbors=max_neighbors) for atoms in frames]
    )
    count = len(graph.numbers)
    forces = torch.arange(1.0, 3 * count + 1, dtype=dtype).view(count, 3)
    return graph.replace(forces=forces, energy=torch.arange(len(frames), dtype=torch.float64))


def corrupted(graph: AtomicGraph, seed: int = 0, max_neighbors: int | None = None, **settings) -> CorruptedGraph:
    generator = torch.Generator().manual_seed(seed)
    return corrupt(graph, DensConfig(**settings), model(max_neighbors), generator)


def test_config_says_what_is_wrong():
    assert DensConfig().noise_unit == 0.05
    assert DensConfig(noise_std=0.1).noise_unit == 0.1
    assert DensConfig(noise_std_range=(0.01, 0.5)).noise_unit == 0.5
    for bad in (
        {"noise_std": 0.1, "noise_std_range": (0.01, 0.5)},
        {"noise_std_range": (0.5, 0.01)},
        {"noise_std_range": (0.0, 0.5)},
        {"noise_std": 0.0},
        {"probability": 0.0},
        {"atom_fraction": 1.5},
        {"sigma": 0.1},
    ):
        with pytest.raises(ValidationError):
            DensConfig(**bad)


def test_noise_is_the_displacement_and_has_unit_variance():
    graph = labelled([rattled_molecule()] * 400)
    batch = corrupted(graph, noise_std=0.1, **SURE)
    moved = batch.graph.positions - graph.positions
    assert torch.allclose(moved, 0.1 * batch.noise, atol=1e-14)
    components = batch.noise.numel()
    assert batch.noise.std().item() == pytest.approx(1.0, abs=5 * (2 * components) ** -0.5)
    assert abs(batch.noise.mean().item()) < 5 * components**-0.5


def test_shares_of_structures_and_atoms():
    graph = labelled([rattled_molecule()] * 2000)
    batch = corrupted(graph, probability=0.3, atom_fraction=0.4)
    chosen = batch.corrupted_graphs
    within = batch.corrupted.view(2000, 9)[chosen]
    # a chosen structure escapes if none of its nine atoms is drawn
    escape = 0.6**9
    assert chosen.double().mean().item() == pytest.approx(0.3 * (1 - escape), abs=5 * (0.21 / 2000) ** 0.5)
    share = within.double().mean().item()
    assert share == pytest.approx(0.4 / (1 - escape), abs=5 * (0.24 / within.numel()) ** 0.5)


def test_one_coin_per_batch_corrupts_all_structures_or_none():
    graph = labelled([rattled_molecule()] * 20)
    config = DensConfig(per="batch", probability=0.5, atom_fraction=0.9)
    generator = torch.Generator().manual_seed(0)
    counts = []
    for _ in range(60):
        counts.append(int(corrupt(graph, config, model(), generator).corrupted_graphs.sum()))
    assert set(counts) == {0, 20}
    assert 15 <= counts.count(20) <= 45


def test_levels_of_noise_are_drawn_per_structure_between_the_bounds():
    graph = labelled([rattled_molecule()] * 3000)
    batch = corrupted(graph, noise_std_range=(0.01, 0.5), **SURE)
    deviations = 0.5 * batch.noise.view(3000, 27).std(dim=1)
    logs = torch.log(deviations / 0.01) / np.log(50.0)  # uniform on [0, 1], blurred by the estimate of the deviation
    assert logs.mean().item() == pytest.approx(0.5, abs=0.03)
    assert logs.std().item() == pytest.approx(12**-0.5, abs=0.03)
    assert logs.min().item() > -0.2
    assert logs.max().item() < 1.2


def test_fixed_atoms_and_clean_atoms_stay_and_nothing_is_edited_in_place():
    graph = labelled([slab(), rattled_molecule()])
    before = {name: getattr(graph, name).clone() for name in ("positions", "edge_index", "shifts", "forces", "energy")}
    batch = corrupted(graph, probability=1.0, atom_fraction=0.7)
    clean = ~batch.corrupted
    assert graph.fixed.sum() == 4
    assert bool((clean | ~graph.fixed).all())
    assert bool(batch.corrupted.any())
    assert bool(clean[~graph.fixed].any())
    assert torch.equal(batch.graph.positions[clean], graph.positions[clean])
    assert not batch.noise[clean].any()
    assert not batch.encoded_forces[clean].any()
    assert torch.equal(batch.encoded_forces[batch.corrupted], graph.forces[batch.corrupted])
    # labels are those of the clean structures
    assert torch.equal(batch.graph.energy, graph.energy)
    assert torch.equal(batch.graph.forces, graph.forces)
    for name, value in before.items():
        assert torch.equal(getattr(graph, name), value)


def test_structures_with_too_many_chosen_atoms_or_too_strong_forces_are_left_alone():
    graph = labelled([rattled_molecule()] * 300)
    batch = corrupted(graph, probability=1.0, atom_fraction=0.5, max_corrupted_fraction=0.5)
    share = batch.corrupted.view(300, 9).double().mean(dim=1)
    assert share.max().item() == pytest.approx(4 / 9)
    assert 0.3 < (share == 0).double().mean().item() < 0.7  # five or more of nine: half of them
    strongest = torch.linalg.vector_norm(graph.forces.view(300, 9, 3), dim=2).amax(dim=1)
    limit = strongest.median().item()
    batch = corrupted(graph, max_force=limit, **SURE)
    assert torch.equal(batch.corrupted_graphs, strongest <= limit)


def test_a_spared_batch_keeps_its_graph_and_labels_are_needed():
    graph = labelled([rattled_molecule()])
    batch = corrupted(graph, probability=1e-9)
    assert batch.graph is graph
    assert not any(values.any() for values in (batch.corrupted, batch.noise, batch.encoded_forces))
    with pytest.raises(ValueError, match="force labels"):
        corrupt(graph.replace(forces=None), DensConfig(), model(), torch.Generator())


@pytest.mark.parametrize("probability", [1e-9, 1.0])
def test_the_repulsion_is_that_of_the_clean_structures(probability):
    graph = labelled([rattled_crystal(), rattled_molecule()]).replace(stress=torch.zeros(2, 3, 3).double())
    graph = graph.replace(cell=torch.where(graph.pbc.any(1)[:, None, None], graph.cell, 9.0 * torch.eye(3).double()))
    config = DensConfig(probability=probability, atom_fraction=1.0)
    batch = corrupt(graph, config, model(repulsion="zbl"), torch.Generator().manual_seed(0))
    repulsion = NuclearRepulsion(CUTOFF)

    def energy(strain: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        source, target = graph.edge_index
        deformation = torch.eye(3) + strain[graph.batch[target]]
        edges = positions[source] - positions[target]
        edges = edges + torch.einsum("ei,eij->ej", graph.shifts, graph.cell[graph.batch[target]])
        distance = torch.linalg.vector_norm(torch.einsum("eij,ej->ei", deformation, edges), dim=1)
        pairs = 0.5 * repulsion(distance, graph.numbers[source], graph.numbers[target])
        return torch.zeros(2).double().index_add(0, graph.batch[target], pairs)

    strain, positions = torch.zeros(2, 3, 3).double().requires_grad_(), graph.positions.clone().requires_grad_()
    expected = energy(strain, positions)
    by_strain, by_position = torch.autograd.grad(expected.sum(), (strain, positions))
    by_strain = 0.5 * (by_strain + by_strain.mT) / torch.linalg.det(graph.cell).abs()[:, None, None]
    assert expected[1] > 1e-4
    torch.testing.assert_close(batch.repulsion_energy, expected.detach())
    torch.testing.assert_close(batch.repulsion_forces, -by_position)
    torch.testing.assert_close(batch.repulsion_stress, by_strain)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    order=st.permutations([rattled_crystal, rattled_molecule, slab, rattled_molecule]),
    max_neighbors=st.sampled_from([None, 5]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    atom_fraction=st.sampled_from([0.2, 1.0]),
)
def test_edges_are_those_of_a_fresh_search(seed, order, max_neighbors, dtype, atom_fraction):
    graph = labelled([make() for make in order], dtype, max_neighbors)
    config = DensConfig(probability=0.6, atom_fraction=atom_fraction, noise_std=0.3)
    batch = corrupt(graph, config, model(max_neighbors), torch.Generator().manual_seed(seed))
    moved = batch.graph
    fresh = []
    for part, before, changed in zip(moved.split(), graph.split(), batch.corrupted_graphs.tolist(), strict=True):
        if not changed:
            fresh.append(before)
            continue
        atoms = Atoms(
            part.numbers.numpy(), part.positions.double().numpy(), cell=part.cell[0].double().numpy(),
            pbc=part.pbc[0].numpy(),
        )  # fmt: skip
        fresh.append(graph_from_atoms(atoms, CUTOFF, dtype=dtype, max_neighbors=max_neighbors))
    expected = AtomicGraph.collate(fresh)
    assert torch.equal(moved.edge_index, expected.edge_index)
    assert torch.equal(moved.shifts, expected.shifts)
