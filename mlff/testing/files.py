"""The laws of models as programs: in TorchScript, and in files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from mlff.artifacts import export, load
from mlff.testing.comparison import agree
from mlff.testing.laws import Input, ModelLaws


class ScriptLaws(ModelLaws[Input]):
    """The law of models that TorchScript compiles."""

    def test_scripting(self, model: nn.Module) -> None:
        """TorchScript computes the same, also after it has optimized its graphs."""
        program, expected = torch.jit.script(model), self.together(model)
        for _ in range(2):
            agree("scripting", expected, self.together(model, program), self.tolerance, self.smallest)


class FileLaws(ScriptLaws[Input]):
    """The laws of models that can be exported."""

    def test_file(self, model: nn.Module) -> None:
        """The file passes its self-test, and the loaded model has the outputs of the model."""
        with TemporaryDirectory() as folder:
            loaded = load(export(model, Path(folder) / "model.pt"), dtype=torch.float64, engine="torchscript")
        agree("file", self.together(model), self.together(model, loaded.module), self.tolerance, self.smallest)
