"""Rollouts: what is written, what a replica depends on, exact restarts, refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import torch

import md_drivers
from md_drivers.common.trajectory_files import read_table
from md_drivers.jumps import RolloutSettings, rollout
from md_drivers.jumps.errors import OutOfMemory, is_out_of_memory
from md_drivers.jumps.noise import ReplicaNoise
from md_drivers.jumps.state import State
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import CloudLayout
from mlff.proteins.validity import GeometryCheck

STEPS = 6


def frames(folder: Path, replica: int, suffix: str = "dcd") -> np.ndarray:
    """[F,M,3] in Å."""
    path = folder / f"replica_{replica:03d}.{suffix}"
    return 10 * mdtraj.load(str(path), top=str(folder / "topology.pdb")).xyz


def go(dipeptide, model, folder, *, steps=STEPS, resume=False, should_stop=None, **settings):
    settings = {"lag": 10.0, "replicas": 3, "trajectory_format": "dcd"} | settings
    return rollout(
        dipeptide,
        model,
        folder,
        steps=steps,
        settings=RolloutSettings(**settings),
        resume=resume,
        should_stop=should_stop,
    )


@pytest.fixture(scope="module")
def done(dipeptide, jump, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rollout") / "out"
    result = go(dipeptide, jump, folder)
    assert (result.steps, result.time, result.frames, result.failed, result.stopped) == (6, 60.0, 18, {}, False)
    return folder


def test_files(done, jump, dipeptide):
    topology = mdtraj.load_topology(str(done / "topology.pdb"))
    start = mdtraj.load(str(dipeptide))
    heavy = start.atom_slice(start.topology.select("element != H"))
    assert [str(a) for a in topology.atoms] == [str(a) for a in heavy.topology.atoms]
    assert topology.n_bonds == 9
    record = json.loads((done / "rollout.json").read_text())
    assert record["status"] == "completed"
    assert record["settings"]["seed"] == 0
    assert record["settings"]["model_sha256"] == jump.sha256
    assert record["model"]["name"] == "toy"
    assert record["versions"]["torch"] == torch.__version__
    assert record["terms_judged_by_the_start"] == record["untrained_residues"] == []
    assert (record["frames"], record["steps"], record["time_ps"]) == (18, 6, 60.0)
    assert record["ns_per_second"] > 0
    for name in ("rollout.png", "ramachandran.png"):
        assert (done / name).read_bytes().startswith(b"\x89PNG")
    assert not list(done.glob(".*"))


def test_every_frame_is_in_the_table_and_judged_as_it_is(done, dipeptide, jump):
    table = read_table(done / "frames.csv")
    np.testing.assert_array_equal(table["step"], np.repeat(np.arange(1, 7), 3))
    np.testing.assert_array_equal(table["replica"], np.tile(np.arange(3), 6))
    np.testing.assert_array_equal(table["time_ps"], 10 * table["step"])
    check = GeometryCheck(CloudLayout.of(mdtraj.load_topology(str(dipeptide))), jump.metadata.geometry)
    for replica in range(3):
        geometry = check(frames(done, replica))
        own = table["replica"] == replica
        np.testing.assert_array_equal(table["valid"][own], geometry.valid)
        np.testing.assert_allclose(table["bond_error_A"][own], geometry.bond_error, atol=1e-4)
        np.testing.assert_array_equal(table["angle_outliers"][own], geometry.angle_outliers)
    record = json.loads((done / "rollout.json").read_text())
    assert record["valid_share"] == table["valid"].mean()
    assert record["angle_outlier_share"] == pytest.approx(
        table["angle_outliers"].sum() / (18 * len(check.terms.angles))
    )


def test_a_replica_is_the_same_alone_and_in_any_batch(done, dipeptide, jump, tmp_path):
    go(dipeptide, jump, tmp_path / "one", replicas=1)
    go(dipeptide, jump, tmp_path / "split", batch_size=2)
    np.testing.assert_allclose(frames(tmp_path / "one", 0), frames(done, 0), rtol=0, atol=1e-5)
    for replica in range(3):
        np.testing.assert_allclose(frames(tmp_path / "split", replica), frames(done, replica), rtol=0, atol=1e-5)
    assert np.abs(frames(done, 0) - frames(done, 1)).max() > 0.01
    # exact, not through the single precision of the files
    whole, part = (State.read(folder / "state.npz", (n, 3, 3, 15)) for folder, n in ((done, 3), (tmp_path / "one", 1)))
    np.testing.assert_allclose(part.coordinates[0], whole.coordinates[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("suffix", ["dcd", "xtc"])
def test_a_resumed_rollout_is_the_uninterrupted_one(dipeptide, jump, tmp_path, suffix):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    go(dipeptide, jump, whole, steps=10, trajectory_format=suffix)
    asked = iter([False, False, False, True])
    result = go(dipeptide, jump, parts, steps=10, trajectory_format=suffix, should_stop=lambda: next(asked))
    assert (result.stopped, result.steps) == (True, 3)
    assert json.loads((parts / "rollout.json").read_text())["status"] == "stopped"
    # what a kill leaves: frames after the saved state, the last one incomplete
    for replica in range(3):
        path = parts / f"replica_{replica:03d}.{suffix}"
        with open(path, "ab") as file:
            file.write(path.read_bytes()[-150:])
    with open(parts / "frames.csv", "a") as file:
        file.write("0,4,40,1,0.0")
    go(dipeptide, jump, parts, steps=7, trajectory_format=suffix, resume=True)
    result = go(dipeptide, jump, parts, steps=10, trajectory_format=suffix, resume=True)
    assert result.frames == 30
    assert not result.stopped
    assert (parts / "frames.csv").read_text() == (whole / "frames.csv").read_text()
    for replica in range(3):
        name = f"replica_{replica:03d}.{suffix}"
        header = 276 if suffix == "dcd" else 0  # which tells the hour of its writing
        assert (parts / name).read_bytes()[header:] == (whole / name).read_bytes()[header:]
        np.testing.assert_array_equal(frames(parts, replica, suffix), frames(whole, replica, suffix))
    first, second = (State.read(folder / "state.npz", (3, 3, 3, 15)) for folder in (whole, parts))
    np.testing.assert_array_equal(first.coordinates, second.coordinates)
    assert first.counts == second.counts


def test_xtc_files_have_times(dipeptide, jump, tmp_path):
    go(dipeptide, jump, tmp_path / "out", trajectory_format="xtc", lag=20.0)
    trajectory = mdtraj.load(str(tmp_path / "out" / "replica_002.xtc"), top=str(tmp_path / "out" / "topology.pdb"))
    np.testing.assert_array_equal(trajectory.time, 20.0 * np.arange(1, 7))
    assert trajectory.unitcell_lengths is None


def test_seeds(done, dipeptide, jump, tmp_path):
    go(dipeptide, jump, tmp_path / "again")
    go(dipeptide, jump, tmp_path / "other", seed=1)
    np.testing.assert_array_equal(frames(tmp_path / "again", 2), frames(done, 2))
    assert np.abs(frames(tmp_path / "other", 2) - frames(done, 2)).max() > 0.01


def test_noise_is_white_and_its_own_for_replicas_steps_and_seeds():
    mask = torch.ones(4, 15, dtype=torch.bool)
    mask[0, 5:] = False
    noise = ReplicaNoise(0, mask, 3)
    drawn = torch.stack([noise(step, [4, 7]) for step in range(30)])  # [T,K,R,N,3,C]
    assert (drawn.transpose(-1, -2)[..., ~mask, :] == 0).all()
    values = drawn.transpose(-1, -2)[..., mask, :]  # [T,K,R,M,3]
    count = values.numel()
    assert abs(values.mean()) < 5 / count**0.5
    assert abs(values.var() - 1) < 5 * (2 / count) ** 0.5
    for pair in ((values[:, :, 0], values[:, :, 1]), (values[1:], values[:-1]), (values[:, 1:], values[:, :-1])):
        correlation = (pair[0] * pair[1]).mean()
        assert abs(correlation) < 5 / pair[0].numel() ** 0.5
    torch.testing.assert_close(ReplicaNoise(0, mask, 3)(17, [7])[:, 0], drawn[17, :, 1], rtol=0, atol=0)
    assert not torch.equal(ReplicaNoise(1, mask, 3)(17, [7])[:, 0], drawn[17, :, 1])


def test_replicas_begin_with_the_models_of_the_file(dipeptide, jump, tmp_path):
    start = mdtraj.load(str(dipeptide))
    both = mdtraj.join([start, start])
    both.xyz[1] += 1.0  # 10 Å
    both.save_pdb(str(tmp_path / "two.pdb"))
    go(tmp_path / "two.pdb", jump, tmp_path / "out", steps=1)
    centres = [frames(tmp_path / "out", replica)[0].mean(0) for replica in range(3)]
    np.testing.assert_allclose(centres[1] - centres[0], 10.0, atol=0.5)
    np.testing.assert_allclose(centres[2] - centres[0], 0.0, atol=0.5)


def test_mmcif_and_structures_without_hydrogens(done, dipeptide, jump, tmp_path):
    app = pytest.importorskip("openmm.app")
    file = app.PDBFile(str(dipeptide))
    with open(tmp_path / "a.cif", "w") as cif:
        app.PDBxFile.writeFile(file.topology, file.positions, cif)
    for number, structure in enumerate([tmp_path / "a.cif", done / "topology.pdb"]):
        go(structure, jump, tmp_path / str(number), replicas=1, steps=2)
        np.testing.assert_allclose(frames(tmp_path / str(number), 0), frames(done, 0)[:2], rtol=0, atol=2e-3)


def test_a_replica_that_explodes_ends_and_is_named(dipeptide, stray_path, tmp_path, caplog):
    result = go(dipeptide, stray_path, tmp_path / "out", steps=40)
    assert set(result.failed) == {0, 1, 2}
    assert not result.stopped
    table = read_table(tmp_path / "out" / "frames.csv")
    for replica, step in result.failed.items():
        own = table["replica"] == replica
        np.testing.assert_array_equal(table["step"][own], np.arange(1, step))
        if step > 1:
            assert len(frames(tmp_path / "out", replica)) == step - 1
    assert result.frames == len(table["step"])
    assert not table["valid"].any()
    assert "exploded at step" in caplog.text
    record = json.loads((tmp_path / "out" / "rollout.json").read_text())
    assert record["status"] == "failed"
    assert record["exploded_replicas"] == {str(k): v for k, v in result.failed.items()}
    again = go(dipeptide, stray_path, tmp_path / "out", steps=40, resume=True)
    assert (again.failed, again.frames) == (result.failed, result.frames)


def test_residues_that_the_model_was_not_trained_on(jump, tmp_path, caplog):
    pytest.importorskip("PeptideBuilder")
    from support.peptide_structures import heavy_trajectory

    heavy_trajectory("AG").save_pdb(str(tmp_path / "ag.pdb"))
    settings = RolloutSettings(lag=10.0)
    with pytest.raises(md_drivers.StructureError, match=r"not trained on GLY \(only on ACE, ALA, NME\)"):
        rollout(tmp_path / "ag.pdb", jump, tmp_path / "out", steps=1, settings=settings, strict=True)
    assert not (tmp_path / "out").exists()
    rollout(tmp_path / "ag.pdb", jump, tmp_path / "out", steps=1, settings=settings)
    assert "not trained on GLY" in caplog.text
    record = json.loads((tmp_path / "out" / "rollout.json").read_text())
    assert record["untrained_residues"] == ["GLY"]
    assert "GLY:CA-GLY:N" in " ".join(record["terms_judged_by_the_start"])
    assert not any(name == "ALA:CA-ALA:CB" for name in record["terms_judged_by_the_start"])


def edited(source: Path, target: Path, change) -> Path:
    target.write_text("".join(line for line in map(change, source.read_text().splitlines(keepends=True)) if line))
    return target


def test_a_resumed_rollout_may_have_another_batch_size(done, dipeptide, jump, tmp_path):
    """Random numbers are those of replica and step, whatever the batches were."""
    go(dipeptide, jump, tmp_path / "out", steps=3)
    result = go(dipeptide, jump, tmp_path / "out", batch_size=2, resume=True)
    assert result.frames == 18
    whole, parts = (State.read(folder / "state.npz", (3, 3, 3, 15)) for folder in (done, tmp_path / "out"))
    np.testing.assert_allclose(parts.coordinates, whole.coordinates, rtol=0, atol=1e-10)
    assert json.loads((tmp_path / "out" / "rollout.json").read_text())["settings"]["batch_size"] == 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("The following operation failed in the TorchScript interpreter.\nCUDA out of memory. Tried to"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
        MemoryError("Unable to allocate 1 TiB"),
    ],
)
def test_memory_that_runs_out_names_the_batch_size(dipeptide, jump, done, tmp_path, monkeypatch, error):
    """Three replicas at once are too many here; two are not."""
    jump_once = LoadedJump.jump

    def jump_of_few(self, cloud, lag, **options):
        if len(cloud.coordinates) > 2:
            raise error
        return jump_once(self, cloud, lag, **options)

    monkeypatch.setattr(LoadedJump, "jump", jump_of_few)
    with pytest.raises(
        OutOfMemory, match=r"cpu for 3 replica\(s\) at once: set --batch-size .* below 3 and go on with --res"
    ):
        go(dipeptide, jump, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "rollout.json").read_text())["status"] == "interrupted"
    assert go(dipeptide, jump, tmp_path / "out", batch_size=2, resume=True).frames == 18
    monkeypatch.setattr(LoadedJump, "jump", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        go(dipeptide, jump, tmp_path / "other")


def test_memory_that_runs_out_in_torch_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line.replace("ALA A", "XYZ A"), "unknown residue XYZ"),
        (lambda line: "" if " CB  ALA" in line else line, "lacks CB"),
        (lambda line: "" if " CA  ALA" in line else line, "has no anchor"),
        (
            lambda line: line.replace("1.082   0.811  -1.150", "9.082   0.811  -1.150"),
            "broken chain",
        ),
        (lambda line: "nonsense\n", "cannot be read|no heavy atom"),
    ],
    ids=["unknown residue", "missing atom", "missing anchor", "broken chain", "no structure"],
)
def test_structures_that_cannot_be_used(dipeptide, jump, tmp_path, change, message):
    bad = edited(dipeptide, tmp_path / "bad.pdb", change)
    with pytest.raises(md_drivers.StructureError, match=rf"bad\.pdb: .*({message})"):
        go(bad, jump, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_use(dipeptide, jump, model_path, done, tmp_path):
    with pytest.raises(ValueError, match="not trained for a lag of 15 ps; it was for 10, 20 ps"):
        go(dipeptide, jump, tmp_path / "out", lag=15.0)
    with pytest.raises(
        ValueError,
        match=r"a jump needs a model of kind 'jump', and .* is of kind 'potential', which runs with md-drivers",
    ):
        go(dipeptide, model_path, tmp_path / "out")
    with pytest.raises(TypeError, match="must be a name, a path or a loaded model"):
        go(dipeptide, 3, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"none\.pdb: no such file"):
        go(tmp_path / "none.pdb", jump, tmp_path / "out")
    with pytest.raises(FileExistsError, match="exists already"):
        go(dipeptide, jump, done)
    with pytest.raises(FileNotFoundError, match="no rollout to resume"):
        go(dipeptide, jump, tmp_path / "out", resume=True)
    with pytest.raises(md_drivers.StructureError, match="seed was 0, now 4"):
        go(dipeptide, jump, done, seed=4, resume=True)
    with pytest.raises(md_drivers.StructureError, match="has 6 steps already, more than the 5"):
        go(dipeptide, jump, done, steps=5, resume=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lag": 0.0}, "lag must be a positive"),
        ({"lag": float("nan")}, "lag must be a positive"),
        ({"replicas": 0}, "replicas must be"),
        ({"seed": -1}, "seed must be"),
        ({"latent_steps": 0}, "latent_steps must be"),
        ({"batch_size": 1.5}, "batch_size must be"),
        ({"trajectory_format": "trr"}, "unknown trajectory_format"),
    ],
)
def test_settings_without_meaning(settings, message):
    with pytest.raises(ValueError, match=message):
        RolloutSettings(**({"lag": 10.0} | settings))


def test_damaged_files_are_not_resumed(done, dipeptide, jump, tmp_path):
    def copied(name: str) -> Path:
        return Path(shutil.copytree(done, tmp_path / name))

    folder = copied("state")
    (folder / "state.npz").write_bytes(b"PK")
    with pytest.raises(md_drivers.StructureError, match=r"state\.npz: no state of this rollout, or a damaged one"):
        go(dipeptide, jump, folder, steps=9, resume=True)
    folder = copied("short")
    with open(folder / "replica_001.dcd", "r+b") as file:
        file.truncate(300)
    with pytest.raises(md_drivers.StructureError, match=r"replica_001\.dcd: 300 bytes, but the state"):
        go(dipeptide, jump, folder, steps=9, resume=True)
    folder = copied("record")
    (folder / "rollout.json").write_text("{")
    with pytest.raises(md_drivers.StructureError, match=r"rollout\.json: damaged"):
        go(dipeptide, jump, folder, steps=9, resume=True)
