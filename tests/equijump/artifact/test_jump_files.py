"""Files of jump models: what they say, that they jump as the model does, and what is refused."""

import copy
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from support.rounding import rounding
from support.toy_jump import DIPEPTIDE_RESIDUES, toy_jump
from support.toy_potential import export_toy
from typer.testing import CliRunner

import mlff
from mlff.artifacts import ArtifactError, names
from mlff.artifacts.metadata import build_metadata, parse_metadata
from mlff.artifacts.self_test import parse_self_test
from mlff.cli import app
from mlff.equijump.artifact import JumpMetadata, LoadedJump
from mlff.equijump.artifact.cases import make_cases
from mlff.equijump.artifact.metadata import UNITS
from mlff.equijump.artifact.self_test import JumpSelfTest
from mlff.equijump.model import JumpModel
from mlff.proteins import TensorCloud
from mlff.proteins.geometry import GeometryReference
from mlff.testing import JumpLaws
from mlff.transports import EndpointConfig, FollmerConfig, TwoSidedConfig

TOLERANCE = {torch.float64: 1e-10, torch.float32: rounding(torch.float32, size=10.0, operations=100)}  # Å
CONDITIONS = {"force_field": "amber14-all", "solvent": "gbn2", "temperature": 300.0, "friction": 1.0, "time_step": 4.0}
GEOMETRY = GeometryReference(bonds={"ALA:CA-ALA:CB": 1.53}, angles={}, centres={"ALA:CA": 1})
FACTS = {"dtype": "float32", "lag_times": [10.0], "steps": 5, "transport": "follmer"}


@pytest.fixture(scope="module")
def jump_file(tmp_path_factory) -> Path:
    data = {"name": "ala2", "frames": 1000, "sha256": "0" * 64}
    return mlff.export_jump(
        toy_jump(dtype=torch.float32),
        tmp_path_factory.mktemp("jump") / "jump.pt",
        residues=DIPEPTIDE_RESIDUES,
        sequences=["ACE-ALA-NME"],
        conditions=[CONDITIONS],
        geometry=GEOMETRY,
        metadata={"name": "toy", "licence": "MIT", "training_data": data, "extra": {"note": "ä"}},
    )


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["float32", "float64"])
def loaded(request, jump_file) -> LoadedJump:
    return mlff.load_jump(jump_file, dtype=request.param)


def clouds(seed: int = 0) -> TensorCloud:
    """A padded batch of three peptides with random coordinates, one of two chains."""
    pieces = [make_cases(list(names), [1.0], lambda steps: 1, [])[2][1] for names in (("ALA",), ("TRP", "GLY"))]
    members = [member for piece in pieces for member in piece.split()]
    generator = torch.Generator().manual_seed(seed)
    noisy = [
        m.replace(
            coordinates=m.coordinates
            + 0.2 * torch.randn(m.coordinates.shape, generator=generator).double() * m.atom_mask.unsqueeze(-2)
        )
        for m in members
    ]
    return TensorCloud.collate(noisy)


def noise_for(model: LoadedJump, cloud: TensorCloud, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(model.num_noises(), *cloud.coordinates.shape, generator=generator, dtype=torch.float64)


def test_metadata_survive(jump_file):
    about = mlff.load_jump(jump_file).metadata
    assert (about.schema_version, about.kind, about.payload, about.dtype) == (1, "jump", "torchscript", "float32")
    assert about.units == UNITS == {"length": "angstrom", "time": "ps"}
    assert (about.lag_times, about.steps, about.transport) == ((10.0, 20.0), 2, "follmer")
    assert (about.residues, about.sequences) == (DIPEPTIDE_RESIDUES, ("ACE-ALA-NME",))
    assert (about.conditions, about.geometry) == ((CONDITIONS,), GEOMETRY)
    assert (about.name, about.licence, about.extra) == ("toy", "MIT", {"note": "ä"})
    assert (about.training_data[0].name, about.training_data[0].frames) == ("ala2", 1000)
    assert about.architecture["network"]["channels"] == 8
    assert about.num_parameters == sum(p.numel() for p in toy_jump().parameters())


class TestLaws(JumpLaws):
    @pytest.fixture
    def model(self) -> JumpModel:
        return toy_jump()


@pytest.mark.parametrize(
    "transport",
    [EndpointConfig(), TwoSidedConfig(), FollmerConfig(exponential=True, churn=0.3, early=0.4)],
    ids=["endpoint", "two-sided", "follmer, churn"],
)
def test_every_transport_is_exported(tmp_path, transport):
    model = toy_jump(transport=transport)
    loaded = mlff.load_jump(mlff.export_jump(model, tmp_path / "jump.pt"))
    assert loaded.metadata.transport == transport.kind
    assert [loaded.num_noises(k) for k in (1, 3)] == [model.num_noises(k) for k in (1, 3)]


def test_the_file_jumps_as_the_model_does(loaded):
    model = toy_jump(dtype=loaded.dtype) if loaded.dtype == torch.float32 else toy_jump(dtype=torch.float32).double()
    cloud = clouds().to(dtype=loaded.dtype)
    noise = noise_for(loaded, cloud).to(loaded.dtype)
    lags = torch.full((len(cloud.residues),), 20.0, dtype=loaded.dtype)
    given = (cloud.coordinates, cloud.residues, cloud.atom_mask, cloud.chains, lags, noise)
    for _ in range(3):  # TorchScript changes a program after it has run
        out = loaded.jump(cloud, 20.0, noise=noise)
        torch.testing.assert_close(out.coordinates, model(*given), rtol=0, atol=TOLERANCE[loaded.dtype])
    assert (out.coordinates - cloud.coordinates).abs().max() > 1e-2


def test_padding_and_batch_do_not_matter(loaded):
    cloud = clouds()
    noise = noise_for(loaded, cloud)
    together = loaded.jump(cloud, 10.0, noise=noise).split()
    for k, (member, expected) in enumerate(zip(cloud.split(), together, strict=True)):
        alone = loaded.jump(member, 10.0, noise=noise[:, k, : len(member.residues)])
        assert alone.coordinates.shape == member.coordinates.shape
        torch.testing.assert_close(alone.coordinates, expected.coordinates, rtol=0, atol=TOLERANCE[loaded.dtype])


def test_leading_dimensions_are_a_batch(loaded):
    cloud = TensorCloud.collate([clouds(0), clouds(1)])
    noise = noise_for(loaded, cloud)
    out = loaded.jump(cloud, 10.0, noise=noise)
    one = loaded.jump(cloud[1], 10.0, noise=noise[:, 1])
    torch.testing.assert_close(out.coordinates[1], one.coordinates, rtol=0, atol=TOLERANCE[loaded.dtype])


def test_a_generator_repeats_its_jump_and_gradients_may_follow(loaded):
    first, again, other = (
        loaded.jump(clouds(), 10.0, generator=torch.Generator().manual_seed(seed)).coordinates for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == loaded.dtype
    leaf = torch.ones(1, dtype=first.dtype, requires_grad=True)
    (first * leaf).sum().backward()
    assert leaf.grad is not None


def test_latent_steps_of_the_caller(loaded):
    cloud = clouds()
    noise = noise_for(loaded, cloud)
    default, same = (loaded.jump(cloud, 10.0, noise=noise, steps=k).coordinates for k in (None, 2))
    assert torch.equal(default, same)
    assert loaded.num_noises(5) == toy_jump().num_noises(5)
    with pytest.raises(ValueError, match="at least one latent step, got 0"):
        loaded.jump(cloud, 10.0, steps=0)


def test_wrong_lag_and_wrong_noise(loaded):
    cloud = clouds()
    with pytest.raises(ValueError, match="toy was not trained for a lag of 15 ps; it was for 10, 20 ps"):
        loaded.jump(cloud, 15.0)
    with pytest.raises(ValueError, match="nan ps"):
        loaded.jump(cloud, float("nan"))
    with pytest.raises(ValueError, match=r"must have the shape \[2, .*got \[1, "):
        loaded.jump(cloud, 10.0, noise=noise_for(loaded, cloud)[:1])


def test_residues_that_were_not_trained(loaded):
    assert loaded.untrained_residues(clouds()) == ["GLY", "TRP"]
    assert loaded.untrained_residues(clouds()[:1]) == []


def test_copies_and_pickles_by_file(loaded, tmp_path, jump_file):
    cloud = clouds()
    noise = noise_for(loaded, cloud)
    for twin in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert (twin.sha256, twin.dtype) == (loaded.sha256, loaded.dtype)
        jumps = [jump.jump(cloud, 10.0, noise=noise).coordinates for jump in (twin, loaded)]
        torch.testing.assert_close(*jumps, rtol=0, atol=TOLERANCE[loaded.dtype])
    moved = tmp_path / "jump.pt"
    shutil.copy(jump_file, moved)
    content = pickle.dumps(mlff.load_jump(moved))
    mlff.export_jump(toy_jump(lags=[5.0]), moved)
    with pytest.raises(ArtifactError, match="has changed since"):
        pickle.loads(content)


def rewritten(source: Path, target: Path, change) -> Path:
    """A copy of a model file with its self-test changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("self_test.json"):
                content = json.loads(data)
                change(content)
                data = json.dumps(content).encode()
            new.writestr(name, data)
    return target


def test_the_self_test_notices_another_outcome(jump_file, tmp_path):
    def change(content):
        content["cases"][1]["outcome"][0][0][0][0] += 0.01

    path = rewritten(jump_file, tmp_path / "changed.pt", change)
    with pytest.raises(
        ArtifactError, match=r"changed\.pt: self-test failed: coordinates of 'chain' deviates by .*float32 on cpu"
    ):
        mlff.load_jump(path)
    assert mlff.load_jump(path, verify=False).metadata.name == "toy"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(cases=[]), "cases: .*at least 1"),
        (lambda c: c["tolerances"].pop("float32"), "tolerances must be given"),
        (lambda c: c["cases"][0].update(lag=-1.0), "cases.0.lag"),
        (lambda c: c["cases"][0].update(noise=[]), "cases.0: .*the shape"),
        (lambda c: c["cases"][0].update(outcome=[["x"]]), "cases.0"),
        (lambda c: c["cases"][0].update(residues=[[1, 2, 3]]), r"cases.0: .*TensorCloud\.coordinates"),
    ],
)
def test_malformed_self_tests(jump_file, change, message):
    with zipfile.ZipFile(jump_file) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("self_test.json"))
        content = json.loads(archive.read(name))
    change(content)
    with pytest.raises(ArtifactError, match=rf"^model\.pt: wrong self_test\.json: .*{message}"):
        parse_self_test(JumpSelfTest, json.dumps(content), "model.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lag_times": []}, "lag_times: .*positive, different and in ascending order"),
        ({"lag_times": [20.0, 10.0]}, "lag_times: "),
        ({"lag_times": [10.0, 10.0]}, "lag_times: "),
        ({"lag_times": [-1.0]}, "lag_times: "),
        ({"units": {"length": "nm", "time": "ps"}}, "units must be"),
        ({"residues": ["ALA", "XYZ"]}, r"residues: .*unknown residues \['XYZ'\]"),
        ({"steps": 0}, "steps: "),
        ({"cutoff": 5.0}, "cutoff: Extra inputs"),
        ({"geometry": {"bonds": {}}}, "geometry.angles: "),
        ({"kind": "potential"}, "cutoff: Field required"),
    ],
)
def test_wrong_metadata_in_a_file(change, message):
    fields = json.loads(build_metadata(JumpMetadata, None, FACTS).model_dump_json())
    assert parse_metadata(json.dumps(fields), "model.pt").kind == "jump"
    with pytest.raises(ArtifactError, match=rf"^model\.pt: .*{message}"):
        parse_metadata(json.dumps(fields | change), "model.pt")


def test_every_kind_is_opened_and_refused_where_a_jump_is_needed(jump_file, tmp_path):
    assert isinstance(mlff.load(jump_file), LoadedJump)
    potential = export_toy(tmp_path / "toy.pt")
    with pytest.raises(ArtifactError, match=r"toy\.pt: the model is of kind 'potential', and a jump model is needed"):
        mlff.load_jump(potential)


def test_shipped_by_name(jump_file, tmp_path, monkeypatch):
    monkeypatch.setattr(names, "_PACKAGE", tmp_path / "mlff")
    folder = tmp_path / "checkpoints" / "equijump-toy"
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    shutil.copy(jump_file, folder / "model.pt")
    assert mlff.available() == ["equijump-toy"]
    assert mlff.load_jump("equijump-toy", verify=False).path == folder / "model.pt"


def test_nothing_is_left_of_an_export_that_fails(tmp_path):
    model = toy_jump()
    with torch.no_grad():
        next(model.network.header.output.parameters()).fill_(float("nan"))
    with pytest.raises(ArtifactError, match="'one residue': the model gives coordinates that are not finite"):
        mlff.export_jump(model, tmp_path / "jump.pt")
    with pytest.raises(ArtifactError, match=r"unknown metadata fields \['license'\]"):
        mlff.export_jump(toy_jump(), tmp_path / "jump.pt", metadata={"license": "MIT"})
    with pytest.raises(ArtifactError, match="does not exist"):
        mlff.export_jump(toy_jump(), tmp_path / "nowhere" / "jump.pt")
    assert list(tmp_path.iterdir()) == []


def test_inspect_shows_a_jump_model(jump_file):
    shown = CliRunner().invoke(app, ["inspect", str(jump_file)])
    assert shown.exit_code == 0
    for words in ("10, 20 ps", "ACE, ALA, NME", "amber14-all", "reference for 1 bonds", "passed"):
        assert words in shown.stdout
    content = json.loads(CliRunner().invoke(app, ["inspect", str(jump_file), "--json"]).stdout)
    assert content["metadata"]["kind"] == "jump"
    assert content["self_test"]["passed"]
