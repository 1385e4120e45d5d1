"""What is wrong at first sight is refused before torch is imported, and before anything is written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Runs the commands of a file of JSON in one process in which torch cannot be imported.
DRIVER = """
import json, sys
from importlib import import_module
from typer.testing import CliRunner

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise Exception("torch is imported")

sys.meta_path.insert(0, NoTorch())
results = []
for module, *words in json.load(sys.stdin):
    result = CliRunner().invoke(import_module(module).app, words)
    results.append([result.exit_code, f"{result.output} {result.exception}"])
print(json.dumps(results))
"""

JUMP = "data: {folders: [absent], lags: [2.0]}\n"
MLFF, DRIVERS, JUMPS = "mlff.cli", "md_drivers.cli", "md_drivers.jumps.cli"
REFUSED = {
    "mlff --help": ([MLFF, "--help"], 0, "Train, evaluate"),
    "md-drivers --help": ([DRIVERS, "--help"], 0, "relax"),
    "equijump --help": ([JUMPS, "--help"], 0, "rollout"),
    "train, no file": ([MLFF, "train", "no.yaml"], 2, "no.yaml"),
    "train, no YAML": ([MLFF, "train", "broken.yaml"], 2, "not valid YAML"),
    "train, field": ([MLFF, "train", "field.yaml"], 2, "optimizer: unknown field `lrr`, did you mean `lr`?"),
    "train, deep field": ([MLFF, "train", "deep.yaml"], 2, "did you mean `num_layers`?"),
    "train, no data": ([MLFF, "train", "good.yaml"], 2, "absent.extxyz: no such file"),
    "train, kind": ([MLFF, "train", "good.yaml", "--set", "kind=ising"], 2, "unknown kind of model `ising`"),
    "train, start": ([MLFF, "train", "good.yaml", "--set", "init_from=nothing"], 2, "init_from"),
    "resume, no run": ([MLFF, "train", "--resume", "no-run"], 2, "error: no-run: no such file or folder"),
    "resume, no run here": ([MLFF, "train", "--resume", "."], 2, "error: .: not a run folder (no config.yaml)"),
    "train, element": ([MLFF, "train", "good.yaml", "--set", "model.species=[H,CU]"], 2, "did you mean `Cu`?"),
    "evaluate, model": ([MLFF, "evaluate", "no-model", "good.yaml", "-o", "out"], 2, "no-model: no such file"),
    "evaluate, file": ([MLFF, "evaluate", "peptides", "no.extxyz", "-o", "out"], 2, "no.extxyz"),
    "evaluate, choice": ([MLFF, "evaluate", "peptides", "good.yaml", "-o", "out", "--fixed-atoms", "no"], 2, "auto"),
    "export": ([MLFF, "export", "no-run", "-o", "out"], 2, "error: no-run: no such file or folder"),
    "export, no weights": ([MLFF, "export", "empty", "-o", "out"], 2, "empty: not a run folder (no weights"),
    "publish, no run": ([MLFF, "publish", "empty", "-o", "out"], 2, "empty: not a run folder (no config.yaml)"),
    "evaluate, no run": ([MLFF, "evaluate", "empty", "good.yaml", "-o", "out"], 2, "empty holds no model: neither"),
    "train, begun": ([MLFF, "train", "here.yaml", "-o", "begun"], 2, "begun already holds a run: resume it"),
    "publish": ([MLFF, "publish", "no-run", "-o", "out"], 2, "error: no-run: no such file or folder"),
    "import": ([MLFF, "import-equiformer-v2", "no.pt", "-o", "out"], 2, "no.pt"),
    "inspect": ([MLFF, "inspect", "peptidse"], 2, "did you mean `peptides`?"),
    "peptides, file": ([MLFF, "data", "peptides", "-o", "out", "--config", "no.yaml"], 2, "no.yaml"),
    "peptides, field": ([MLFF, "data", "peptides", "-o", "out", "--config", "field.yaml"], 2, "unknown field"),
    "relax, file": ([DRIVERS, "relax", "no.traj", "-m", "peptides", "-o", "out"], 2, "no.traj"),
    "relax, model": ([DRIVERS, "relax", "water.xyz", "-m", "no-model", "-o", "out"], 2, "no-model"),
    "relax, fix": ([DRIVERS, "relax", "water.xyz", "-m", "peptides", "--fix", "layer:2"], 2, "layer:2"),
    "relax, choice": ([DRIVERS, "relax", "water.xyz", "-m", "peptides", "--optimizer", "newton"], 2, "newton"),
    "relax, mask": ([DRIVERS, "relax", "water.xyz", "-m", "peptides", "--cell-mask", "ab"], 2, "cell-mask"),
    "simulate, file": ([DRIVERS, "simulate", "no.pdb", "-m", "peptides", "--steps", "1", "-o", "out"], 2, "no.pdb"),
    "simulate, model": ([DRIVERS, "simulate", "water.xyz", "-m", "no-model", "--steps", "1"], 2, "no-model"),
    "simulate, choice": ([DRIVERS, "simulate", "water.xyz", "-m", "x", "--steps", "1", "--ensemble", "x"], 2, "nvt"),
    "rollout, file": ([JUMPS, "rollout", "no.pdb", "-m", "equijump-ala2", "--lag", "10", "--steps", "1"], 2, "no.pdb"),
    "rollout, model": ([JUMPS, "rollout", "water.xyz", "-m", "no-model", "--lag", "10", "--steps", "1"], 2, "no-model"),
    "jump train": ([JUMPS, "train", "no.yaml"], 2, "no.yaml: no such file or folder"),
    "jump train, field": ([JUMPS, "train", "jump.yaml", "--set", "step=9"], 2, "did you mean `steps`?"),
    "jump train, churn": ([JUMPS, "train", "churn.yaml"], 2, "second order"),
    "jump train, window": ([JUMPS, "train", "window.yaml"], 2, "window must be"),
    "jump train, no data": ([JUMPS, "train", "jump.yaml"], 2, "absent: no such file or folder"),
    "jump train, mlff": ([MLFF, "train", "jump.yaml", "--set", "kind=jump", "--set", "depth=9"], 2, "field `depth`"),
    "jump train, kind": ([JUMPS, "train", "good.yaml", "--set", "kind=potential"], 2, "use: mlff train"),
    "jump export": ([JUMPS, "export", "no-run", "-o", "out"], 2, "no-run"),
    "analyze": ([JUMPS, "analyze", "no-data", "no-rollout", "-o", "out"], 2, "no-data"),
    "analyze, lags": ([JUMPS, "analyze", ".", ".", "-o", "out", "--lags", "ten"], 2, "--lags"),
    "generate, file": ([JUMPS, "generate-data", "no.yaml", "-o", "out"], 2, "no.yaml"),
    "generate, field": ([JUMPS, "generate-data", "jump.yaml", "-o", "out"], 2, "unknown field `data`"),
    "generate, value": ([JUMPS, "generate-data", "-o", "out", "--length", "-1"], 2, "length"),
    "generate, pdb": ([JUMPS, "generate-data", "-o", "out", "--preset", "cln025"], 2, "--pdb"),
    "generate, preset": ([JUMPS, "generate-data", "-o", "out", "--preset", "water"], 2, "ala2"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    folder = tmp_path_factory.mktemp("wrong")
    texts = {
        "broken.yaml": "a: [",
        "field.yaml": "data: {paths: absent.extxyz}\noptimizer: {lrr: 1}\n",
        "deep.yaml": "data: {paths: absent.extxyz}\nmodel: {backbone: {num_layer: 1}}\n",
        "good.yaml": "data: {paths: absent.extxyz}\n",
        "jump.yaml": JUMP,
        "churn.yaml": JUMP + "model: {transport: {kind: follmer, churn: 0.1, heun: false}}\n",
        "window.yaml": JUMP + "model: {transport: {kind: two_sided, window: [1, 0]}}\n",
        "water.xyz": "3\n\nO 0 0 0\nH 0 0 1\nH 0 1 0\n",
    }
    texts["here.yaml"] = "data: {paths: water.xyz}\n"
    (folder / "empty").mkdir()
    (folder / "begun" / "checkpoints").mkdir(parents=True)
    (folder / "begun" / "checkpoints" / "last.pt").touch()
    for name, text in texts.items():
        (folder / name).write_text(text)
    words = json.dumps([command for command, _, _ in REFUSED.values()])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=words, capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.iterdir()} == {*texts, "empty", "begun"}
    return dict(zip(REFUSED, (tuple(one) for one in json.loads(done.stdout)), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_without_torch(outcomes: dict[str, tuple[int, str]], name: str) -> None:
    _, status, text = REFUSED[name]
    assert outcomes[name][0] == status, outcomes[name][1]
    assert text in " ".join(outcomes[name][1].split())
