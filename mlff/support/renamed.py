"""Former import paths: they still work, and say the new one once. The table is ``mlff/former_names.json``."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from types import FrameType, ModuleType
from typing import Any

_said: set[tuple[str, str]] = set()


@cache
def former_names() -> Mapping[str, Mapping[str, str]]:
    """Where names have gone: the new ``module:name``, or the new module, by former module and name.

    The name ``*`` stands for all public names of the new module; ``from <former module> import *`` brings them.
    """
    table: Mapping[str, Mapping[str, str]] = json.loads(files("mlff").joinpath("former_names.json").read_text("utf-8"))
    return table


def former(module: str) -> Callable[[str], Any]:
    """``__getattr__`` for a module whose names, or some of them, have moved."""

    def get(name: str) -> Any:
        moved = former_names().get(module, {})
        if name == "__all__" and "*" in moved:
            return sorted({*moved, *_public(import_module(moved["*"]))} - {"*"})
        path, _, new_name = moved.get(name, moved.get("*", "")).partition(":")
        target = import_module(path) if path and not name.startswith("_") else None
        new_name = new_name or name
        if target is None or not (hasattr(target, new_name) and (name in moved or name in _public(target))):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if (module, name) not in _said:
            _said.add((module, name))
            text = f"{module}.{name} is now {path}.{new_name}"
            warnings.warn(text, DeprecationWarning, stacklevel=_caller(sys._getframe(1), module))
        return getattr(target, new_name)

    return get


def _public(module: ModuleType) -> Collection[str]:
    """Names that a module exports: its ``__all__``, else what it defines."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def _caller(frame: FrameType | None, module: str) -> int:
    """Stack level of whoever imports, beyond the former module itself and the import machinery."""
    level = 2
    ways = (module, "mlff.support.lazy")
    while frame is not None and (frame.f_globals.get("__name__") in ways or "importlib" in frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    return level
