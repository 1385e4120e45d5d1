"""Former import paths: they still work, and say the new one once."""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def former(old: str, new: str) -> Callable[[str], Any]:
    """``__getattr__`` of the module ``old`` whose public names have moved to the module ``new``.

    >>> __getattr__ = former("mlff.peptides", "mlff.sampling.peptides")
    """

    def get(name: str) -> Any:
        target = import_module(new)
        if name.startswith("_") or name not in target.__all__:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        if (old, name) not in _said:
            _said.add((old, name))
            # The caller is the first frame that is not of the import machinery.
            level, frame = 2, sys._getframe(1)
            while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
                level, frame = level + 1, frame.f_back  # type: ignore[assignment]
            warnings.warn(f"{old}.{name} is now {new}.{name}", DeprecationWarning, stacklevel=level)
        return getattr(target, name)

    return get


_said: set[tuple[str, str]] = set()
