"""How far a molecule is from those that a jump model was trained on, as far as its file tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from mlff.equijump.artifact.metadata import JumpMetadata
from mlff.proteins import TensorCloud
from mlff.proteins.residues import ACE, NME, RESIDUE_NAMES

Chain = list[str]


@dataclass(frozen=True)
class Familiarity:
    """What of a molecule a model has seen.

    Attributes:
        unseen_residues: names that were not in the training data.
        unseen: in words, what else was not: so long a chain, free ends, so many chains. Jumps of such molecules fail.
        unseen_neighbours: pairs of residues, such as ``ALA-VAL``, that were never neighbours.
        nearest: the chain of the training data that is most like the molecule; where it has several, like its chains.
        distance: residues to exchange, insert or take away to get from there to the molecule (edit distance); None
            where the file does not name the molecules of its training data.
    """

    unseen_residues: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unseen_neighbours: tuple[str, ...] = ()
    nearest: str = ""
    distance: int | None = None

    def __str__(self) -> str:
        if self.distance is None:
            return "the model file does not say which molecules the model was trained on"
        if self.distance == 0:
            return "the model was trained on this molecule"
        pairs = f", never neighbours there: {', '.join(self.unseen_neighbours)}" if self.unseen_neighbours else ""
        return f"{self.distance} residue(s) away from the nearest molecule of the training data, {self.nearest}{pairs}"

    @staticmethod
    def of(metadata: JumpMetadata, cloud: TensorCloud, unseen: Sequence[str]) -> Familiarity:
        """Of one molecule [N], or of the first member of a batch of one molecule [..., N].

        Args:
            metadata: of the model.
            cloud: the molecule.
            unseen: its residues that were not in the training data.
        """
        tokens, numbers = (x.reshape(-1, x.shape[-1])[0].tolist() for x in (cloud.residues, cloud.chains))
        members = [(RESIDUE_NAMES[token], number) for token, number in zip(tokens, numbers, strict=True) if token]
        chains = [[name for name, _ in group] for _, group in groupby(members, key=lambda member: member[1])]
        seen = [[chain.split("-") for chain in sequence.split("/")] for sequence in metadata.sequences]
        if not seen:
            return Familiarity(tuple(unseen))
        known = [chain for molecule in seen for chain in molecule]
        near = [min(known, key=lambda other, own=chain: _edits(own, other)) for chain in chains]  # type: ignore[misc]
        pairs = set(_pairs(chains)) - set(_pairs(known))
        return Familiarity(
            unseen_residues=tuple(unseen),
            unseen=tuple(_unseen(chains, known, max(map(len, seen)))),
            unseen_neighbours=tuple("-".join(pair) for pair in sorted(pairs)),
            nearest="/".join("-".join(chain) for chain in near),
            distance=sum(_edits(own, other) for own, other in zip(chains, near, strict=True)),
        )


def _unseen(chains: Sequence[Chain], known: Sequence[Chain], most: int) -> list[str]:
    """What of chains, beyond their residues, is not in those of the training data."""
    words = []
    longest, trained = max(map(len, chains)), max(map(len, known))
    if longest > trained:
        words.append(f"a chain of {longest} residues with its caps (at most {trained} there)")
    for end, cap, name in ((0, RESIDUE_NAMES[ACE], "N"), (-1, RESIDUE_NAMES[NME], "C")):
        if any(chain[end] != cap for chain in chains) and all(chain[end] == cap for chain in known):
            words.append(f"a free {name} terminus (all have {cap})")
    if len(chains) > most:
        words.append(f"{len(chains)} chains (at most {most})")
    return words


def _pairs(chains: Sequence[Chain]) -> list[tuple[str, str]]:
    return [pair for chain in chains for pair in pairwise(chain)]


def _edits(first: Chain, second: Chain) -> int:
    """Levenshtein's distance: exchanges, insertions and deletions."""
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(second, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]
