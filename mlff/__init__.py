"""Equivariant networks on point clouds: machine-learned potentials and time-jumping generators.

``mlff.load`` opens a potential and ``mlff.load_jump`` a jump model, ``mlff.export`` and ``mlff.export_jump`` write
them, ``mlff.available`` lists the shipped ones. Importing this package imports nothing else; torch comes with the first
of these names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlff.artifacts import available, export, export_jump, load, load_jump

    __version__: str

__all__ = ["__version__", "available", "export", "export_jump", "load", "load_jump"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("mlff-equijump")
        except PackageNotFoundError:  # a source tree on the path, not installed
            return "unknown"
    if name in __all__:
        return getattr(import_module("mlff.artifacts"), name)
    raise AttributeError(f"module 'mlff' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
