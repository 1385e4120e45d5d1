"""How far a molecule is from the training data: counted in residues, with what was never seen by name."""

from __future__ import annotations

import pytest
import torch

from mlff.equijump.artifact import Familiarity, JumpMetadata
from mlff.proteins import TensorCloud
from mlff.proteins.residues import NUM_CHANNELS, RESIDUE_NAMES

PEPTIDES = ("ACE-ALA-NME", "ACE-GLY-NME", "ACE-ALA-VAL-NME", "ACE-VAL-SER-NME", "ACE-SER-GLY-NME")


def cloud(*chains: str) -> TensorCloud:
    names = [chain.split("-") for chain in chains]
    tokens = torch.tensor([RESIDUE_NAMES.index(name) for chain in names for name in chain])
    numbers = torch.tensor([k for k, chain in enumerate(names) for _ in chain])
    mask = torch.ones(len(tokens), NUM_CHANNELS, dtype=torch.bool)
    return TensorCloud(torch.zeros(len(tokens), 3, NUM_CHANNELS), tokens, mask, numbers)


def familiarity(*chains: str, sequences: tuple[str, ...] = PEPTIDES) -> Familiarity:
    residues = tuple(dict.fromkeys(name for s in sequences for name in s.replace("/", "-").split("-")))
    metadata = JumpMetadata.model_construct(residues=residues, sequences=sequences)
    made = cloud(*chains)
    unseen = sorted({RESIDUE_NAMES[token] for token in made.residues.tolist()} - set(residues))
    return Familiarity.of(metadata, made, unseen)


@pytest.mark.parametrize(
    ("molecule", "distance", "nearest"),
    [
        ("ACE-ALA-NME", 0, "ACE-ALA-NME"),
        ("ACE-VAL-SER-NME", 0, "ACE-VAL-SER-NME"),
        ("ACE-SER-NME", 1, "ACE-ALA-NME"),
        ("ACE-ALA-GLY-NME", 1, None),
        ("ACE-ALA-VAL-SER-NME", 1, None),
        ("ACE-TRP-TRP-NME", 2, None),
        ("ALA-ALA", 2, None),
        ("ACE-ALA-ALA-ALA-ALA-NME", 3, None),
    ],
)
def test_distance_is_the_number_of_changed_residues(molecule, distance, nearest) -> None:
    found = familiarity(molecule)
    assert found.distance == distance
    assert nearest in (None, found.nearest)
    assert ("was trained on this molecule" in str(found)) == (distance == 0)


@pytest.mark.parametrize(
    ("molecule", "residues", "neighbours", "words"),
    [
        (["ACE-ALA-VAL-NME"], (), (), ()),
        (["ACE-VAL-ALA-NME"], (), ("VAL-ALA", "ALA-NME"), ()),
        (["ACE-TRP-NME"], ("TRP",), ("ACE-TRP", "TRP-NME"), ()),
        (["ACE-ALA-VAL-SER-NME"], (), (), ("a chain of 5 residues",)),
        (["ALA-VAL-NME"], (), (), ("a free N terminus",)),
        (["ACE-ALA-VAL"], (), (), ("a free C terminus",)),
        (["ALA-VAL"], (), (), ("a free N terminus", "a free C terminus")),
        (["ACE-ALA-NME", "ACE-ALA-NME"], (), (), ("2 chains",)),
    ],
)
def test_what_was_never_seen_is_named(molecule, residues, neighbours, words) -> None:
    found = familiarity(*molecule)
    assert found.unseen_residues == residues
    assert set(found.unseen_neighbours) == set(neighbours) - {"ALA-NME"}
    assert len(found.unseen) == len(words)
    assert all(any(word in text for text in found.unseen) for word in words)


def test_several_chains_are_compared_one_by_one() -> None:
    known = ("ACE-ALA-NME/ACE-GLY-NME", "ALA-GLY")
    assert familiarity("ACE-ALA-NME", "ACE-GLY-NME", sequences=known).distance == 0
    found = familiarity("ACE-ALA-NME", "GLY-GLY", sequences=known)
    assert (found.distance, found.nearest, found.unseen) == (1, "ACE-ALA-NME/ALA-GLY", ())


def test_files_that_do_not_know_say_so() -> None:
    found = familiarity("ACE-ALA-NME", sequences=())
    assert (found.distance, found.nearest, found.unseen) == (None, "", ())
    assert "does not say which molecules" in str(found)
