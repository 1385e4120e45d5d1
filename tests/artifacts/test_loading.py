"""Files that are not models, or damaged, are refused with a clear message and without executing anything."""

import io
import json
import os
import pickle
import shutil
import warnings
import zipfile

import pytest
import torch
from support.archives import rewrite
from support.toy_potential import export_toy, toy_potential

import mlff
from mlff.artifacts import ArtifactError, ArtifactNotFoundError, container, names
from mlff.artifacts.container import METADATA, SELF_TEST
from mlff.artifacts.torchscript import TorchScriptPayload


class Malicious:
    """Unpickling makes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def edit_json(source, target, member, **fields):
    with zipfile.ZipFile(source) as archive:
        content = json.loads(archive.read(f"archive/extra/{member}"))
    return rewrite(source, target, {f"extra/{member}": json.dumps(content | fields).encode()})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.pt"


def test_rewriting_alone_changes_nothing(toy_file, path):
    assert mlff.load(rewrite(toy_file, path, {})).self_test().frames == 7


def test_malicious_pickles_do_what_they_say(tmp_path):
    """Otherwise the next two tests would show nothing."""
    pickle.loads(pickle.dumps(Malicious(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_save_are_refused_unopened(tmp_path, path, zipped):
    torch.save({"weights": Malicious(tmp_path / "marker")}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ArtifactError, match=r"pickle.*was not opened"):
        mlff.load(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl"])
def test_pickles_inside_of_an_archive_are_not_executed(tmp_path, toy_file, path, member):
    rewrite(toy_file, path, {member: pickle.dumps(Malicious(tmp_path / "marker"), protocol=2)})
    with pytest.raises(ArtifactError, match="cannot read the TorchScript"):
        mlff.load(path, verify=False)
    assert not (tmp_path / "marker").exists()


def test_pickled_module_with_metadata_is_refused(tmp_path, toy_file, path):
    """A file of torch.save that pretends: metadata, but no TorchScript code."""
    rewrite(toy_file, path, {"constants.pkl": None, "data.pkl": pickle.dumps(Malicious(tmp_path / "marker"))})
    with pytest.raises(ArtifactError, match=r"written by torch\.save"):
        mlff.load(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"not a model", "not a model file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"PK\x03\x04" + 100 * b"x", "truncated or damaged"),
    ],
)
def test_other_files(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"model\.pt: .*{message}"):
        mlff.load(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_truncated(toy_file, path, kept):
    data = toy_file.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(ArtifactError, match="truncated or damaged"):
        mlff.load(path)


def test_flipped_bit_in_a_weight(toy_file, path):
    data = bytearray(toy_file.read_bytes())
    with zipfile.ZipFile(toy_file) as archive:
        weights = archive.read("archive/data/0")
    where = data.find(weights)
    data[where] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="damaged at archive/data/0"):
        mlff.load(path)


def compressed(source, target, method, extra=None):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        if extra is not None:
            new.writestr(*extra)
    return target


def test_deflated(toy_file, path):
    """What zip makes of an unpacked model."""
    assert mlff.load(compressed(toy_file, path, zipfile.ZIP_DEFLATED)).self_test().frames == 7


def test_deflated_and_damaged(toy_file, path):
    """Members that do not inflate are damaged; nothing else is raised."""
    data = compressed(toy_file, path, zipfile.ZIP_DEFLATED).read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.file_size > 500]
    for member in members:
        start = member.header_offset + 30 + len(member.filename)  # behind a header of 30 bytes and the name
        for where in range(start, start + member.compress_size, 40):
            changed = bytearray(data)
            changed[where] ^= 0xFF
            path.write_bytes(changed)
            with pytest.raises(ArtifactError, match=r"model\.pt: .*damaged"):
                mlff.load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_torch_does_not_use(toy_file, path, method):
    with pytest.raises(ArtifactError, match="not a model file"):
        mlff.load(compressed(toy_file, path, method))


def test_members_that_would_inflate_beyond_measure(toy_file, path, monkeypatch):
    monkeypatch.setattr(container, "_LARGEST_TEXT", 2**20)
    compressed(toy_file, path, zipfile.ZIP_DEFLATED, ("archive/code/zeros.py", bytes(2**20)))
    assert path.stat().st_size < 2**16
    with pytest.raises(ArtifactError, match="implausibly large"):
        mlff.load(path, verify=False)


def test_zip_of_something_else(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/readme.txt", "hello")
    with pytest.raises(ArtifactError, match="not a model file"):
        mlff.load(path)


def test_a_member_without_name(toy_file, path):
    """What a zero byte at the beginning makes of a name."""
    path.write_bytes(toy_file.read_bytes().replace(b"archive/version", b"\0rchive/version"))
    with pytest.raises(ArtifactError, match="none has a member ''"):
        mlff.load(path)


def test_two_folders_in_one_archive(toy_file, path):
    """torch and the checks could read different members."""
    shutil.copy(toy_file, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/extra/metadata.json", "{}")
    with pytest.raises(ArtifactError, match="not a model file"):
        mlff.load(path)


def test_torchscript_without_metadata(path):
    path.write_bytes(TorchScriptPayload().dump(TorchScriptPayload().script(toy_potential()), {}))
    with pytest.raises(ArtifactError, match=r"holds no metadata\.json.*not written by mlff\.export"):
        mlff.load(path)


def test_without_self_test(toy_file, path):
    with pytest.raises(ArtifactError, match=r"holds no self_test\.json"):
        mlff.load(rewrite(toy_file, path, {"extra/self_test.json": None}), verify=False)


def test_invalid_metadata(toy_file, path):
    with pytest.raises(ArtifactError, match=r"metadata\.json is not valid JSON"):
        mlff.load(rewrite(toy_file, path, {"extra/metadata.json": b"{"}))
    with pytest.raises(ArtifactError, match=r"metadata\.json is damaged"):
        mlff.load(rewrite(toy_file, path, {"extra/metadata.json": b"\xff\xfe"}))
    with pytest.raises(ArtifactError, match="cutoff"):
        mlff.load(edit_json(toy_file, path, METADATA, cutoff=-1))


def test_newer_schema(toy_file, path):
    edit_json(toy_file, path, METADATA, schema_version=7, unheard_of=1)
    with pytest.raises(ArtifactError, match="schema 7 is newer"):
        mlff.load(path)


def test_unknown_payload(toy_file, path):
    edit_json(toy_file, path, METADATA, payload="aoti")
    with pytest.raises(ArtifactError, match=r"unknown payload 'aoti'; this mlff reads \['torchscript'\]"):
        mlff.load(path)


@pytest.mark.parametrize("change", [{"frames": []}, {"isolated_energies": {}}, {"tolerances": {"float32": 1.0}}])
def test_invalid_self_test(toy_file, path, change):
    edit_json(toy_file, path, SELF_TEST, **change)
    with pytest.raises(ArtifactError, match=r"wrong self_test\.json"):
        mlff.load(path)


def test_self_test_finds_other_weights(toy_file, tmp_path, path):
    """The weights of one model with the outputs of another."""
    other = export_toy(tmp_path / "other.pt", species=(1, 6, 8, 78))
    weights = zipfile.ZipFile(other).read("archive/data/0"), zipfile.ZipFile(other).read("archive/data/1")
    rewrite(toy_file, path, {"data/0": weights[0], "data/1": weights[1]})
    with pytest.raises(ArtifactError, match=r"self-test failed: \w+ of '.*' deviates"):
        mlff.load(path)
    model = mlff.load(path, verify=False)
    with pytest.raises(ArtifactError, match="self-test failed"):
        model.self_test()


def test_self_test_reports(toy_file):
    report = mlff.load(toy_file, dtype="float64", verify=False).self_test()
    assert report.frames == 7
    assert set(report.deviations) == {"energy", "energies", "forces", "stress"}
    assert max(report.deviations.values()) <= report.tolerance == 1e-8
    single = mlff.load(toy_file, verify=False).self_test()
    assert 1e-8 < max(single.deviations.values()) <= single.tolerance  # float32 is really computed in float32


def test_missing_file(tmp_path):
    for missing in (tmp_path / "none.pt", str(tmp_path / "none.pt"), "none.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no such file|holds no model"):
            mlff.load(missing)


def test_devices_and_dtypes(toy_file, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArtifactError, match=r"'cuda' was asked for.*sees no CUDA GPU; use device='cpu'"):
        mlff.load(toy_file, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ArtifactError, match="'cuda:3' was asked for, but there are 1"):
        mlff.load(toy_file, device="cuda:3")
    with pytest.raises(ArtifactError, match="not on 'mps'"):
        mlff.load(toy_file, device="mps")
    with pytest.raises(ArtifactError, match="'gpu' is no device"):
        mlff.load(toy_file, device="gpu")
    with pytest.raises(ValueError, match="not in float16"):
        mlff.load(toy_file, dtype=torch.float16)


@pytest.fixture
def checkpoints(tmp_path, monkeypatch, toy_file):
    """A package in a source checkout with one shipped model."""
    monkeypatch.setattr(names, "_PACKAGE", tmp_path / "mlff")
    folder = tmp_path / "checkpoints" / "toy-cu"
    folder.mkdir(parents=True)
    shutil.copy(toy_file, folder / "model.pt")
    (tmp_path / "checkpoints" / "unfinished").mkdir()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_shipped_names(checkpoints, monkeypatch):
    model_file = checkpoints / "checkpoints" / "toy-cu" / "model.pt"
    assert mlff.available() == ["toy-cu"]
    assert mlff.load("toy-cu").path == model_file
    assert mlff.load(model_file.parent).path == model_file
    monkeypatch.chdir(checkpoints)
    assert mlff.load("checkpoints/toy-cu", verify=False).path == model_file
    assert mlff.load("checkpoints/toy-cu/model.pt", verify=False).path == model_file


def test_unknown_name_lists_the_known_ones(checkpoints):
    with pytest.raises(ArtifactNotFoundError, match="toy-ag`: choose from toy-cu; did you mean `toy-cu`"):
        mlff.load("toy-ag")


def test_installed_package(checkpoints):
    """Models inside of the package come first; a foreign folder beside site-packages does not count."""
    inside = checkpoints / "mlff" / "_checkpoints"
    for name in ("toy-cu", "toy-ag"):
        (inside / name).mkdir(parents=True)
        shutil.copy(checkpoints / "checkpoints" / "toy-cu" / "model.pt", inside / name / "model.pt")
    assert mlff.available() == ["toy-ag", "toy-cu"]
    assert mlff.load("toy-cu", verify=False).path.parent.parent == inside
    shutil.rmtree(inside)
    (checkpoints / "pyproject.toml").unlink()
    assert mlff.available() == []
    with pytest.raises(ArtifactNotFoundError, match="none"):
        mlff.load("toy-cu")


def test_a_file_may_be_called_like_a_name(checkpoints, monkeypatch):
    monkeypatch.chdir(checkpoints)
    shutil.copy(checkpoints / "checkpoints" / "toy-cu" / "model.pt", checkpoints / "mine")
    assert mlff.load("mine", verify=False).path == checkpoints / "mine"


def test_archive_opens_with_plain_torch(toy_file):
    """Any libtorch program can open the file and read the metadata."""
    extra = {METADATA: "", SELF_TEST: ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(io.BytesIO(toy_file.read_bytes()), _extra_files=extra)
    assert json.loads(extra[METADATA])["cutoff"] == 4.0
    assert len(json.loads(extra[SELF_TEST])["frames"]) == 7
    assert not module.training
