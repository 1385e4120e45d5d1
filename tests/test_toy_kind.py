"""A kind of model defined here, through training, resume, evaluation and publication by the commands of the package."""

import json
import pickle
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

import mlff
from mlff.artifacts import Loaded, Metadata, SelfTest, export
from mlff.cli import app
from mlff.support import kinds
from mlff.support.settings import Section
from mlff.training import Publication, RunConfig, SteppedModule, TrainingRun
from mlff.training.checkpointing import load_model


class Line(Section):
    slope: float = 2.0
    size: int = 64


class LineConfig(RunConfig):
    kind: Literal["line"] = "line"
    data: Line = Line()
    model: Line = Line()
    steps: int = 40


class LineModule(SteppedModule):
    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        x, y = batch
        loss = (self.model(x) - y).square().mean()
        self.add_losses(loss.detach()[None], len(x))
        return loss


def points(data: Line) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, data.size)[:, None]
    return x, data.slope * x


class LineRun(TrainingRun):
    errors = ("val_rmse",)

    def __init__(self, config: LineConfig) -> None:
        self.config = config
        self.module = LineModule(LineModel(1, 1), config, config.steps)

    def loader(self) -> DataLoader[Any]:
        x, y = (values.repeat(self.module.total_steps - self.module.step, 1) for values in points(self.config.data))
        return DataLoader(TensorDataset(x, y), batch_size=self.config.data.size)

    def validation_is_due(self, epoch_ended: bool) -> bool:
        return self.module.step % 10 == 0

    def validate(self, model: nn.Module) -> dict[str, float]:
        x, y = points(self.config.data)
        error = float((model(x) - y).square().mean().detach())
        return {"val_loss": error, "val_rmse": error**0.5}

    def weights_metadata(self) -> dict[str, str]:
        return {"line": self.config.model.model_dump_json()}

    def report(self, folder: Any, model: nn.Module) -> dict[str, Any]:
        return self.validate(model)


class LineMetadata(Metadata):
    kind: Literal["line"] = "line"
    units: dict[str, str] = {"length": "m"}  # noqa: RUF012


class LineCase(NamedTuple):
    name: str
    x: float
    y: float

    def run(self, program: Any, dtype: torch.dtype, device: Any = "cpu", *, strided: bool = False) -> Any:
        return {"y": program(torch.tensor([[self.x]], dtype=dtype, device=device))}

    def deviations(self, outputs: Any, reference: Any = None) -> dict[str, float]:
        expected = self.y if reference is None else reference["y"].item()
        return {"y": abs(outputs["y"].item() - expected)}


class LineSelfTest(SelfTest):
    points: list[tuple[float, float]]

    def entries(self, metadata: Any) -> list[LineCase]:
        return [LineCase(f"x = {x}", x, y) for x, y in self.points]


class LineKind:
    metadata, self_test, loaded, methods, of_data = LineMetadata, LineSelfTest, Loaded, (), ()

    def facts(self, model: nn.Module) -> dict[str, Any]:
        return {"architecture": {"in": 1}}

    def make_self_test(self, model: nn.Module, metadata: Any, examples: Any) -> LineSelfTest:
        xs = [0.0, 1.0, *examples]
        return LineSelfTest(points=[(x, model(torch.tensor([[x]]).double()).item()) for x in xs])


class LineModel(nn.Linear):
    kind = "line"


class LineTask:
    config = LineConfig

    def prepare(self, config: LineConfig, state: Any, placement: Any, initial: Any) -> LineRun:
        run = LineRun(config)
        run.module.model.load_state_dict(initial or run.module.model.state_dict())
        return run

    def load_trained(self, source: Path) -> tuple[nn.Module, dict[str, Any]]:
        return load_model(source, lambda about: LineModel(1, 1))

    def read_initial(self, source: Path) -> Any:
        return self.load_trained(source)[0].state_dict()

    def describe(self, errors: Any) -> str:
        return f"rmse {errors['val_rmse']:.3f}"

    def summary(self, report: Any) -> list[str]:
        return [f"slope {report['slope']:.2f}"] if "slope" in report else []

    def exportable(self, source: Path, self_test: int, data: Any, changes: Any) -> Any:
        return self.load_trained(source)[0], {"metadata": {}, "self_test_frames": [0.5]}

    def evaluate(self, model: str, files: Any, output: Path, options: Any) -> dict[str, Any]:
        return {"slope": float(self.load_trained(Path(model))[0].weight.detach())}

    def publication(self, run: Path, notes: Path, name: Any, folder: str, self_test: int) -> Publication:
        model, about = self.load_trained(run)
        return Publication(
            f"# {folder}",
            {"kind": "line"},
            lambda path: export(model, path, metadata={"name": folder}),
            {"best.json": about["line"]},
        )


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_known", dict(kinds._known))
    kinds.register(kinds.Kind("line", artifact=LineKind(), task=LineTask()))


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_a_kind_defined_elsewhere_is_trained_evaluated_and_published(tmp_path: Path) -> None:
    content = {"kind": "line", "optimizer": {"kind": "adamw", "lr": 0.2}, "ema": 0.5, "accelerator": "cpu"}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(content))
    trained = run("train", tmp_path / "line.yaml", "-o", tmp_path / "run")
    assert trained.exit_code == 0, trained.output
    report = json.loads((tmp_path / "run" / "report" / "metrics.json").read_text())
    assert report["val_rmse"] < 0.3 < 1.0  # of no slope: 2 / sqrt(3)
    assert (
        (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0].endswith("frames_per_second,val_loss,val_rmse")
    )
    assert run("train", "--resume", tmp_path / "run").exit_code == 0
    again = run("train", tmp_path / "line.yaml", "-o", tmp_path / "more", "--set", f"init_from={tmp_path / 'run'}")
    assert again.exit_code == 0, again.output
    better = json.loads((tmp_path / "more" / "report" / "metrics.json").read_text())
    assert better["val_rmse"] < report["val_rmse"]
    evaluated = run("evaluate", tmp_path / "more", tmp_path / "line.yaml", "-o", tmp_path / "evaluation")
    assert evaluated.exit_code == 0, evaluated.output
    assert "slope 2.0" in evaluated.output or "slope 1.9" in evaluated.output
    published = run("publish", tmp_path / "more", "-o", tmp_path / "published")
    assert published.exit_code == 0, published.output
    names = {path.name for path in (tmp_path / "published").iterdir() if path.is_file()}
    assert names == {"MODEL_CARD.md", "config.yaml", "metrics.csv", "model.pt", "weights.safetensors", "best.json"}
    exported = run("export", tmp_path / "more", "-o", tmp_path / "line.pt", "--licence", "MIT")
    assert exported.exit_code == 0, exported.output
    inspected = run("inspect", tmp_path / "line.pt")
    assert inspected.exit_code == 0, inspected.output
    assert "line, torchscript" in inspected.output
    assert "passed, 3 frames" in inspected.output
    for path in (tmp_path / "line.pt", tmp_path / "published"):
        model = mlff.load(path, dtype="float64")
        assert type(model) is Loaded
        assert model.module(torch.ones(1, 1).double()).item() == pytest.approx(2.0, abs=0.3)
        assert pickle.loads(pickle.dumps(model)).sha256 == model.sha256


def test_a_wrong_field_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    for content, said in (
        ({"kind": "line", "step": 3}, "did you mean `steps`"),
        ({"kind": "lines"}, "unknown kind of model `lines`: choose from jump, line, potential; did you mean `line`?"),
    ):
        (tmp_path / "line.yaml").write_text(yaml.safe_dump(content))
        refused = run("train", tmp_path / "line.yaml")
        assert refused.exit_code == 2
        assert said in refused.output.replace("\n", " ")
