"""Examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for package in ("mlff", "md_drivers") for path in sorted((ROOT / package).rglob("*.py"))]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in ("mlff", "md_drivers"):
            raise
        pytest.skip(f"{name} needs {error.name}, which is part of an optional extra")
    monkeypatch.chdir(tmp_path)  # what an example writes
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0, f"{name} holds >>> that doctest does not find"
    assert result.failed == 0, "see the captured output"


def test_the_algebra_and_the_transports_have_examples() -> None:
    assert {"mlff.irreps.constants", "mlff.irreps.layout", "mlff.transports.interpolant"} <= set(MODULES)
