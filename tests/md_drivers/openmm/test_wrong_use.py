"""One clear error for each wrong use."""

from __future__ import annotations

import copy
import sys
from types import SimpleNamespace

import numpy as np
import openmm
import pytest
from ase import Atoms
from openmm import app
from openmm.unit import nanometer
from support.openmm_systems import context_of, evaluate, system_of, topology_of
from support.toy_potential import export_toy

import md_drivers.openmm.probe
from md_drivers import StructureError, openmm_force


@pytest.fixture
def water() -> app.Topology:
    """A water with a virtual site, beside a chlorine."""
    topology = app.Topology()
    residue = topology.addResidue("HOH", topology.addChain())
    for name, symbol in (("O", "O"), ("H1", "H"), ("H2", "H")):
        topology.addAtom(name, app.Element.getBySymbol(symbol), residue)
    topology.addAtom("M", None, residue)
    topology.addAtom("CL", app.element.chlorine, topology.addResidue("CL", topology.addChain()))
    return topology


def test_unknown_species(toy, water) -> None:
    with pytest.raises(
        StructureError, match=r"not known to model 'toy': Cl, first atom 4 \(CL of CL 2\); .* H, C, N, O"
    ):
        openmm_force(toy, water, [0, 1, 2, 4])


def test_atoms_without_element(toy, water) -> None:
    with pytest.raises(StructureError, match=r"atom 3 \(M of HOH 1\) has no element .*virtual sites"):
        openmm_force(toy, water)


@pytest.mark.parametrize(
    ("atoms", "error", "message"),
    [
        ([], StructureError, "no atoms"),
        ([0, 22], StructureError, "there is no atom 22: the topology has atoms 0 to 21"),
        ([-1], StructureError, "there is no atom -1"),
        ([3, 4, 3], StructureError, "atom 3 is listed twice"),
        ([0.5], TypeError, "atoms must be atom numbers"),
        (
            range(8),
            StructureError,
            r"cuts the bond of atom 8 \(CA of ALA 2\) and atom 6 \(N of ALA 2\).*createMixedSystem",
        ),
    ],
)
def test_unusable_regions(toy, dipeptide, atoms, error, message) -> None:
    with pytest.raises(error, match=message):
        openmm_force(toy, dipeptide.topology, atoms)


def test_a_box_too_small_for_a_region(toy) -> None:
    atoms = Atoms("OCO", np.diag([1.0, 2.0, 3.0]), cell=[[9.0, 0, 0], [0, 9.0, 0], [4.4, 4.4, 8.0]], pbc=True)
    with pytest.raises(StructureError, match=r"the box is 7\.89 A high along a, .* twice its cutoff, 8\.00 A"):
        openmm_force(toy, topology_of(atoms, 2), [0, 1])
    openmm_force(toy, topology_of(atoms))  # of all atoms: any box


def test_a_region_of_a_molecule_whose_bonds_are_not_known(toy) -> None:
    """What it cuts is not known; whole residues, and single atoms of metals, are no question."""
    methanol = topology_of(Atoms("COH4O", np.zeros((7, 3))), 6)
    for atoms in ([0], [1, 5, 6], range(5)):
        with pytest.raises(StructureError, match=r"the topology has no bond of atom \d \([COH] of MOL 1\): .*CONECT"):
            openmm_force(toy, methanol, atoms)
    openmm_force(toy, methanol, range(6))
    openmm_force(toy, methanol, [6])


def test_a_box_too_thin_for_anything(toy) -> None:
    atoms = Atoms("O", [[0.0, 0.0, 0.0]], cell=[0.3, 5.0, 5.0], pbc=True)
    topology = topology_of(atoms)
    context = context_of(system_of(topology, openmm_force(toy, topology)), atoms.positions)
    with pytest.raises(openmm.OpenMMException, match=r"has no length|thinner than 0\.5 A"):
        evaluate(context)


def test_the_topology_of_another_system(toy, dipeptide, dipeptide_atoms, implementation) -> None:
    system = system_of(dipeptide.topology, openmm_force(toy, dipeptide.topology, implementation=implementation))
    system.addParticle(1.0)
    positions = np.vstack([dipeptide_atoms.positions, [[9.0] * 3]])
    with pytest.raises(openmm.OpenMMException, match=r"made for 22 atoms, .* 23 particles|number of particles differs"):
        evaluate(context_of(system, positions))


def test_missing_files_and_names(dipeptide, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt: no such file"):
        openmm_force(tmp_path / "nothing.pt", dipeptide.topology)
    with pytest.raises(FileNotFoundError, match="peptide-x: no such file or folder; unknown pretrained model"):
        openmm_force("peptide-x", dipeptide.topology)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skin": -0.1}, "skin must be a finite length"),
        ({"skin": float("nan")}, "skin must be a finite length"),
        ({"parameter": ""}, "parameter must be a name"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"device": "abacus"}, "'abacus' is no device"),
        ({"implementation": "cforce"}, "unknown implementation `cforce`: choose from"),
    ],
)
def test_options_with_impossible_values(toy, dipeptide, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        openmm_force(toy, dipeptide.topology, **options)


def test_other_things_are_no_models_and_no_topologies(toy, dipeptide, dipeptide_atoms) -> None:
    with pytest.raises(TypeError, match="model must be a name, a path or a loaded model"):
        openmm_force(7, dipeptide.topology)
    with pytest.raises(TypeError, match=r"topology must be an openmm\.app\.Topology"):
        openmm_force(toy, dipeptide_atoms)


def test_direct_forces_are_announced(dipeptide, tmp_path) -> None:
    path = export_toy(tmp_path / "direct.pt", (1, 6, 7, 8), conservative=False)
    with pytest.warns(UserWarning, match="'direct' predicts forces directly.*energy is not conserved") as caught:
        openmm_force(path, dipeptide.topology)
    assert caught[0].filename == __file__


def test_without_openmm(toy, dipeptide, monkeypatch) -> None:
    topology = dipeptide.topology
    monkeypatch.setitem(sys.modules, "openmm", None)
    with pytest.raises(ImportError, match=r"OpenMM is needed .*; pip install 'mlff-equijump\[openmm\]'"):
        openmm_force(toy, topology)


def test_an_old_openmm(toy, dipeptide, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openmm", SimpleNamespace(__version__="8.4", app=app, PythonForce=object))
    with pytest.raises(ImportError, match=r"OpenMM 8\.6 or newer is needed, this is 8\.4"):
        openmm_force(toy, dipeptide.topology)


def test_torchforce_without_its_package(toy, dipeptide, monkeypatch) -> None:
    monkeypatch.setattr(md_drivers.openmm.probe.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs the package openmmtorch; .*openmmtorch 1\.5 with torch 2\.9"):
        openmm_force(toy, dipeptide.topology, implementation="torchforce")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"the probe crashed \(SIGSEGV\)"),
        ("raise ImportError('undefined symbol: c10')", "undefined symbol: c10"),
    ],
)
def test_torchforce_with_versions_that_do_not_fit(toy, dipeptide, monkeypatch, tmp_path, module, message) -> None:
    (tmp_path / "openmmtorch.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    md_drivers.openmm.probe._problem.cache_clear()
    with pytest.raises(ImportError, match=f"{message}.*Known to work: openmmtorch 1.5 with torch 2.9") as caught:
        openmm_force(toy, dipeptide.topology, implementation="torchforce")
    md_drivers.openmm.probe._problem.cache_clear()
    assert "torch==2.9.1" in str(caught.value)


def test_torchforce_keeps_all_neighbours(dipeptide, tmp_path, implementation) -> None:
    path = export_toy(tmp_path / "few.pt", (1, 6, 7, 8), max_neighbors=5)
    if implementation == "pythonforce":
        openmm_force(path, dipeptide.topology)
    else:
        with pytest.raises(ValueError, match="keeps 5 neighbours of each atom"):
            openmm_force(path, dipeptide.topology, implementation=implementation)


def test_a_box_without_periodicity_can_be_ignored(toy, dipeptide, dipeptide_atoms) -> None:
    topology = copy.deepcopy(dipeptide.topology)
    topology.setUnitCellDimensions(openmm.Vec3(0.7, 0.7, 0.7) * nanometer)
    force = openmm_force(toy, topology, periodic=False)
    assert not force.usesPeriodicBoundaryConditions()
    energy, _ = evaluate(context_of(system_of(topology, force), dipeptide_atoms.positions))
    plain = evaluate(
        context_of(system_of(dipeptide.topology, openmm_force(toy, dipeptide.topology)), dipeptide_atoms.positions)
    )
    assert energy == plain[0]
