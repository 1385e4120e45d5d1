"""The 20 standard amino acids: names and charges at pH 7."""

from __future__ import annotations

from mlff.support.errors import InputError

# Histidine is neutral with its hydrogen on N-epsilon (HIE); cysteine and tyrosine are protonated.
NAMES = {
    "A": "ALA",
    "R": "ARG",
    "N": "ASN",
    "D": "ASP",
    "C": "CYS",
    "Q": "GLN",
    "E": "GLU",
    "G": "GLY",
    "H": "HIS",
    "I": "ILE",
    "L": "LEU",
    "K": "LYS",
    "M": "MET",
    "F": "PHE",
    "P": "PRO",
    "S": "SER",
    "T": "THR",
    "W": "TRP",
    "Y": "TYR",
    "V": "VAL",
}
_CHARGES = {"R": 1, "K": 1, "D": -1, "E": -1}


def check_sequence(sequence: str) -> str:
    """The sequence, if it consists of one-letter codes of standard residues.

    Raises:
        InputError: empty, or a letter that is no standard residue.
    """
    if not sequence:
        raise InputError("a sequence needs at least one residue")
    unknown = sorted(set(sequence) - set(NAMES))
    if unknown:
        raise InputError(
            f"sequence {sequence!r}: no standard residue has the letter {', '.join(map(repr, unknown))}; "
            f"these have one: {''.join(NAMES)}"
        )
    return sequence


def capped_name(sequence: str) -> str:
    """Three-letter name with caps, e.g. ``ACE-ALA-NME``.

    Raises:
        InputError: as `check_sequence`.
    """
    return "-".join(["ACE", *(NAMES[letter] for letter in check_sequence(sequence)), "NME"])


def total_charge(sequence: str) -> int:
    """Charge (e) of the capped peptide at pH 7.

    Raises:
        InputError: as `check_sequence`.
    """
    return sum(_CHARGES.get(letter, 0) for letter in check_sequence(sequence))
