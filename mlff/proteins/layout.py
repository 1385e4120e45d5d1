"""Which atom of a topology is which channel of a tensor cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mlff.proteins.cloud import TensorCloud
from mlff.proteins.residues import (
    ACE,
    ANCHOR,
    CARBON,
    NITROGEN,
    NME,
    NUM_CHANNELS,
    RESIDUE_NAMES,
    TERMINAL_OXYGEN,
    atom_name,
    channel_names,
    residue_token,
)
from mlff.support.errors import DataError

if TYPE_CHECKING:
    from mdtraj import Topology
    from mdtraj.core.topology import Atom, Residue

_MAX_PEPTIDE_BOND = 2.0  # Å; 1.33 in a peptide, and the next atoms are 2.4 away
_HYDROGEN = ("H", "D")


@dataclass(frozen=True, eq=False)
class CloudLayout:
    """The bridge between the heavy atoms of a topology, in their order, and a :class:`TensorCloud`.

    Attributes:
        topology: the heavy atoms of the input, M of them, with their names and bonds.
        residues: [N] int64, tokens.
        channels: [N, C] int64, index of the atom in ``topology``; -1 where there is none.
        chains: [N] int64, numbers of the covalent chains.
        labels: name, number and chain of every residue, for messages.
        heavy_atoms: [M] int64, index of the heavy atoms among all atoms of the input.
    """

    topology: Topology
    residues: Tensor
    channels: Tensor
    chains: Tensor
    labels: tuple[str, ...]
    heavy_atoms: Tensor

    @property
    def atom_mask(self) -> Tensor:
        """[N, C] bool, atoms that exist."""
        return self.channels >= 0

    @staticmethod
    def of(topology: Topology) -> CloudLayout:
        """The layout of an MDTraj topology; hydrogens are left out.

        Raises:
            DataError: a residue or an atom that is not in the tables, a missing heavy atom, no residue at all.
        """
        heavy_atoms = [atom.index for atom in topology.atoms if not _is_hydrogen(atom)]
        heavy = topology.subset(heavy_atoms)
        for atom in heavy.atoms:
            atom.serial = None  # numbers that count hydrogens would be written into bonds of other atoms
        residues = list(heavy.residues)
        if not residues:
            raise DataError("the structure has no heavy atom")
        labels = tuple(_label(residue) for residue in residues)
        tokens = [_token(residue, label) for residue, label in zip(residues, labels, strict=True)]
        channels = [_channels(*entry) for entry in zip(residues, tokens, labels, strict=True)]
        return CloudLayout(
            topology=heavy,
            residues=torch.tensor(tokens),
            channels=torch.tensor(channels),
            chains=torch.tensor(_chains(residues, tokens, channels)),
            labels=labels,
            heavy_atoms=torch.tensor(heavy_atoms),
        )

    def cloud(self, atoms: Tensor) -> TensorCloud:
        """The cloud of heavy atoms [..., M, 3] in Å.

        Raises:
            ValueError: wrong number of atoms.
        """
        if atoms.shape[-2:] != (self.topology.n_atoms, 3):
            raise ValueError(f"expected [..., {self.topology.n_atoms}, 3] heavy atoms, got {list(atoms.shape)}")
        gathered = atoms[..., self.channels.clamp(min=0).to(atoms.device), :]
        labels = (tensor.to(atoms.device) for tensor in (self.residues, self.atom_mask, self.chains))
        return TensorCloud.from_atoms(gathered, *labels)

    def atoms(self, cloud: TensorCloud) -> Tensor:
        """The heavy atoms [..., M, 3] in Å of a cloud, in the order of the topology; the inverse of :meth:`cloud`.

        Raises:
            ValueError: the cloud is not of this layout.
        """
        device = cloud.residues.device
        residues, mask = self.residues.to(device), self.atom_mask.to(device)
        same = cloud.residues.shape[-1:] == residues.shape and bool((cloud.residues == residues).all())
        if not same or not bool((cloud.atom_mask == mask).all()):
            raise ValueError("the cloud has other residues or atoms than the layout")
        order = self.channels[self.atom_mask].argsort().to(device)
        return cloud.atoms()[..., mask, :][..., order, :]

    def check_chains(self, cloud: TensorCloud) -> None:
        """Check that neighbours in a chain are bonded, in every frame.

        Raises:
            DataError: a bond C-N of more than 2 Å; the message names the residues.
        """
        first = torch.nonzero(self.chains[1:] == self.chains[:-1]).flatten().to(cloud.residues.device)
        carbon = (cloud.positions + cloud.coordinates[..., CARBON])[..., first, :]
        nitrogen = (cloud.positions + cloud.coordinates[..., NITROGEN])[..., first + 1, :]
        bonds = torch.linalg.vector_norm(nitrogen - carbon, dim=-1)
        # not "longer than": a coordinate that is no number is caught as well
        broken = ~(bonds <= _MAX_PEPTIDE_BOND)
        if bool(broken.any()):
            where = torch.nonzero(broken)[0].tolist()
            residue = int(first[where[-1]])
            raise DataError(
                f"broken chain: C of {self.labels[residue]} and N of {self.labels[residue + 1]} are "
                f"{float(bonds[tuple(where)]):.2f} Å apart",
                frame=where[0] if len(where) > 1 else None,
                hint="model the missing residues, give the parts chains of their own, or make molecules whole that a "
                "periodic box has cut",
            )


def _is_hydrogen(atom: Atom) -> bool:
    return atom.element is not None and atom.element.symbol in _HYDROGEN


def _label(residue: Residue) -> str:
    chain = getattr(residue.chain, "chain_id", None) or residue.chain.index
    return f"{residue.name} {residue.resSeq} (chain {chain})"


def _token(residue: Residue, label: str) -> int:
    token = residue_token(residue.name)
    if token is None:
        raise DataError(
            f"unknown residue {label}",
            hint=f"known are {', '.join(RESIDUE_NAMES[1:])}. Solvent and ligands have to be removed, in MDTraj with "
            "traj.atom_slice(traj.topology.select('protein'))",
        )
    return token


def _channels(residue: Residue, token: int, label: str) -> list[int]:
    names = channel_names(token)
    found: dict[int, int] = {}
    for atom in residue.atoms:
        name = atom_name(token, atom.name)
        if not name or name not in names:
            raise DataError(f"{label} has an atom {atom.name}, which no standard {RESIDUE_NAMES[token]} has")
        channel = names.index(name)
        if channel in found:
            raise DataError(f"{label} has two atoms {name}", hint="keep one of the alternative locations")
        found[channel] = atom.index
    missing = [name for i, name in enumerate(names) if name and i not in found and i != TERMINAL_OXYGEN]
    if names[ANCHOR] in missing:
        raise DataError(
            f"{label} has no anchor: its atom {names[ANCHOR]} is missing",
            hint="coarse or partial residues have to be completed, for example with PDBFixer",
        )
    if missing:
        raise DataError(f"{label} lacks {', '.join(missing)}", hint="complete the structure, for example with PDBFixer")
    return [found.get(channel, -1) for channel in range(NUM_CHANNELS)]


def _chains(residues: list[Residue], tokens: list[int], channels: list[list[int]]) -> list[int]:
    """A chain ends where the topology says so, and after a cap or a terminal oxygen."""
    chains = [0]
    for i in range(1, len(residues)):
        ended = tokens[i - 1] == NME or channels[i - 1][TERMINAL_OXYGEN] >= 0
        apart = residues[i].chain.index != residues[i - 1].chain.index
        chains.append(chains[-1] + (ended or apart or tokens[i] == ACE))
    return chains
