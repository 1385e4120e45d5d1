"""The compiled library: where it lies, and its functions."""

from __future__ import annotations

import ctypes
import functools
import platform
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from pathlib import Path

MESSAGE = 256
DONE, WRONG_INPUT, MISSING_TABLES, FAILED = range(4)
FOLDER = Path(__file__).parent / "lib"
#: Levels of instructions by architecture, the best first; libraries are called after them.
LEVELS = {"x86_64": ("x86-64-v4", "x86-64-v3"), "AMD64": ("x86-64-v4", "x86-64-v3")}

_COUNTS = (
    *("lmax", "mmax", "layers", "species", "channels", "channels_real", "message", "hidden"),
    *("heads", "alpha", "value", "logits", "values", "ffn", "head", "points"),
    *("attention", "attention_norm", "merged_norm", "parity", "product", "scalars_only", "repulsion"),
)
_REALS = ("cutoff", "energy_scale", "energy_offset")


class Sizes(ctypes.Structure):
    """Sizes of a model, as in ``native/model.hpp``."""

    _fields_ = [(name, c_int32) for name in _COUNTS] + [(name, c_double) for name in _REALS]


class Input(ctypes.Structure):
    """What is evaluated, as in ``native/graph.hpp``."""

    _fields_ = [
        *((name, c_int64) for name in ("atoms", "structures", "pairs")),
        *((name, c_void_p) for name in ("positions", "cells", "shifts", "source", "target", "batch", "species")),
        ("closest", c_void_p),
    ]


class Output(ctypes.Structure):
    """What comes out, as in ``native/graph.hpp``."""

    _fields_ = [
        *((name, c_void_p) for name in ("energy", "energies", "forces", "virial", "features", "missing")),
        ("shortest", c_double),
        *((name, c_int64) for name in ("edges", "close")),
    ]


@functools.cache
def shared_library() -> ctypes.CDLL | None:
    """The library for this processor; None: none was built, or for none of its instructions."""
    for level in LEVELS.get(platform.machine(), (platform.machine(),)):
        path = next(FOLDER.glob(f"*mlff_{level}.*"), None)
        if path is None:
            continue
        opened = ctypes.CDLL(str(path))
        if opened.mlff_runs_here():
            return _declared(opened)
    return None


def level() -> str:
    """The level of instructions in use, such as ``x86-64-v4``; empty without a library."""
    opened = shared_library()
    return "" if opened is None else Path(opened._name).stem.partition("mlff_")[2]


def _declared(opened: ctypes.CDLL) -> ctypes.CDLL:
    names, values, lengths = POINTER(c_char_p), POINTER(c_void_p), POINTER(c_int64)
    opened.mlff_new.restype = c_void_p
    opened.mlff_new.argtypes = [POINTER(Sizes), c_int, c_int, names, values, lengths, c_char_p]
    opened.mlff_free.argtypes = [c_void_p]
    opened.mlff_free.restype = None
    opened.mlff_set_table.argtypes = [c_void_p, c_int, c_int, c_int, c_void_p, c_char_p]
    opened.mlff_evaluate.argtypes = [c_void_p, POINTER(Input), POINTER(Output), c_int, c_char_p]
    return opened
