"""The README and the pages in docs/ run as they stand: Python, configurations, commands and links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.doc_inputs import WRITERS, write_labelled_frames
from typer.main import get_command

import md_drivers.cli
import md_drivers.jumps.cli
import mlff.cli
from mlff.equijump.training import JumpTrainingConfig
from mlff.sampling.peptides import load_config as load_peptides
from mlff.sampling.trajectories import load_config as load_generation
from mlff.training import load_config, train
from mlff.training.config import read_config
from mlff.trajectories import read_record

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {
    "mlff": get_command(mlff.cli.app),
    "md-drivers": get_command(md_drivers.cli.app),
    "equijump": get_command(md_drivers.jumps.cli.app),
}
#: How files of these names are read; the others configure `mlff train`.
READERS = {
    "generation.yaml": load_generation,
    "peptides.yaml": load_peptides,
    "trajectories.yaml": read_record,
    "ala2.yaml": lambda path: read_config(JumpTrainingConfig, path),
}


@dataclass(frozen=True)
class Snippet:
    """A fenced block, or a piece of inline code (language ``inline``), and where it begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def fenced(page: Path) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    snippets = [Snippet(page, text.count("\n", 0, block.start()) + 1, block[1], block[2]) for block in blocks]
    return [snippet for snippet in snippets if not snippet.language.startswith("{")]  # a directive of the site


def inline(page: Path) -> list[Snippet]:
    """Commands in running text, comments included."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"`((?:mlff|md-drivers|equijump|make) +[^`]+)`", text)
    return [Snippet(page, text.count("\n", 0, piece.start()) + 1, "inline", piece[1]) for piece in found]


BLOCKS = [snippet for page in PAGES for snippet in fenced(page)]
#: Pages whose Python is one program in several blocks.
CONTINUED = {"adding_a_kind.md"}


def python_of(page: Path) -> list[Snippet]:
    found = [snippet for snippet in BLOCKS if snippet.page == page and snippet.language == "python"]
    if page.name not in CONTINUED:
        return found
    return [Snippet(page, found[0].line, "python", "\n\n".join(snippet.text for snippet in found))]


PYTHON = [snippet for page in PAGES for snippet in python_of(page)]
CONFIGS = [snippet for snippet in BLOCKS if snippet.language == "yaml"]
SHELL = [snippet for snippet in BLOCKS if snippet.language == "sh"]
INLINE = [snippet for page in PAGES for snippet in inline(page)]


def command_lines(snippet: Snippet) -> list[list[str]]:
    """Words of every command, comments removed; none in other languages."""
    lines = snippet.text.replace("\\\n", " ").splitlines() if snippet.language in ("sh", "inline") else []
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def parse(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Name and parameters of a subcommand as the command itself reads them; nothing is run."""
    program = COMMANDS[words[0]]
    context = program.make_context(words[0], words[1:])
    name, subcommand, rest = program.resolve_command(context, words[1:])
    return name, subcommand.make_context(name, rest, parent=context).params


def check_script(words: list[str]) -> None:
    """``python -m module`` or ``python file`` of this repository: it exists and knows the options."""
    if words[1] == "-m":
        module = ROOT.joinpath(*words[2].split("."))
        path, options = next(p for p in (module / "__main__.py", module.with_suffix(".py")) if p.exists()), words[3:]
    else:
        path, options = ROOT / words[1], words[2:]
    source = path.read_text(encoding="utf-8")
    if "add_jump_model(" in source:
        source += (ROOT / "benchmarks" / "command_line.py").read_text(encoding="utf-8")
    for option in (word for word in options if word.startswith("-")):
        assert f'"{option}"' in source or f'"{option}/' in source, f"{path.name} knows no option {option}"


def check_command(words: list[str]) -> None:
    if words[0] == "srun":  # the launcher of a cluster
        words = words[1:]
    program = words[0]
    if program in COMMANDS:
        parse(words)
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in (word for word in words[1:] if "=" not in word):
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), f"Makefile has no target {target}"
    elif Path(program).name.startswith("python"):
        check_script(words)
    else:
        assert program == "pip", f"this test does not know the program {program!r}"


def overrides_of(page: Path) -> list[tuple[str, list[str]]]:
    """(configuration, overrides) of every ``mlff train CONFIG.yaml`` on a page."""
    lines = [words for snippet in BLOCKS + INLINE if snippet.page == page for words in command_lines(snippet)]
    commands = [words[words[0] == "srun" :] for words in lines]
    trainings = [parse(words)[1] for words in commands if words[:2] == ["mlff", "train"] and len(words) > 2]
    return [
        (params["config"].name, list(params["overrides"] or []))
        for params in trainings
        if len(params["config"].parts) == 1 and params["config"].suffix == ".yaml"
    ]


def test_the_snippets_are_found() -> None:
    assert len(PYTHON) >= 3
    assert CONFIGS
    assert SHELL
    assert {snippet.language for snippet in BLOCKS} <= {"python", "yaml", "sh", "text"}, "a language that nobody checks"


def test_readme_opens_with_the_two_commands() -> None:
    first = fenced(PAGES[0])[0]
    assert [words[:2] for words in command_lines(first)] == [["make", "demo"], ["make", "test"]]


def test_readme_is_short() -> None:
    assert PAGES[0].stat().st_size <= 8192


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_python_runs(snippet: Snippet, tmp_path: Path) -> None:
    for folder in (ROOT / "checkpoints").glob("*/"):
        if f'"{folder.name}"' in snippet.text and not (folder / "model.pt").exists():
            pytest.skip(f"this copy has no checkpoints/{folder.name}/model.pt")
    if snippet.page.name in WRITERS:
        WRITERS[snippet.page.name](tmp_path)
    script = tmp_path / "snippet.py"
    script.write_text(snippet.text, encoding="utf-8")
    # On a busy machine the threads of OpenMM's CPU platform wait for each other.
    environment = os.environ | {"OPENMM_CPU_THREADS": "1"}
    words = [sys.executable, "-X", "utf8", str(script)]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


def test_calculator_is_the_example() -> None:
    example = (ROOT / "examples" / "calculator.py").read_text(encoding="utf-8")
    assert example.partition('"""\n\n')[2] in [snippet.text for snippet in PYTHON]


@pytest.mark.parametrize("snippet", CONFIGS, ids=str)
def test_configuration_is_valid_with_all_overrides_on_its_page(snippet: Snippet, tmp_path: Path) -> None:
    named = re.match(r"# ([\w.-]+\.yaml)\b", snippet.text)
    assert named is not None, "a configuration begins with its file name"
    path = tmp_path / named[1]
    path.write_text(snippet.text, encoding="utf-8")
    if path.name in READERS:
        assert READERS[path.name](path) is not None
        return
    assert load_config(path).output.is_relative_to(tmp_path)
    for name, overrides in overrides_of(snippet.page):
        if name == path.name:
            load_config(path, overrides)


def test_the_configuration_of_the_readme_trains(tmp_path: Path) -> None:
    (snippet,) = (snippet for snippet in CONFIGS if snippet.page == PAGES[0])
    path = tmp_path / "config.yaml"
    path.write_text(snippet.text, encoding="utf-8")
    write_labelled_frames(tmp_path / "data.extxyz", 10)
    steps: list[int] = []
    train(load_config(path, ["epochs=1", "accelerator=cpu"]), on_step=lambda now, total, metrics: steps.append(total))
    assert steps == [2, 2]
    assert (tmp_path / "runs" / "first" / "weights.safetensors").is_file()


@pytest.mark.parametrize("snippet", SHELL + INLINE, ids=str)
def test_commands_exist_with_their_options(snippet: Snippet) -> None:
    for words in command_lines(snippet):
        if snippet.language == "inline" and len(words) == 2 and words[0] in COMMANDS:  # the name alone
            program = COMMANDS[words[0]]
            assert words[1] in program.list_commands(program.make_context(words[0], words[1:]))
        else:
            check_command(words)


@pytest.mark.parametrize(
    "line", ["mlff train", "mlff export run -o x --no-such", "md-drivers relax a.traj", "mlff fly"]
)
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"Missing|No such"):
        check_command(line.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    # What the tutorials draw is made with the site, whose build misses it if it is not there.
    here = [target for target in targets if "://" not in target and "build/docs/" not in target]
    assert [target for target in here if not (page.parent / target).exists()] == []


def test_examples_are_all_tested() -> None:
    tests = (ROOT / "tests" / "md_drivers" / "test_examples.py").read_text(encoding="utf-8")
    for example in (ROOT / "examples").glob("*.py"):
        assert f'"{example.name}"' in tests
