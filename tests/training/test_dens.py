"""DeNS in the training loop: losses by hand, the weight, exact resume, what is left behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ase.build import bulk
from ase.io import read

from mlff.artifacts import export
from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.potential import CorruptedGraph, DensConfig, corrupt
from mlff.potential.repulsion import NuclearRepulsion
from mlff.potential.training import TrainingConfig
from mlff.potential.training.card import describe_dens
from mlff.potential.training.config import LossConfig
from mlff.potential.training.losses import compute_dens_loss
from mlff.potential.training.objective import Objective
from mlff.potential.training.start import add_dens, build_potential
from mlff.potential.training.trained import load_trained, read_initial_weights
from mlff.training import ConfigError, RunFolder, load_config, train
from mlff.training.checkpointing import load_weights
from mlff.training.metrics_table import read_metrics
from mlff.training.schedule import linear_decay

WriteConfig = Callable[..., Path]
DENS = {"noise_std": 0.05, "weight": 0.5, "probability": 0.5, "atom_fraction": 0.5}


class Killed(Exception):
    """Stands for a kill."""


def corrupted_batch(fixed: list[bool] | None = None) -> CorruptedGraph:
    """Two atoms, the first of them corrupted, and one atom in a structure of its own."""
    graph = AtomicGraph(
        positions=torch.zeros(3, 3),
        numbers=torch.ones(3, dtype=torch.int64),
        cell=torch.zeros(2, 3, 3),
        pbc=torch.zeros(2, 3, dtype=torch.bool),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        shifts=torch.zeros(0, 3),
        batch=torch.tensor([0, 0, 1]),
        labels={
            "energy": torch.tensor([-10.0, -4.0], dtype=torch.float64),
            "forces": torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]),
            "stress": torch.zeros(2, 3, 3),
        },
        fixed=None if fixed is None else torch.tensor(fixed),
    )
    noise = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    repulsion = torch.zeros(2, dtype=torch.float64), torch.zeros(3, 3), torch.zeros(2, 3, 3)
    return CorruptedGraph(graph, torch.tensor([True, False, False]), noise, torch.zeros(3, 3), *repulsion)


def outputs() -> dict[str, torch.Tensor]:
    """Errors: energies 1 eV of two atoms and 0.25 eV; forces 5 and 1 on clean atoms; noise 2 on the corrupted one."""
    return {
        "energy": torch.tensor([-9.0, -4.25], dtype=torch.float64),
        "forces": torch.tensor([[100.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 2.0, 1.0]]),
        "noise": torch.tensor([[1.0, 2.0, 2.0], [50.0, 0.0, 0.0], [0.0, 60.0, 0.0]]),
        "stress": torch.stack([torch.full((3, 3), 7.0), torch.full((3, 3), 0.1)]),
    }


LABELS = [(1,), (4, 3), (1, 3, 3)]  # shapes of energy, forces, stress
LOSS = LossConfig(kind="l2", energy_weight=2.0, forces_weight=10.0, stress_weight=1.0)


def test_separate_means_against_hand_numbers() -> None:
    terms = compute_dens_loss(outputs(), corrupted_batch(), LOSS, DensConfig(mean="separate"), 4.0)
    assert terms.parts["energy"].item() == pytest.approx((0.5 + 0.25) / 2)
    assert terms.parts["forces"].item() == pytest.approx((5.0 + 1.0) / 2)
    assert terms.parts["stress"].item() == pytest.approx(0.3)  # of the clean structure only
    assert terms.parts["noise"].item() == pytest.approx(2.0)
    assert terms.total.item() == pytest.approx(2.0 * 0.375 + 10.0 * 3.0 + 0.3 + 4.0 * 2.0)


def test_joint_mean_gives_every_atom_its_own_weight() -> None:
    terms = compute_dens_loss(outputs(), corrupted_batch(), LOSS, DensConfig(mean="joint"), 4.0)
    assert terms.total.item() == pytest.approx(2.0 * 0.375 + 0.3 + (10.0 * (5.0 + 1.0) + 4.0 * 2.0) / 3)
    assert (terms.parts["forces"].item(), terms.parts["noise"].item()) == pytest.approx((3.0, 2.0))


@pytest.mark.parametrize(("mean", "forces"), [("separate", 10.0 * 1.0 + 8.0), ("joint", (10.0 * 1.0 + 8.0) / 2)])
def test_fixed_atoms_count_in_no_mean(mean: str, forces: float) -> None:
    batch = corrupted_batch(fixed=[False, True, False])
    terms = compute_dens_loss(outputs(), batch, LOSS, DensConfig.model_validate({"mean": mean}), 4.0)
    assert terms.parts["forces"].item() == pytest.approx(1.0)
    assert terms.total.item() == pytest.approx(2.0 * 0.375 + 0.3 + forces)


def test_huber_crosses_over_where_the_noise_is_delta() -> None:
    loss = LossConfig(kind="huber", huber_delta=0.6)
    terms = compute_dens_loss(outputs(), corrupted_batch(), loss, DensConfig(), 1.0)
    # an error of 2 in one of three components is beyond 0.6: 2 - 0.6 / 2
    assert terms.parts["noise"].item() == pytest.approx(1.7 / 3)


@pytest.mark.parametrize("probability", [1e-9, 1.0])
def test_the_network_learns_the_same_with_a_repulsion_that_the_labels_have_too(
    write_config: WriteConfig, probability: float
) -> None:
    """The repulsion of moved atoms, tens of eV, is not for the network to undo."""
    # forces with the repulsion would be encoded with it
    path = write_config(dens=DENS | {"probability": probability, "encode_forces": False}, dtype="float64")
    plain, repulsive = load_config(path), load_config(path, ["model.repulsion=zbl"])
    atoms = bulk("Cu", a=3.0, cubic=True)  # compressed
    atoms.rattle(0.1, seed=0)
    labels = [torch.randn(shape, generator=torch.Generator().manual_seed(1)).double() for shape in LABELS]
    graph = graph_from_atoms(atoms, plain.model.cutoff, dtype=torch.float64)
    graph = graph.replace(energy=labels[0], forces=labels[1], stress=labels[2])
    added = NuclearRepulsion(plain.model.cutoff).of_graph(graph)
    assert all(part.abs().max() > 0.1 for part in added)
    energy, forces, stress = (label + more for label, more in zip(labels, added, strict=True))
    terms = []
    for config, batch in ((plain, graph), (repulsive, graph.replace(energy=energy, forces=forces, stress=stress))):
        torch.manual_seed(0)
        potential = build_potential(config)
        objective = Objective(potential, LOSS, add_dens(potential, config), config.dens)
        generator = torch.Generator().manual_seed(0)
        found = objective(corrupt(batch, config.dens, config.model, generator), 4.0)
        terms.append({"total": found.total, **found.parts})
    assert terms[0]["forces"] > 1e-3
    for name, value in terms[0].items():
        torch.testing.assert_close(terms[1][name], value)


def test_gradients_reach_forces_of_clean_and_noise_of_corrupted_atoms_only() -> None:
    output = {name: value.requires_grad_() for name, value in outputs().items()}
    compute_dens_loss(output, corrupted_batch(), LOSS, DensConfig(), 4.0).total.backward()
    touched = {name: output[name].grad.flatten(1).any(dim=1).tolist() for name in ("forces", "noise", "stress")}
    assert touched == {"forces": [False, True, True], "noise": [True, False, False], "stress": [False, True]}


def test_linear_decay_ends_at_zero_and_follows_the_clock() -> None:
    assert [linear_decay(step, 5) for step in range(5)] == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])
    assert linear_decay(0, 1) == 1.0
    assert linear_decay(1, 5, progress=0.6) == pytest.approx(0.4)
    assert linear_decay(3, 5, progress=2.0) == 0.0


def losses(config: TrainingConfig) -> list[dict[str, float]]:
    rows = read_metrics(RunFolder(config.output).metrics)
    return [{k: v for k, v in row.items() if k not in ("minutes", "frames_per_second")} for row in rows]


@pytest.mark.parametrize("forces", ["conservative", "direct"])
@pytest.mark.parametrize("save_every_minutes", [1e-9, 60.0])
def test_a_killed_run_continues_with_the_same_losses(
    write_config: WriteConfig, tmp_path: Path, forces: str, save_every_minutes: float
) -> None:
    path = write_config(dens=DENS | {"weight_decay": "linear"}, log_every=2)
    whole = load_config(path, [f"model.forces={forces}"])
    cut = whole.model_copy(update={"output": tmp_path / "cut", "save_every_minutes": save_every_minutes})
    train(whole)

    def strike(now: int, total: int, metrics: dict[str, float]) -> None:
        if now == 7:
            raise Killed

    with pytest.raises(Killed):
        train(cut, on_step=strike)
    train(cut, resume=True)
    assert losses(cut) == losses(whole)
    a, b = (load_weights(RunFolder(config.output).weights)[0] for config in (whole, cut))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_table_shows_the_weight_and_the_noise_loss_of_steps_that_had_one(write_config: WriteConfig) -> None:
    config = load_config(write_config(dens=DENS | {"weight_decay": "linear", "per": "batch"}))
    train(config)
    rows = [row for row in losses(config) if "loss" in row]
    assert [row["dens_weight"] for row in rows] == pytest.approx([0.5 * (1 - step / 11) for step in range(12)])
    seen = ["loss_dens" in row for row in rows]
    assert True in seen
    assert False in seen
    assert all(row["loss_dens"] > 0 for row in rows if "loss_dens" in row)


def test_a_run_without_the_section_has_no_column_of_it_and_starts_alike(
    write_config: WriteConfig, tmp_path: Path
) -> None:
    off = load_config(write_config(epochs=1, dtype="float64"))
    # one atom in 10^9: the same run with the parts that DeNS adds, and nothing for them to do
    path = write_config(epochs=1, dtype="float64", dens={"atom_fraction": 1e-9})
    idle = load_config(path, [f"output={tmp_path / 'idle'}"])
    train(off)
    train(idle)
    rows, same = losses(off), losses(idle)
    assert not any("dens_weight" in row for row in rows)
    for row, expected in zip(same, rows, strict=True):
        # another program adds in another order, and steps of the optimiser enlarge that
        assert {k: v for k, v in row.items() if k != "dens_weight"} == pytest.approx(expected, rel=1e-8)


def test_parts_of_dens_take_no_random_numbers_from_others(write_config: WriteConfig) -> None:
    config = load_config(write_config(dens=DENS, dtype="float64"))
    torch.manual_seed(0)
    potential = build_potential(config)
    before = torch.get_rng_state()
    dens = add_dens(potential, config)
    assert dens is not None
    assert torch.equal(torch.get_rng_state(), before)
    assert {parameter.dtype for parameter in dens.parameters()} == {torch.float64}
    assert add_dens(potential, load_config(write_config())) is None


def test_noise_is_learned_beyond_predicting_zero(write_config: WriteConfig) -> None:
    dens = {"noise_std": 0.1, "probability": 1.0, "atom_fraction": 0.3, "weight": 10.0}
    config = load_config(write_config(dens=dens, epochs=40, validate_every=40, loss={"kind": "l2"}, log_every=32))
    train(config)
    noise = [row["loss_dens"] for row in losses(config) if "loss_dens" in row]
    zero = math.sqrt(8 / math.pi)  # mean norm of three standard normal numbers
    assert noise[0] > 0.7 * zero
    assert noise[-1] < 0.75 * zero


def test_weights_export_and_fine_tuning_know_nothing_of_dens(write_config: WriteConfig, tmp_path: Path) -> None:
    config = load_config(write_config(epochs=1, dens=DENS))
    result = train(config)
    assert load_config(result.folder.config).dens == DensConfig.model_validate(DENS)
    plain = build_potential(config)
    tensors, _ = load_weights(result.folder.weights)
    assert list(tensors) == sorted(plain.state_dict())
    assert result.report is not None
    assert result.report["parameters"] == sum(parameter.numel() for parameter in plain.parameters())
    potential, _ = load_trained(config.output)
    loaded = torch.jit.load(str(export(potential, tmp_path / "model.pt")))
    assert not [name for name in loaded.state_dict() if "noise" in name or "encoding" in name]

    tuned = load_config(write_config(epochs=1, dens=DENS), [f"output={tmp_path / 'tuned'}"])
    train(tuned, initial=read_initial_weights(config.output))
    assert losses(tuned)[0]["loss"] < losses(config)[0]["loss"]


def test_the_section_cannot_change_on_resuming_and_bad_fields_are_named(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=1, dens=DENS))
    train(config)
    with pytest.raises(ConfigError, match="dens"):
        train(load_config(write_config(epochs=1)), resume=True)
    with pytest.raises(ConfigError, match="noise_std"):
        load_config(write_config(dens=DENS), ["dens.noise_std=-1"])


def test_the_card_tells_what_was_done() -> None:
    assert describe_dens(None) == "none"
    text = describe_dens(DensConfig(noise_std=0.025, weight=10.0, per="batch"))
    assert all(part in text for part in ("0.025 Å on 25 %", "0.25 per batch", "weight 10;"))
    text = describe_dens(DensConfig(noise_std_range=(0.01, 0.5), weight_decay="linear"))
    assert all(part in text for part in ("0.01 to 0.5 Å", "weight 0.0125, falling to 0"))


def test_max_neighbors_and_periodic_cells_in_a_run(write_config: WriteConfig) -> None:
    config = load_config(write_config(epochs=1, dens=DENS), ["model.backbone.max_neighbors=8"])
    atoms = read(config.data.paths[0])
    assert graph_from_atoms(atoms, config.model.cutoff, max_neighbors=8).num_edges == 4 * 8  # the limit is at work
    train(config)
    assert all(math.isfinite(row["loss"]) for row in losses(config) if "loss" in row)
