"""Extended XYZ is read as it was written, and refused where it does not say what it means."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from ase.io import write
from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlff.data import read_frames
from mlff.structures import iter_extxyz
from mlff.structures.extxyz_header import read_header
from mlff.support.errors import DataError

QUICK = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
LATTICE = 'Lattice="5 0 0 0 6 0 0 0 7"'
FORCES = "Properties=species:S:1:pos:R:3:forces:R:3"
ROWS = "Cu 0 0 0 0.1 0.2 0.3\nCu 2 0 0 -0.1 -0.2 -0.3\n"


def frame(tmp_path: Path, header: str, rows: str = ROWS, count: int = 2, asked: tuple[str, ...] = ()) -> Atoms:
    path = tmp_path / "x.extxyz"
    path.write_text(f"{count}\n{header}\n{rows}", encoding="utf-8")
    ((index, atoms),) = iter_extxyz(path, asked)
    assert index == 0
    return atoms


numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)
# Without what ASE writes in a way that it does not read itself: quotes and backslashes within JSON.
words = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters="\\\"'"), min_size=1)
values = st.one_of(
    st.integers(-(10**12), 10**12),
    numbers,
    st.booleans(),
    words,
    st.lists(st.integers(-9, 9), min_size=2, max_size=6).map(np.array),
    st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=3),
    st.dictionaries(words, st.integers(0, 9), max_size=2),
)
keys = st.text("abcdefghxyz_", min_size=1, max_size=6).map(lambda key: f"q_{key}")


@QUICK
@given(
    positions=arrays(float, (3, 3), elements=numbers),
    forces=arrays(float, (3, 3), elements=numbers),
    cell=arrays(float, (3, 3), elements=numbers),
    pbc=st.tuples(*[st.booleans()] * 3),
    free=arrays(bool, (3, 3)),
    column=arrays(int, (3,), elements=st.integers(-99, 99)),
    info=st.dictionaries(keys, values, max_size=4),
)
def test_what_ase_writes_is_read_back(tmp_path, positions, forces, cell, pbc, free, column, info):
    atoms = Atoms("CuHO", positions=positions, cell=cell if cell.any() else None, pbc=pbc, info=info)
    atoms.set_constraint([FixCartesian(k, mask=~free[k]) for k in range(3)])
    atoms.set_array("own", column)
    atoms.calc = SinglePointCalculator(atoms, energy=float(forces.sum()), forces=forces)
    write(tmp_path / "a.extxyz", [atoms, atoms], format="extxyz")
    first, second = (read for _, read in iter_extxyz(tmp_path / "a.extxyz"))
    for read in (first, second):
        np.testing.assert_allclose(read.positions, positions, atol=1e-7)
        np.testing.assert_allclose(read.calc.results["forces"], forces, atol=1e-7)
        np.testing.assert_allclose(read.cell.array, cell, atol=1e-7)
        assert read.calc.results["energy"] == pytest.approx(forces.sum(), abs=1e-6)
        assert read.pbc.tolist() == list(pbc)
        assert read.symbols.get_chemical_formula("hill") == atoms.symbols.get_chemical_formula("hill")
        np.testing.assert_array_equal(read.arrays["own"], column)
        held = np.zeros((3, 3), dtype=bool)
        for one in read.constraints:
            held[one.index] = one.mask
        np.testing.assert_array_equal(held, ~free)
        assert set(read.info) == set(info)


@QUICK
@given(info=st.dictionaries(keys, values, min_size=1, max_size=6))
def test_values_are_those_that_ase_reads(info):
    line = key_val_dict_to_str(info)
    expected, found = key_val_str_to_dict(line), read_header(line, ()).info
    assert set(found) == set(expected)
    for key, value in expected.items():
        # A text that is a list in brackets is one here.
        if not (isinstance(value, str) and value.strip().startswith(("[", "{", "("))):
            np.testing.assert_equal(found[key], value)


@QUICK
@given(line=st.text(max_size=80))
def test_any_line_of_keys_is_read_or_refused(line):
    with contextlib.suppress(ValueError):
        assert len(read_header(line, {"energy"}).pbc) == 3


@QUICK
@given(place=st.integers(0, 400), cut=st.integers(0, 30), new=st.binary(max_size=6), kind=st.sampled_from(["", "gz"]))
def test_damage_is_refused_or_leaves_frames_that_can_be(tmp_path, place, cut, new, kind):
    whole = f'2\n{LATTICE} {FORCES} energy=-1 pbc="T T F"\n{ROWS}'.encode() * 2
    raw = gzip.compress(whole, mtime=0) if kind else whole
    place %= len(raw)
    path = tmp_path / "x.extxyz"
    path.write_bytes(raw[:place] + new + raw[place + cut :])
    try:
        frames = [atoms for _, atoms in iter_extxyz(path, ("forces", "energy"))]
    except DataError:
        return
    for atoms in frames:
        assert len(atoms) == len(atoms.positions)
        if "forces" in (atoms.calc.results if atoms.calc else {}):
            assert atoms.calc.results["forces"].dtype.kind == "f"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"T T F"', "TTF"), ('"TTF"', "TTF"), ("TTF", "TTF"), ("[T, F, T]", "TFT"), ("{F T T}", "FTT"),
        ('"[true, true, false]"', "TTF"), ('"_JSON [true, false, false]"', "TFF"), ('"1 1 0"', "TTF"), ("110", "TTF"),
        ("'False True False'", "FTF"), ('"T,T,T"', "TTT"), ("FFF", "FFF"), ('"f f t"', "FFT"),
    ],
)  # fmt: skip
def test_periodicity_is_the_one_that_is_written(tmp_path, written, meant):
    for key in ("pbc", "PBC", "Pbc"):
        atoms = frame(tmp_path, f"{LATTICE} {key}={written} {FORCES}")
        assert "".join("FT"[int(one)] for one in atoms.pbc) == meant
        assert set(atoms.info) == set()


@pytest.mark.parametrize(
    "written", ["none", "T", "xyz", '"T T"', '"T T F F"', '"2 0 0"', '"yes no no"', "", '""', "TTX"]
)
def test_what_is_no_periodicity_is_refused(tmp_path, written):
    with pytest.raises(DataError, match=r"x\.extxyz, frame 0: line 2 .*pbc.*three of T and F"):
        frame(tmp_path, f"{LATTICE} pbc={written}")


def test_without_pbc_a_lattice_is_periodic(tmp_path):
    assert frame(tmp_path, f"{LATTICE} {FORCES}").pbc.all()
    assert not frame(tmp_path, FORCES).pbc.any()
    np.testing.assert_array_equal(frame(tmp_path, f"lattice='1 2 3 4 5 6 7 8 10' {FORCES}").cell.array[0], [1, 2, 3])


@pytest.mark.parametrize(
    ("header", "rows", "reason"),
    [
        (FORCES, "Cu 0 0 0 7 1 2 3\nCu 2 0 0 8 1 2 3\n", "line 3 .*8 columns where Properties declares 7"),
        (FORCES, "Cu 0 0 0 1 2 3\nCu 2 0 0 8 1 2 3 4\n", "line 4 .*9 columns where Properties declares 7"),
        (FORCES, "Cu 0 0 0 1 2 3\nCu 2 0 0 1 2\n", "line 4 .*6 columns"),
        ("", "Cu 0 0\nCu 0 0 0\n", "line 3 .*3 columns where XYZ has 4"),
        (f"{FORCES} energy=1 energy=2", ROWS, "'energy' stands twice"),
        (f"{FORCES} energy=1 Energy=2", ROWS, "'Energy' stands twice, also as 'energy'"),
        (f"{FORCES} my=1 my=1", ROWS, "'my' stands twice"),
        (f"{FORCES} REF=1 ref=2", ROWS, "'ref' stands twice, also as 'REF'"),
        (f"{LATTICE} lattice='1 0 0 0 1 0 0 0 1' {FORCES}", ROWS, "'lattice' stands twice"),
        (f"{FORCES} {FORCES}", ROWS, "'Properties' stands twice"),
        (f"{FORCES}:forces:R:1", ROWS, "the column 'forces' twice"),
        (f"{FORCES}:Pos:R:3", ROWS, "the column 'pos' twice"),
        (f"{FORCES} forces='1 2 3'", ROWS, "'forces', which is a column as well"),
        ("Properties=species:S:1:forces:R:3", "Cu 0 0 0\nCu 0 0 0\n", "no column of positions"),
        ("Properties=species:S:1:pos:R:2", "Cu 0 0\nCu 0 0\n", "no column of positions"),
        ("Properties=pos:R:3", "0 0 0\n0 0 0\n", "no column of elements"),
        ("Properties=species:S:1:pos:R", ROWS, "not a list of name:type:count"),
        ("Properties=species:S:1:pos:X:3", ROWS, "entries are name"),
        ("Properties=species:S:1:pos:R:3:a:R:1000000000", ROWS, "entries are name"),
        ("Properties=species:S:1:Z:I:1:pos:R:3", "Cu 29 0 0 0\nCu 28 2 0 0\n", "line 4 has species Cu and another Z"),
        ("Properties=species:S:1:Z:R:1:pos:R:3", "Cu 29 0 0 0\nCu 29 2 0 0\n", "elements are written as"),
        (FORCES, ROWS.replace("Cu 2", "Qq 2"), "line 4 .*no chemical element 'Qq'"),
        (FORCES, ROWS.replace("-0.3", "***"), r"line 4 .*forces has '\*\*\*'"),
        (FORCES, ROWS.replace("Cu 2", "Cu 2x"), "line 4 .*pos has '2x'"),
        ("Properties=species:S:1:pos:R:3:move_mask:L:1", "Cu 0 0 0 T\nCu 2 0 0 maybe\n", "line 4 .*'maybe'"),
        (f"Lattice='5 5 5' {FORCES}", ROWS, "Lattice='5 5 5' is not nine numbers"),
        (f"Lattice='[[5,0,0],[1,5,0],[0,0,5]]' {FORCES}", ROWS, "nested list"),
        (f"Lattice=none {FORCES}", ROWS, "not nine numbers"),
        ("x" * (1 << 23), ROWS, "more than the"),
    ],
)  # fmt: skip
def test_frames_that_contradict_themselves_are_refused(tmp_path, header, rows, reason):
    with pytest.raises(DataError, match=reason) as caught:
        frame(tmp_path, header, rows, asked=("forces", "REF"))
    assert caught.value.frame == 0
    assert "line " in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_what_others_write_is_understood(tmp_path):
    """Columns behind plain XYZ, free text, keys that differ in case without a meaning, spaces around =, VEC lines."""
    atoms = frame(tmp_path, "water's energy, the the", "Cu 0 0 0 0.5 1\nCu 2 0 0 0.1 2\n")
    np.testing.assert_array_equal(atoms.positions[1], [2, 0, 0])
    atoms = frame(tmp_path, f"{FORCES} T=300 t=0.5 energy = -2 note='a=b' flag [x y]=3")
    assert (atoms.info["T"], atoms.info["t"], atoms.info["note"], atoms.info["flag"]) == (300, 0.5, "a=b", True)
    assert atoms.calc.results["energy"] == -2
    atoms = frame(tmp_path, "", "Cu 0 0 0\nCu 2 0 0\nVEC1 4 0 0\nVEC2 0 5 0\n")
    assert atoms.pbc.tolist() == [True, True, False]
    np.testing.assert_array_equal(atoms.cell.lengths(), [4, 5, 0])
    with pytest.raises(DataError, match=r"line 5 .*VEC1"):
        frame(tmp_path, "", "Cu 0 0 0\nCu 2 0 0\nVEC2 4 0 0\n")
    both = frame(tmp_path, "Properties=Z:I:1:pos:R:3:species:S:1", "29 0 0 0 cu\n8 2 0 0 O\n")
    assert both.numbers.tolist() == [29, 8]
    fixed = frame(tmp_path, "Properties=species:S:1:pos:R:3:move_mask:I:1", "Cu 0 0 0 0\nCu 2 0 0 1\n")
    assert [type(one) for one in fixed.constraints] == [FixAtoms]
    assert fixed.constraints[0].index.tolist() == [0]


def test_columns_and_keys_that_nobody_asks_for_never_stop_a_frame(tmp_path):
    header = f"{FORCES}:magmoms:R:1:tag:I:1 energy=-1 stress=None dipole='a b' free_energy=[[1,2],3] virial='1 2 3'"
    rows = "Cu 0 0 0 0.1 0.2 0.3 None x\nCu 2 0 0 -0.1 -0.2 -0.3 *** y\n"
    atoms = frame(tmp_path, header, rows, asked=("energy", "forces"))
    np.testing.assert_array_equal(atoms.calc.results["forces"][0], [0.1, 0.2, 0.3])
    with pytest.raises(DataError, match=r"line 3 .*magmoms has 'None'"):
        frame(tmp_path, header, rows, asked=("magmoms",))


@pytest.mark.parametrize("text", ["[1, 2, 3]", "{1 2 3}", "1 2 3", "1,2,3", "_JSON [1, 2, 3]", "(1 2 3)", "[1 2 3]"])
def test_numbers_in_any_brackets_are_numbers(text):
    np.testing.assert_array_equal(read_header(f'q="{text}"', ()).info["q"], [1, 2, 3])


@pytest.mark.parametrize(("count", "reason"), [(10**9, "more than a file"), (3, "truncated: 2 of 3")])
def test_announced_atoms_are_held_against_the_size_of_the_file(tmp_path, count, reason):
    with pytest.raises(DataError, match=reason):
        frame(tmp_path, LATTICE, "Cu 0 0 0\nCu 1 0 0\n", count=count)


@pytest.mark.parametrize("opener", [gzip, bz2, lzma])
def test_compressed_files_are_read_by_content_and_do_not_swell(tmp_path, opener):
    path = tmp_path / "x.xyz"
    path.write_bytes(opener.compress(b"1\n\nCu 0 0 0\n"))
    assert len(list(iter_extxyz(path))) == 1
    path.write_bytes(opener.compress(bytes(70 << 20)))
    with pytest.raises(DataError, match="unpacks to more than 64 MiB"):
        list(iter_extxyz(path))


def test_quotes_and_nesting_cost_no_more_than_their_length():
    for line in ('a="' * 20000, "a=[[" * 20000, "\\" * 40000, "'\"{[" * 20000, 'a="_JSON ' + "[" * 50000 + '"'):
        assert read_header(line, ()).pbc == (False, False, False)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Properties=species:S:1:pos:R:3:" + ":".join(f"c{k}:R:1" for k in range(100_000)), "4 columns where"),
        ("Properties=" + "a:R:1:" * 100_000 + "pos:R:3", "has the column 'a' twice"),
        ("Properties=species:S:1:pos:R:3:" + 2 * ("x" * 1_000_000 + ":R:1:") + "y:R:1", "has the column 'xxx"),
        (2 * ("x" * 1_000_000 + "=1 "), "the key 'xxx"),
        ("q=" + "1" * 4_200_000, "more than the 4194304 that are read"),
    ],
)
def test_long_lines_of_keys_are_refused_in_few_words(tmp_path, header, reason):
    """The first would take very long if columns were compared with each other."""
    with pytest.raises(DataError, match=reason) as refused:
        frame(tmp_path, header, "H 0 0 0\n", 1)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("header", [" ".join(f"k{k}=1" for k in range(20_000)), "x" * 1_000_000])
def test_many_or_long_names_are_not_all_shown(tmp_path, header):
    path = tmp_path / "x.extxyz"
    path.write_text(f"1\n{header}\nH 0 0 0\n")
    with pytest.raises(DataError, match="no energy under the key") as refused:
        read_frames(path)
    assert len(str(refused.value)) < 2000


def test_json_values_survive(tmp_path):
    nested = {"a": [1, {"b": "c d"}]}
    text = io.StringIO()
    write(text, Atoms("H", info={"q_nested": nested}), format="extxyz")
    (tmp_path / "x.xyz").write_text(text.getvalue())
    ((_, atoms),) = iter_extxyz(tmp_path / "x.xyz")
    assert json.dumps(atoms.info["q_nested"]) == json.dumps(nested)
