"""Which of the alternate locations of atoms are kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple


class Site(NamedTuple):
    """An atom at one of its locations.

    Attributes:
        residue: what its residue is known by, within its model.
        words: its residue for messages.
        location: letter of the location, a blank if it has but one.
        kind: of the residue.
        name: of the atom.
        occupancy: text; what cannot be read counts as whole.
    """

    residue: Hashable
    words: str
    location: str
    kind: str
    name: str
    occupancy: str


def left_out(sites: Sequence[Site]) -> tuple[set[int], list[str]]:
    """Numbers of the sites that are not kept, and the residues that had several locations.

    A residue keeps the locations of highest mean occupancy, of equal ones the first in the alphabet, so that the
    atoms of one conformer stay together; atoms that these lack keep the best that they have. Of residues of several
    kinds at one place (microheterogeneity) one is kept.
    """
    residues = defaultdict[Hashable, list[int]](list)
    for k, site in enumerate(sites):
        residues[site.residue].append(k)
    rest: set[int] = set()
    several = dict[str, None]()
    for members in residues.values():
        kept = _kept(sites, members)
        if len(kept) < len(members):
            several[sites[min(kept)].words] = None
            rest |= set(members) - kept
    return rest, list(several)


def _kept(sites: Sequence[Site], members: list[int]) -> set[int]:
    """Which sites of a residue are kept."""
    places = defaultdict[str, list[int]](list)
    for k in members:
        places[sites[k].location].append(k)
    letters = sorted(set(places) - {" "}, key=lambda letter: (-_occupancy(sites, places[letter]), letter))
    if len(letters) < 2 and not (letters and places[" "]):
        return set(members)
    kind = sites[places[letters[0]][0]].kind
    chosen: dict[str, str] = {}
    for letter in (*letters, " "):
        for k in places[letter]:
            if sites[k].kind == kind:
                chosen.setdefault(sites[k].name, letter)
    return {k for k in members if sites[k].kind == kind and chosen.get(sites[k].name) == sites[k].location}


def _occupancy(sites: Sequence[Site], members: list[int]) -> float:
    """Their mean."""
    total = 0.0
    for k in members:
        try:
            total += float(sites[k].occupancy)
        except ValueError:
            total += 1.0
    return total / len(members)
