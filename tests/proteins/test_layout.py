"""Proteins to tensor clouds and back: nothing is lost, nothing is invented, nothing odd is let in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.protein_structures import AMINO_ACIDS, coordinates_of, mdtraj, topology_of

from mlff.proteins import CloudLayout, StructureError, TensorCloud, cloud_from_trajectory, trajectory_from_cloud
from mlff.proteins.residues import NUM_CHANNELS, NUM_TOKENS, RESIDUE_NAMES, channel_names, residue_token, swap_table

RINGS = {"HIS": 1, "PHE": 1, "PRO": 1, "TRP": 2, "TYR": 1}


def atoms_of(residue: str) -> list[str]:
    """Heavy atoms within a chain."""
    return [name for name in channel_names(residue_token(residue)) if name not in ("", "OXT")]


@st.composite
def topologies(draw: st.DrawFn) -> mdtraj.Topology:
    """One to three chains, with or without caps or OXT, with hydrogens, atoms of each residue in any order."""
    chains = []
    for _ in range(draw(st.integers(1, 3))):
        names = draw(st.lists(st.sampled_from(AMINO_ACIDS), min_size=1, max_size=4))
        names = ["ACE"] * draw(st.booleans()) + names
        end = draw(st.sampled_from(["NME", "OXT", ""]))
        names += [end] * (end == "NME")
        atoms = [[*atoms_of(name), "H1"] for name in names]
        atoms[-1] += [end] * (end == "OXT")
        chains.append([(name, draw(st.permutations(entry))) for name, entry in zip(names, atoms, strict=True)])
    return topology_of(chains)


def layout_and_atoms(topology: mdtraj.Topology, frames: int = 3) -> tuple[CloudLayout, torch.Tensor]:
    layout = CloudLayout.of(topology)
    xyz = coordinates_of(topology, frames, np.random.default_rng(topology.n_atoms))
    return layout, torch.from_numpy(xyz)[:, layout.heavy_atoms]


@given(topologies())
@settings(max_examples=40)
def test_every_heavy_atom_comes_back_to_its_place(topology: mdtraj.Topology) -> None:
    layout, atoms = layout_and_atoms(topology)
    cloud = layout.cloud(atoms)
    torch.testing.assert_close(layout.atoms(cloud), atoms, rtol=0, atol=1e-13)
    torch.testing.assert_close(layout.atoms(layout.cloud(atoms.float())), atoms.float(), rtol=0, atol=4e-6)
    kept = [(atom.residue.name, atom.name) for atom in topology.atoms if atom.element.symbol != "H"]
    assert kept == [(atom.residue.name, atom.name) for atom in layout.topology.atoms]
    # Each vector is the atom of its name as seen from the anchor of its residue.
    at = {(atom.residue.index, atom.name): atoms[:, atom.index] for atom in layout.topology.atoms}
    for i, token in enumerate(layout.residues.tolist()):
        names = channel_names(token)
        for channel, name in enumerate(names):
            column = cloud.coordinates[:, i, :, channel]
            if not layout.atom_mask[i, channel]:
                assert not column.any()
            elif channel > 0:
                torch.testing.assert_close(column, at[i, name] - at[i, names[0]])
    assert int(cloud.atom_mask[0].sum()) == layout.topology.n_atoms


@given(topologies())
@settings(max_examples=15)
def test_trajectories_round_trip_in_the_order_of_the_input(topology: mdtraj.Topology) -> None:
    xyz = coordinates_of(topology, 2, np.random.default_rng(1)).astype(np.float32) / 10
    trajectory = mdtraj.Trajectory(xyz, topology, time=[3.0, 7.0])
    cloud, layout = cloud_from_trajectory(trajectory)
    back = trajectory_from_cloud(cloud, layout, time=trajectory.time)
    heavy = trajectory.atom_slice(layout.heavy_atoms.numpy())
    assert back.topology == heavy.topology
    np.testing.assert_allclose(back.xyz, heavy.xyz, rtol=0, atol=4e-7)  # nm: the resolution of float32
    np.testing.assert_array_equal(back.time, trajectory.time)
    exact, _ = cloud_from_trajectory(trajectory, dtype=torch.float64)
    np.testing.assert_array_equal(trajectory_from_cloud(exact, layout).xyz, heavy.xyz)


def test_files_written_from_a_cloud_are_read_again(tmp_path: Path) -> None:
    topology = topology_of([[("ACE", atoms_of("ACE")), ("TRP", atoms_of("TRP")), ("NME", atoms_of("NME"))]])
    cloud, layout = cloud_from_trajectory(
        mdtraj.Trajectory(coordinates_of(topology, 4, np.random.default_rng(0)) / 10, topology)
    )
    written = trajectory_from_cloud(cloud, layout)
    written[0].save_pdb(str(tmp_path / "topology.pdb"))
    written.save_xtc(str(tmp_path / "frames.xtc"))
    again, _ = cloud_from_trajectory(mdtraj.load(str(tmp_path / "frames.xtc"), top=str(tmp_path / "topology.pdb")))
    torch.testing.assert_close(again.coordinates, cloud.coordinates, rtol=0, atol=0.011)  # xtc keeps 0.01 Å
    assert torch.equal(again.residues, cloud.residues)


# --- the tables against MDTraj's and OpenMM's ---


@pytest.mark.parametrize("residue", [*AMINO_ACIDS, "ACE", "NME"])
def test_atoms_of_a_residue_are_bonded_by_the_templates_of_mdtraj(residue: str) -> None:
    terminal = ["OXT"] if residue in AMINO_ACIDS else []
    topology = topology_of([[(residue, atoms_of(residue) + terminal)]])
    topology.create_standard_bonds()
    graph = topology.to_bondgraph()
    assert graph.number_of_nodes() == topology.n_atoms
    # Connected, with as many independent rings as the residue has: no atom missing, none misnamed.
    assert graph.number_of_edges() == topology.n_atoms - 1 + RINGS.get(residue, 0)
    assert networkx.is_connected(graph)
    # Names that are traded leave the graph of bonds as it is.
    names = [*channel_names(residue_token(residue))]
    swapped = [names[channel] for channel in swap_table()[residue_token(residue)].tolist()]
    traded = dict(zip(names, swapped, strict=True))
    bonds = {frozenset((a.name, b.name)) for a, b in topology.bonds}
    assert {frozenset(traded[name] for name in bond) for bond in bonds} == bonds


@pytest.fixture(scope="module")
def all_residues(peptide_packages: None) -> Any:
    """All 20 residues between caps, with hydrogens, from OpenMM."""
    from mlff.sampling.peptides import capped_peptide

    return capped_peptide("ACDEFGHIKLMNPQRSTVWY")


def test_openmm_peptide_of_all_residues(all_residues: Any) -> None:
    topology = mdtraj.Topology.from_openmm(all_residues.topology)
    trajectory = mdtraj.Trajectory(all_residues.positions / 10, topology)
    cloud, layout = cloud_from_trajectory(trajectory, dtype=torch.float64)
    counted = Counter(layout.residues.tolist())
    assert sorted(counted) == list(range(1, NUM_TOKENS))  # every token once
    assert set(counted.values()) == {1}
    assert layout.topology.n_atoms == topology.n_atoms - len(topology.select("element H"))
    assert set(layout.chains.tolist()) == {0}
    back = trajectory_from_cloud(cloud, layout)
    np.testing.assert_array_equal(back.xyz, trajectory.atom_slice(topology.select("not element H")).xyz)
    # L-residues: seen from the hydrogen, CO, R and N read clockwise. Channels: N 1, C 2, CB 4.
    n, c, cb = (cloud.coordinates[0, :, :, channel] for channel in (1, 2, 4))
    chiral = cloud.atom_mask[0, :, 4]
    volume = (torch.linalg.cross(n, c) * cb).sum(-1)[chiral]
    assert len(volume) == 19
    assert (volume > 1.0).all()


def test_traded_atoms_are_equal_in_the_force_field(all_residues: Any) -> None:
    from openmm import NonbondedForce
    from openmm.app import ForceField

    system = ForceField("amber14-all.xml").createSystem(all_residues.topology)
    (force,) = [force for force in system.getForces() if isinstance(force, NonbondedForce)]
    parameters = {
        (atom.residue.name, atom.name): tuple(value._value for value in force.getParticleParameters(atom.index))
        for atom in all_residues.topology.atoms()
    }
    traded = 0
    for token, row in enumerate(swap_table().tolist()):
        names = channel_names(token)
        for channel, other in enumerate(row):
            if channel != other:
                residue = RESIDUE_NAMES[token]
                assert parameters[residue, names[channel]] == parameters[residue, names[other]]
                traded += 1
    assert traded == 14  # ARG 2, ASP 2, GLU 2, PHE 4, TYR 4


# --- other names for the same, and chains ---


def test_names_of_other_programs() -> None:
    renamed = topology_of(
        [
            [
                ("ACE", ["CA", "C", "O"]),
                ("HIE", atoms_of("HIS")),
                ("CYX", atoms_of("CYS")),
                ("ILE", ["CD" if name == "CD1" else name for name in atoms_of("ILE")]),
                ("NMA", ["N", "CH3"]),
            ],
            [("ALA", [name for name in atoms_of("ALA") if name != "O"] + ["OT1", "OT2"])],
        ]
    )
    layout = CloudLayout.of(renamed)
    assert [RESIDUE_NAMES[token] for token in layout.residues.tolist()] == ["ACE", "HIS", "CYS", "ILE", "NME", "ALA"]
    assert layout.atom_mask[5, -1]
    assert [atom.name for atom in layout.topology.atoms] == [atom.name for atom in renamed.atoms]


def test_chains_end_at_caps_and_terminal_oxygens_within_one_chain_of_the_file() -> None:
    sequence = ["ACE", "ALA", "NME", "ACE", "GLY", "SER", "VAL", "ACE"]
    residues = [(name, atoms_of(name)) for name in sequence]
    residues[5] = ("SER", [*atoms_of("SER"), "OXT"])
    assert CloudLayout.of(topology_of([residues])).chains.tolist() == [0, 0, 0, 1, 1, 1, 2, 3]


# --- wrong input ---


def replaced(residue: str, atoms: list[str]) -> mdtraj.Topology:
    return topology_of([[("GLY", atoms_of("GLY")), (residue, atoms)]])


@pytest.mark.parametrize(
    ("topology", "words"),
    [
        (replaced("NLE", atoms_of("MET")), ["unknown residue NLE 2", "chain"]),
        (replaced("HOH", ["O"]), ["unknown residue HOH 2", "atom_slice"]),
        (replaced("ASH", atoms_of("ASP")), ["unknown residue ASH 2"]),
        (replaced("ARG", atoms_of("ARG")[:-3]), ["ARG 2", "lacks CZ, NH1, NH2", "PDBFixer"]),
        (replaced("ALA", ["N", "C", "O", "CB"]), ["ALA 2", "no anchor", "CA"]),
        (replaced("ALA", [*atoms_of("ALA"), "CG"]), ["ALA 2", "CG", "no standard ALA"]),
        (replaced("ALA", [*atoms_of("ALA"), "CB"]), ["ALA 2", "two atoms CB"]),
        (replaced("GLY", ["CA"]), ["GLY 2", "lacks N, C, O"]),
        (topology_of([[("ALA", ["H1"])]]), ["no heavy atom"]),
    ],
)
def test_what_is_not_a_known_complete_residue_is_named(topology: mdtraj.Topology, words: list[str]) -> None:
    with pytest.raises(StructureError) as caught:
        CloudLayout.of(topology)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("far", [2.5, 60.0, float("nan")])
def test_a_broken_chain_is_named(far: float) -> None:
    topology = topology_of([[(name, atoms_of(name)) for name in ("ALA", "GLY", "SER")]])
    xyz = coordinates_of(topology, 3, np.random.default_rng(0))
    cloud_from_trajectory(mdtraj.Trajectory(xyz / 10, topology))
    carbon, nitrogen = topology.select("name C")[1], topology.select("name N")[2]
    xyz[2, nitrogen] = xyz[2, carbon] + [far, 0.0, 0.0]
    with pytest.raises(StructureError, match=r"frame 2: broken chain: C of GLY 2 .* and N of SER 3 .* are") as caught:
        cloud_from_trajectory(mdtraj.Trajectory(xyz / 10, topology))
    assert f"{far:.2f} Å" in str(caught.value)


def test_a_cloud_of_another_protein_is_refused() -> None:
    layout, atoms = layout_and_atoms(topology_of([[("ALA", atoms_of("ALA")), ("GLY", atoms_of("GLY"))]]))
    other, other_atoms = layout_and_atoms(topology_of([[("GLY", atoms_of("GLY")), ("ALA", atoms_of("ALA"))]]))
    with pytest.raises(ValueError, match="other residues"):
        layout.atoms(other.cloud(other_atoms))
    ended, ended_atoms = layout_and_atoms(topology_of([[("ALA", atoms_of("ALA")), ("GLY", [*atoms_of("GLY"), "OXT"])]]))
    with pytest.raises(ValueError, match="or atoms"):
        layout.atoms(ended.cloud(ended_atoms))
    with pytest.raises(ValueError, match="heavy atoms"):
        layout.cloud(atoms[:, 1:])


def test_channels_hold_the_largest_residue() -> None:
    assert all(len(channel_names(token)) == NUM_CHANNELS for token in range(NUM_TOKENS))
    assert "" not in channel_names(residue_token("TRP"))
    with pytest.raises(ValueError, match="coordinates"):
        TensorCloud(
            torch.zeros(2, 3, NUM_CHANNELS - 1),
            torch.zeros(2, dtype=torch.int64),
            torch.zeros(2, NUM_CHANNELS, dtype=torch.bool),
            torch.zeros(2, dtype=torch.int64),
        )
