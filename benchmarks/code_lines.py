"""Lines of code of the packages, and which files and functions are long.

    python -m benchmarks.code_lines [FOLDER]

A line counts if it holds any part of a token other than a comment or a docstring. Files are long above 300 lines and
functions above 60, all lines counted; of commands, whose signatures are their help, only what follows the docstring.
"""

from __future__ import annotations

import argparse
import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.command_line import new_parser

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mlff", "md_drivers")
LONGEST_FILE = 300
LONGEST_FUNCTION = 60
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    parser = new_parser("code_lines", __doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT, help="of the repository; default: this one")
    show(parser.parse_args(), Console(highlight=False))


def show(options: argparse.Namespace, console: Console) -> None:
    """Print lines by package, long files and long functions."""
    lines, long = Counter[str](), []
    for package in PACKAGES:
        for path in sorted((options.folder / package).rglob("*.py")):
            source, name = path.read_text(encoding="utf-8"), path.relative_to(options.folder)
            lines["/".join(name.parent.parts[:2])] += count_code_lines(source)
            if (length := len(source.splitlines())) > LONGEST_FILE:
                long.append((length, str(name)))
            long += [(length, f"{name}: {function}") for function, length in long_functions(source)]
    table = Table("package", "lines of code")
    for package, count in sorted(lines.items()):
        table.add_row(package, str(count))
    table.add_section()
    table.add_row("total", str(lines.total()))
    console.print(table)
    console.print(f"\nFiles above {LONGEST_FILE} lines and functions above {LONGEST_FUNCTION}: {len(long)}")
    for length, name in sorted(long, reverse=True):
        console.print(f"{length:5d}  {name}", soft_wrap=True)


def count_code_lines(source: str) -> int:
    """Lines of Python source that hold code."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spans = ((token.start[0], token.end[0]) for token in tokens if token.type not in _NO_CODE)
    code = {line for first, last in spans for line in range(first, last + 1)}
    docstrings = (docstring for node in ast.walk(ast.parse(source)) if (docstring := find_docstring(node)) is not None)
    return len(code.difference(*(range(text.lineno, _end(text) + 1) for text in docstrings)))


def find_docstring(node: ast.AST) -> ast.Expr | None:
    """The statement that documents a module, a class or a function."""
    if not isinstance(node, ast.Module | ast.ClassDef | _Function) or ast.get_docstring(node, clean=False) is None:
        return None
    assert isinstance(node.body[0], ast.Expr)
    return node.body[0]


def long_functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and lines of every function that is too long."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _Function):
            first = node.lineno
            if "typer." in ast.unparse(node.args):  # a command
                docstring = find_docstring(node)
                first = node.body[0].lineno if docstring is None else _end(docstring) + 1
            if (length := _end(node) - first + 1) > LONGEST_FUNCTION:
                yield node.name, length


def _end(node: ast.stmt) -> int:
    return node.lineno if node.end_lineno is None else node.end_lineno


if __name__ == "__main__":
    main()
