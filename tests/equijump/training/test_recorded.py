"""The recorded loss of a jump model: the numbers of the plain one. The recording itself needs a GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.rounding import rounding

from mlff.equijump.model import JumpModel
from mlff.equijump.training import JumpTrainingConfig, recorded
from mlff.equijump.training.lightning_module import JumpModule
from mlff.equijump.training.recorded import RecordedLoss
from mlff.training.config import validate_config
from mlff.trajectories import JumpBatch, PairSampler, load_dataset

NETWORK = {"channels": 8, "message_channels": 4, "layers": 1, "conditioner_layers": 1, "num_radial": 4}


class Direct:
    """Calls the function where a recording would repeat its kernels."""

    def __init__(self, function: Callable[..., Any], inputs: list[torch.Tensor], fixed: int) -> None:
        self._function, self._shapes = function, [x.shape for x in inputs]
        assert fixed == 0

    def __call__(self, *inputs: torch.Tensor) -> Any:
        assert [x.shape for x in inputs] == self._shapes
        return self._function(*inputs)


@pytest.fixture
def setting(springs: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[JumpModule, PairSampler]:
    if not torch.cuda.is_available():
        monkeypatch.setattr(recorded, "Replay", Direct)
    content = {"data": {"folders": [str(springs)], "lags": [2.0]}, "model": {"network": NETWORK}}
    unroll = {"probability": 1.0, "begin": 0.5}  # all of the batch, so that both ways draw the same numbers
    config = validate_config(JumpTrainingConfig, content | {"batch_size": 6, "unroll": unroll})
    torch.manual_seed(0)
    model = JumpModel(config.model, [2.0])
    next(model.parameters()).requires_grad_(False)  # as frozen parts are
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    sampler = PairSampler(load_dataset([springs]), "train", [2.0], 6, num_targets=2)
    return JumpModule(model, config, total_steps=10, steps_per_epoch=1.0), sampler


def gradients(module: JumpModule, loss: Callable[[], tuple[torch.Tensor, torch.Tensor]]) -> list[torch.Tensor]:
    """Parts of the loss and gradients of three times the loss, from the same random numbers."""
    module.zero_grad()
    torch.manual_seed(7)
    total, parts = loss()
    (3.0 * total).backward()
    return [total.detach(), parts.detach(), *(p.grad.clone() for p in module.model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("unrolls", [False, True])
def test_recorded_losses_and_gradients_are_those_of_the_plain_step(setting: Any, unrolls: bool) -> None:
    module, sampler = setting
    device = next(module.model.parameters()).device
    recorder = RecordedLoss(module.model, module._losses)
    for step in range(3):  # later batches run through the recording of the first
        batch = sampler.batch(step).to(device, torch.float32)
        found = gradients(module, lambda batch=batch: recorder(batch, unrolls))
        expected = gradients(module, lambda batch=batch: module._losses(batch, unrolls, None))
        if device.type == "cuda":  # a recording draws other numbers
            continue
        assert max(float(x.abs().max()) for x in expected[2:]) > 0
        found = [x for x in found if x.abs().max() > 0]  # unused parameters have no gradient, or one of zero
        expected = [x for x in expected if x.abs().max() > 0]
        for mine, its in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, its, rtol=0, atol=rounding(torch.float32, float(its.abs().max())))


def test_only_short_chains_on_a_gpu_are_recorded(setting: Any) -> None:
    module, sampler = setting
    batch: JumpBatch = sampler.batch(0)
    recorder = RecordedLoss(module.model, module._losses)
    assert not recorder.takes(batch)
    if torch.cuda.is_available():
        assert recorder.takes(batch.to("cuda"))
        module.model.network.config = module.model.network.config.model_copy(update={"num_neighbors": 1})
        assert not recorder.takes(batch.to("cuda"))
