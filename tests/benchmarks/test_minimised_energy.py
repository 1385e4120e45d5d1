"""Energies in the nearest minima: of what they depend, of what not, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("openmm")
mdtraj = pytest.importorskip("mdtraj", reason="the extra 'equijump' is needed")
pytest.importorskip("deeptime", reason="the extra 'equijump' is needed")
pytest.importorskip("PeptideBuilder", reason="the extra 'equijump' brings it")

from support.fluctuating import fluctuating_data  # noqa: E402

from benchmarks.jump_molecule import Molecule, minimised, read_molecule  # noqa: E402
from benchmarks.minimised_energy import Minimiser, compared, main  # noqa: E402
from mlff.sampling.trajectories import GenerationConfig  # noqa: E402

DIPEPTIDE = Path(__file__).resolve().parents[2] / "examples" / "alanine_dipeptide.pdb"


@pytest.fixture(scope="module")
def molecule() -> Molecule:
    return minimised(read_molecule(DIPEPTIDE), GenerationConfig())


@pytest.fixture(scope="module")
def minimiser(molecule: Molecule) -> Minimiser:
    return Minimiser(molecule, GenerationConfig())


def test_the_minimum_forgets_where_the_frame_was_and_its_fluctuation(molecule: Molecule, minimiser: Minimiser) -> None:
    frame = molecule.peptide.positions[molecule.heavy]
    energy = minimiser(frame)
    turned = Rotation.from_rotvec([0.3, -1.0, 0.7]).apply(frame) + np.array([5.0, -3.0, 8.0])
    assert minimiser(turned) == pytest.approx(energy, abs=0.02)
    shaken = frame + np.random.default_rng(0).normal(scale=0.03, size=frame.shape)
    assert minimiser(shaken) == pytest.approx(energy, abs=0.05)
    assert np.isnan(minimiser(np.full_like(frame, np.nan)))


def test_a_cis_peptide_bond_costs_what_it_does_in_nature(molecule: Molecule, minimiser: Minimiser) -> None:
    """At least 2 kcal/mol, 3.4 kT, as in N-methylacetamide; more where the chain is not given time to turn."""
    atoms = {(atom.residue.name, atom.name): atom.index for atom in molecule.layout.topology.atoms}
    frame = molecule.peptide.positions[molecule.heavy]
    carbon, nitrogen, methyl = (frame[atoms[key]] for key in (("ALA", "C"), ("NME", "N"), ("NME", "C")))
    axis = (nitrogen - carbon) / np.linalg.norm(nitrogen - carbon)
    cis = frame.copy()
    cis[atoms["NME", "C"]] = nitrogen + Rotation.from_rotvec(np.pi * axis).apply(methyl - nitrogen)
    assert 3.4 < minimiser(cis) - minimiser(frame) < 15.0


def test_frames_in_the_minimum_of_the_quantile_are_not_beyond_it() -> None:
    """Minimisations end a little apart in the same minimum, and of a few minima the quantile is one."""
    rng = np.random.default_rng(1)
    shares, noise = [0.6, 0.3, 0.1], rng.normal(scale=1e-5, size=(2, 1000))
    energies, others = rng.choice([0.0, 0.1, 0.2], (2, 1000), p=shares) + noise
    assert compared(energies, others)["beyond"] == 0.0


def test_one_percent_is_beyond_where_both_are_alike() -> None:
    rng = np.random.default_rng(1)
    energies, others = rng.normal(size=(2, 20_000))
    assert compared(energies, others)["beyond"] == pytest.approx(0.01, abs=0.003)
    strained = np.append(others + 10.0, np.nan)
    found = compared(energies - 400.0, strained - 400.0)
    assert found["beyond"] == 1.0  # a frame that cannot be minimised is not within
    assert found["generated"]["failed"] == 1
    assert found["generated"]["mean"] == pytest.approx(10.0, abs=0.05)
    assert found["reference"]["quantiles"]["0.95"] == pytest.approx(1.645, abs=0.05)

    with pytest.raises(ValueError, match="generated: 1 of 2 frames can be minimised"):
        compared(energies, np.array([0.0, np.nan]))


def test_the_command_compares_frames(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The rollout has its atoms in another order."""
    data = fluctuating_data(tmp_path / "data", "train") / "ACE-ALA-NME"
    order = [2, 1, 0, 7, 6, 5, 4, 3, 9, 8]
    made = mdtraj.load(data / "0.xtc", top=data / "topology.pdb").atom_slice(order)
    rollout = tmp_path / "rollout"
    rollout.mkdir()
    made[0].save_pdb(rollout / "topology.pdb")
    made.save_xtc(rollout / "0.xtc")
    output = tmp_path / "energies.json"
    assert main([str(data), str(rollout), "-o", str(output), "--frames", "5"]) == 0
    record = json.loads(output.read_text())
    assert record["atoms"] == 22
    assert record["reference"]["failed"] == record["generated"]["failed"] == 0
    # one conformation only
    assert abs(record["generated"]["mean"]) < 0.02
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main([str(data), str(tmp_path / "nothing"), "-o", str(output)]) == 2
    assert "nothing" in capsys.readouterr().err
    assert main([str(data), str(rollout), "-o", str(output), "--frames", "1"]) == 2
    for wrong in ("energies.png", "missing/energies.json"):
        assert main([str(data), str(rollout), "-o", str(tmp_path / wrong)]) == 2
        assert "must be a .json file in a folder that exists" in " ".join(capsys.readouterr().err.split())
