"""Public names of commit a1e58d4, the last one before the packages moved: they work, or a page says why not.

``public_names_of_a1e58d4.json`` holds the ``__all__`` of every module of that commit, the names that its pages and
examples import from further modules, and the names of all other modules.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from mlff.support.renamed import former_names

ROOT = Path(__file__).resolve().parents[1]
BEFORE = json.loads(Path(__file__).with_name("public_names_of_a1e58d4.json").read_text(encoding="utf-8"))
NAMES: dict[str, list[str]] = BEFORE["names"]
#: Extras without which a module cannot be imported.
NEEDS = {"mlff.equijump.generation.engine": "openmm"}


@pytest.mark.parametrize("module", NAMES)
def test_public_names_can_be_imported(module: str) -> None:
    if module in NEEDS:
        pytest.importorskip(NEEDS[module])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = importlib.import_module(module)
        assert [name for name in NAMES[module] if not hasattr(found, name)] == []


@pytest.mark.parametrize("module", [module for module, moved in former_names().items() if "*" in moved])
def test_a_former_module_gives_its_names_to_a_star(module: str) -> None:
    if module in NEEDS:
        pytest.importorskip(NEEDS[module])
    names: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        exec(f"from {module} import *", names)
    assert set(NAMES[module]) <= set(names)


def test_a_former_name_is_said_once() -> None:
    code = 2 * "from mlff.equijump.geometry import GeometryReference\n"
    command = [sys.executable, "-W", "always::DeprecationWarning", "-c", code]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert said.count("mlff.equijump.geometry.GeometryReference is now mlff.proteins.geometry.GeometryReference") == 1


def test_modules_that_are_gone_are_named_in_the_page() -> None:
    page = (ROOT / "docs" / "renamed.md").read_text(encoding="utf-8").partition("## Modules")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    gone = [module for module in BEFORE["modules"] if not (file_of(module) or file_of(f"{module}.__init__"))]
    patterns = {pattern: home for former, home in rows for pattern in re.findall(r"`([\w.*]+)`", former)}
    assert [module for module in gone if not any(fnmatchcase(module, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatchcase(module, pattern) for module in gone)] == []
    homes = {home for homes in patterns.values() for home in re.findall(r"`([\w.]+)`", homes)}
    assert [home for home in homes if not (file_of(home) or file_of(f"{home}.__init__"))] == []


def file_of(module: str) -> bool:
    return (ROOT / f"{module.replace('.', '/')}.py").is_file()
