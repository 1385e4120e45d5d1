"""Names of a package whose modules are imported when a name is first used."""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from mlff.support.renamed import former


def lazy(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    The names and their modules are those that its file imports below ``if TYPE_CHECKING:``, so that type checkers and
    this function read the same table; ``as`` tells type checkers that a name is public. Other names may be former ones,
    see :mod:`mlff.support.renamed`.
    """
    shown = [node for node in ast.parse(Path(file).read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    imports = [node for block in shown for node in block.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.asname or alias.name: (node.module or "", alias.name) for node in imports for alias in node.names}
    moved = former(package)

    def get(name: str) -> Any:
        if name not in homes:
            return moved(name)
        module, named = homes[name]
        return getattr(import_module(module), named)

    return get, lambda: sorted(homes), sorted(homes)
