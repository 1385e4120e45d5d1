"""The tutorials run, and the site that shows them builds without a warning and asks no other host for anything."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("docs", "examples", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
FIGURES = ("checkpoints/*/MODEL_CARD.md", "checkpoints/*/report/*.png", "benchmarks/results/*.png")


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TUTORIALS = script("run_tutorials")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is made of, in a folder of its own."""
    copy = tmp_path_factory.mktemp("site")
    for name in SOURCES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    for file in (file for pattern in FIGURES for file in ROOT.glob(pattern)):
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return copy


@pytest.mark.parametrize(
    ("name", "said", "packages"),
    [
        ("relax_adsorbate", "after 20 steps", ()),
        ("peptide_in_water", "broken bonds: 0", ("openmmml", "mdtraj", "PeptideBuilder")),
        ("jump_a_peptide", "noise floor", ("mdtraj", "deeptime")),
    ],
)
def test_tutorial_runs_with_a_tenth_of_its_steps(
    name: str, said: str, packages: tuple[str, ...], checkout: Path
) -> None:
    for package in packages:
        pytest.importorskip(package)
    assert said in TUTORIALS.run(name, checkout / "build" / "docs" / "tutorials", 0.1)


def test_every_tutorial_is_tested_and_has_a_page() -> None:
    (mark,) = test_tutorial_runs_with_a_tenth_of_its_steps.pytestmark
    pages = {page.stem for page in (ROOT / "docs" / "tutorials").glob("*.md")} - {"index"}
    assert {case[0] for case in mark.args[1]} == set(TUTORIALS.NAMES) == pages


class _Requests(HTMLParser):
    """Addresses that a browser asks for by itself; links are for readers to follow."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        names = {"link": ("href",), "a": ()}.get(tag, ("src", "srcset", "data", "poster"))
        self.found += [value for name in names if (value := values.get(name))]
        self.found += requested_by_css(values.get("style") or "")


def requested_by_css(text: str) -> list[str]:
    return re.findall(r"url\(\s*[\"']?([^\"')]+)", text) + re.findall(r"@import\s+[\"']([^\"']+)", text)


def other_hosts(page: str, *, css: bool = False) -> list[str]:
    """Addresses on other hosts that a page (or style sheet) makes a browser ask."""
    parser = _Requests()
    if not css:
        parser.feed(page)
    return [address for address in parser.found + requested_by_css(page) if re.match(r"(?:https?:)?//", address)]


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/mathjax.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        "<img src='http://badge.example/a.svg'>",
        "<style>@font-face { src: url(https://fonts.example/a.woff2) }</style>",
        "<p style=\"background: url('//img.example/b.png')\">",
    ],
)
def test_a_request_to_another_host_would_be_noticed(page: str) -> None:
    assert other_hosts(page)
    assert other_hosts('<a href="https://arxiv.org/abs/2307.08423">read</a><img src="_images/relax.png">') == []


def test_the_site_builds_and_is_complete_in_itself(checkout: Path) -> None:
    for package in ("sphinx", "myst_parser", "furo", "latex2mathml"):
        pytest.importorskip(package)
    results = checkout / "build" / "docs" / "tutorials"
    if any(not (results / name / "output.txt").is_file() for name in TUTORIALS.NAMES):
        pytest.skip("needs what the tutorials write: run the whole file")
    site = checkout / "build" / "docs" / "html"
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-b", "html"]
    built = subprocess.run([*command, "docs", str(site)], cwd=checkout, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        assert other_hosts(page.read_text(encoding="utf-8")) == [], page.name
    for sheet in site.rglob("*.css"):
        assert other_hosts(sheet.read_text(encoding="utf-8"), css=True) == [], sheet.name
    assert "<math" in (site / "symmetry_map.html").read_text(encoding="utf-8")
    assert 'id="md_drivers.relax"' in (site / "api" / "md_drivers.html").read_text(encoding="utf-8")


def test_page_of_former_names_is_in_step() -> None:
    command = [sys.executable, str(ROOT / "docs" / "renamed.py"), "--check"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    renamed = script("renamed")
    assert "| `old.Name` | `new.Other` |" in renamed.table({"old": {"Name": "new:Other"}})
    assert "| `old.*` | `new.*` |" in renamed.table({"old": {"*": "new"}})
