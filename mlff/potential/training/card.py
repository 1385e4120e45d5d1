"""The model card of a published model, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ase.data import chemical_symbols

from mlff.data import DataConfig, DataKeys
from mlff.equiformer.config import PRESETS, EquiformerConfig
from mlff.graph import QUANTITIES, describe_neighbors
from mlff.potential import DensConfig
from mlff.potential.training.finished import FinishedRun
from mlff.training.card import trained_card
from mlff.training.notes import DataNotes, ModelNotes

_PARTS = ("train", "val", "test")
_FIGURES = {"learning_curve.png": "Validation errors of the averaged weights during training"} | {
    f"parity_{row.name}.png": f"{row.title.capitalize()} {'components ' if row.shape else ''}of the test frames"
    for row in QUANTITIES.values()
}


def model_card(
    name: str,
    folder: str,
    run: FinishedRun,
    notes: ModelNotes,
    data: Mapping[str, DataNotes],
    figures: Sequence[str],
) -> str:
    """Markdown text; every number in it comes from the run's report and records.

    Args:
        name: of the model.
        folder: name of the folder the model lies in; that is how ``mlff.load`` finds shipped models.
        run: the finished run.
        notes: what the author says.
        data: notes by data file.
        figures: names of the images in ``report/``.
    """
    model = run.config.model
    counts = {part: run.counts(part) for part in _PARTS}
    facts = {
        "folder": folder,
        "run": run,
        "chemical_symbols": chemical_symbols,
        "symbols": [chemical_symbols[number] for number in model.species],
        "frames": {file: {part: counts[part].get(file, 0) for part in _PARTS} for file in data},
        "total": {part: sum(counts[part].values()) for part in _PARTS},
        "split": run.config.data.effective_split,
        "quantities": QUANTITIES.values(),
        "unusual_units": run.config.data.units.model_dump(exclude={"energy"}, exclude_defaults=True),
        "evaluation": _options(run.config.data, run.config.loss.fixed_atoms),
        "images": {file: text for file, text in _FIGURES.items() if file in figures},
        "preset": describe_backbone(model.backbone),
        "neighbors": describe_neighbors(model.max_neighbors, model.max_neighbors_strict),
        "auxiliary": describe_dens(run.config.dens),
    }
    return trained_card("potential/training/model_card.md.j2", name, notes, data, run.config, run.report, facts)


def describe_backbone(config: EquiformerConfig) -> str:
    """The nearest preset and what differs from it, for example ``smooth with num_layers 2``."""
    fields = config.model_dump()
    differences = {}
    for name in PRESETS:
        preset = EquiformerConfig.model_validate({"preset": name}).model_dump()
        differences[name] = {key: value for key, value in fields.items() if preset[key] != value}
    nearest = min(differences, key=lambda name: len(differences[name]))
    changed = ", ".join(f"{key} {'none' if value is None else value}" for key, value in differences[nearest].items())
    return f"`{nearest}`" + (f" with {changed}" if changed else "")


def describe_dens(config: DensConfig | None) -> str:
    """The auxiliary task in one line."""
    if config is None:
        return "none"
    levels = config.noise_std_range
    noise = f"{config.noise_unit:g} Å" if levels is None else f"{levels[0]:g} to {levels[1]:g} Å"
    decay = ", falling to 0" if config.weight_decay == "linear" else ""
    return (
        f"DeNS (arXiv:2403.09549): noise of {noise} on {100 * config.atom_fraction:g} % of the atoms, probability "
        f"{config.probability:g} per {config.per}, weight {config.weight:g}{decay}; not part of the model file"
    )


def _options(data: DataConfig, fixed_atoms: str) -> str:
    """Those with which ``mlff evaluate`` repeats the errors of the report."""
    defaults = DataKeys().named()
    words = [f"--key {name}={key}" for name, key in data.keys.named().items() if key != defaults.get(name)]
    if fixed_atoms != "auto":
        words.append(f"--fixed-atoms {fixed_atoms}")
    if data.units.energy is not None:
        words.append(f"--unit energy={data.units.energy}")
    return " ".join([*words, "-o evaluation"])
