"""A potential on CPUs, evaluated by the native library."""

from __future__ import annotations

import ctypes
import threading
import weakref
from ctypes import byref, c_char_p, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mlff.graph.graph import GraphInput
from mlff.native.library import DONE, MESSAGE, MISSING_TABLES, WRONG_INPUT, Input, Output, shared_library
from mlff.native.tables import ERROR, radial_tables
from mlff.native.weights import sizes, species_rows, weights


@dataclass(frozen=True)
class Results:
    """What an evaluation gives; None: not asked for.

    Attributes:
        energy, energies: [B], [N] float64 eV.
        forces: [N, 3] float64 eV/Å.
        virial: [B, 3, 3] float64 eV, dE/dε.
        features: [N, D], inputs of the last layer.
        shortest: Å, the shortest edge; infinite without edges.
        close: number of edges that are shorter than what was given as ``closest``.
    """

    energy: Tensor
    energies: Tensor
    forces: Tensor | None
    virial: Tensor | None
    features: Tensor | None
    shortest: float
    close: int


class NativeEvaluator:
    """Energies, forces and virials of a potential, by its own weights.

    Args:
        potential: one that :func:`mlff.native.obstacle` finds nothing about; its weights are copied.
        dtype: to compute in.
    """

    def __init__(self, potential: Any, dtype: torch.dtype) -> None:
        opened = shared_library()
        if opened is None:
            raise ValueError("the native library was not built")
        self._library, self.dtype, self._potential = opened, dtype, potential
        named = weights(potential)
        count, text = len(named), ctypes.create_string_buffer(MESSAGE)
        names = (c_char_p * count)(*(name.encode() for name in named))
        values = (c_void_p * count)(*(value.ctypes.data for value in named.values()))
        lengths = (c_int64 * count)(*(value.size for value in named.values()))
        self._sizes = sizes(potential)
        twice = dtype == torch.float64
        self._model = opened.mlff_new(byref(self._sizes), twice, count, names, values, lengths, text)
        if not self._model:
            raise ValueError(f"the native library refuses the model: {text.value.decode()}")
        weakref.finalize(self, opened.mlff_free, self._model)
        self._rows = species_rows(potential)
        self._species = np.full(len(potential.species_of_number) + 1, -1, dtype=np.int32)
        self._species[list(potential.config.species)] = np.arange(len(potential.config.species))
        self._features = potential.config.backbone.ffn_channels
        self._building = threading.Lock()

    def __call__(
        self,
        graph: GraphInput,
        *,
        forces: bool = True,
        virial: bool = False,
        features: bool = False,
        closest: np.ndarray | None = None,
    ) -> Results:
        """Evaluate B structures with N atoms in all.

        Args:
            graph: edges in any order; those beyond the cutoff do not count, so that the pairs of a neighbour list with
                a skin will do.
            forces, virial, features: compute them too.
            closest: [species, species] Å; shorter edges are counted.

        Raises:
            ValueError: numbers that are not finite, elements that are not known, atoms or structures that are not
                there, two atoms at one place.
        """
        given = Input(*self._checked(graph))
        atoms, structures = given.atoms, given.structures
        kept = _arrays(graph, self._species)
        if closest is not None:
            kept["closest"] = np.ascontiguousarray(closest, dtype=np.float64)
        for name, array in kept.items():
            setattr(given, name, array.ctypes.data)
        layers, species = self._sizes.layers, self._sizes.species
        exact = np.float64
        real = np.float64 if self.dtype == torch.float64 else np.float32
        missing = np.zeros((layers + 1, species, species), np.uint8)
        made = {
            "energy": np.empty(structures, exact),
            "energies": np.empty(atoms, exact),
            "forces": np.empty((atoms, 3), exact) if forces else None,
            "virial": np.empty((structures, 3, 3), exact) if virial else None,
            "features": np.empty((atoms, self._sizes.head), real) if features else None,
        }
        pointers = (None if array is None else array.ctypes.data for array in (*made.values(), missing))
        out = Output(*pointers)
        text, threads = ctypes.create_string_buffer(MESSAGE), torch.get_num_threads()
        status = self._library.mlff_evaluate(self._model, byref(given), byref(out), threads, text)
        if status == MISSING_TABLES:
            self._make_tables(missing)
            status = self._library.mlff_evaluate(self._model, byref(given), byref(out), threads, text)
        if status == WRONG_INPUT:
            raise ValueError(text.value.decode())
        if status != DONE:
            raise MemoryError(f"the native evaluation of {atoms} atoms failed: {text.value.decode() or status}")
        tensors: dict[str, Any] = {name: None if x is None else torch.from_numpy(x) for name, x in made.items()}
        if features:
            tensors["features"] = tensors["features"][:, : self._features]
        return Results(**tensors, shortest=out.shortest, close=out.close)

    @staticmethod
    def _checked(graph: GraphInput) -> tuple[int, int, int]:
        atoms, structures, edges = len(graph.positions), len(graph.cell), graph.edge_index.shape[-1]
        shapes = [(atoms, 3), (atoms,), (structures, 3, 3), (2, edges), (edges, 3), (atoms,)]
        for name, value, shape in zip(graph._fields, graph, shapes, strict=True):
            if tuple(value.shape) != shape:
                raise ValueError(f"{name} must have shape {list(shape)}, got {list(value.shape)}")
        return atoms, structures, edges

    def _make_tables(self, missing: np.ndarray) -> None:
        text, error = ctypes.create_string_buffer(MESSAGE), ERROR[self.dtype]
        with self._building, torch.inference_mode(False), torch.no_grad():
            for layer in np.flatnonzero(missing.any(axis=(1, 2))):
                pairs = np.argwhere(missing[layer])
                tables = radial_tables(self._potential, int(layer), torch.from_numpy(self._rows[pairs]), error)
                for (j, i), table in zip(pairs, tables, strict=True):
                    where = int(layer), int(j) * self._sizes.species + int(i), len(table) - 1
                    self._library.mlff_set_table(self._model, *where, table.ctypes.data, text)


def _arrays(graph: GraphInput, species: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors as contiguous arrays of the types that the library takes."""
    numbers = graph.numbers.numpy()
    inside = (numbers >= 0) & (numbers < len(species))
    return {
        "positions": np.ascontiguousarray(graph.positions.detach().numpy(), dtype=np.float64),
        "cells": np.ascontiguousarray(graph.cell.detach().numpy(), dtype=np.float64),
        "shifts": np.ascontiguousarray(graph.shifts.detach().numpy(), dtype=np.float64),
        "source": np.ascontiguousarray(graph.edge_index[0].numpy()),
        "target": np.ascontiguousarray(graph.edge_index[1].numpy()),
        "batch": np.ascontiguousarray(graph.batch.numpy()),
        "species": species[np.where(inside, numbers, -1)],
    }
