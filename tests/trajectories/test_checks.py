"""Every frame of every format is the molecule at the stated time, once; what is not is named with its frame."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.peptide_structures import heavy_trajectory, mdtraj

from mlff.support.errors import DataError
from mlff.trajectories import load_dataset
from mlff.trajectories.checks import stated_times

H5 = pytest.param("h5", marks=pytest.mark.skipif(find_spec("tables") is None, reason="MDTraj needs PyTables for it"))
TIMED = ("xtc", "trr", "nc", "gro", "dtr", H5)
FORMATS = (*TIMED, "dcd", "pdb", "xyz", "lammpstrj", "mdcrd")


@pytest.fixture(scope="module")
def start(peptide_packages: None) -> Any:
    return heavy_trajectory("AV")


def frames_of(start: Any, count: int = 12, interval: float = 10.0) -> Any:
    """A trajectory whose atoms tremble by 0.03 Å."""
    noise = np.random.default_rng(0).normal(scale=0.003, size=(count, *start.xyz[0].shape))
    made = mdtraj.Trajectory(start.xyz + noise, start.topology, time=interval * np.arange(count))
    # without which some formats are not written
    made.unitcell_lengths, made.unitcell_angles = np.full((count, 3), 4.0), np.full((count, 3), 90.0)
    return made


def described(folder: Path, made: Any, suffix: str, interval: float = 10.0, **fields: Any) -> Path:
    made[0].save_pdb(str(folder / "top.pdb"))
    if not (folder / f"t.{suffix}").exists():
        made.save(str(folder / f"t.{suffix}"))
    content = {"topology": "top.pdb", "frame_interval": interval, "trajectories": [f"t.{suffix}"], **fields}
    (folder / "data.json").write_text(json.dumps(content))
    return folder / "data.json"


def cb(made: Any) -> int:
    return int(made.topology.select("resname VAL and name CB")[0])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_fault_in_a_later_frame_of_any_format(start: Any, tmp_path: Path, suffix: str) -> None:
    made = frames_of(start)
    made[0].save_pdb(str(tmp_path / "top.pdb"))
    (system,) = load_dataset(described(tmp_path, made, suffix))
    assert len(system.atoms) == 12
    written = tmp_path / f"t.{suffix}"
    shutil.rmtree(written) if written.is_dir() else written.unlink()
    made.xyz[9, cb(made), 1] += 3.0
    with pytest.raises(DataError, match=rf"t\.{suffix}, frame 9: no whole molecule: .* VAL 3 .*; make molecules whole"):
        load_dataset(described(tmp_path, made, suffix))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda xyz: np.multiply(xyz, [-1, 1, 1], out=xyz), "frame 0: CA of ALA 2 .* wrong hand"),
        (lambda xyz: np.multiply(xyz[5:], [-1, 1, 1], out=xyz[5:]), "frame 5: CA of ALA 2 .*5 to 11 .*7 of 12"),
        (lambda xyz: np.multiply(xyz, 10, out=xyz), "frame 0: .*another unit"),
        (lambda xyz: np.copyto(xyz[4, 3], np.nan), "frame 4: the position of .* is not finite"),
        (lambda xyz: np.copyto(xyz[8], 0.0), r"frame 8: .* 0\.00 Å apart"),
        (lambda xyz: np.copyto(xyz[:, 2:4], xyz[:, 3:1:-1].copy()), "frame 0: "),
        (lambda xyz: np.copyto(xyz[7], xyz[6]), "frame 7: is frame 6 once more"),
        (lambda xyz: np.copyto(xyz[8:11], xyz[2:5]), "frame 8: is frame 2 once more"),
    ],
    ids=["mirror", "mirror later", "nm for Å", "nan", "zeros", "order of atoms", "doubled", "doubled after a restart"],
)
def test_frames_without_times(start: Any, tmp_path: Path, change: Callable[[Any], None], words: str) -> None:
    made = frames_of(start)
    path = described(tmp_path, made, "pdb")
    (tmp_path / "t.pdb").unlink()
    change(made.xyz)
    made.save_dcd(str(tmp_path / "t.dcd"))
    with pytest.raises(DataError, match=rf"t\.dcd, {words}"):
        load_dataset(described(tmp_path, frames_of(start), "dcd"))
    assert path.exists()


@pytest.mark.parametrize("suffix", TIMED)
@pytest.mark.parametrize("described_as", [1.0, 20.0])
def test_another_interval(start: Any, tmp_path: Path, suffix: str, described_as: float) -> None:
    words = rf"t\.{suffix}, frame 1: frames are 10 ps apart by the times in the file, but .* says {described_as:g} ps"
    with pytest.raises(DataError, match=words):
        load_dataset(described(tmp_path, frames_of(start), suffix, described_as))
    assert load_dataset(described(tmp_path, frames_of(start), suffix, described_as, ignore_times=True))


@pytest.mark.parametrize("suffix", TIMED)
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([0, 1, 2, 3, 7, 8, 9], "frame 4: is 40 ps after frame 3, not 10 ps: there is a gap"),
        ([0, 1, 2, 2, 3, 4], r"frame 3: has the time of frame 2 \(20 ps\): one of them is doubled"),
        ([0, 1, 2, 3, 4, 3, 4, 5], r"frame 5: has an earlier time \(30 ps\) than frame 4 \(40 ps\)"),
        ([0, 1, 2, 4, 5, 6, 8, 9], r"frame 3: .* there is a gap \(2 such places, before frames 3, 6\)"),
    ],
)
def test_gaps_and_doubled_frames(start: Any, tmp_path: Path, suffix: str, rows: list[int], words: str) -> None:
    if suffix == "dtr" and "earlier" in words:
        pytest.skip("DTR files cannot hold such times")
    path = described(tmp_path, frames_of(start)[rows], suffix)
    with pytest.raises(DataError, match=rf"t\.{suffix}, {words}"):
        load_dataset(path)


def test_times_that_are_right(start: Any, tmp_path: Path) -> None:
    """Of late frames in single precision, of a file that has none, and of the frames that the description asks for."""
    late = frames_of(start)
    late.time = 4e6 + late.time
    assert load_dataset(described(tmp_path, late, "xtc"))
    (tmp_path / "t.xtc").unlink()
    late.time = np.zeros(12)
    assert load_dataset(described(tmp_path, late, "xtc"))
    made = frames_of(start)[[0, 1, 2, 3, 3, 4, 9]]
    (tmp_path / "t.xtc").unlink()
    entries = [{"file": "t.xtc", "frames": 4}]
    assert len(load_dataset(described(tmp_path, made, "xtc", trajectories=entries))[0].atoms) == 4


def test_the_interval_in_the_header_of_a_dcd_file(start: Any, tmp_path: Path) -> None:
    """As OpenMM writes it; MDTraj writes a placeholder."""
    app = pytest.importorskip("openmm.app")
    made = frames_of(start)
    with open(tmp_path / "t.dcd", "wb") as file:
        dcd = app.DCDFile(file, made.topology.to_openmm(), 0.002, 5000, 5000)
        for frame in made.xyz:
            dcd.writeModel(frame)
    assert load_dataset(described(tmp_path, made, "dcd"))
    with pytest.raises(DataError, match=r"t\.dcd, frame 1: frames are 10 ps apart .* says 1 ps"):
        load_dataset(described(tmp_path, made, "dcd", 1.0))


@pytest.mark.parametrize(
    ("changes", "interval"),
    [
        ([(">", "i", 16, 5000)], None),  # of a machine of the other kind
        ([("<", "i", 84, 0), ("<", "d", 44, 0.2 / 0.04888821)], 20.0),  # X-PLOR writes a double
        ([("<", "f", 44, np.nan)], None),
        ([("<", "f", 44, -1.0)], None),
        ([("<", "f", 44, 0.2 / 0.04888821), ("", "s", 100, b"REMARK Written by LAMMPS".ljust(80))], None),
    ],
    ids=["big endian", "X-PLOR", "no number", "negative", "LAMMPS"],
)
def test_odd_headers_of_dcd_files(start: Any, tmp_path: Path, changes: list[Any], interval: float | None) -> None:
    """20 ps between frames, as far as the header says anything; those of LAMMPS are in a unit that it does not tell."""
    made = frames_of(start, interval=20.0)
    made.unitcell_lengths = made.unitcell_angles = None  # X-PLOR writes none
    path = described(tmp_path, made, "dcd", 20.0)
    raw = bytearray((tmp_path / "t.dcd").read_bytes())
    struct.pack_into("<i", raw, 16, 100)
    for order, kind, place, value in changes:
        struct.pack_into(f"{order}{80 if kind == 's' else ''}{kind}", raw, place, value)
    if changes[0][0] == ">":
        raw[:4] = raw[:4][::-1]
    (tmp_path / "t.dcd").write_bytes(raw)
    assert stated_times(tmp_path / "t.dcd", made) == (None if interval is None else pytest.approx(20.0 * np.arange(12)))
    if changes[0][0] != ">":
        assert load_dataset(path)


def test_a_chain_that_goes_to_another_image(start: Any, tmp_path: Path) -> None:
    other = mdtraj.Trajectory(np.add(start.xyz, (0.0, 0.0, 1.0)), start.topology)
    made = frames_of(start.stack(other))
    assert load_dataset(described(tmp_path, made, "xtc"))
    (tmp_path / "t.xtc").unlink()
    made.xyz[6:, start.n_atoms :, 0] -= 4.0
    with pytest.raises(DataError, match=r"t\.xtc, frame 6: the chain of ACE 1 .* 40\.0 Å from .* another image"):
        load_dataset(described(tmp_path, made, "xtc"))
