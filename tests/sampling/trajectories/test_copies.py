"""Copies side by side: each moves as it would alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mlff.sampling.building import force_field
from mlff.sampling.peptides import Peptide, capped_peptide, minimise
from mlff.sampling.trajectories import Copies, GenerationConfig
from mlff.support.errors import InputError, RunError

pytestmark = pytest.mark.usefixtures("engine")


def forces_alone(peptide: Peptide, positions: np.ndarray, platform: str) -> np.ndarray:
    """Of one molecule without any cutoff; nm, kJ/mol/nm."""
    from openmm import Context, Platform, VerletIntegrator, unit
    from openmm.app import HBonds, NoCutoff

    system = force_field("gbn2").createSystem(
        peptide.topology, nonbondedMethod=NoCutoff, constraints=HBonds, hydrogenMass=4 * unit.amu
    )
    context = Context(system, VerletIntegrator(0.001), Platform.getPlatformByName(platform))
    context.setPositions(positions)
    forces = context.getState(getForces=True).getForces(asNumpy=True)
    return np.array(forces.value_in_unit(unit.kilojoule_per_mole / unit.nanometer))


@pytest.mark.parametrize("sequence", ["A", "DK"])
@pytest.mark.parametrize(("platform", "tolerance"), [("Reference", 1e-10), ("CPU", 1e-5)])
def test_forces_are_those_of_one_molecule_without_cutoff(
    sequence: str, platform: Literal["Reference", "CPU"], tolerance: float
) -> None:
    peptide = capped_peptide(sequence)
    rng = np.random.default_rng(0)
    number = 3 if platform == "Reference" else 9
    positions = 0.1 * peptide.positions + rng.normal(scale=0.003, size=(number, *peptide.positions.shape))
    positions -= positions.mean(axis=1, keepdims=True)
    # As far from their places as copies may get.
    positions += np.where(np.arange(number)[:, None, None] % 2, 1.1, -1.1)
    copies = Copies(peptide, number, GenerationConfig(platform=platform))
    copies.start(positions, None, 1)
    for forces, molecule in zip(copies.forces(), positions, strict=True):
        alone = forces_alone(peptide, molecule, platform)
        assert np.abs(forces - alone).max() < tolerance * np.abs(alone).max()


@pytest.mark.parametrize("sequence", ["G", "KFR"])
def test_the_cutoff_is_longer_than_the_stretched_molecule(sequence: str) -> None:
    peptide = capped_peptide(sequence)
    longest = 0.1 * pdist(peptide.positions).max()
    assert longest < Copies(peptide, 1, GenerationConfig(solvent="none")).cutoff < 4 * longest


def test_copies_sample_the_same_canonical_distribution() -> None:
    """Half kT in every harmonic bond between heavy atoms and in every degree of freedom, in each half of the copies."""
    from openmm import HarmonicBondForce, unit

    config = GenerationConfig(solvent="none")
    peptide = minimise(capped_peptide("A"), "none")
    system = force_field("none").createSystem(peptide.topology, hydrogenMass=4 * unit.amu)
    (force,) = [force for force in system.getForces() if isinstance(force, HarmonicBondForce)]
    elements = [atom.element.symbol for atom in peptide.topology.atoms()]
    masses = np.array([system.getParticleMass(i).value_in_unit(unit.dalton) for i in range(len(elements))])
    copies = Copies(peptide, 8, config)
    start = 0.1 * (peptide.positions - peptide.positions.mean(axis=0))
    copies.start(np.repeat(start[None], 8, axis=0), None, 1)
    copies.run(500)
    frames, kinetic = [], []
    for _ in range(400):
        frames.append(copies.run(30))
        velocities = copies.velocities()
        momentum = (masses[:, None] * velocities).sum(axis=1)
        kinetic.append((momentum**2).sum(axis=-1) / masses.sum() / 3)
    positions, kt = np.array(frames), 8.314462618e-3 * config.temperature
    # Three degrees of freedom of each centre of mass: nothing holds a copy in its place.
    assert np.mean(kinetic) == pytest.approx(kt, rel=0.1)
    ratios: list[list[float]] = [[], []]
    for bond in range(force.getNumBonds()):
        i, j, _, stiffness = force.getBondParameters(bond)
        if "H" not in (elements[i], elements[j]):
            lengths = np.linalg.norm(positions[:, :, i] - positions[:, :, j], axis=-1)
            k = stiffness.value_in_unit(unit.kilojoule_per_mole / unit.nanometer**2)
            for half in (0, 1):
                ratios[half].append(k * lengths[:, half::2].var() / kt)
    assert len(ratios[0]) == 9
    for half in ratios:
        assert np.mean(half) == pytest.approx(1.0, abs=0.08)


def test_copies_differ_and_repeat() -> None:
    peptide = minimise(capped_peptide("G"), "none")
    start = np.repeat(0.1 * (peptide.positions - peptide.positions.mean(axis=0))[None], 3, axis=0)
    copies = Copies(peptide, 3, GenerationConfig())

    def after(seed: int) -> np.ndarray:
        copies.start(start, None, seed)
        return copies.run(400)

    first = after(1)
    assert np.array_equal(first, after(1))
    assert np.abs(first - after(2)).max() > 0.01
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert np.abs(first.mean(axis=1)).max() < 1e-12


def test_torn_molecules_are_errors() -> None:
    peptide = capped_peptide("G")
    start = np.repeat(0.1 * peptide.positions[None], 2, axis=0)
    start[1, 1] = start[1, 0] + 1e-6
    copies = Copies(peptide, 2, GenerationConfig(solvent="none"))
    copies.start(start, None, 1)
    with pytest.raises(RunError, match=r"torn apart|failed"):
        copies.run(250)


def test_molecules_in_pieces_are_refused() -> None:
    from openmm import unit
    from openmm.app import Modeller

    peptide = capped_peptide("G")
    modeller = Modeller(peptide.topology, peptide.positions * unit.angstrom)
    modeller.add(peptide.topology, peptide.positions * unit.angstrom)
    pair = Peptide(modeller.topology, np.concatenate([peptide.positions, peptide.positions + 30]))
    with pytest.raises(InputError, match="only one chain"):
        Copies(pair, 1, GenerationConfig())
