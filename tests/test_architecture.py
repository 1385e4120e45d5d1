"""The packages and their imports are as docs/architecture.md has them."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 300
#: What breaks the rules and is being mended. Nothing is added here, and what is mended has to go.
KNOWN: set[str] = set()


@dataclass(frozen=True)
class Import:
    """Of one module by another, also where only type checkers see it."""

    source: str
    target: str


def read_table(text: str) -> dict[str, list[str]]:
    """Package to the packages that it may import, in the order of the table."""
    table = text.split("| package | knows | may import |\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("| ").split("|")] for row in table.splitlines()[1:]]
    packages = [row[0].strip("`").replace("/", ".") for row in rows]
    named = {package.rpartition(".")[2]: package for package in packages}
    names = [re.findall(r"`(\w+)`", row[2]) if len(row) == 3 else [] for row in rows]
    return {package: [named[name] for name in row] for package, row in zip(packages, names, strict=True)}


@cache
def modules() -> dict[str, Path]:
    """Dotted name to file, of all modules."""
    files = [path for root in ("mlff", "md_drivers") for path in sorted((ROOT / root).rglob("*.py"))]
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in files}
    return {".".join(names[:-1] if names[-1] == "__init__" else names): path for path, names in parts.items()}


@cache
def packages() -> set[str]:
    """The packages of the table: the two at the top, and those directly below them."""
    return {name for name, path in modules().items() if path.name == "__init__.py" and name.count(".") <= 1}


def package_of(module: str) -> str:
    parts = module.split(".")
    nested = ".".join(parts[:2])
    return nested if nested in packages() else parts[0]


def imports_of(source: str, tree: ast.AST) -> Iterator[Import]:
    """Imports of our own modules, wherever they stand."""
    for node in ast.iter_child_nodes(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            target = name if name in modules() else name.rpartition(".")[0]
            if target in modules():
                yield Import(source, target)
        yield from imports_of(source, node)


@cache
def imports() -> list[Import]:
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}
    return [found for name, tree in trees.items() for found in imports_of(name, tree)]


def forbidden_arrows(table: dict[str, list[str]], found: list[Import]) -> set[str]:
    arrows = {(package_of(one.source), package_of(one.target)) for one in found}
    return {f"{a} -> {b}" for a, b in arrows if a != b and b not in table.get(a, [])}


def circles(found: list[Import]) -> set[str]:
    graph = networkx.DiGraph([(one.source, one.target) for one in found])
    groups = [group for group in networkx.strongly_connected_components(graph) if len(group) > 1]
    return {"circle: " + ", ".join(sorted(group)) for group in groups}


def long_files() -> set[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    return {f"long: {path.relative_to(ROOT).as_posix()}" for path, length in lengths.items() if length > LONGEST_FILE}


TABLE = read_table((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_every_package_has_a_row_and_every_row_a_package() -> None:
    assert set(TABLE) == packages()


def test_the_table_only_allows_what_stands_above() -> None:
    rows = list(TABLE)
    for package, allowed in TABLE.items():
        assert set(allowed) <= set(rows[: rows.index(package)]), package


def test_packages_import_what_the_table_allows_modules_form_no_circles_and_files_are_short() -> None:
    assert forbidden_arrows(TABLE, imports()) | circles(imports()) | long_files() == KNOWN


def test_wrong_imports_would_be_noticed() -> None:
    text = """
from mlff.graph import graph_from_atoms
if TYPE_CHECKING:
    from mlff.training import train
def late():
    import mlff.potential.potential
"""
    found = list(imports_of("mlff.graph.radial", ast.parse(text)))
    assert found == [
        Import("mlff.graph.radial", "mlff.graph"),
        Import("mlff.graph.radial", "mlff.training"),
        Import("mlff.graph.radial", "mlff.potential.potential"),
    ]
    assert forbidden_arrows(TABLE, found) == {"mlff.graph -> mlff.training", "mlff.graph -> mlff.potential"}
    back = [Import("mlff.potential.potential", "mlff.graph.radial"), Import("mlff.training", "mlff.graph")]
    assert circles([*found, back[0]]) == {"circle: mlff.graph.radial, mlff.potential.potential"}
    assert circles([Import("mlff.graph", "mlff.training"), back[1]]) == {"circle: mlff.graph, mlff.training"}


NAMES = re.compile(r"(?<![a-z])(potentials?|jumps?|energy|energies|forces|stress|dipole)(?![a-z])", re.IGNORECASE)
#: Options of `mlff evaluate` of earlier versions, hidden, and an example of the present ones.
FORMER_OPTIONS = {"energy_key", "forces_key", "stress_key", "energy_unit", "energy", "forces", "stress"} | {
    "Unit of a label in the files, e.g. energy=kcal/mol; repeatable."
}


def words_of(path: Path) -> Iterator[str]:
    """Identifiers and texts of a module, but for its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docs = {id(node.body[0].value) for node in nodes if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        for name in ("id", "attr", "arg", "name", "module", "value"):
            text = getattr(node, name, None)
            if isinstance(text, str) and id(node) not in docs:
                yield text


@pytest.mark.parametrize("package", ["mlff/artifacts", "mlff/training", "mlff/commands", "mlff/cli.py"])
def test_what_is_there_once_names_no_kind_and_no_quantity(package):
    files = [ROOT / package] if package.endswith(".py") else sorted((ROOT / package).rglob("*.py"))
    assert files
    named = {
        f"{path.name}: {word}"
        for path in files
        for word in words_of(path)
        if NAMES.search(word.replace("_", " ")) and not (path.name == "cli.py" and word in FORMER_OPTIONS)
    }
    assert not named


def has_public_names(path: Path) -> bool:
    return re.search(r"^(\w+, )*__all__ =", path.read_text("utf-8"), re.MULTILINE) is not None


@pytest.mark.parametrize("name", [name for name, path in modules().items() if has_public_names(path)])
def test_public_names_exist(name: str) -> None:
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
