"""Where jumps may begin: one answer for rollouts, `JumpDynamics` and `OpenMMJumper`, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import mdtraj
import numpy as np
import pytest
from ase import Atoms
from support.peptide_structures import heavy_trajectory
from support.toy_jump import DIPEPTIDE_RESIDUES, toy_jump

import md_drivers
from md_drivers.jumps import JumpDynamics, OpenMMJumper, RolloutSettings, rollout
from md_drivers.jumps.start import read_start
from mlff.equijump.artifact import LoadedJump, export_jump, load_jump
from mlff.proteins import GeometryReference, cloud_from_trajectory
from mlff.sampling.peptides import capped_peptide

openmm = pytest.importorskip("openmm")
app = pytest.importorskip("openmm.app")

from md_drivers.openmm.simulation.structure import read_structure  # noqa: E402


@pytest.fixture(scope="module")
def ala2(dipeptide: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedJump:
    """A toy that knows what it was trained on: alanine dipeptide."""
    cloud, layout = cloud_from_trajectory(mdtraj.load(str(dipeptide)))
    geometry = GeometryReference.of([(layout, layout.atoms(cloud).double().numpy())])
    about = {"residues": DIPEPTIDE_RESIDUES, "sequences": ["ACE-ALA-NME"], "invalid_share": 0.0125}
    path = tmp_path_factory.mktemp("ala2") / "jump.pt"
    return load_jump(export_jump(toy_jump(), path, geometry=geometry, **about))


def place(atoms: Atoms, name: str, residue: str = "ALA") -> int:
    names, residues = atoms.arrays["atomtypes"], atoms.arrays["residuenames"]
    return next(k for k in range(len(atoms)) if (names[k].strip(), residues[k].strip()) == (name, residue))


def mirrored(atoms: Atoms) -> None:
    atoms.positions *= [1.0, 1.0, -1.0]


def d_residue(atoms: Atoms) -> None:
    """CB and its hydrogens change places with HA."""
    ca, cb, ha = (place(atoms, name) for name in ("CA", "CB", "HA"))
    group = [k for k in range(len(atoms)) if np.linalg.norm(atoms.positions[k] - atoms.positions[cb]) < 1.2]
    n, c = (atoms.positions[place(atoms, name)] - atoms.positions[ca] for name in ("N", "C"))
    normal = np.cross(n, c) / np.linalg.norm(np.cross(n, c))
    moved = [*group, ha]
    atoms.positions[moved] -= 2.0 * ((atoms.positions[moved] - atoms.positions[ca]) @ normal)[:, None] * normal


def shifted(name: str, by: list[float], residue: str = "ALA") -> Callable[[Atoms], None]:
    def shift(atoms: Atoms) -> None:
        atoms.positions[place(atoms, name, residue)] += by

    return shift


def methyl_on_carbonyl(atoms: Atoms) -> None:
    """The two parts on both sides of CA-C are turned until O of ALA and CB meet; bonds stay."""
    atoms.positions[place(atoms, "O")] = atoms.positions[place(atoms, "CB")] + [0.3, 0.3, 0.3]


def all_zero(atoms: Atoms) -> None:
    atoms.positions[:] = 0.0


def shrunk(atoms: Atoms) -> None:
    atoms.positions *= 0.7


FAULTS = {
    "mirror image": (mirrored, "CA of ALA 2 .* has the wrong hand"),
    "D residue": (d_residue, "CA of ALA 2 .* has the wrong hand"),
    "side chain in the next box": (shifted("CB", [30.0, 0.0, 0.0]), "CA of ALA 2 .* CB of ALA 2 .* but bonded"),
    "oxygen in the next box": (shifted("O", [0.0, 25.0, 0.0], "ACE"), "C of ACE 1 .* O of ACE 1 .* but bonded"),
    "cap in the next box": (shifted("N", [0.0, 0.0, -18.0], "NME"), "broken chain: C of ALA 2 .* N of NME 3"),
    "atoms that meet": (methyl_on_carbonyl, "Å apart, but"),
    "zeros": (all_zero, r"0\.00 Å apart"),
    "shrunk": (shrunk, "Å apart, but"),
}


def run_rollout(atoms: Atoms, model: Any, folder: Path, **options: Any) -> Any:
    ase.io.write(folder / "start.pdb", atoms)
    settings = RolloutSettings(lag=10.0)
    return rollout(folder / "start.pdb", model, folder / "out", steps=2, settings=settings, **options)


def run_ase(atoms: Atoms, model: Any, folder: Path, **options: Any) -> Any:
    return JumpDynamics(atoms, model, 10.0, trajectory=folder / "out", logfile=folder / "out.log", **options)


def run_openmm(atoms: Atoms, model: Any, folder: Path, **options: Any) -> Any:
    ase.io.write(folder / "start.pdb", atoms)
    pdb = app.PDBFile(str(Path(__file__).parents[3] / "examples" / "alanine_dipeptide.pdb"))
    system = app.ForceField("amber14-all.xml").createSystem(pdb.topology)
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.001)
    made = app.Simulation(pdb.topology, system, integrator, openmm.Platform.getPlatformByName("Reference"))
    made.context.setPositions(atoms.positions / 10.0)
    return OpenMMJumper(made, model, 10.0, **options)


@pytest.mark.parametrize("run", [run_rollout, run_ase, run_openmm])
@pytest.mark.parametrize("name", FAULTS)
def test_starts_that_are_no_molecules(dipeptide, ala2, tmp_path, run, name) -> None:
    change, words = FAULTS[name]
    atoms = ase.io.read(dipeptide)
    change(atoms)
    where = r"start\.pdb: .*" if run is run_rollout else ""
    with pytest.raises(md_drivers.StructureError, match=where + words):
        run(atoms, ala2, tmp_path)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("run", [run_ase, run_openmm])
@pytest.mark.parametrize("name", ["CB", "HB1"])
def test_positions_that_are_not_finite(dipeptide, ala2, tmp_path, run, name) -> None:
    atoms = ase.io.read(dipeptide)
    atoms.positions[place(atoms, name), 1] = np.nan
    if run is run_openmm:
        with pytest.raises((md_drivers.StructureError, openmm.OpenMMException), match=r"not finite|NaN"):
            run(atoms, ala2, tmp_path)
    else:
        with pytest.raises(md_drivers.StructureError, match=rf"\(ALA2-{name}\) is not finite"):
            run(atoms, ala2, tmp_path)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("run", [run_rollout, run_ase, run_openmm])
def test_good_starts_run(dipeptide, ala2, tmp_path, caplog, run) -> None:
    run(ase.io.read(dipeptide), ala2, tmp_path, strict=True)
    assert not caplog.records


def test_the_model_of_a_file_that_is_none_is_named(dipeptide, ala2, tmp_path) -> None:
    good = ase.io.read(dipeptide)
    bad = good.copy()
    mirrored(bad)
    both = mdtraj.join([_written(tmp_path, atoms) for atoms in (good, good, bad)])
    both.save_pdb(str(tmp_path / "three.pdb"))
    with pytest.raises(md_drivers.StructureError, match=r"three\.pdb: frame 2: CA of ALA 2"):
        rollout(tmp_path / "three.pdb", ala2, tmp_path / "out", steps=1, settings=RolloutSettings(lag=10.0))
    assert not (tmp_path / "out").exists()


def _written(folder: Path, atoms: Atoms) -> Any:
    ase.io.write(folder / "one.pdb", atoms)
    return mdtraj.load(str(folder / "one.pdb"))


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ("AA", r"do not have a chain of 4 residues with its caps \(at most 3 there\)"),
        ("G", r"not trained on GLY \(only on ACE, ALA, NME\)"),
        ("L", "not trained on LEU"),
    ],
)
def test_molecules_unlike_the_training_data(ala2, tmp_path, caplog, sequence, words) -> None:
    heavy_trajectory(sequence).save_pdb(str(tmp_path / "start.pdb"))
    settings = RolloutSettings(lag=10.0)
    with pytest.raises(md_drivers.StructureError, match=rf"start\.pdb: .*{words}.*leave out --strict"):
        rollout(tmp_path / "start.pdb", ala2, tmp_path / "out", steps=1, settings=settings, strict=True)
    assert not (tmp_path / "out").exists()
    result = rollout(tmp_path / "start.pdb", ala2, tmp_path / "out", steps=1, settings=settings)
    assert result.confidence.familiarity.distance == 1
    assert result.confidence.familiarity.nearest == "ACE-ALA-NME"
    assert "start.pdb: " in caplog.text


def test_distorted_starts_are_told(dipeptide, ala2, tmp_path, caplog) -> None:
    atoms = ase.io.read(dipeptide)
    ca, cb = place(atoms, "CA"), place(atoms, "CB")
    atoms.positions[cb] += 0.15 * (atoms.positions[cb] - atoms.positions[ca])
    with pytest.raises(md_drivers.StructureError, match=r"model 0 is far from the geometry .*: 1 bonds"):
        run_ase(atoms, ala2, tmp_path, strict=True)
    run_ase(atoms, ala2, tmp_path)
    assert "far from the geometry of the training data" in caplog.text


def test_a_rollout_states_its_confidence(dipeptide, jump, ala2, tmp_path) -> None:
    result = run_rollout(ase.io.read(dipeptide), ala2, tmp_path)
    confidence, record = result.confidence, json.loads((tmp_path / "out" / "rollout.json").read_text())
    assert confidence.invalid == pytest.approx(1.0 - result.valid)
    assert (confidence.expected, confidence.familiarity.distance) == (0.0125, 0)
    assert record["confidence"] == {
        "invalid_share": confidence.invalid,
        "training_invalid_share": 0.0125,
        "unseen_residues": [],
        "unseen": [],
        "unseen_neighbours": [],
        "nearest": "ACE-ALA-NME",
        "distance": 0,
    }
    assert "training data: 1.25 %" in str(confidence)
    assert "was trained on this molecule" in str(confidence)
    (tmp_path / "old").mkdir()
    old = run_rollout(ase.io.read(dipeptide), jump, tmp_path / "old").confidence
    assert (old.expected, old.familiarity.distance) == (None, None)
    assert "share not known" in str(old)
    assert "does not say" in str(old)


def test_leucine_is_built_with_its_own_names() -> None:
    """PeptideBuilder gives its two methyl groups each other's."""
    for sequence in ("L", "ALG"):
        peptide = capped_peptide(sequence)
        at = {a.name: peptide.positions[a.index] for a in peptide.topology.atoms() if a.residue.name == "LEU"}
        first, second, third = (at[name] - at["CG"] for name in ("CB", "CD1", "CD2"))
        assert np.cross(first, second) @ third < -1.0


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
def test_of_alternate_locations_the_one_of_highest_occupancy_is_kept(dipeptide, tmp_path, caplog, suffix) -> None:
    """In starts of rollouts and of simulations, of both formats; the first one in the file has the lower occupancy."""
    writer = app.PDBFile if suffix == ".pdb" else app.PDBxFile
    whole = app.PDBFile(str(dipeptide))
    path = tmp_path / f"alternate{suffix}"
    with open(path, "w") as file:
        writer.writeFile(whole.topology, whole.positions, file)
    lines = []
    for line in path.read_text().splitlines():
        words = line.split()
        if words[:1] in (["ATOM"], ["HETATM"]) and "CB" in words:
            if suffix == ".pdb":
                low = f"{line[:16]}A{line[17:30]}{float(line[30:38]) + 0.5:8.3f}{line[38:54]}  0.30{line[60:]}"
                lines += [low, f"{line[:16]}B{line[17:54]}  0.70{line[60:]}"]
            else:
                assert (words[3], words[4]) == ("CB", ".")
                high = [*words[:4], "B", *words[5:13], "0.7", *words[14:]]
                low = [*words[:4], "A", *words[5:10], str(float(words[10]) + 0.5), *words[11:13], "0.3", *words[14:]]
                lines += [" ".join(low), " ".join(high)]
        else:
            lines.append(line)
    path.write_text("\n".join(lines) + "\n")
    expected = read_start(dipeptide).atoms
    caplog.clear()
    np.testing.assert_allclose(read_start(path).atoms, expected, atol=2e-3)
    assert "of alternate locations the one of highest occupancy is kept: ALA" in caplog.text
    caplog.clear()
    positions = read_structure(path, periodic=False).positions
    np.testing.assert_allclose(positions, whole.positions.value_in_unit(openmm.unit.angstrom), atol=2e-3)
    assert "of alternate locations the one of highest occupancy is kept: ALA" in caplog.text
