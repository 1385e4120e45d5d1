"""Potentials on CPUs without autograd: a C++ library evaluates them (sources and equations: ``native/``)."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.native.evaluator import NativeEvaluator as NativeEvaluator
    from mlff.native.library import level as level
    from mlff.native.library import shared_library as shared_library

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
