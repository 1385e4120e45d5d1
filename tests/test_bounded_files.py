"""YAML and npz files take no more than they say, and whatever they hold ends in one kind of error."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from mlff.data import DataError, DataUnits, read_frames
from mlff.support.errors import ConfigError
from mlff.support.npz import read_arrays
from mlff.support.settings import Section, parsed_changes, read_mapping, validated

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 12))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, r"\*a0 is an alias"),
        ("a: &x {b: *x}", "is an alias"),
        ("<<: &x {a: 1}\nb: *x", "is an alias"),
        ("a: 1\na: 2", "the key 'a' stands twice .*line 2"),
        ("a: {b: 1, c: 2, b: 3}", "the key 'b' stands twice"),
        ("a: [" * 5000, "recursion|not valid"),
        ("a: " + "9" * 5000, "digits"),
        ("a: 2001-13-45", "month"),
        ("? [1]\n: 2", "unhashable"),
        ("!!python/object/apply:os.system ['x']", "constructor"),
        ("a: \0", "characters"),
        ("- 1", "expected fields"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        read_mapping(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_yaml_of_the_command_line() -> None:
    assert parsed_changes(["a=[1, 2]", "b=x"]) == {"a": [1, 2], "b": "x"}
    with pytest.raises(ConfigError, match=r"--set a=.*alias"):
        parsed_changes(["a=[&x 1, *x]"])


class Numbers(Section):
    value: float = 0.0
    several: dict[str, float] = Field(default_factory=dict)


@pytest.mark.parametrize("text", ["value: .inf", "value: -.inf", "value: .nan", "several: {a: 1.0, b: .inf}"])
def test_numbers_of_configurations_are_finite(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match="finite number"):
        validated(Numbers, read_mapping(tmp_path / "x.yaml"), "x.yaml")


def member(shape: str, descr: str = "<f8", content: bytes = b"") -> bytes:
    """An npy file with that header."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    ("shape", "descr"),
    [("(10000000000000,)", "<f8"), ("(100000000,)", "<f8"), ("(-1,)", "<f8"), ("(3,)", "|S2000000000"), ("()", "|O"),
     ("(2,)", "<f8"), ("(100000000000, 1)", "<f8"), ("(4611686018427387904, 4)", "<f8")],
)  # fmt: skip
def test_arrays_larger_than_their_bytes_are_refused(tmp_path: Path, shape: str, descr: str) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("R.npy", member(shape, descr, bytes(8)))
    with pytest.raises(DataError, match=r"x\.npz: not a readable npz file"):
        read_frames(path, units=DataUnits(energy="eV"))


def test_archives_that_swell_and_doubled_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("R.npy", member("(9000000,)", content=bytes(72_000_000)))
    with pytest.raises(ValueError, match="many times larger"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("R.npy", member("(1,)", content=bytes(8)))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("R.npy", member("(1,)", content=bytes(range(8))))
    with pytest.raises(ValueError, match="twice"):
        read_arrays(path)


def test_what_nobody_needs_is_not_read(tmp_path: Path) -> None:
    arrays = {"z": np.array([1, 1]), "R": np.zeros((2, 2, 3)), "E": np.zeros(2), "F": np.zeros((2, 2, 3))}
    arrays["R"][:, 1] = 1.0
    np.savez(tmp_path / "x.npz", **arrays, notes=np.array([object()]))
    assert len(read_frames(tmp_path / "x.npz", units=DataUnits(energy="eV"))) == 2
    np.savez(tmp_path / "x.npz", **arrays | {"R": arrays["R"].astype(complex)})
    with pytest.raises(DataError, match="complex128"):
        read_frames(tmp_path / "x.npz", units=DataUnits(energy="eV"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2000), cut=st.integers(0, 40), new=st.binary(max_size=8))
def test_damaged_npz_files_are_refused_or_whole(tmp_path: Path, place: int, cut: int, new: bytes) -> None:
    stream = io.BytesIO()
    np.savez(stream, z=np.array([1, 1]), R=np.arange(12.0).reshape(2, 2, 3), E=np.zeros(2), F=np.zeros((2, 2, 3)))
    raw = stream.getvalue()
    place %= len(raw)
    (tmp_path / "x.npz").write_bytes(raw[:place] + new + raw[place + cut :])
    try:
        frames = read_frames(tmp_path / "x.npz", units=DataUnits(energy="eV"))
    except DataError:
        return
    assert [frame.forces.shape for frame in frames] == [(2, 3)] * 2
