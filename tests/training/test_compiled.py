"""Padded batches and compiled training steps: the same numbers as plain ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.physics_models import make_potential, rattled_crystal, rattled_molecule

from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.potential import CorruptedGraph, DensConfig, DensPotential, Potential, corrupt
from mlff.potential.training.compiled import CompiledObjective
from mlff.potential.training.config import LossConfig
from mlff.potential.training.losses import LossTerms
from mlff.potential.training.objective import Objective, evaluate_potential
from mlff.potential.training.padding import BatchSize, pad, pad_corrupted
from mlff.training import ConfigError, TrainingError, load_config, train
from mlff.training.metrics_table import read_metrics
from mlff.training.optimizers import freeze

DENS = DensConfig(probability=1.0, atom_fraction=0.5, noise_std=0.1)
WriteConfig = Callable[..., Path]


def labelled_batch(cutoff: float, fixed: bool = False) -> AtomicGraph:
    """A molecule in a box and a crystal with labels; with ``fixed``, two atoms of the molecule are held."""
    boxed = rattled_molecule()
    boxed.set_cell([9.0, 9.0, 9.0])
    boxed.pbc = True
    graphs = [graph_from_atoms(atoms, cutoff, dtype=torch.float64) for atoms in (boxed, rattled_crystal())]
    batch = AtomicGraph.collate(graphs)
    generator = torch.Generator().manual_seed(3)

    def label(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    atoms, graphs_ = len(batch.numbers), batch.num_graphs
    batch = batch.replace(energy=label(graphs_), forces=label(atoms, 3), stress=label(graphs_, 3, 3))
    held = torch.zeros(atoms, dtype=torch.bool)
    held[:2] = True
    return batch.replace(fixed=held) if fixed else batch


def trainable(**changes: Any) -> Potential:
    return make_potential(num_layers=1, **changes).requires_grad_(True).train()


def size_above(graph: AtomicGraph, atoms: int = 3, edges: int = 17) -> BatchSize:
    return BatchSize(graph.num_graphs + 1, len(graph.numbers) + atoms, graph.num_edges + edges)


def loss_and_gradients(
    objective: Callable[..., LossTerms], model: torch.nn.Module, batch: AtomicGraph | CorruptedGraph
) -> tuple[np.ndarray, list[np.ndarray]]:
    model.zero_grad()
    terms = objective(batch, 0.3)
    terms.total.backward()
    parts = [terms.total, *terms.parts.values()]
    gradients = [np.zeros(p.shape) if p.grad is None else p.grad.numpy().copy() for p in model.parameters()]
    return np.array([float(part.detach()) for part in parts]), gradients


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traced graph runs as it is: what is left out is the compiler of torch."""

    def plain(graph: torch.fx.GraphModule, inputs: list[torch.Tensor], options: object) -> Callable[..., Any]:
        assert not any(x.requires_grad for x in inputs)
        return torch.no_grad()(graph)

    monkeypatch.setattr(torch._inductor, "compile", plain)


@pytest.mark.parametrize("variant", ["smooth", "lmax 3, mmax 2, sphere product on edges"])
@pytest.mark.parametrize("forces", ["conservative", "direct"])
def test_padding_changes_nothing_for_the_others(variant: str, forces: str) -> None:
    potential = make_potential(variant, forces)
    graph = labelled_batch(potential.config.cutoff)
    padded = pad(graph, size_above(graph), potential.config.cutoff)
    stress = forces == "conservative"
    expected, output = (evaluate_potential(potential, g, stress) for g in (graph, padded))
    assert len(padded.numbers) == len(graph.numbers) + 3
    assert padded.num_edges == graph.num_edges + 17
    torch.testing.assert_close(output["energy"][:-1], expected["energy"], rtol=1e-13, atol=1e-11)
    torch.testing.assert_close(output["forces"][:-3], expected["forces"], rtol=1e-10, atol=1e-11)
    assert not output["forces"][-3:].any() or forces == "direct"
    if stress:
        torch.testing.assert_close(output["stress"][:-1], expected["stress"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("fixed_atoms", ["auto", "include", "exclude"])
@pytest.mark.parametrize("kind", ["l2", "mae", "huber"])
def test_padding_counts_for_nothing_in_the_loss(kind: str, fixed_atoms: str) -> None:
    potential = trainable()
    loss = LossConfig.model_validate({"kind": kind, "stress_weight": 1.0, "fixed_atoms": fixed_atoms})
    objective = Objective(potential, loss, None, None)
    graph = labelled_batch(potential.config.cutoff, fixed=True)
    padded = pad(graph, size_above(graph), potential.config.cutoff)
    expected, wanted = loss_and_gradients(objective, potential, graph)
    terms, gradients = loss_and_gradients(lambda batch, w: objective(batch, w, padded=True), potential, padded)
    np.testing.assert_allclose(terms, expected, rtol=1e-12)
    for given, gradient in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(given, gradient, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("mean", ["separate", "joint"])
@pytest.mark.parametrize("forces", ["conservative", "direct"])
def test_traced_step_equals_the_plain_one(traced_only: None, forces: str, mean: str) -> None:
    potential = trainable(forces=forces)
    settings = DENS.model_copy(update={"mean": mean})
    dens = DensPotential(potential)
    for parameter in dens.parameters():
        parameter.data = parameter.data.double()
    loss = LossConfig(kind="l2", stress_weight=0.5 if forces == "conservative" else 0.0)
    objective = Objective(potential, loss, dens, settings)
    graph = labelled_batch(potential.config.cutoff, fixed=True)
    cutoff = potential.config.cutoff
    batch = corrupt(graph, settings, potential.config, torch.Generator().manual_seed(0))
    assert batch.corrupted.any()
    spared = corrupt(graph, DensConfig(probability=1e-9), potential.config, torch.Generator().manual_seed(0))
    compiled = CompiledObjective(objective, size_above(batch.graph, edges=200), cutoff)
    for case in (batch, spared):
        assert compiled.takes(case)
        expected, wanted = loss_and_gradients(objective, dens, case)
        terms, gradients = loss_and_gradients(compiled, dens, case)
        np.testing.assert_allclose(terms, expected, rtol=1e-11, atol=1e-13)
        for given, gradient in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(given, gradient, rtol=1e-8, atol=1e-10)


def _agree_on_new_batch_and_weights(potential: Potential) -> None:
    """No value of the first batch or of the first weights is frozen into the graph."""
    cutoff = potential.config.cutoff
    objective = Objective(potential, LossConfig(kind="l2"), None, None)
    graph = labelled_batch(cutoff)
    compiled = CompiledObjective(objective, size_above(graph, edges=40), cutoff)
    compiled(graph, 0.0)
    moved = graph.replace(positions=graph.positions + 0.05 * torch.randn_like(graph.positions))
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.mul_(1.1)
    expected, wanted = loss_and_gradients(objective, potential, moved)
    terms, gradients = loss_and_gradients(compiled, potential, moved)
    np.testing.assert_allclose(terms, expected, rtol=1e-10, atol=1e-13)
    for given, gradient in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(given, gradient, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("frozen", [(), ("backbone.embedding", "backbone.blocks")])
def test_traced_step_follows_batch_and_weights(traced_only: None, frozen: tuple[str, ...]) -> None:
    potential = trainable(lmax=1, mmax=1)
    freeze(potential, frozen)
    _agree_on_new_batch_and_weights(potential)


def test_compiled_step_follows_batch_and_weights() -> None:
    """With the compiler of torch; direct forces and l = 1, because larger graphs take it minutes."""
    _agree_on_new_batch_and_weights(trainable(forces="direct", lmax=1, mmax=1))


def test_size_holds_nearly_all_batches_and_no_more_than_it_must() -> None:
    generator = np.random.default_rng(0)
    atoms = generator.integers(5, 40, size=500)
    edges = 12 * atoms + generator.integers(0, 30, size=500)
    size = BatchSize.typical(atoms.tolist(), edges.tolist(), 8)
    sums = [(atoms[i].sum(), edges[i].sum()) for i in (generator.choice(500, 8, replace=False) for _ in range(2000))]
    assert np.mean([a < size.atoms and e <= size.edges for a, e in sums]) > 0.999
    assert size.edges <= 1.03 * np.sort(edges)[-8:].sum() + 8
    equal = BatchSize.typical([9] * 10, [72] * 10, 5)
    assert (equal.graphs, equal.atoms) == (6, 48)
    assert 360 <= equal.edges <= 376


def test_batches_of_other_sizes_are_left_alone() -> None:
    potential = trainable()
    graph = labelled_batch(potential.config.cutoff)
    objective = Objective(potential, LossConfig(), None, None)

    def takes(size: BatchSize) -> bool:
        return CompiledObjective(objective, size, potential.config.cutoff).takes(graph)

    assert takes(size_above(graph, atoms=1, edges=0))
    assert not takes(size_above(graph, atoms=0, edges=0))
    assert not takes(size_above(graph, atoms=1, edges=-1))
    assert not takes(BatchSize(graph.num_graphs + 2, 100, 10_000))


def test_corrupted_padding_is_not_corrupted() -> None:
    graph = labelled_batch(4.0)
    batch = corrupt(graph, DENS, trainable().config, torch.Generator().manual_seed(0))
    padded = pad_corrupted(batch, size_above(batch.graph), 4.0)
    assert padded.corrupted.sum() == batch.corrupted.sum()
    assert not padded.corrupted_graphs[-1]


def test_what_the_compiler_says_reaches_the_user(monkeypatch: pytest.MonkeyPatch, write_config: WriteConfig) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no working C++ compiler\nmore lines")

    monkeypatch.setattr(torch._inductor, "compile", broken)
    with pytest.raises(TrainingError, match=r"no working C\+\+ compiler\).*compile: false"):
        train(load_config(write_config(epochs=1, compile=True)))


def test_compiled_training_follows_the_plain_one(traced_only: None, write_config: WriteConfig) -> None:
    # batches that chance spares give the parts of DeNS gradients of zero, with which optimisers do more than without
    settings = {"epochs": 2, "dens": {"probability": 0.4, "per": "batch", "atom_fraction": 0.9}, "dtype": "float64"}
    rows = []
    for name, compiled in (("plain", False), ("compiled", True)):
        config = load_config(write_config(output=name, compile=compiled, **settings))
        rows.append(read_metrics(train(config).folder.metrics))
    assert len(rows[0]) > 4
    for column in ("loss", "loss_dens", "gradient_norm", "val_forces_mae"):
        plain, compiled_ = ([row[column] for row in table if row.get(column) is not None] for table in rows)
        assert plain
        np.testing.assert_allclose(compiled_, plain, rtol=1e-6)


def test_dropout_cannot_be_compiled(write_config: WriteConfig) -> None:
    path = write_config(compile=True)
    with pytest.raises(ConfigError, match="compile: true needs"):
        load_config(path, ["model.backbone.drop_path=0.1"])
