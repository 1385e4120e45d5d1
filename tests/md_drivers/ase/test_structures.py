"""Reading of structure files."""

from __future__ import annotations

import gzip

import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import write

from md_drivers import StructureError
from md_drivers.ase.structures import collect_structures, read_structures


@pytest.fixture
def path(tmp_path):
    """Four frames of 1 to 4 Cu atoms."""
    path = tmp_path / "chain.traj"
    write(path, [Atoms(f"Cu{n}", positions=[[0, 0, 2.5 * k] for k in range(n)]) for n in range(1, 5)])
    return path


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ("", {"chain": 4}),
        ("@0", {"chain": 1}),
        ("@-2", {"chain": 3}),
        ("@:", {"chain-0": 1, "chain-1": 2, "chain-2": 3, "chain-3": 4}),
        ("@1:3", {"chain-0": 2, "chain-1": 3}),
        ("@::2", {"chain-0": 1, "chain-1": 3}),
    ],
)
def test_frames_are_selected_as_in_ase(path, selection, expected):
    assert {name: len(atoms) for name, atoms in read_structures(f"{path}{selection}")} == expected


def test_an_at_sign_in_a_file_name_is_no_selection(tmp_path):
    path = tmp_path / "relaxed@300K.xyz"
    write(path, Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2]]))
    assert [name for name, _ in read_structures(path)] == ["relaxed@300K"]


def test_compressed_files(tmp_path):
    write(tmp_path / "a.xyz", Atoms("Cu"))
    (tmp_path / "a.xyz.gz").write_bytes(gzip.compress((tmp_path / "a.xyz").read_bytes()))
    ((name, atoms),) = read_structures(tmp_path / "a.xyz.gz")
    assert (name, len(atoms)) == ("a", 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.traj", None, "no such file or folder"),
        ("empty.xyz", b"", "is empty"),
        ("noise.xyz", b"two\natoms\n", "cannot read"),
        ("short.xyz", b"3\n\nCu 0 0 0\n", "cannot read"),
        ("config.yaml", b"steps: 3\n", "is not a structure file: these are .*traj"),
        ("noise.traj", b"\x00\x01\x02", "cannot read"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StructureError, match=rf"{name}.*{message}|{message}.*{name}"):
        read_structures(tmp_path / name)


def test_bad_selections_are_named(path):
    with pytest.raises(StructureError, match="@9"):
        read_structures(f"{path}@9")
    with pytest.raises(StructureError, match="no frames"):
        read_structures(f"{path}@9:")


def test_structures_are_copied_named_and_keep_constraints(path):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2]], constraint=FixAtoms([1]))
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    named = collect_structures([atoms, path, f"{path}@0", atoms])
    assert [name for name, _ in named] == ["structure-0", "chain", "chain-2", "structure-3"]
    copied = named[0][1]
    assert copied is not atoms
    assert copied.calc is None
    assert list(copied.constraints[0].index) == [1]
    assert [name for name, _ in collect_structures(atoms)] == ["structure"]


def test_structures_by_name():
    atoms = Atoms("Cu")
    assert [name for name, _ in collect_structures({"a": atoms, "b c": atoms})] == ["a", "b c"]
    for name in ("../a", "", "..", "a/b"):
        with pytest.raises(StructureError, match="cannot name"):
            collect_structures({name: atoms})
    with pytest.raises(StructureError, match="'a' is a int"):
        collect_structures({"a": 3})


def test_other_things_are_no_structures():
    with pytest.raises(StructureError, match="int"):
        collect_structures([3])
    with pytest.raises(StructureError, match="no structures"):
        collect_structures([])


def test_equal_stems_are_named_by_their_folders(tmp_path):
    paths = []
    for folder, count in (("clean", 1), ("covered", 2)):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "slab.traj")
        write(paths[-1], Atoms(f"Cu{count}", positions=[[0, 0, 2.5 * k] for k in range(count)]))
    write(tmp_path / "other.traj", Atoms("Cu"))
    for order in (paths, paths[::-1]):
        named = collect_structures([*order, tmp_path / "other.traj"])
        assert {name: len(atoms) for name, atoms in named} == {"clean-slab": 1, "covered-slab": 2, "other": 1}
