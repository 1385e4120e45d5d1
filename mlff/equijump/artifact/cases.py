"""Jumps that every file of a jump model stores: small clouds with their noise, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlff.proteins import TensorCloud
from mlff.proteins.residues import ACE, NME, NUM_CHANNELS, RESIDUE_NAMES, TERMINAL_OXYGEN, channel_names

_CAPS = (RESIDUE_NAMES[ACE], RESIDUE_NAMES[NME])
_SPACING, _VECTOR = 3.8, 1.5  # Å, of anchors along a chain, and a typical bond
_LONGEST = 4

#: Name, cloud [B,N], lag in ps, noise [K,B,N,3,C] and latent steps (None: those of the model).
Given = tuple[str, TensorCloud, float, Tensor, int | None]


def make_cases(
    residues: Sequence[str],
    lag_times: Sequence[float],
    num_noises: Callable[[int | None], int],
    structures: Sequence[TensorCloud],
) -> list[Given]:
    """One residue; a chain, with the model's own latent steps; a padded batch with two chains; then the structures.

    Args:
        residues: three-letter names to build of; those of the training data, where known.
        lag_times: ps.
        num_noises: noises that so many latent steps take.
        structures: clouds [N] in float64.
    """
    generator = torch.Generator().manual_seed(0)
    amino_acids = [name for name in residues if name not in _CAPS] or ["ALA", "TRP"]
    first, last = amino_acids[0], amino_acids[-1]
    whole = [*(c for c in _CAPS[:1] if c in residues), first, last, *(c for c in _CAPS[1:] if c in residues)]
    clouds = [
        ("one residue", [_chain([last], generator)], 1),
        ("chain", [_chain(whole[:_LONGEST], generator)], None),
        ("batch with padding", [_chain([first], generator), _chain([first, last, first], generator, cut=1)], 2),
        *((f"structure {i}", [cloud], 2) for i, cloud in enumerate(structures)),
    ]
    cases: list[Given] = []
    for i, (name, members, steps) in enumerate(clouds):
        batch = TensorCloud.collate(members)
        shape = (num_noises(steps), *batch.coordinates.shape)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        cases.append((name, batch, lag_times[i % len(lag_times)], noise, steps))
    return cases


def _chain(names: Sequence[str], generator: torch.Generator, cut: int | None = None) -> TensorCloud:
    """Residues [N] along a line with vectors in random directions; from ``cut`` on, another chain."""
    tokens = torch.tensor([RESIDUE_NAMES.index(name) for name in names])
    mask = torch.tensor([[bool(name) for name in channel_names(int(token))] for token in tokens])
    mask[:, TERMINAL_OXYGEN] = False
    coordinates = _VECTOR * torch.randn(len(names), 3, NUM_CHANNELS, generator=generator, dtype=torch.float64)
    coordinates[:, 0, 0] += _SPACING * torch.arange(len(names))
    chains = torch.zeros(len(names), dtype=torch.int64)
    if cut is not None:
        chains[cut:] = 1
    return TensorCloud(coordinates * mask.unsqueeze(1), tokens, mask, chains)
