from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlff.data import BatchSampler
from mlff.potential.training.batches import Position, StepSampler
from mlff.potential.training.trained import load_trained
from mlff.support.errors import ArtifactError
from mlff.training.checkpointing import load_matching, load_state, load_weights, save_state, save_weights
from mlff.training.metrics_table import MetricsTable, read_metrics


def batches(max_edges: int | None = None) -> BatchSampler:
    counts = np.arange(1, 24) % 7 + 1
    return BatchSampler(counts, 4, seed=3, max_edges=max_edges)


@given(st.integers(0, 30), st.sampled_from([None, 12]))
def test_entering_at_any_point_gives_the_rest_of_the_run(start: int, max_edges: int | None) -> None:
    whole = list(StepSampler(batches(max_edges), Position(), 35))
    assert len(whole) == 35
    source = batches(max_edges)
    epoch, index = 0, start
    while index >= len(source.batches(epoch)):
        index -= len(source.batches(epoch))
        epoch += 1
    rest = StepSampler(source, Position(epoch, index), 35 - start)
    assert len(rest) == 35 - start
    assert list(rest) == whole[start:]


def test_every_epoch_holds_every_frame_once_in_a_new_order() -> None:
    source = batches()
    first, second = ([i for batch in source.batches(epoch) for i in batch] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second


def test_rows_after_the_resumed_step_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path, 0)
    for step in range(1, 6):
        table.append({"step": step, "loss": 0.1 * step})
    text = path.read_text()
    path.write_text(text + "6,0,0.1")  # torn by a kill
    MetricsTable(path, 3).append({"step": 4, "val_loss": 7.0})
    rows = read_metrics(path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[3] == {"step": 4, "val_loss": 7.0}
    # Kept rows are not rewritten number by number.
    assert path.read_text().splitlines()[:4] == text.splitlines()[:4]


def test_a_new_run_starts_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    MetricsTable(path, 0).append({"step": 1})
    MetricsTable(path, 0)
    assert read_metrics(path) == []


def test_state_round_trip_and_no_half_written_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "last.pt"
    save_state(path, {"step": 3, "tensor": torch.arange(4.0)})
    state = load_state(path)
    assert state["step"] == 3
    assert state["tensor"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert [p.name for p in path.parent.iterdir()] == ["last.pt"]


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("trap"),)


def test_a_state_with_a_pickled_object_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "object": Trap()}, tmp_path / "last.pt")
    with pytest.raises(ArtifactError, match=r"last\.pt"):
        load_state(tmp_path / "last.pt")
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        load_state(path)
    with pytest.raises(ArtifactError, match="damaged"):
        load_weights(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 99}, tmp_path / "last.pt")
    with pytest.raises(ArtifactError, match="format"):
        load_state(tmp_path / "last.pt")


def test_weights_round_trip_and_matching(tmp_path: Path) -> None:
    source = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    save_weights(tmp_path / "w.safetensors", source, {"model": "{}"})
    tensors, metadata = load_weights(tmp_path / "w.safetensors")
    assert metadata == {"model": "{}"}
    target = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)).double()
    new, unused = load_matching(target, tensors)
    assert set(new) == set(unused) == {"1.weight", "1.bias"}
    assert target[0].weight.dtype == torch.float64
    assert torch.equal(target[0].weight.float(), source[0].weight)


def test_a_run_without_weights_is_told_from_a_missing_file(tmp_path):
    (tmp_path / "config.yaml").write_text("kind: potential\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="no weights: the run stopped before its first validation"):
        load_trained(tmp_path)
