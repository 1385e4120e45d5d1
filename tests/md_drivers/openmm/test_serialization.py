"""A force in XML is a reference to a model file, not a copy of it."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import openmm
import pytest
import torch
from ase import Atoms
from support.archives import CODE, UNSIGNED, in_forward, read_member, rewrite
from support.openmm_systems import ROOT, context_of, evaluate, settings_of, system_of, topology_of
from support.toy_potential import export_toy

from md_drivers import openmm_force
from mlff.artifacts import ArtifactError, load

OPTIONS = {"parameter": "scale", "force_group": 7, "dtype": "float32"}


@pytest.fixture
def model_path(toy_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(toy_path, tmp_path / "model.pt"))


@pytest.fixture
def system(model_path, dipeptide) -> openmm.System:
    return system_of(dipeptide.topology, openmm_force(model_path, dipeptide.topology, **OPTIONS))


def test_xml_round_trip(system, dipeptide_atoms) -> None:
    read = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    force = read.getForce(0)
    assert (force.getForceGroup(), dict(force.getGlobalParameters())) == (7, {"scale": 1.0})
    before = evaluate(context_of(system, dipeptide_atoms.positions))
    after = evaluate(context_of(read, dipeptide_atoms.positions), groups={7})
    assert after[0] == pytest.approx(before[0], rel=1e-12)
    np.testing.assert_allclose(after[1], before[1], rtol=0, atol=1e-12 * np.abs(before[1]).max())


def test_xml_of_a_region_in_a_box(model_path, dipeptide, dipeptide_atoms) -> None:
    topology = copy.deepcopy(dipeptide.topology)
    topology.setUnitCellDimensions(openmm.Vec3(2.0, 2.1, 2.2))
    atom = topology.addAtom("O", openmm.app.element.oxygen, topology.addResidue("HOH", topology.addChain()))
    force = openmm_force(model_path, topology, range(22))
    read = copy.deepcopy(force)
    assert read.usesPeriodicBoundaryConditions()
    assert list(read.getParticles()) == list(range(22))
    positions = np.vstack([dipeptide_atoms.positions, [[9.0] * 3]])
    expected = evaluate(context_of(system_of(topology, force), positions))
    energy, forces = evaluate(context_of(system_of(topology, read), positions))
    assert energy == expected[0]
    assert (forces[atom.index] == 0).all()


def test_nothing_of_the_model_is_in_the_xml(system, model_path, dipeptide) -> None:
    assert len(openmm.XmlSerializer.serialize(system)) < 10_000 < model_path.stat().st_size
    settings = settings_of(openmm_force(model_path, dipeptide.topology))
    assert (settings.model, settings.sha256) == (str(model_path), load(model_path).sha256)


def test_a_shipped_name_stays_a_name() -> None:
    if not (ROOT / "checkpoints" / "formate-cu110" / "model.pt").exists():
        pytest.skip("this copy has no checkpoints/formate-cu110/model.pt")
    assert settings_of(openmm_force("formate-cu110", topology_of(Atoms("CO")))).model == "formate-cu110"


def test_another_process_computes_the_same(system, dipeptide_atoms, tmp_path) -> None:
    (tmp_path / "system.xml").write_text(openmm.XmlSerializer.serialize(system))
    np.save(tmp_path / "positions.npy", dipeptide_atoms.positions / 10.0)
    code = """
import numpy as np, openmm
system = openmm.XmlSerializer.deserialize(open("system.xml").read())
integrator = openmm.VerletIntegrator(0.001)
context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
context.setPositions(np.load("positions.npy"))
print(context.getState(energy=True).getPotentialEnergy()._value.hex())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    state = context_of(system, dipeptide_atoms.positions).getState(energy=True)
    assert float.fromhex(done.stdout) == pytest.approx(state.getPotentialEnergy()._value, rel=1e-12)


def test_a_changed_file_is_refused(system, model_path, dipeptide_atoms) -> None:
    xml = openmm.XmlSerializer.serialize(system)
    export_toy(model_path, (1, 6, 7, 8), cutoff=3.5, dtype=torch.float64)
    context = context_of(openmm.XmlSerializer.deserialize(xml), dipeptide_atoms.positions)
    with pytest.raises(openmm.OpenMMException, match=r"model\.pt: not the model that this force was made with"):
        evaluate(context)


def test_trust_goes_along(model_path, dipeptide, dipeptide_atoms, tmp_path) -> None:
    """A program that is refused, and harmless: it writes nothing but to its own memory."""
    code = in_forward("y = torch.empty([100])")(read_member(model_path, CODE).decode())
    path = rewrite(model_path, tmp_path / "other.pt", {CODE: code.encode(), **UNSIGNED})
    model = load(path, trust=True, verify=False)
    system = system_of(dipeptide.topology, openmm_force(model, dipeptide.topology))
    expected = evaluate(context_of(system, dipeptide_atoms.positions))[0]
    for read in (copy.deepcopy(system), openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))):
        assert evaluate(context_of(read, dipeptide_atoms.positions))[0] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ArtifactError, match=r"torch\.empty"):
        openmm_force(path, dipeptide.topology)


def test_a_missing_file_is_named(system, model_path, dipeptide_atoms) -> None:
    xml = openmm.XmlSerializer.serialize(system)
    model_path.unlink()
    context = context_of(openmm.XmlSerializer.deserialize(xml), dipeptide_atoms.positions)
    with pytest.raises(openmm.OpenMMException, match=r"model\.pt: no such file"):
        evaluate(context)
