"""Which atoms have forces to learn from and to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from mlff.graph import AtomicGraph

FixedAtoms = Literal["auto", "include", "exclude"]


def force_atoms(graph: AtomicGraph, rule: FixedAtoms) -> Tensor | None:
    """Atoms whose force labels count, [N] bool; None: all of them.

    Many programs store zero for atoms held by a constraint, which is not their force. ``auto`` leaves the fixed atoms
    of a structure out where the forces on all of them are exactly zero, and those that are held in some directions
    where these components are zero; ``exclude`` leaves fixed atoms out always, ``include`` never. Without force labels
    ``auto`` leaves nothing out.
    """
    fixed = graph.fixed
    if fixed is None or rule == "include":
        return None
    if rule == "exclude":
        return ~fixed
    if graph.forces is None:
        return None
    labelled = fixed & (graph.forces != 0).any(dim=-1)
    if graph.partly_fixed is not None:
        labelled &= ~graph.partly_fixed
    count = graph.batch.new_zeros(graph.num_graphs).index_add(0, graph.batch, labelled.long())
    counted = ~fixed | (count > 0).index_select(0, graph.batch)
    return counted if graph.partly_fixed is None else counted & ~graph.partly_fixed
