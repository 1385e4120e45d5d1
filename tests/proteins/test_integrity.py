"""What is no molecule is told from what is hot, for every residue and every kind of fault."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.peptide_structures import heavy_trajectory

from mlff.proteins import CloudLayout
from mlff.proteins.integrity import IntegrityCheck
from mlff.support.errors import DataError

ALL = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture(scope="module")
def peptide(peptide_packages: None) -> tuple[IntegrityCheck, np.ndarray]:
    """All 20 residues between caps: the check, and atoms [M,3] in Å."""
    frame = heavy_trajectory(ALL)
    return IntegrityCheck(CloudLayout.of(frame.topology)), 10.0 * frame.xyz[0].astype(np.float64)


def place(check: IntegrityCheck, residue: str, name: str) -> int:
    return next(a.index for a in check.layout.topology.atoms if (a.residue.name, a.name) == (residue, name))


def exchanged(check: IntegrityCheck, atoms: np.ndarray, residue: str, first: str, second: str) -> np.ndarray:
    order = np.arange(len(atoms))
    i, j = place(check, residue, first), place(check, residue, second)
    order[[i, j]] = j, i
    return atoms[order]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hot_molecules_are_molecules_wherever_they_are(peptide, dtype) -> None:
    """Bonds vary by 0.04 Å, as at 1000 K."""
    check, atoms = peptide
    noise = 0.03 * np.random.default_rng(0).normal(size=(200, *atoms.shape))
    frames = (atoms + noise + [60.0, -40.0, 20.0]).astype(dtype)
    assert not check.broken(frames).any()
    check(frames)
    assert check.broken(frames[:0]).shape == (0,)


def test_hands_are_those_of_the_natural_residues(peptide) -> None:
    """19 alpha carbons, and the side chains of Ile, Thr, Val and Leu."""
    check, atoms = peptide
    signs = {n: h for n, h in zip(check.terms.centre_names, check._hands, strict=True) if h}
    assert len(signs) == 23
    found = np.sign(check.terms.handedness(atoms))
    assert all(found[check.terms.centre_names.index(name)] == sign for name, sign in signs.items())


@pytest.mark.parametrize(("factor", "cure"), [(0.6, "correct the structure"), (2.7, "make molecules whole")])
def test_one_bond_too_short_or_too_long_is_found_and_its_cure_is_right(peptide, factor, cure) -> None:
    """Such as a side chain of a real structure whose C-O is 3.34 Å."""
    check, atoms = peptide
    carbon, oxygen = (place(check, "ASP", name) for name in ("CG", "OD1"))
    wrong = atoms.copy()
    wrong[oxygen] = wrong[carbon] + factor * (atoms[oxygen] - atoms[carbon])
    length = float(np.linalg.norm(wrong[oxygen] - wrong[carbon]))
    words = rf"no whole molecule: CG of ASP 4 .* and OD1 of ASP 4 .* are {length:.2f} Å apart, but bonded; {cure}"
    with pytest.raises(DataError, match=words):
        check(wrong[None])


@given(data=st.data(), frame=st.integers(0, 4))
@settings(max_examples=30)
def test_any_torn_bond_is_found_with_frame_and_atoms(peptide, data, frame) -> None:
    check, atoms = peptide
    bond = data.draw(st.integers(0, len(check.terms.bonds) - 1))
    end = data.draw(st.integers(0, 1))
    frames = np.repeat(atoms[None], 5, axis=0)
    away = data.draw(st.sampled_from([[9.0, 0, 0], [0, -30.0, 0], [0, 0, 65.0]]))
    frames[frame, check.terms.bonds[bond, end]] += away
    assert np.flatnonzero(check.broken(frames)).tolist() == [frame]
    with pytest.raises(DataError, match=r"(broken chain|no whole molecule): \w+ of \w{3} \d+ .* Å apart") as caught:
        check(frames)
    assert caught.value.frame == frame


def test_mirror_images_and_single_d_residues(peptide) -> None:
    check, atoms = peptide
    with pytest.raises(DataError, match=r"CA of ALA 2 .* mirror image \(a D residue\)"):
        check((atoms * [1.0, 1.0, -1.0])[None])
    # The side chain of Ser goes to where the hydrogen was: a reflection of it in the plane N, CA, C.
    one = atoms.copy()
    n, ca, c, *side = (place(check, "SER", name) for name in ("N", "CA", "C", "CB", "OG"))
    normal = np.cross(atoms[n] - atoms[ca], atoms[c] - atoms[ca])
    normal /= np.linalg.norm(normal)
    one[side] -= 2.0 * ((atoms[side] - atoms[ca]) @ normal)[:, None] * normal
    with pytest.raises(DataError, match=r"CA of SER 17 .* wrong hand"):
        check(one[None])


@pytest.mark.parametrize(
    ("residue", "first", "second", "words"),
    [
        ("VAL", "CG1", "CG2", "CB of VAL 19 .* wrong hand, as if names"),
        ("LEU", "CD1", "CD2", "CG of LEU 11 .* wrong hand, as if names"),
        ("ALA", "CB", "O", "no whole molecule"),
        ("TRP", "CZ3", "CB", "no whole molecule"),
        ("GLY", "C", "O", "broken chain: C of GLY 7"),
    ],
)
def test_another_order_of_atoms(peptide, residue, first, second, words) -> None:
    check, atoms = peptide
    with pytest.raises(DataError, match=words):
        check(exchanged(check, atoms, residue, first, second)[None])


def test_names_of_equal_atoms_may_be_traded(peptide) -> None:
    """A half turn of a ring or a carboxylate does the same."""
    check, atoms = peptide
    traded = exchanged(check, atoms, "PHE", "CD1", "CD2")
    check(exchanged(check, exchanged(check, traded, "PHE", "CE1", "CE2"), "ASP", "OD1", "OD2")[None])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: 0.1 * x, "another unit"),
        (lambda x: 10.0 * x, "another unit"),
        (lambda x: 0.0 * x, "0.00 Å apart"),
        (lambda x: 0.7 * x, "Å apart, but"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 7, np.nan, x), "is not finite"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 7, np.inf, x), "is not finite"),
    ],
)
def test_coordinates_of_another_kind(peptide, change, words) -> None:
    check, atoms = peptide
    frames = np.stack([atoms, change(atoms), change(atoms)])
    with pytest.raises(DataError, match=words) as caught:
        check(frames)
    assert caught.value.frame == 1
    assert "frames 1 to 2 have such faults, 2 of 3" in str(caught.value)


def test_atoms_on_top_of_each_other(peptide_packages) -> None:
    """Two chains, each of them whole."""
    frame = heavy_trajectory("A")
    chain = IntegrityCheck(CloudLayout.of(frame.topology.join(frame.topology)))
    xyz = 10.0 * frame.xyz[0].astype(np.float64)
    chain(np.concatenate([xyz, np.add(xyz, (0.0, 0.0, 8.0))])[None])
    with pytest.raises(DataError, match=r"Å apart, but not bonded; correct the structure"):
        chain(np.concatenate([xyz, np.add(xyz, (0.0, 0.0, 1.0))])[None])
