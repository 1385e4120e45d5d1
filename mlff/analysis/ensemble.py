"""Trajectories of one molecule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlff.proteins.geometry import atom_labels
from mlff.proteins.layout import CloudLayout
from mlff.support.errors import DataError
from mlff.support.units import ANGSTROM_PER_NM

if TYPE_CHECKING:
    from mdtraj import Topology, Trajectory


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trajectories of the heavy atoms of one molecule, with equal intervals between frames.

    Attributes:
        name: for messages and legends.
        layout: the molecule.
        trajectories: MDTraj trajectories of the heavy atoms, at least one.
        interval: ps between frames.
        labels: where each trajectory comes from.
        splits: "train", "val" or "test" of each trajectory; empty strings where nothing is known.
        held_out: whether the molecule is one that training never saw; None where nothing is known.
        conditions: of the dynamics, one line.
        lost: replicas that exploded or have no file; nan where the record does not tell, None without a record.
    """

    name: str
    layout: CloudLayout
    trajectories: tuple[Trajectory, ...]
    interval: float
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    held_out: bool | None = None
    conditions: str = ""
    lost: float | None = None

    @staticmethod
    def of(
        name: str,
        trajectories: Iterable[Trajectory],
        interval: float,
        labels: Iterable[str] | None = None,
        splits: Iterable[str] | None = None,
        held_out: bool | None = None,
        conditions: str = "",
        lost: float | None = None,
    ) -> Ensemble:
        """Trajectories as an ensemble; hydrogens are left out.

        Raises:
            DataError: no trajectory, one without frames, no positive interval, or a molecule that cannot be read.
        """
        whole = tuple(trajectories)
        if not whole:
            raise DataError(f"{name}: no trajectories")
        if not interval > 0:
            raise DataError(f"{name}: the interval between frames must be positive, got {interval} ps")
        names = tuple(labels) if labels is not None else tuple(f"trajectory {i}" for i in range(len(whole)))
        for label, trajectory in zip(names, whole, strict=True):
            if trajectory.n_frames == 0:
                raise DataError(f"{name}: {label} has no frames")
        try:
            layout = CloudLayout.of(whole[0].topology)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        heavy = layout.heavy_atoms.numpy()
        all_heavy = len(heavy) == whole[0].n_atoms
        return Ensemble(
            name=name,
            layout=layout,
            trajectories=tuple(part if all_heavy else part.atom_slice(heavy) for part in whole),
            interval=float(interval),
            labels=names,
            splits=tuple(splits) if splits is not None else ("",) * len(whole),
            held_out=held_out,
            conditions=conditions,
            lost=lost,
        )

    @property
    def topology(self) -> Topology:
        """The heavy atoms."""
        return self.layout.topology

    @property
    def lengths(self) -> tuple[int, ...]:
        """Frames of each trajectory."""
        return tuple(trajectory.n_frames for trajectory in self.trajectories)

    @property
    def frames(self) -> int:
        """Frames of all trajectories together."""
        return sum(self.lengths)

    def positions(self) -> Iterator[NDArray[np.float64]]:
        """[F,M,3] in Å of each trajectory."""
        for trajectory in self.trajectories:
            yield trajectory.xyz.astype(np.float64) * ANGSTROM_PER_NM

    def part(self, *splits: str) -> Ensemble | None:
        """The trajectories of these splits, None if there are none."""
        kept = [i for i, split in enumerate(self.splits) if split in splits]
        if not kept:
            return None
        return replace(
            self,
            trajectories=tuple(self.trajectories[i] for i in kept),
            labels=tuple(self.labels[i] for i in kept),
            splits=tuple(self.splits[i] for i in kept),
        )

    def thinned(self, step: int) -> Ensemble:
        """Every ``step``-th frame."""
        if step == 1:
            return self
        return replace(
            self, trajectories=tuple(part[::step] for part in self.trajectories), interval=self.interval * step
        )


def atom_keys(layout: CloudLayout) -> list[tuple[int, str]]:
    """Number of the residue and standard name of each heavy atom; the same molecule has the same ones in any order."""
    return [(atom.residue.index, label) for atom, label in zip(layout.topology.atoms, atom_labels(layout), strict=True)]


def in_order_of(reference: Ensemble, other: Ensemble) -> Ensemble:
    """The other ensemble with the atoms of each residue in the order of the reference.

    Raises:
        DataError: they are different molecules; the message names the first atom that differs.
    """
    keys, other_keys = atom_keys(reference.layout), atom_keys(other.layout)
    if keys == other_keys:
        return other
    if sorted(keys) != sorted(other_keys):
        raise DataError(_difference(reference, other, keys, other_keys))
    import mdtraj

    order = [other_keys.index(key) for key in keys]
    moved = tuple(mdtraj.Trajectory(p.xyz[:, order], reference.topology, time=p.time) for p in other.trajectories)
    return replace(other, layout=reference.layout, trajectories=moved)


def _difference(
    reference: Ensemble, other: Ensemble, keys: list[tuple[int, str]], other_keys: list[tuple[int, str]]
) -> str:
    for mine, theirs, one, two in ((keys, other_keys, reference, other), (other_keys, keys, other, reference)):
        for residue, label in mine:
            if (residue, label) in theirs:
                continue
            if residue < len(two.layout.labels):
                instead = f"{two.name} has {two.layout.labels[residue]} in this place, without such an atom"
            else:
                instead = f"{two.name} ends before this residue"
            return (
                f"different molecules: {one.name} has an atom {label.split(':')[1]} in {one.layout.labels[residue]}, "
                f"but {instead}; both must be the same residues in the same order"
            )
    return f"different molecules: {reference.name} and {other.name} differ in their atoms"
