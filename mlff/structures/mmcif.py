"""PDBx/mmCIF files: one location for each atom."""

from __future__ import annotations

import re

from mlff.structures.locations import Site, left_out

_TABLE = "_atom_site."
# Quotes end before a blank.
_WORD = re.compile(r"""'(?:[^']|'(?=\S))*'(?!\S)|"(?:[^"]|"(?=\S))*"(?!\S)|\S+""")
_NONE = (".", "?")


def one_location(text: str) -> tuple[str, list[str]]:
    """The text of an mmCIF file with one location for every atom, and the residues that had several.

    Raises:
        ValueError: rows of atoms that are not one line each.
    """
    lines = text.splitlines()
    heads = [k for k, line in enumerate(lines) if line.lstrip().lower().startswith(_TABLE)]
    columns = [lines[k].split()[0].lower().removeprefix(_TABLE) for k in heads]
    if "label_alt_id" not in columns:
        return text, []
    rows: list[int] = []
    sites: list[Site] = []
    for k in range(heads[-1] + 1, len(lines)):
        words = [_unquoted(word) for word in _WORD.findall(lines[k])]
        if not words or words[0].startswith(("#", "_")) or words[0].lower().startswith(("loop_", "data_")):
            break
        if len(words) != len(columns):
            raise ValueError(f"line {k + 1} has {len(words)} columns where _atom_site has {len(columns)}")
        rows.append(k)
        sites.append(_site(dict(zip(columns, words, strict=True))))
    rest, several = left_out(sites)
    dropped = {rows[k] for k in rest}
    return "\n".join(line for k, line in enumerate(lines) if k not in dropped) + "\n", several


def _unquoted(word: str) -> str:
    """Without the quotes around it; a prime belongs to the name, as in O2' of a sugar."""
    return word[1:-1] if len(word) > 1 and word[0] in "'\"" and word[0] == word[-1] else word


def _site(row: dict[str, str]) -> Site:
    def of(name: str) -> str:
        """What the authors call it, which water has, too, or the label."""
        return row.get(f"auth_{name}", row.get(f"label_{name}", "."))

    location = row["label_alt_id"]
    number = of("seq_id") + row.get("pdbx_pdb_ins_code", "").strip(".?")
    words = f"{of('comp_id')} {of('asym_id')} {number}"
    residue = (row.get("pdbx_pdb_model_num"), row.get("label_asym_id"), of("asym_id"), number)
    letter = " " if location in _NONE else location
    return Site(residue, words, letter, of("comp_id"), of("atom_id"), row.get("occupancy", ""))
