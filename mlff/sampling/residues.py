"""The 20 standard amino acids: names and charges at pH 7."""

from __future__ import annotations

from mlff.support.errors import InputError

# Histidine is neutral with its hydrogen on N-epsilon (HIE); cysteine and tyrosine are protonated.
_LETTERS = "ARNDCQEGHILKMFPSTWYV"
_THREE_LETTERS = "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL"
NAMES = dict(zip(_LETTERS, _THREE_LETTERS.split(), strict=True))
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
