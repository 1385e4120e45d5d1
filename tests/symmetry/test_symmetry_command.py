"""``mlff symmetry table`` and ``mlff symmetry group``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk, molecule
from ase.io import write
from typer.testing import CliRunner

from mlff.cli import app


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["symmetry", *map(str, arguments)], catch_exceptions=False)
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def test_a_subgroup_gets_a_row_for_each_class() -> None:
    status, text, _ = run("table", "Oh", "C2v", "--json")
    content = json.loads(text)
    assert (status, content["group"], content["operations"]) == (0, "Oh", 48)
    assert [row["size"] for row in content["breaking_sets"]] == [12, 12, 12]
    assert len({row["content"] for row in content["breaking_sets"]}) == 3
    (row,) = json.loads(run("table", "Oh", "C4v", "--json")[1])["breaking_sets"]
    assert (row["size"], row["ideal"], row["irreps"], row["stabiliser"]) == (6, True, "1o", "C4v")


def test_a_group_alone_gets_its_characters_and_all_subgroups() -> None:
    content = json.loads(run("table", "D3h", "--json")[1])
    assert content["irreps"]["E′"] == [2, -1, 0, -1, 2, 0]
    assert len(content["breaking_sets"]) == 9
    status, text, _ = run("table", "C3h")
    assert status == 0
    assert "a circle" in text
    assert "E″" in text


def test_molecules_and_crystals(tmp_path: Path) -> None:
    write(tmp_path / "benzene.xyz", molecule("C6H6"))
    write(tmp_path / "salt.cif", bulk("NaCl", "rocksalt", a=5.64, cubic=True))
    status, text, _ = run("group", tmp_path / "benzene.xyz", "--json")
    content = json.loads(text)
    assert (status, content["point_group"], len(content["matrices"])) == (0, "D6h", 24)
    assert content["deviation_A"] <= content["tolerance_A"] == 0.01
    content = json.loads(run("group", tmp_path / "salt.cif", "--json", "--require", "Fm-3m")[1])
    assert (content["number"], content["point_group"]) == (225, "Oh")
    assert [site["wyckoff"] for site in content["sites"]] == ["4a", "4b"]
    assert "D6h" in run("group", tmp_path / "benzene.xyz", "--require", "D3h")[1]
    assert "Oh" in run("group", tmp_path / "salt.cif")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table", "Q"], "unknown point group `Q`"),
        (["table", "D6hh"], "did you mean `D6h`?"),
        (["table", "Oh", "D5"], "D5 is no subgroup of Oh; its subgroups are"),
        (["table", "D∞h"], "infinitely many operations"),
        (["group", "no.xyz"], "no such file"),
        (["group", "co2.xyz", "--require", "D2h"], "co2.xyz: a linear molecule has infinitely many operations"),
        (["group", "benzene.xyz", "--require", "Td"], "benzene.xyz: not Td within 0.01 Å: the point group is D6h"),
        (["group", "benzene.xyz", "--index", "3"], "benzene.xyz: has no frame 3"),
        (["group", "salt.cif", "--require", "227"], "salt.cif: not 227 within 0.01 Å: the space group is Fm-3m (225)"),
        (["group", "benzene.xyz", "--tolerance", "2"], "cannot be told apart"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write("benzene.xyz", molecule("C6H6"))
    write("co2.xyz", molecule("CO2"))
    write("salt.cif", bulk("NaCl", "rocksalt", a=5.64))
    status, _, error = run(*arguments)
    assert status == 2
    assert message in error
    assert error.startswith("error: ")


def test_symmetry_of_structures_needs_no_torch() -> None:
    program = (
        "import sys, mlff.symmetry as s; s.point_group, s.space_group; import mlff.cli; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
