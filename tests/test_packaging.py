"""What users get: the commands, the wheel, a quiet import, and texts without paths of a developer's machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run_python(code: str, folder: Path) -> str:
    """Run `code` in a fresh interpreter outside the repository and return what it prints."""
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("command", "subcommands"),
    [("mlff", ["train", "evaluate", "export", "inspect"]), ("md-drivers", ["relax"])],
)
def test_installed_commands_explain_themselves(command: str, subcommands: list[str], tmp_path: Path) -> None:
    script = shutil.which(command, path=sysconfig.get_path("scripts"))
    assert script is not None, f"{command} is not installed beside {sys.executable}"
    result = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    for name in subcommands:
        assert re.search(rf"\b{name}\b", result.stdout), f"{command} --help does not list {name}"


def test_unknown_subcommand_is_an_error(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mlff.cli", "no-such-command"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "no-such-command" in result.stderr


def test_distribution_has_a_name_of_its_own() -> None:
    # Another public project owns the distribution name "mlff"; the import names stay mlff and md_drivers.
    assert PROJECT["name"] != "mlff"
    distribution = importlib.metadata.distribution(PROJECT["name"])
    assert distribution.version == PROJECT["version"]
    scripts = {entry.name: entry.value for entry in distribution.entry_points if entry.group == "console_scripts"}
    assert scripts == {
        "mlff": "mlff.cli:app",
        "md-drivers": "md_drivers.cli:app",
        "equijump": "md_drivers.jumps.cli:app",
    }


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_import_is_quiet_and_leaves_global_settings_alone(tmp_path: Path) -> None:
    code = """
import json, os, random, sys
import numpy, torch, ase
def state():
    return {
        "dtype": str(torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "torch seed": torch.random.get_rng_state().tolist(),
        "numpy seed": numpy.random.get_state()[1].tolist(),
        "python seed": random.getstate(),
        "environment": dict(os.environ),
    }
before = state()
import mlff, md_drivers, mlff.potential, mlff.artifacts, mlff.data
after = state()
print(json.dumps({
    "changed": [name for name in before if before[name] != after[name]],
    "heavy": sorted({"e3nn", "lightning", "matplotlib.pyplot", "tensorboard"} & set(sys.modules)),
}))
"""
    assert json.loads(run_python(code, tmp_path)) == {"changed": [], "heavy": []}


def test_commands_start_without_the_training_libraries(tmp_path: Path) -> None:
    code = "import sys, mlff.cli; print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    assert run_python(code, tmp_path).strip() == "[]"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built as if no compiler were there."""
    pytest.importorskip("scikit_build_core", reason="the wheel is built with it, part of the extra 'dev'")
    folder = tmp_path_factory.mktemp("wheel")
    result = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        env={**os.environ, "CXX": str(folder / "no compiler")},
    )
    assert result.returncode == 0, result.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_packages_licence_and_type_marker(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"mlff", "md_drivers"}
    for marker in ("mlff/py.typed", "md_drivers/py.typed"):
        assert marker in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {path.relative_to(ROOT).as_posix() for package in tops for path in (ROOT / package).rglob("*.py")}
    templates = {path.relative_to(ROOT).as_posix() for path in (ROOT / "mlff").rglob("*.j2")}
    assert templates
    assert sources | templates <= set(names)


def test_wheel_is_built_without_a_compiler(wheel: zipfile.ZipFile) -> None:
    assert str(wheel.filename).endswith("-py3-none-any.whl")
    assert [name for name in wheel.namelist() if name.startswith("mlff/native/lib/")] == []


def test_wheel_holds_every_shipped_checkpoint(wheel: zipfile.ZipFile) -> None:
    shipped = sorted(path for path in (ROOT / "checkpoints").glob("*/*") if path.is_file())
    for path in shipped:
        name = f"mlff/_checkpoints/{path.parent.name}/{path.name}"
        assert wheel.read(name) == path.read_bytes()


def test_shipped_names_are_found_by_the_installed_package(tmp_path: Path) -> None:
    names = sorted(path.parent.name for path in (ROOT / "checkpoints").glob("*/model.pt"))
    printed = run_python("import json, mlff; print(json.dumps(mlff.available()))", tmp_path)
    assert json.loads(printed) == names


def tracked_texts() -> list[tuple[str, str]]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    assert listing.returncode == 0, listing.stderr
    texts = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".pt", ".safetensors", ".png", ".npz", ".xtc"}:
            texts.append((name, path.read_text(encoding="utf-8")))
    return texts


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"(?<![\w.~$}])/(?:work|root|tmp|home/\w+|Users/\w+)/", id="folders of one machine"),
        pytest.param(r"pypi\.org|pythonhosted\.org|download\.pytorch", id="package indices"),
    ],
)
def test_tracked_texts_name_no(pattern: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert found == []


def test_checkpoints_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "checkpoints").glob("*/*")}
    assert {name: size for name, size in sizes.items() if size >= 20_000_000} == {}
