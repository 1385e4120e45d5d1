"""A training run of a potential: its data, model, batches, validation and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from mlff.data import (
    BatchSampler,
    DataError,
    DatasetStatistics,
    DataSplits,
    GraphDataset,
    collate,
    compute_statistics,
    in_symbols,
    load_splits,
)
from mlff.graph import quantity
from mlff.potential.domain import Domain
from mlff.potential.potential import Potential
from mlff.potential.training.batches import StepSampler, graph_batches
from mlff.potential.training.config import TrainingConfig
from mlff.potential.training.domain import DomainRecord
from mlff.potential.training.lightning_module import PotentialModule, potential_predictor
from mlff.potential.training.metrics import error_sums, errors_from_sums, predict
from mlff.potential.training.padding import BatchSize
from mlff.potential.training.report import plot_learning_curve, write_evaluation
from mlff.potential.training.start import (
    add_dens,
    build_potential,
    known_last_block,
    known_species,
    refit_reference_energies,
    set_property_scales,
    set_start,
)
from mlff.potential.training.trained import InitialWeights
from mlff.support.errors import ConfigError
from mlff.support.files import write_json
from mlff.training.run_folder import RunFolder
from mlff.training.task import Placement, TrainingRun


@dataclass
class PotentialRun(TrainingRun):
    """A training run of a potential.

    Attributes:
        config: of the run.
        splits: frames of each part.
        graphs: ``train``, ``val`` and ``test``.
        source: batches of each epoch.
        module: the potential in training.
        statistics, domain: of the training part, when the run starts.
        placement: of this process.
    """

    config: TrainingConfig
    splits: DataSplits
    graphs: Mapping[str, GraphDataset]
    source: BatchSampler
    module: PotentialModule
    statistics: DatasetStatistics | None
    domain: Domain | None
    placement: Placement

    def __post_init__(self) -> None:
        self.losses = (*(f"loss_{name}" for name in self.config.compared), "loss_dens", "dens_weight")
        self._rows = [quantity(name) for name in self.config.compared]
        self.errors = tuple(f"val_{row.error_key}_{error}" for row in self._rows for error in ("mae", "rmse"))

    def loader(self) -> DataLoader[Any]:
        module = self.module
        return DataLoader(
            self.graphs["train"],
            batch_sampler=StepSampler(self.source, module.position, module.total_steps - module.step),
            collate_fn=collate,
            generator=torch.Generator().manual_seed(self.config.seed),
        )

    def validation_is_due(self, epoch_ended: bool) -> bool:
        return epoch_ended and self.module.epoch % self.config.validate_every == 0

    def validate(self, model: nn.Module) -> dict[str, float]:
        errors = errors_from_sums(self.placement.sum(self._validation_sums(model)), self.config.compared)
        weight = self.config.loss.weight
        score = sum(weight(row.name) * errors.get(f"{row.error_key}_mae", 0.0) for row in self._rows)
        return {"val_loss": score} | {f"val_{name}": value for name, value in errors.items()}

    def weights_metadata(self) -> dict[str, str]:
        return {"model": self.config.model.model_dump_json()}

    def describe(self) -> str:
        sizes = f"{len(self.splits.train)}/{len(self.splits.val)}/{len(self.splits.test)}"
        return f"{sizes} training/validation/test frames; "

    def write_start(self, folder: RunFolder) -> None:
        """Write which frames each part holds, the hashes of the files and the statistics of the training part."""
        if self.statistics is None or self.domain is None:
            return
        folder.report.mkdir(parents=True, exist_ok=True)
        places = {
            part: [{"file": frame.source.name, "index": int(frame.index)} for frame in frames]
            for part, frames in self.splits.parts.items()
        }
        content = {
            "files": self.splits.fingerprint.to_dict(),
            "split": places,
            "left_out_for_large_forces": self.splits.left_out,
            "statistics": self.statistics.model_dump(mode="json"),
            "domain": self.domain.model_dump(mode="json"),
        }
        write_json(folder.data_record, content)

    def report(self, folder: RunFolder, model: nn.Module) -> dict[str, Any]:
        """Errors on the test part, figures; without test frames the learning curve only."""
        plot_learning_curve(folder.metrics, folder.report / "learning_curve.png", self.config.trained_on)
        test, config = self.graphs["test"], self.config
        if len(test) == 0:
            return {"part": "test"}
        graphs = graph_batches(test, range(len(test)), config.batch_size, self.placement.device)
        predictions = predict(graphs, potential_predictor(model), self._compared, config.loss.fixed_atoms)
        return {"part": "test", **write_evaluation(folder.report, predictions)}

    @property
    def _compared(self) -> list[str]:
        """Outputs whose errors are looked at; a stress costs, so only where it is trained on."""
        outputs = set(self.config.model.outputs) - ({"stress"} if self.config.loss.weight("stress") == 0 else set())
        return [row.name for row in self._rows if row.name in outputs]

    def _validation_sums(self, model: nn.Module) -> torch.Tensor:
        """[Q, 3] of each quantity: sum of |d|, sum of d², count; this process's part."""
        graphs, config = self.graphs["val"], self.config
        own = range(self.placement.rank, len(graphs), self.placement.processes)
        if len(own) == 0:
            return torch.zeros(len(config.compared), 3, dtype=torch.float64)
        batches = graph_batches(graphs, own, config.batch_size, self.placement.device)
        predictions = predict(batches, potential_predictor(model), self._compared, config.loss.fixed_atoms)
        return error_sums(predictions, config.compared)


def prepare_run(
    config: TrainingConfig, state: Mapping[str, Any] | None, placement: Placement, initial: InitialWeights | None
) -> PotentialRun:
    """Read the data and build the potential, see ``mlff.training.Task.prepare``.

    The normalisation (reference energies, scale, average degree) comes from the training part of the data, or, with
    ``initial`` weights, from these: they were trained with those values. Only the reference energies are then shifted
    to the training part, see ``TrainingConfig.reference_energies``.

    Raises:
        ConfigError: the configuration does not fit the data.
        DataError: bad data, or no pair of atoms within the cutoff.
    """
    splits = load_splits(config.data)
    if state is None:
        species = known_species(config.model, splits.train, initial)
        # Weights of a potential keep its energy, also where the training goes on without.
        energy = config.learns_energy or (initial is not None and initial.energy)
        config = config.with_model(species, known_last_block(config.model, initial), energy and config.model.energy)
    _check_data(config, splits)
    graphs = _graphs(config, splits)
    potential = build_potential(config)
    statistics, domain = None, None
    if state is None:
        statistics, domain = _start(potential, config, splits, graphs["train"], initial, placement)
    source = BatchSampler(
        graphs["train"].edge_counts,
        config.batch_size,
        seed=config.seed,
        max_edges=config.max_edges,
        rank=placement.rank,
        world_size=placement.processes,
    )
    total = config.epochs * len(source.batches(0))
    total = total if config.max_steps is None else min(total, config.max_steps)
    frames = splits.train
    module = PotentialModule(
        potential,
        config,
        source,
        total,
        lambda i: f"{frames[i].source}, frame {frames[i].index}",
        dens=add_dens(potential, config),
        compiled_size=_compiled_size(config, graphs["train"]) if config.compile else None,
    )
    return PotentialRun(config, splits, graphs, source, module, statistics, domain, placement)


def _graphs(config: TrainingConfig, splits: DataSplits) -> dict[str, GraphDataset]:
    model, dtype = config.model, getattr(torch, config.dtype)
    limits, strict = (model.cutoff, model.max_neighbors), model.max_neighbors_strict
    graphs = {
        name: GraphDataset(frames, *limits, config.data.cache, max_neighbors_strict=strict, dtype=dtype)
        for name, frames in splits.parts.items()
    }
    if not graphs["train"].edge_counts.any():
        raise DataError(
            f"no two atoms of any training frame are closer than model.backbone.cutoff = {model.cutoff:g} A",
            hint="raise the cutoff, or check data.units.length",
        )
    return graphs


def _start(
    potential: Potential,
    config: TrainingConfig,
    splits: DataSplits,
    train: GraphDataset,
    initial: InitialWeights | None,
    placement: Placement,
) -> tuple[DatasetStatistics, Domain]:
    """Normalise a new potential, or give it its initial weights."""
    record = DomainRecord()
    statistics = compute_statistics(record.watched(train), isolated_atoms=splits.isolated_atoms)
    set_property_scales(potential, train)
    set_start(potential, statistics, initial, config.freeze)
    if initial is not None and config.reference_energies == "refit" and config.data.keys.energy is not None:
        device, size = placement.device, config.batch_size
        refit_reference_energies(potential, train, device=device, batch_size=size, seed=config.seed)
    return statistics, record.domain(config.trained_on)


def _compiled_size(config: TrainingConfig, train: GraphDataset) -> BatchSize:
    atoms = [len(frame.atoms) for frame in train.frames]
    return BatchSize.typical(atoms, train.edge_counts.tolist(), config.batch_size)


def _check_data(config: TrainingConfig, splits: DataSplits) -> None:
    if not splits.val:
        raise ConfigError("data: no validation frames; give data.val or a validation share in data.split")
    unknown = set(splits.species) - set(config.model.species)
    if unknown:
        raise ConfigError(
            f"model.species: the data hold {in_symbols(unknown)}, the model knows only "
            f"{in_symbols(config.model.species)}; list all elements, and give the training part frames of each"
        )
