"""One clear error for each wrong use, before anything is written."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from support.pdb_files import write_pdb

from md_drivers import SimulationSettings, StructureError, simulate


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ensemble": "nph"}, "unknown ensemble `nph`: choose from nve, nvt, npt; did you mean `npt`"),
        ({"trajectory_format": "trr"}, "unknown trajectory_format `trr`: choose from dcd, xtc"),
        ({"time_step": 0.0}, "time_step must be a positive number, got 0.0"),
        ({"friction": float("nan")}, "friction must be a positive number"),
        ({"pressure": -1.0}, "pressure must be a positive number"),
        ({"nonbonded_cutoff": float("inf")}, "nonbonded_cutoff must be a positive number"),
        ({"ensemble": "npt", "temperature": 0.0}, "npt needs a temperature above 0 K"),
        ({"temperature": -1.0}, "temperature must be a number of kelvins >= 0"),
        ({"report_interval": 0}, "report_interval must be a whole number >= 1"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"interpolate": 0.5}, r"interpolate .*: give ml_atoms"),
        ({"interpolate": 1.5, "ml_atoms": "protein"}, "interpolate must lie between 0 and 1"),
    ],
)
def test_settings_without_meaning(settings, message):
    with pytest.raises(ValueError, match=message):
        SimulationSettings(**settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
        ({"steps": 10.5}, "steps must be a whole number"),
        ({"checkpoint_interval": 0}, "checkpoint_interval must be"),
        ({"platform": "Abacus"}, "unknown platform `Abacus`: choose from .*Reference"),
        ({"device": "abacus"}, "'abacus' is no device"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"ensemble": "npt"}, r"dipeptide\.pdb: the ensemble npt needs a box"),
        ({"periodic": True}, r"dipeptide\.pdb: no box \(CRYST1 record or cell\)"),
    ],
)
def test_options_that_do_not_fit(dynamics, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        dynamics(**options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("resname XYZ", "'resname XYZ' matches no atom; the structure has residues ACE, ALA, NME"),
        ("protein and", "cannot read the selection 'protein and': .* MDTraj's language"),
        ("protien", "cannot read the selection 'protien': not in MDTraj's language"),
        ("the peptide", "cannot read the selection 'the peptide'"),
    ],
)
def test_selections_that_mean_nothing(dynamics, tmp_path, selection, message):
    pytest.importorskip("mdtraj")
    with pytest.raises(StructureError, match=message):
        dynamics(ml_atoms=selection)
    assert not (tmp_path / "out").exists()


def test_without_mdtraj(dynamics, monkeypatch):
    monkeypatch.setitem(sys.modules, "mdtraj", None)
    with pytest.raises(ImportError, match=r"MDTraj is needed to select atoms .*pip install mdtraj"):
        dynamics(ml_atoms="protein")


def test_without_openmmml(dynamics, monkeypatch):
    pytest.importorskip("mdtraj")
    monkeypatch.setitem(sys.modules, "openmmml", None)
    with pytest.raises(ImportError, match=r"openmm-ml is needed .*pip install 'mlff-equijump\[openmm\]'"):
        dynamics(ml_atoms="protein")


def test_unusable_files(dynamics, dipeptide_file, tmp_path):
    lines = dipeptide_file.read_text().splitlines(keepends=True)
    hydrogen = re.compile(r"^(ATOM|HETATM).{8} +H")
    texts = {
        "empty.pdb": "END\n",
        "noise.cif": "loop_ of nothing",
        "bare.pdb": "".join(line for line in lines if not hydrogen.match(line)),
        "box.pdb": "CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1\n" + "".join(lines),
        "twice.pdb": "".join(line.replace(" H2  ACE", " H1  ACE") for line in lines),
        "frame.xyz": "0\n\n",
    }
    messages = {
        "missing.pdb": "missing.pdb: no such file",
        "empty.pdb": "there are no atoms in it|cannot be read",
        "noise.cif": "cannot be read as .cif file",
        "bare.pdb": r"residue ALA 2 has no hydrogens; add them first",
        "box.pdb": r"a cell of 1 x 1 x 1 A \(1 A\^3\) cannot hold 22 atoms.*--no-periodic",
        "twice.pdb": "duplicate atom",
        "frame.xyz": r"are read from \.pdb, \.cif.*, not '\.xyz'",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for name, message in messages.items():
        with pytest.raises((StructureError, FileNotFoundError), match=message):
            dynamics(structure=tmp_path / name)
    assert not (tmp_path / "out").exists()
    assert dynamics(structure=tmp_path / "box.pdb", periodic=False, steps=1).steps == 1


def test_unusable_models(dipeptide_file, toy, tmp_path):
    with pytest.raises(FileNotFoundError, match="peptide-x: no such file or folder; unknown pretrained model"):
        simulate(dipeptide_file, "peptide-x", tmp_path / "out", steps=1)
    salt = write_pdb(tmp_path / "salt.pdb", Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.5]]))
    with pytest.raises(StructureError, match="species not known to model 'toy': Na, first atom 0"):
        simulate(salt, toy, tmp_path / "out", steps=1)
    assert not (tmp_path / "out").exists()


def test_force_fields_that_do_not_fit(dynamics, solvated_file, tmp_path):
    pytest.importorskip("mdtraj")
    pytest.importorskip("openmmml")
    options = {"structure": solvated_file, "ml_atoms": "protein"}
    with pytest.raises(
        StructureError, match=r"the force field amber14/tip3p\.xml cannot be applied: No template found"
    ):
        dynamics(**options, force_fields=("amber14/tip3p.xml",))
    with pytest.raises(StructureError, match=r"the force field nothing\.xml cannot be applied"):
        dynamics(**options, force_fields=("nothing.xml",))
    with pytest.raises(
        StructureError, match=r"box is 18\.50 A wide, less than twice the cutoff of the force field, 9\.5 A"
    ):
        dynamics(**options, nonbonded_cutoff=9.5)
    ethanol = write_pdb(tmp_path / "ethanol.pdb", molecule("CH3CH2OH"))
    with pytest.raises(StructureError, match="cannot be applied: No template found"):
        dynamics(structure=ethanol, ml_atoms="index 0 to 2")
    assert not (tmp_path / "out").exists()


def test_a_box_too_small_for_the_model(dynamics, solvated_file, tmp_path):
    pytest.importorskip("mdtraj")
    pytest.importorskip("openmmml")
    from support.toy_potential import export_toy

    far = export_toy(tmp_path / "far.pt", (1, 6, 7, 8), cutoff=9.5)
    with pytest.raises(StructureError, match=r"the box is 18\.50 A high .* twice its cutoff, 19\.00 A"):
        simulate(solvated_file, far, tmp_path / "out", steps=1, settings=SimulationSettings(ml_atoms="protein"))


def test_nothing_is_overwritten(dynamics, tmp_path):
    dynamics(steps=10)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(FileExistsError, match=r"out exists already: go on with it \(--resume"):
        dynamics(steps=10)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "empty").mkdir()
    assert dynamics("empty", steps=10).steps == 10


def test_resuming_what_cannot_be_resumed(dynamics, dipeptide, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"simulation\.json: no such file or folder, so there"):
        dynamics(resume=True)
    folder = dynamics(steps=20).folder
    with pytest.raises(
        StructureError, match=r"other settings \(temperature was 300\.0, now 310\.0; time-step was 0\.25, now 0\.5\)"
    ):
        dynamics(steps=30, resume=True, temperature=310.0, time_step=0.5)
    with pytest.raises(StructureError, match="has 20 steps already, more than the 10 asked for"):
        dynamics(steps=10, resume=True)

    table = folder / "state.csv"
    rows = table.read_text()
    table.write_text(rows[:50])
    with pytest.raises(StructureError, match=r"state\.csv: 50 bytes, but the checkpoint was taken when it had"):
        dynamics(steps=30, resume=True)
    table.write_text(rows)
    checkpoint = (folder / "checkpoint.zip").read_bytes()
    for damaged in (checkpoint[:-200], checkpoint[:300] + b"x" + checkpoint[301:], b""):
        (folder / "checkpoint.zip").write_bytes(damaged)
        with pytest.raises(StructureError, match=r"checkpoint\.zip: no checkpoint, or a damaged one"):
            dynamics(steps=30, resume=True)
    (folder / "checkpoint.zip").write_bytes(checkpoint)
    (folder / "simulation.json").write_text("{}")
    with pytest.raises(StructureError, match=r"simulation\.json: damaged"):
        dynamics(steps=30, resume=True)


def test_resuming_with_another_model_or_structure(dynamics, dipeptide_file, tmp_path):
    dynamics(steps=10)
    moved = tmp_path / "moved.pdb"
    moved.write_text("REMARK   1 another file\n" + dipeptide_file.read_text())
    with pytest.raises(StructureError, match="structure-sha256 was"):
        dynamics(steps=20, structure=moved, resume=True)


def test_infinite_positions(dynamics, tmp_path):
    path = write_pdb(tmp_path / "far.pdb", Atoms("OH", positions=np.zeros((2, 3))))
    path.write_text(path.read_text().replace("   0.000", "     nan", 1))
    with pytest.raises(StructureError, match=r"not finite|cannot be read"):
        dynamics(structure=path)
