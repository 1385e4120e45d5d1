"""Equivariant networks on point clouds: machine-learned potentials, time-jumping generators and their relatives.

``mlff.load`` opens a model of any kind, ``mlff.export`` writes one, ``mlff.available`` names the pretrained ones and
``mlff.models`` says more about each. Importing this package imports nothing else; torch comes with the first of these
names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlff.artifacts import available, export, load, models

    __version__: str

__all__ = ["__version__", "available", "export", "load", "models"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("mlff-equijump")
        except PackageNotFoundError:  # a source tree on the path, not installed
            return "unknown"
    if name in __all__:
        return getattr(import_module("mlff.artifacts"), name)
    from mlff.support.renamed import former

    return former(__name__)(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
