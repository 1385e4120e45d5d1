"""What a file says about itself."""

import hashlib
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
import torch
from pydantic import ValidationError
from support.toy_potential import export_toy, toy_potential

import mlff
from mlff.artifacts import ArtifactError, file_sha256
from mlff.artifacts.metadata import build_metadata, parse_metadata
from mlff.potential.artifact.metadata import UNITS, ArtifactMetadata

FACTS = {"cutoff": 4.0, "species": [1, 8], "dtype": "float32", "conservative": True, "outputs": ["energy"]}


def test_round_trip_through_a_file(toy_file):
    about = mlff.load(toy_file).metadata
    assert about.schema_version == 1
    assert (about.kind, about.payload, about.dtype) == ("potential", "torchscript", "float32")
    assert about.units == UNITS
    assert (about.species, about.symbols) == ((1, 6, 8, 29), ("H", "C", "O", "Cu"))
    assert (about.cutoff, about.max_neighbors, about.conservative) == (4.0, None, True)
    assert about.outputs == ("energy", "energies", "forces", "stress")
    assert (about.name, about.description, about.licence) == ("toy", "pairs", "MIT")
    (data,) = about.training_data
    assert (data.name, data.licence, data.sha256, data.frames) == ("rattled copper", "MIT", "0" * 64, 12)
    assert data.model_extra == {"temperature": 300}
    assert about.training_config == {"epochs": 3, "lr": [1e-3, 1e-4]}
    assert about.extra == {"note": "ä"}
    assert about.architecture["cutoff"] == 4.0
    assert about.num_parameters == 8
    assert about.versions["torch"] == torch.__version__
    assert about.created.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - about.created) < timedelta(hours=1)


def test_json_round_trip():
    about = build_metadata(ArtifactMetadata, {"training_data": [{"name": "a"}, {"name": "b", "frames": 2}]}, FACTS)
    assert parse_metadata(about.model_dump_json(), "file") == about
    assert [data.name for data in about.training_data] == ["a", "b"]


def test_frozen(toy_file):
    with pytest.raises(ValidationError):
        mlff.load(toy_file, verify=False).metadata.cutoff = 5.0


@pytest.mark.parametrize(
    ("author", "message"),
    [
        ({"license": "MIT"}, r"unknown metadata fields \['license'\]"),
        ({"cutoff": 3.0}, "unknown metadata fields"),
        ({"training_data": {"licence": "MIT"}}, r"training_data.0.name: Field required"),
        ({"training_data": {"name": "a", "sha256": "abc"}}, r"training_data.0.sha256"),
        ({"training_config": {"seed": object()}}, "cannot be written as JSON"),
        ({"extra": {"loss": float("nan")}}, "cannot be written as JSON"),
        ({"name": 3}, "name: Input should be a valid string"),
    ],
)
def test_wrong_author_metadata(tmp_path, author, message):
    with pytest.raises(ArtifactError, match=message):
        mlff.export(toy_potential(), tmp_path / "model.pt", metadata=author)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema 2 is newer than 1.*update"),
        ({"schema_version": None}, "no valid schema_version"),
        ({"schema_version": True}, "no valid schema_version"),
        ({"kind": "nonsense"}, r"kind: unknown kind of model `nonsense`: choose from jump, potential"),
        ({"kind": ["jump"]}, "kind: unknown kind of model"),
        ({"kind": "jump"}, "lag_times: Field required"),
        ({"lag_time": 100.0}, "lag_time: Extra inputs"),
        ({"units": {**UNITS, "energy": "kcal/mol"}}, "units must be"),
        ({"cutoff": -1.0}, "cutoff: "),
        ({"cutoff": None}, "cutoff: "),
        ({"species": []}, "species: .*at least one element"),
        ({"species": [1, 1]}, "species: .*twice"),
        ({"species": [0]}, "species: .*not atomic numbers"),
        ({"max_neighbors": 0}, "max_neighbors: "),
        ({"dtype": "float16"}, "dtype: "),
        ({"outputs": ["nonsense"]}, "outputs.*unknown quantity `nonsense`"),
        ({"created": "2026-01-01T00:00:00"}, "created: .*timezone"),
        ({"surprise": 1}, "surprise: Extra inputs are not permitted"),
    ],
)
def test_wrong_metadata_in_a_file(change, message):
    fields = json.loads(build_metadata(ArtifactMetadata, None, FACTS).model_dump_json())
    with pytest.raises(ArtifactError, match=rf"^model\.pt: .*{message}"):
        parse_metadata(json.dumps(fields | change), "model.pt")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"cutoff": 3}'])
def test_metadata_that_is_no_metadata(text):
    with pytest.raises(ArtifactError, match=r"^model\.pt: metadata\.json"):
        parse_metadata(text, "model.pt")


def test_files_from_before_jump_models_are_read():
    about = build_metadata(ArtifactMetadata, None, FACTS)
    fields = json.loads(about.model_dump_json()) | {"lag_time": None}
    assert parse_metadata(json.dumps(fields), "model.pt") == about


def test_hash(tmp_path, toy_file):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert mlff.load(toy_file).sha256 == hashlib.sha256(toy_file.read_bytes()).hexdigest() == file_sha256(toy_file)
    with pytest.raises(FileNotFoundError, match="no such file"):
        file_sha256(tmp_path / "none")


def test_file_does_not_tell_where_it_was_made(tmp_path):
    import support.toy_potential as module

    path = export_toy(tmp_path / "model.pt")
    folders = [str(tmp_path).encode(), module.__file__.encode()]
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert not any(folder in archive.read(name) for folder in folders), name


def test_schema_covers_the_promises():
    promised = {
        "schema_version",
        "kind",
        "payload",
        "units",
        "cutoff",
        "max_neighbors",
        "species",
        "dtype",
        "conservative",
    }
    promised |= {
        "outputs",
        "training_data",
        "training_config",
        "versions",
        "created",
        "description",
        "licence",
    }
    assert promised <= set(ArtifactMetadata.model_fields)
