"""Metadata that are not those of the program are found, also where somebody forged the digests."""

import json
from pathlib import Path

import pytest
from ase.build import molecule
from support.archives import UNSIGNED, read_member, rewrite
from support.toy_potential import export_toy

import mlff
from mlff.artifacts import ArtifactError
from mlff.potential.artifact.self_test import PotentialSelfTest

METADATA, SELF_TEST = "extra/metadata.json", "extra/self_test.json"


def forged(source: Path, target: Path, metadata=None, self_test=None, signed=False) -> Path:
    """Fields of the two texts replaced."""
    changes = dict(UNSIGNED) if not signed else {}
    for member, fields in ((METADATA, metadata), (SELF_TEST, self_test)):
        changes[member] = json.dumps(json.loads(read_member(source, member)) | (fields or {})).encode()
    return rewrite(source, target, changes)


@pytest.fixture(scope="module")
def direct(tmp_path_factory) -> Path:
    """A toy whose forces are declared as direct ones."""
    return export_toy(tmp_path_factory.mktemp("direct") / "direct.pt", conservative=False)


def built(source: Path, **fields):
    return json.loads(read_member(source, METADATA))["architecture"] | fields


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_honest_file(toy_file, tmp_path, dtype):
    report = mlff.load(forged(toy_file, tmp_path / "model.pt"), dtype=dtype).self_test()
    assert report.frames == 7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cutoff", [2.0, 4.5, 8.0])
def test_cutoff(toy_file, tmp_path, cutoff, dtype):
    """Smaller: the self-test misses neighbours. Larger: two atoms just within it do not feel each other."""
    with pytest.raises(ArtifactError, match="network was built for 4"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", {"cutoff": cutoff}))
    lie = {"cutoff": cutoff, "architecture": built(toy_file, cutoff=cutoff)}
    with pytest.raises(ArtifactError, match="self-test failed" if cutoff < 4 else "no two atoms feel each other"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", lie), dtype=dtype)


def test_species(toy_file, tmp_path):
    energies = json.loads(read_member(toy_file, SELF_TEST))["isolated_energies"]
    lie = {"species": [1, 6, 8, 29, 79]}
    with pytest.raises(ArtifactError, match="network was built for"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", lie))
    lie["architecture"] = built(toy_file, species=lie["species"])
    with pytest.raises(ArtifactError, match=r"elements .* are claimed"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", lie))
    with pytest.raises(ArtifactError, match=r"Z=79 has -2\.9 eV, and the file says -7\.9 eV"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", lie, {"isolated_energies": energies | {"79": -7.9}}))


def test_outputs(toy_file, tmp_path):
    for outputs in (["energy", "energies"], ["energy", "energies", "forces", "dipole"]):
        with pytest.raises(ArtifactError, match="has the outputs"):
            mlff.load(forged(toy_file, tmp_path / "model.pt", {"outputs": outputs}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conservative(toy_file, tmp_path, dtype):
    """A program whose forces are half of the derivative, with a self-test that agrees with it."""
    code = read_member(toy_file, "code/__torch__/support/toy_potential.py")
    halved = code.replace(b'"forces", _40)', b'"forces", torch.mul(_40, 0.5))')
    assert halved != code
    frames = json.loads(read_member(toy_file, SELF_TEST))["frames"]
    for frame in frames:
        frame["results"]["forces"] = [[0.5 * x for x in row] for row in frame["results"]["forces"]]
    path = forged(toy_file, tmp_path / "model.pt", None, {"frames": frames})
    path = rewrite(path, tmp_path / "halved.pt", {"code/__torch__/support/toy_potential.py": halved})
    with pytest.raises(ArtifactError, match="conservative forces are claimed"):
        mlff.load(path, dtype=dtype)


def test_stress_of_direct_forces(direct, tmp_path):
    mlff.load(direct)
    with pytest.raises(ArtifactError, match="a stress needs conservative forces"):
        mlff.load(forged(direct, tmp_path / "model.pt", {"outputs": ["energy", "energies", "forces", "stress"]}))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_tolerance(toy_file, tmp_path, precision):
    tolerances = {"float32": 1e-4, "float64": 1e-8, precision: 0.02}
    with pytest.raises(ArtifactError, match="tolerances"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", None, {"tolerances": tolerances}))


@pytest.mark.parametrize(
    "change",
    [{"metadata": {"licence": "CC0"}}, {"self_test": {"tolerances": {"float64": 1e-7, "float32": 1e-4}}}],
)
def test_digests(toy_file, tmp_path, change):
    """What contradicts nothing is found by the SHA-256 in the file."""
    with pytest.raises(ArtifactError, match="is not what the file was written with"):
        mlff.load(forged(toy_file, tmp_path / "model.pt", **change, signed=True))
    model = mlff.load(forged(toy_file, tmp_path / "model.pt", **change))
    assert model.evaluate(model.graph(molecule("H2O")))["forces"].shape == (3, 3)


def test_digests_that_are_none(toy_file, tmp_path):
    for text in (b"[]", b"{", b"{}", b"\xff"):
        with pytest.raises(ArtifactError, match=r"SHA-256|sha256\.json is damaged"):
            mlff.load(rewrite(toy_file, tmp_path / "model.pt", {"extra/sha256.json": text}))


def test_once_for_each_content_and_dtype(toy_file, tmp_path, monkeypatch):
    """Metadata are held against the program at the first verified load of a file, the self-test is repeated at all."""
    judged, tested = [], []
    check, run = PotentialSelfTest.check_metadata, PotentialSelfTest.entries
    monkeypatch.setattr(PotentialSelfTest, "check_metadata", lambda *given: (judged.append(given), check(*given)))
    monkeypatch.setattr(PotentialSelfTest, "entries", lambda *given: (tested.append(given), run(*given))[1])
    path, same = forged(toy_file, tmp_path / "model.pt", {"description": "read once"}), tmp_path / "same.pt"
    same.write_bytes(path.read_bytes())
    for file, settings, expected in (
        (path, {"verify": False}, (0, 0)),
        (path, {}, (1, 1)),
        (path, {}, (1, 2)),
        (same, {}, (1, 3)),
        (path, {"dtype": "float64"}, (2, 4)),
    ):
        model = mlff.load(file, **settings)
        assert (len(judged), len(tested)) == expected
    model.self_test()
    assert len(judged) == 3  # whoever asks for it gets the whole of it
    forged(toy_file, path, {"cutoff": 4.5, "architecture": built(toy_file, cutoff=4.5)})
    for _ in range(2):
        with pytest.raises(ArtifactError, match="no two atoms feel each other"):
            mlff.load(path)
