"""Checkpoint files that cannot be imported end in one clear error, and execute nothing."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.public_checkpoints import content, in_parts, option_cases, published, save, with_dens
from torch import nn

from mlff.artifacts import ArtifactError, ArtifactNotFoundError
from mlff.imports.equiformer_v2 import import_equiformer_v2

CASE = option_cases()["rms_norm_sh"]
WEIGHT = "module.module.blocks.0.ga.proj.weight"
BIAS = "module.backbone.force_embedding.bias"


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.sentinel}",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pt"


def refused(path: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        import_equiformer_v2(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_missing_file_and_folder(path):
    with pytest.raises(ArtifactNotFoundError, match="no such file"):
        import_equiformer_v2(path)
    assert "folder" in refused(path.parent)


@pytest.mark.parametrize("module", ["core", "_core"])
def test_plain_values_of_numpy_are_read(path, module):
    """Metrics of public files may be numpy scalars, saved by numpy 1 or 2."""
    metrics = {"energy_mae": {"metric": np.float64(0.25), "numel": np.int64(7)}}
    save(content(CASE) | {"val_metrics": metrics, "step": np.int64(12)}, path)
    own = np.float64(0).__reduce__()[0].__module__
    renamed(path, own, f"numpy.{module}.multiarray")
    assert import_equiformer_v2(path).config.backbone.num_layers == CASE.options["num_layers"]


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int64, np.longdouble])
def test_normalizers_in_numbers_of_numpy(kind, path):
    normalizers = {"target": {"mean": kind(-3), "std": kind(2)}, "grad_target": {"mean": kind(0), "std": kind(4)}}
    model = import_equiformer_v2(save(content(CASE) | {"normalizers": normalizers}, path))
    assert (model.energy_offset, model.scale, model.force_scale) == (-3.0, 2.0, 4.0)


def renamed(path: Path, old: str, new: str) -> None:
    """Replace a module name in the pickle of an archive, as text of protocol 2."""
    with zipfile.ZipFile(path) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members:
            if member.filename.endswith("data.pkl"):
                data = data.replace(old.encode() + b"\n", new.encode() + b"\n")
            archive.writestr(member, data)


def test_pickled_code_is_not_executed(path, tmp_path):
    sentinel = tmp_path / "executed"
    save(content(CASE, callback=Payload(sentinel)), path)
    message = refused(path)
    assert "pickled Python objects" in message
    assert "system" in message
    assert not sentinel.exists()
    # the payload is real: whoever unpickles it runs it
    pickle.loads(pickle.dumps(Payload(sentinel)))
    assert sentinel.exists()


@pytest.mark.parametrize("data", [b"", b"garbage", pickle.dumps({"config": 1}, 2)[:-3]])
def test_damaged_pickle_in_a_whole_archive(data, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3")
    assert "damaged" in refused(path)


def test_bare_pickle_is_not_opened(path, tmp_path):
    sentinel = tmp_path / "executed"
    path.write_bytes(pickle.dumps({"state_dict": Payload(sentinel)}))
    assert "pickle" in refused(path)
    assert not sentinel.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated(share, path):
    save(content(CASE), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "empty" in refused(path) if share == 0.0 else "truncated or damaged" in refused(path)


def test_flipped_bytes(path):
    save(content(CASE), path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(bytes(data))
    assert "damaged" in refused(path)


def zipped(path: Path, method: int, members: dict[str, bytes] | None = None) -> bytes:
    """Compress the members of an archive, and more; returns the bytes of the new one."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | (members or {})
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path.read_bytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_and_damaged(method, path):
    """Each method has errors of its own; here nothing is decompressed at all."""
    data = zipped(save(content(CASE), path), method)
    for share in np.linspace(0.1, 0.8, 8):
        damaged = bytearray(data)
        start = int(share * len(data))
        damaged[start : start + 64] = bytes(value ^ 0xFF for value in damaged[start : start + 64])
        path.write_bytes(bytes(damaged))
        assert "torch.save" in refused(path)


def test_tensors_larger_than_their_bytes(tmp_path, path):
    """A whole archive whose storages are shorter than its pickle says; torch would read what lies behind them."""
    whole = save(content(CASE), tmp_path / "whole.pt")
    with zipfile.ZipFile(whole) as archive:
        storages = [name for name in archive.namelist() if "/data/" in name]
    for storage in storages[:3]:
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name)[:4] if name == storage else old.read(name))
        assert "bytes, and its record has 4" in refused(path)


def test_compressed_zeros_are_not_inflated(path, monkeypatch):
    zipped(save(content(CASE), path), zipfile.ZIP_DEFLATED, {"checkpoint/data/99": bytes(2**26)})
    assert path.stat().st_size < 2**20

    def fail(*arguments: object) -> None:
        raise AssertionError("decompressed")

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    assert "not one that torch.save wrote" in refused(path)


def test_other_files(path):
    path.write_text("state_dict: {}")
    assert "not a checkpoint" in refused(path)
    path.write_text("version https://git-lfs.github.com/spec/v1")
    assert "Git LFS" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes/readme.txt", "no tensors")
    assert "not one that torch.save wrote" in refused(path)
    torch.save([torch.zeros(1)], path)
    assert "list" in refused(path)
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), str(path))
    assert "exported model" in refused(path)


@pytest.mark.parametrize("key", ["config", "state_dict"])
def test_missing_part(key, path):
    saved = content(CASE)
    del saved[key]
    message = refused(save(saved, path))
    assert f"no '{key}'" in message
    assert "normalizers" in message  # what there is


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_magic": True, "use_more_magic": 1}, ["unknown", "use_magic", "use_more_magic"]),
        ({"lmax_list": [4, 2], "mmax_list": [2, 2]}, ["lmax_list", "mmax_list"]),
        ({"norm_type": "batch_norm"}, ["norm_type", "layer_norm_sh", "rms_norm_sh"]),
        ({"distance_function": "sigmoid"}, ["distance_function"]),
        ({"use_s2_act_attn": True}, ["use_s2_act_attn"]),
        ({"regress_forces": False}, ["regress_forces"]),
        ({"use_pbc": False}, ["use_pbc"]),
        ({"share_atom_edge_embedding": True, "use_atom_edge_embedding": False}, ["share_atom_edge_embedding"]),
        ({"sphere_channels": "many"}, ["sphere_channels", "many"]),
        ({"sphere_channels": 0}, ["sphere_channels"]),
        ({"edge_channels": torch.zeros(2, 2)}, ["edge_channels"]),
        ({"max_radius": float("inf")}, ["max_radius"]),
        ({"avg_degree": -1.0}, ["avg_degree"]),
        ({"mmax_list": [3]}, ["mmax"]),
        ({"grid_resolution": 4}, ["grid_resolution"]),
        ({"use_energy_lin_ref": True}, ["load_energy_lin_ref"]),
    ],
)
def test_options_that_cannot_be_imported(change, words, path):
    saved = content(CASE)
    saved["config"]["model_attributes"] |= change
    message = refused(save(saved, path))
    assert "cannot be imported" in message
    assert all(word in message for word in words)


def test_other_models_and_heads(path):
    saved = content(CASE)
    saved["config"]["model"] = "gemnet_oc"
    assert "gemnet_oc" in refused(save(saved, path))
    saved["config"] = {"task": {}}
    assert "no 'model'" in refused(save(saved, path))
    saved["config"] = {"model": "equiformer_v2"}
    assert "model_attributes" in refused(save(saved, path))
    for head in (
        {"stress": {"module": "rank2_symmetric_head"}},
        {"energy": {"module": "equiformerV2_scalar_head", "reduce": "mean"}},
        {"energy": {"module": "equiformerV2_scalar_head", "colour": "red"}},
    ):
        parts = in_parts(CASE)
        parts["config"]["model"]["heads"] = head
        assert next(iter(head)) in refused(save(parts, path))
    parts = in_parts(CASE)
    parts["config"]["model"]["finetune_config"] = {}
    assert "finetune_config" in refused(save(parts, path))


def test_all_parameters_that_do_not_fit_are_listed(path):
    saved = content(CASE)
    state = saved["state_dict"]
    state["module.module.blocks.7.ga.proj.weight"] = torch.zeros(1)
    state["module.module.extra"] = torch.zeros(1)
    state["module.module.blocks.0.mapping.weight"] = torch.zeros(1)  # named as a table, but no table of the public code
    del state["module.module.norm.affine_weight"]
    state[WEIGHT] = state[WEIGHT][:, :, :-1]
    state["module.module.force_block.proj.bias"] = torch.tensor([torch.nan])
    message = refused(save(saved, path))
    for words in (
        "missing: norm.affine_weight",
        "left over: blocks.7.ga.proj.weight, extra, blocks.0.mapping.weight",
        "of the wrong shape: blocks.0.ga.proj.weight (3, 4, 3), not (3, 4, 4)",
        "without finite real values: force_block.proj.bias",
    ):
        assert words in message


def test_linear_references_and_their_option_belong_together(path):
    saved = content(CASE)
    saved["config"]["model_attributes"]["load_energy_lin_ref"] = True
    assert "no energy_lin_ref" in refused(save(saved, path))
    saved = content(CASE)
    saved["state_dict"]["module.module.energy_lin_ref"] = torch.zeros(10)
    assert "an energy_lin_ref" in refused(save(saved, path))


def test_parameters_twice_or_not_tensors(path):
    saved = content(CASE)
    saved["state_dict"]["module.blocks.0.ga.proj.weight"] = torch.zeros(1)
    assert "twice" in refused(save(saved, path))
    saved = content(CASE)
    saved["state_dict"][WEIGHT] = "weights"
    assert "not a tensor" in refused(save(saved, path))


def test_averages_that_do_not_match(path):
    values = list(CASE.state.values())
    assert "shadow_params" in refused(save(content(CASE, ema={"decay": 0.9}), path))
    assert f"{len(values) - 1} averages" in refused(save(content(CASE, ema={"shadow_params": values[1:]}), path))
    swapped = [values[1], values[0], *values[2:]]
    assert "other shapes" in refused(save(content(CASE, ema={"shadow_params": swapped}), path))
    broken = [torch.full_like(values[0], torch.inf), *values[1:]]
    message = refused(save(content(CASE, ema={"shadow_params": broken}), path))
    assert "without finite real values: sphere_embedding.weight" in message


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.to(torch.int64),
        lambda x: x.to(torch.complex64),
        lambda x: x.to_sparse(),
        lambda x: x.to("meta"),
        lambda x: torch.full(x.shape, torch.nan).to(torch.float8_e4m3fn),
    ],
)
def test_tensors_without_plain_numbers(change: Callable[[torch.Tensor], torch.Tensor], path):
    saved = content(CASE)
    saved["state_dict"][WEIGHT] = change(saved["state_dict"][WEIGHT])
    assert "without finite real values: blocks.0.ga.proj.weight" in refused(save(saved, path))
    for name in ("sphere_embedding.weight", "force_embedding.bias"):  # which are added before they are copied
        saved = with_dens(published("eqv2_dens_l4m2"))
        saved["state_dict"][f"module.backbone.{name}"] = change(saved["state_dict"][f"module.backbone.{name}"])
        assert f"without finite real values: {name}" in refused(save(saved, path))


@pytest.mark.parametrize("change", [lambda x: None, lambda x: x[1:], lambda x: x * torch.nan])
def test_bias_of_a_force_encoding_that_is_not_used(change: Callable[[torch.Tensor], torch.Tensor | None], path):
    """It reaches all atoms nevertheless."""
    saved = with_dens(published("eqv2_dens_l4m2"))
    saved["config"]["model"]["backbone"]["use_force_encoding"] = False
    saved["state_dict"] |= {BIAS: change(saved["state_dict"][BIAS])}
    saved["state_dict"] = {name: value for name, value in saved["state_dict"].items() if value is not None}
    assert "left over: force_embedding" in refused(save(saved, path))


@pytest.mark.parametrize("part", ["config", "state_dict", "normalizers", "elementrefs", "ema"])
@pytest.mark.parametrize("value", [torch.ones(3), torch.zeros(1), [1], "x", 5])
def test_parts_that_are_no_dictionaries(part: str, value: Any, path):
    assert repr(part) in refused(save(content(CASE) | {part: value}, path))


@pytest.mark.parametrize(
    "normalizers",
    [
        {"target": {"mean": 0.0, "std": 0.0}},
        {"target": {"mean": float("nan"), "std": 1.0}},
        {"target": {"mean": torch.zeros(3), "std": 1.0}},
        {"target": {"mean": torch.zeros(1, device="meta"), "std": 1.0}},
        {"target": {"mean": torch.zeros(1).to_sparse(), "std": 1.0}},
        {"target": {"mean": torch.zeros(1, dtype=torch.complex64), "std": 1.0}},
        {"target": {"mean": np.float32("nan"), "std": 1.0}},
        {"target": {"std": 1.0}},
        {"target": {"mean": 0.0, "std": 1.0, "median": 0.0}},
        {"target": {"mean": 0.0, "std": 1.0}, "energy": {"mean": 0.0, "std": 1.0}},
        {"forces": {"mean": 0.1, "rmsd": 1.0}},
        {"denoising_pos_target": {"mean": 0.0, "std": 0.0}},
        {"stress": {"mean": 0.0, "rmsd": 1.0}},
        [1.0],
    ],
)
def test_normalizers_that_cannot_be_applied(normalizers: Any, path):
    message = refused(save(content(CASE) | {"normalizers": normalizers}, path))
    assert "normali" in message


@pytest.mark.parametrize(
    "dataset",
    [
        {
            "normalize_labels": True,
            "target_mean": -0.75,
            "target_std": 2.9,
            "grad_target_mean": 0,
            "grad_target_std": 2.9,
        },
        [{"normalize_labels": True, "target_std": 2.9, "grad_target_std": 2.9}, {"src": "val"}],
        {"train": {"transforms": {"normalizer": {"energy": {"mean": -0.7, "stdev": 2.9}, "forces": {"stdev": 2.9}}}}},
    ],
)
def test_labels_that_were_normalised_need_their_normalizers(dataset: Any, path):
    scale = {"mean": 0.0, "std": 2.9}
    saved = content(CASE)
    saved["config"]["dataset"] = dataset
    for lost, normalizers in (("energy and forces were", {}), ("that forces were", {"target": scale})):
        assert lost in refused(save(saved | {"normalizers": normalizers}, path))
    del saved["normalizers"]
    assert "energy and forces were" in refused(save(saved, path))
    import_equiformer_v2(save(saved | {"normalizers": {"target": scale, "grad_target": scale}}, path))


@pytest.mark.parametrize(
    "elementrefs",
    [
        {"stress": torch.zeros(9)},
        {"energy": {"coefficients": torch.zeros(9)}},
        {"energy": torch.full((9,), torch.nan)},
        {"energy": torch.zeros(9, device="meta")},
        {"energy": torch.zeros(9).to_sparse()},
        {"energy": torch.zeros(9, dtype=torch.complex64)},
        {"energy": torch.zeros(1).expand(10**12)},
    ],
)
def test_element_references_that_cannot_be_applied(elementrefs: Any, path):
    assert "elementrefs" in refused(save(content(CASE, elementrefs=elementrefs), path))
