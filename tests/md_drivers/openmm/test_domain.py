"""Total charges of regions, and what a force says of atoms outside of the training data."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app, unit
from support.domains import domain_of_atoms
from support.openmm_systems import ROOT, atoms_of, context_of, system_of
from support.toy_potential import export_toy

from md_drivers import DomainWarning, SimulationSettings, StructureError, openmm_force, simulate
from md_drivers.openmm.charges import classical_charge, net_charge
from mlff.sampling.peptides import capped_peptide, total_charge

SPECIES = (1, 6, 7, 8, 16)


def peptide_atoms(sequence: str) -> Atoms:
    peptide = capped_peptide(sequence)
    atoms = atoms_of(peptide.topology, peptide.positions * unit.angstrom)
    atoms.info |= {"charge": total_charge(sequence), "temperature": 300}
    return atoms


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, peptide_packages: None) -> Path:
    """Trained on neutral alanine and lysine cations in vacuum, at 300 K."""
    domain = domain_of_atoms([peptide_atoms(sequence) for sequence in ("A", "K")], force=1e6)
    return export_toy(tmp_path_factory.mktemp("toy") / "toy.pt", SPECIES, metadata={"name": "toy", "domain": domain})


@pytest.mark.parametrize("sequence", ["ACDEFGHIKLMNPQRSTVWY", "KR", "DE", "CC"])
def test_residues_tell_their_charge(sequence: str, peptide_packages: None) -> None:
    topology = capped_peptide(sequence).topology
    assert net_charge(topology) == total_charge(sequence)
    system = app.ForceField("amber14-all.xml").createSystem(topology)
    assert classical_charge(system, range(topology.getNumAtoms())) == total_charge(sequence)


def test_free_ends_disulphides_and_formal_charges_tell_it_too() -> None:
    topology = app.PDBFile(str(ROOT / "examples" / "cln025.pdb")).topology
    assert net_charge(topology) == -2.0  # YYDPETGTWY: Asp, Glu; the charges of its ends cancel
    first = [atom.index for atom in next(topology.residues()).atoms()]
    assert net_charge(topology, first) == 1.0
    assert net_charge(topology, first[1:]) is None  # not whole
    unknown = app.Topology()
    residue = unknown.addResidue("LIG", unknown.addChain())
    atoms = [unknown.addAtom(name, app.element.carbon, residue) for name in ("C1", "C2")]
    assert net_charge(unknown) is None
    atoms[0].formalCharge = -1
    assert net_charge(unknown) == -1.0


def test_a_charge_that_the_training_data_do_not_imply_is_refused(path: Path) -> None:
    for sequence in ("A", "K"):
        openmm_force(path, capped_peptide(sequence).topology)
    aspartate = capped_peptide("D").topology
    with pytest.raises(StructureError, match=r"total charge of the atoms of the model is -1.*no input for it"):
        openmm_force(path, aspartate)
    openmm_force(path, aspartate, ignore=("charge",))
    openmm_force(path, aspartate, charge=1)  # the user knows better
    with pytest.raises(StructureError, match="is 2"):
        openmm_force(path, capped_peptide("K").topology, charge=2)


def test_a_region_has_the_charge_of_its_force_field(path: Path) -> None:
    from openmmml import MLPotential

    peptide = capped_peptide("DK")
    classical = app.ForceField("amber14-all.xml").createSystem(peptide.topology)
    residues = list(peptide.topology.residues())
    regions = {name: [atom.index for atom in residues[k].atoms()] for k, name in ((1, "ASP"), (2, "LYS"))}
    potential = MLPotential("mlff", modelPath=path)
    assert potential.createMixedSystem(peptide.topology, classical, regions["LYS"]).getNumForces() > 0
    with pytest.raises(StructureError, match="is -1"):
        potential.createMixedSystem(peptide.topology, classical, regions["ASP"])
    potential.createMixedSystem(peptide.topology, classical, regions["ASP"], ignore=("charge",))


def test_a_force_says_once_what_lies_outside(path: Path) -> None:
    peptide = capped_peptide("G")

    def energies(strict: bool) -> list[str]:
        force = openmm_force(path, peptide.topology, strict=strict)
        context = context_of(system_of(peptide.topology, force), peptide.positions)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for shift in (0.0, 1.0):
                context.setPositions(peptide.positions / 10.0 + shift)
                assert np.isfinite(context.getState(energy=True).getPotentialEnergy()._value)
        return [one.message.kind for one in caught if isinstance(one.message, DomainWarning)]

    assert energies(strict=False) == ["composition"]
    with pytest.raises(openmm.OpenMMException, match="outside of what model 'toy' was trained on: composition"):
        energies(strict=True)


def test_trial_steps_of_minimisers_are_not_judged(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line searches go far, but what they try is no structure of the run."""
    peptide = capped_peptide("A")
    with open(tmp_path / "start.pdb", "w") as file:
        app.PDBFile.writeFile(peptide.topology, peptide.positions * unit.angstrom, file)
    seen = []

    def minimize(context: openmm.Context, should_stop: object) -> None:
        for squeeze in (0.8, 1.0):
            context.setPositions(squeeze * peptide.positions / 10.0)
            seen.append(context.getState(energy=True).getPotentialEnergy())

    monkeypatch.setattr("md_drivers.openmm.simulation.run._minimize", minimize)
    settings = SimulationSettings(ensemble="nve", time_step=1e-6, minimize=True)
    result = simulate(tmp_path / "start.pdb", path, tmp_path / "out", steps=1, settings=settings)
    assert len(seen) == 2
    assert "distances" not in result.outside


def test_a_torchforce_says_what_it_does_not_say(path: Path, toy_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topology = capped_peptide("A").topology
    with pytest.raises(ValueError, match="strict needs implementation='pythonforce'"):
        openmm_force(path, topology, implementation="torchforce", strict=True)
    force = openmm.CustomExternalForce("0")
    monkeypatch.setattr("md_drivers.openmm.torchforce.torch_force", lambda *_: force)
    for model, lines in ((path, 1), (toy_path, 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            force.setUsesPeriodicBoundaryConditions = lambda _: None
            openmm_force(model, topology, implementation="torchforce")
        said = [one for one in caught if "a TorchForce says neither what lies outside" in str(one.message)]
        assert [one.filename for one in said] == lines * [__file__]


def test_a_simulation_records_it_and_refuses_before_it_writes(path: Path, tmp_path: Path) -> None:
    """Whatever the filters of warnings show, and where OpenMM computes with copies of the force."""
    peptide, structure = capped_peptide("G"), tmp_path / "gly.pdb"
    with open(structure, "w") as file:
        app.PDBFile.writeFile(peptide.topology, peptide.positions * unit.angstrom, file)
    quick = {"minimize": False, "report_interval": 1, "time_step": 0.01}
    mixed = {"ml_atoms": "all", "interpolate": 0.5}
    runs = (("first", "default", {}), ("again", "default", {}), ("quiet", "ignore", {}), ("mixed", "default", mixed))
    for name, action, options in runs:
        settings = SimulationSettings(temperature=600, **quick, **options)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            result = simulate(structure, path, tmp_path / name, steps=2, settings=settings)
        kinds = [one.message.kind for one in caught if isinstance(one.message, DomainWarning)]
        assert sorted(kinds) == ([] if action == "ignore" else ["composition", "temperature"]), name
        record = json.loads((tmp_path / name / "simulation.json").read_text())
        assert record["outside_domain"] == result.outside
        assert set(result.outside) == {"composition", "temperature"}, name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = SimulationSettings(temperature=600, **quick)
        resumed = simulate(structure, path, tmp_path / "first", steps=4, settings=settings, resume=True)
    assert set(resumed.outside) == {"composition", "temperature"}
    with pytest.raises(StructureError, match="outside of what model"):
        simulate(structure, path, tmp_path / "strict", steps=2, settings=SimulationSettings(strict=True, **quick))
    assert not (tmp_path / "strict").exists()
