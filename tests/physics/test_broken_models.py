"""Laws hold for an analytic potential, and each of them fails for a model that breaks it."""

import copy

import numpy as np
import pytest
import torch
from support.toy_jump import toy_jump
from support.toy_potential import ToyPotential, toy_potential
from torch import nn

from mlff.graph import Quantity, quantities
from mlff.testing import ConservativeLaws, JumpLaws, agree, files


class TestLennardJones(ConservativeLaws):
    @pytest.fixture
    def model(self) -> ToyPotential:
        return toy_potential(dtype=torch.float64)


class Broken(nn.Module):
    """A Lennard-Jones potential whose outputs somebody has changed."""

    def __init__(self, change) -> None:
        super().__init__()
        self.inner = toy_potential(dtype=torch.float64)
        self.config = self.inner.config
        self.change = change

    def forward(self, *arguments):
        out = self.inner(*arguments)
        if "forces" in out:  # not for the energies of isolated atoms
            self.change(self.inner, out, *arguments[:6])
        return out


def stretched(model, out, *graph):
    out["forces"][:, 0] *= 2.0


def handed(model, out, positions, *graph):
    centred = positions - positions.mean(0)
    out["energy"] += 0.01 * torch.linalg.det(centred[:3]) if len(positions) > 2 else 0.0


def anchored(model, out, positions, *graph):
    out["energies"] += 0.01 * positions.square().sum(1)


def unfolded(model, out, positions, *graph):
    out["energies"] += 0.01 * (positions - positions.mean(0)).square().sum(1)


def numbered(model, out, positions, *graph):
    out["energies"] += 0.01 * torch.arange(len(positions))


def leaking(model, out, *graph):
    out["energies"] += 0.01 * out["energies"].mean()


def rounded(model, out, *graph):
    if model.depth.dtype == torch.float32:
        out["forces"] *= 1.01


def averaged(model, out, positions, *graph):
    out["energy"] /= len(positions)


def crowded(model, out, positions, numbers, cell, edge_index, shifts, batch):
    out["energies"] += 0.01 * torch.bincount(batch)[batch]


def stepping(model, out, positions, numbers, cell, edge_index, shifts, batch):
    out["energies"] += 0.01 * torch.bincount(edge_index[1], minlength=len(positions))


def repelling(model, out, *graph):
    out["forces"] *= -1.0


def doubled(model, out, *graph):
    out["stress"] *= 2.0


def pushed(model, out, *graph):
    out["forces"] += 0.01


def singular(model, out, positions, numbers, cell, edge_index, *graph):
    edges = positions[edge_index[0]] - positions[edge_index[1]]
    out["energy"] *= 1.01 if bool((edges[:, [0, 2]].abs() < 1e-9).all()) else 1.0


def silent(model, out, *graph):
    out["forces"] *= 0.0


@pytest.mark.parametrize(
    ("law", "change", "message"),
    [
        ("rotation", stretched, "forces of"),
        ("rotation", silent, "forces is zero for all examples"),
        ("mirror", handed, "energy of"),
        ("translation", anchored, "energies of"),
        ("equivalent_inputs", unfolded, "energies of"),
        ("permutation", numbered, "energies of"),
        ("rest_of_the_batch", leaking, "energies of"),
        ("float32", rounded, "forces of"),
        ("every_direction_of_an_edge", singular, "energy of"),
        ("copies", averaged, "energy of"),
        ("copies", crowded, "energies of"),
        ("beyond_the_cutoff", crowded, "energies of"),
        ("continuity", stepping, "energies jumps"),
        ("derivatives", repelling, "forces of"),
        ("derivatives", doubled, "stress of"),
        ("balance", pushed, "do not add up to zero"),
    ],
)
def test_a_broken_potential_is_noticed(law, change, message):
    with pytest.raises(AssertionError, match=f"{law.replace('_', ' ')}: .*{message}"):
        getattr(ConservativeLaws(), f"test_{law}")(Broken(change))


def test_a_potential_that_tells_no_mirror_images_apart_must_not_claim_to():
    class Handed(ConservativeLaws):
        parity = False

    with pytest.raises(AssertionError, match="does not tell mirror images apart"):
        Handed().test_mirror(toy_potential(dtype=torch.float64))


class Scripted(ToyPotential):
    """Another function in TorchScript."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.inner = ToyPotential(config)

    def forward(
        self,
        positions: torch.Tensor,
        numbers: torch.Tensor,
        cell: torch.Tensor,
        edge_index: torch.Tensor,
        shifts: torch.Tensor,
        batch: torch.Tensor,
        compute_forces: bool = True,
        compute_stress: bool = False,
    ) -> dict[str, torch.Tensor]:
        out = self.inner(positions, numbers, cell, edge_index, shifts, batch, compute_forces, compute_stress)
        if torch.jit.is_scripting():
            out["energies"] = 1.01 * out["energies"]
        return out


def test_a_script_and_a_file_that_compute_something_else_are_noticed(monkeypatch):
    model = Scripted(toy_potential().config).double()
    with pytest.raises(AssertionError, match="scripting: energies of"):
        ConservativeLaws().test_scripting(model)
    model = toy_potential(dtype=torch.float64)
    other = copy.deepcopy(model)
    other.depth.data *= 1.01
    plain = files.export
    monkeypatch.setattr(files, "export", lambda _, path: plain(other, path))
    with pytest.raises(AssertionError, match="file: energy of"):
        ConservativeLaws().test_file(model)


def test_a_head_that_is_not_equivariant_is_noticed(monkeypatch):
    """A vector read as if it had no direction."""
    row = Quantity("moment", "structure", "1o", "1", extensive=True)
    monkeypatch.setitem(quantities._rows, "moment", row)

    def invariant(model, out, positions, numbers, cell, *graph):
        out["moment"] = torch.ones(len(cell), 3, dtype=torch.float64)

    with pytest.raises(AssertionError, match="rotation: moment of"):
        ConservativeLaws().test_rotation(Broken(invariant))


class LeakingJump(nn.Module):
    """Moves every member of a batch by something of the others, or along a fixed axis."""

    def __init__(self, leak: float, wind: float) -> None:
        super().__init__()
        self.inner = toy_jump()
        self.steps, self.lag_times, self.num_noises = self.inner.steps, self.inner.lag_times, self.inner.num_noises
        self.leak, self.wind = leak, torch.tensor([wind, 0.0, 0.0], dtype=torch.float64)[:, None]

    def forward(self, coordinates, *arguments):
        after = self.inner(coordinates, *arguments)
        return after + self.leak * (after - coordinates).mean() + self.wind


@pytest.mark.parametrize(("law", "model"), [("rest_of_the_batch", (0.1, 0.0)), ("rotation", (0.0, 0.1))])
def test_a_broken_jump_model_is_noticed(law, model):
    getattr(JumpLaws(), f"test_{law}")(LeakingJump(0.0, 0.0))
    with pytest.raises(AssertionError, match="displacement of"):
        getattr(JumpLaws(), f"test_{law}")(LeakingJump(*model))


def test_an_output_that_nobody_has_is_noticed():
    with pytest.raises(AssertionError, match="no output"):
        agree("nothing", {"a": {}}, {"a": {}}, 1.0)
    one = {"a": {"x": torch.ones(2)}}
    for found in ({"a": {}}, {"a": {"x": torch.ones(3)}}, {"a": {"x": torch.full((2,), np.nan)}}):
        with pytest.raises(AssertionError, match=r"instead of|shape|deviates by nan"):
            agree("law", one, found, 1.0)
