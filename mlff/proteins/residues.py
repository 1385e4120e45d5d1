"""The 20 standard amino acids and two caps: tokens, channels of their heavy atoms, atoms that may trade names.

A residue is an anchor (the alpha carbon, the methyl carbon of a cap) and vectors from it to the other heavy atoms. The
channel of an atom is its place in ``channel_names``: anchor, N, C, O, the side chain outwards, OXT. Exported models
depend on tokens and channels: append to these tables, never reorder them.
"""

import torch
from torch import Tensor

# Names of the Protein Data Bank, by distance from the backbone.
_SIDE_CHAINS = {
    "ALA": "CB",
    "ARG": "CB CG CD NE CZ NH1 NH2",
    "ASN": "CB CG OD1 ND2",
    "ASP": "CB CG OD1 OD2",
    "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2",
    "GLU": "CB CG CD OE1 OE2",
    "GLY": "",
    "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1",
    "LEU": "CB CG CD1 CD2",
    "LYS": "CB CG CD CE NZ",
    "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ",
    "PRO": "CB CG CD",
    "SER": "CB OG",
    "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH",
    "VAL": "CB CG1 CG2",
}
_CAPS = {"ACE": ("CH3", "", "C", "O"), "NME": ("C", "N", "", "")}
_BACKBONE = ("CA", "N", "C", "O")
_MAX_SIDE_CHAIN = max(len(atoms.split()) for atoms in _SIDE_CHAINS.values())

#: Anchor and 14 vectors: tryptophan at the end of a chain fills them all.
NUM_CHANNELS = len(_BACKBONE) + _MAX_SIDE_CHAIN + 1
ANCHOR, NITROGEN, CARBON, OXYGEN, TERMINAL_OXYGEN = 0, 1, 2, 3, NUM_CHANNELS - 1

#: Three-letter names by token; token 0 is padding.
RESIDUE_NAMES = ("", *_SIDE_CHAINS, *_CAPS)
PADDING = 0
NUM_TOKENS = len(RESIDUE_NAMES)
ACE, NME = RESIDUE_NAMES.index("ACE"), RESIDUE_NAMES.index("NME")

# Names that force fields and programs give to the same heavy atoms. The other protonation states of ASP, GLU, LYS and
# CYS are other molecules and have no token.
_RESIDUE_ALIASES = dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP"), "HIS") | {"CYX": "CYS", "NMA": "NME"}
_ATOM_ALIASES = {("ILE", "CD"): "CD1", ("ACE", "CA"): "CH3", ("NME", "CH3"): "C", ("NME", "CA"): "C"}
_TERMINAL_ALIASES = {"OT1": "O", "O1": "O", "OT2": "OXT", "O2": "OXT"}

# Atoms that one motion of the molecule exchanges, so that the law of the dynamics is the same under either naming: a
# half turn of a ring, a carboxylate or a guanidinium. The methyl groups of VAL and LEU have equal parameters too, but
# they are prochiral: no motion takes CG1 to the place of CG2, and traded names show the mirror image of the residue.
_SWAPS: dict[str, tuple[tuple[str, str], ...]] = {
    "ARG": (("NH1", "NH2"),),
    "ASP": (("OD1", "OD2"),),
    "GLU": (("OE1", "OE2"),),
    "PHE": (("CD1", "CD2"), ("CE1", "CE2")),
    "TYR": (("CD1", "CD2"), ("CE1", "CE2")),
}


def residue_token(name: str) -> int | None:
    """Token of a residue, None for one that is not in the table."""
    name = _RESIDUE_ALIASES.get(name, name)
    return RESIDUE_NAMES.index(name) if name and name in RESIDUE_NAMES else None


def atom_name(token: int, name: str) -> str:
    """The name of the table for an atom that may be named otherwise."""
    residue = RESIDUE_NAMES[token]
    if residue not in _CAPS and name in _TERMINAL_ALIASES:
        return _TERMINAL_ALIASES[name]
    return _ATOM_ALIASES.get((residue, name), name)


def channel_names(token: int) -> tuple[str, ...]:
    """Atom names by channel; an empty string where the residue has no atom."""
    residue = RESIDUE_NAMES[token]
    if residue in _SIDE_CHAINS:
        names = (*_BACKBONE, *_SIDE_CHAINS[residue].split())
        return names + ("",) * (NUM_CHANNELS - 1 - len(names)) + ("OXT",)
    names = _CAPS.get(residue, ())
    return names + ("",) * (NUM_CHANNELS - len(names))


def swap_table() -> Tensor:
    """Channel whose atom takes the name of each channel when the side chain is relabelled; int64 [tokens, channels].

    Residues without equivalent atoms have the identity.
    """
    table = torch.arange(NUM_CHANNELS).repeat(NUM_TOKENS, 1)
    for residue, pairs in _SWAPS.items():
        token = RESIDUE_NAMES.index(residue)
        names = channel_names(token)
        for first, second in pairs:
            i, j = names.index(first), names.index(second)
            table[token, i], table[token, j] = j, i
    return table
