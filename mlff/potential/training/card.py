"""The model card of a published model, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ase.data import chemical_symbols

from mlff.data import DataConfig, DataKeys, GroupSplit, IndexSplit, RandomSplit
from mlff.equiformer.config import PRESETS, EquiformerConfig
from mlff.graph import QUANTITIES, describe_neighbors
from mlff.potential import DensConfig
from mlff.potential.training.finished import FinishedRun
from mlff.potential.training.report import element_table
from mlff.training.card import limits_section, training_rows, training_section
from mlff.training.notes import DataNotes, ModelNotes

_FIGURES = {"learning_curve.png": "Validation errors of the averaged weights during training"} | {
    f"parity_{row.name}.png": f"{row.title.capitalize()} {'components ' if row.shape else ''}of the test frames"
    for row in QUANTITIES.values()
}


@dataclass(frozen=True)
class CardInput:
    """What a card is made of.

    Attributes:
        name: of the model.
        folder: name of the folder the model lies in; that is how ``mlff.load`` finds shipped models.
        run: the finished run.
        notes: what the author says.
        data: notes by data file.
        figures: names of the images in ``report/``.
    """

    name: str
    folder: str
    run: FinishedRun
    notes: ModelNotes
    data: Mapping[str, DataNotes]
    figures: Sequence[str]

    @property
    def symbols(self) -> list[str]:
        """Elements that the model knows."""
        return [chemical_symbols[number] for number in self.run.config.model.species]


def model_card(card: CardInput) -> str:
    """Markdown text; every number in it comes from the run's report and records."""
    sections = (_head, _data, _split, _errors, _model, _training, _use, _limits)
    return "\n\n".join(section(card).strip() for section in sections) + "\n"


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


def _head(card: CardInput) -> str:
    kind = "conservative" if card.run.config.model.conservative else "direct"
    about = (
        f"A machine-learned potential for the elements {', '.join(card.symbols)}: energies and {kind} forces. "
        f"Licence of the model: {card.notes.licence}. This page was written by `mlff publish`; its numbers come from "
        "the run's own report."
    )
    return f"# {card.name}\n\n{card.notes.description}\n\n{about}"


def _data(card: CardInput) -> str:
    lines = ["## Training data", ""]
    for name, notes in card.data.items():
        counts = {part: card.run.counts(part).get(name, 0) for part in ("train", "val", "test")}
        lines += [
            f"**{notes.title}** (`{name}`)",
            "",
            f"- origin: {notes.origin}",
            f"- licence: {notes.licence}",
            f"- cite: {notes.citation}",
            f"- level of theory: {notes.level_of_theory or 'not recorded with the data, see the citation'}",
            f"- frames used: {sum(counts.values())} ({_parts(counts)})",
            f"- SHA-256: `{card.run.split.files[name]}`",
            *(f"- {remark}" for remark in notes.remarks),
            "",
        ]
    statistics = card.run.statistics
    atoms = [f"{chemical_symbols[number]} {count}" for number, count in statistics.element_counts.items()]
    forces = statistics.force_norm_quantiles
    lines.append(
        f"The training part: {statistics.num_frames} frames with {statistics.num_atoms} atoms ({', '.join(atoms)}). "
        f"Half of its atoms feel less than {forces['0.5']:.2f} eV/Å, 99 % less than {forces['0.99']:.2f} eV/Å; the "
        f"largest force is {forces['1']:.1f} eV/Å."
    )
    if card.run.left_out:
        limit = card.run.config.data.max_train_force
        lines.append(f"{card.run.left_out} training frames with forces above {limit:g} eV/Å were left out.")
    return "\n".join(lines)


def _split(card: CardInput) -> str:
    config, counts = card.run.config.data, {p: sum(card.run.counts(p).values()) for p in ("train", "val", "test")}
    about = (
        f"{_split_kind(config)}: {_parts(counts)} frames. `split.json` lists the frames of each part. Frames of one "
        f"run (a trajectory, an active-learning loop) are correlated. {_split_meaning(config)}"
    )
    return f"## Split\n\n{about}"


def _split_kind(config: DataConfig) -> str:
    split = config.effective_split
    if isinstance(split, RandomSplit):
        shares = (split.train, split.val, split.test)
        wanted = "/".join(f"{100 * s:.0f}" if isinstance(s, float) else str(s) for s in shares)
        return f"Seeded random split by frame, {wanted}, seed {split.seed}"
    if isinstance(split, GroupSplit):
        return f"Seeded split that keeps the frames of one group (`{split.by}`) together, seed {split.seed}"
    return "Split given by lists of frames" if isinstance(split, IndexSplit) else "Split given by separate files"


def _split_meaning(config: DataConfig) -> str:
    if config.test or isinstance(config.effective_split, GroupSplit | IndexSplit):
        return "Where runs reach into several parts, the errors below describe interpolation within them."
    return (
        "With a random split, neighbours of the test frames are in the training part: the errors below describe "
        "interpolation within the runs sampled here; expect larger ones for new runs."
    )


def _errors(card: CardInput) -> str:
    report = card.run.report
    errors = report["errors"]
    fixed = report.get("fixed_atoms_left_out", 0)
    left_out = f" Force errors leave out {fixed} atoms held by constraints." if fixed else ""
    lines = [
        "## Errors on the test frames",
        "",
        f"{report['structures']} frames, {report['atoms']} atoms; averaged weights with the lowest validation error."
        f"{left_out}",
        "",
        "| quantity | MAE | RMSE |",
        "|---|---|---|",
    ]
    for row in QUANTITIES.values():
        if f"{row.error_key}_mae" in errors:
            factor, unit = row.error_unit
            mae, rmse = (f"{factor * errors[f'{row.error_key}_{kind}']:.2f}" for kind in ("mae", "rmse"))
            lines.append(f"| {row.title} ({unit}{' per component' if row.shape else ''}) | {mae} | {rmse} |")
    lines += ["", element_table(report["by_element"], errors).strip(), "", *_reproduce(card), ""]
    lines += [f"![{text}](report/{name})\n" for name, text in _FIGURES.items() if name in card.figures]
    return "\n".join(lines)


def _reproduce(card: CardInput) -> list[str]:
    data = card.run.config.data
    beyond = data.units.model_dump(exclude={"energy"}, exclude_defaults=True)
    if beyond:
        listed = ", ".join(f"{key} {value}" for key, value in beyond.items())
        return [f"`mlff evaluate` repeats these numbers once the files are converted to its units (now: {listed})."]
    defaults = DataKeys().named()
    words = [f"--key {name}={key}" for name, key in data.keys.named().items() if key != defaults.get(name)]
    if card.run.config.loss.fixed_atoms != "auto":
        words.append(f"--fixed-atoms {card.run.config.loss.fixed_atoms}")
    if data.units.energy is not None:
        words.append(f"--unit energy={data.units.energy}")
    files = " ".join(card.run.counts("test"))
    command = f"mlff evaluate model.pt {files} --indices split.json:test {' '.join([*words, '-o evaluation'])}"
    return ["To repeat them, in this folder and with the data beside this file:", "", f"    {command}"]


def _model(card: CardInput) -> str:
    model, report = card.run.config.model, card.run.report
    backbone = model.backbone
    neighbors = describe_neighbors(model.max_neighbors, model.max_neighbors_strict)
    sizes = (backbone.num_layers, backbone.lmax, backbone.mmax, backbone.channels, f"{model.cutoff:g} Å", neighbors)
    row = "| " + " | ".join(map(str, (*sizes, model.forces, card.run.config.dtype))) + " |"
    repulsion = (
        " Atoms closer than their covalent radii repel each other by the screened Coulomb energy of their nuclei (ZBL)."
        if model.repulsion == "zbl"
        else ""
    )
    smooth = " Energy and forces are smooth in the positions." if backbone.smooth and model.conservative else ""
    return f"""
## Model

EquiformerV2 backbone, preset {describe_backbone(backbone)}; {report["parameters"]:,} parameters.

| layers | lmax | mmax | channels | cutoff | neighbours | forces | precision |
|---|---|---|---|---|---|---|---|
{row}

Reference energies: {_references(card)}.{repulsion}{smooth}
"""


def _references(card: CardInput) -> str:
    config, statistics = card.run.config, card.run.statistics
    if config.init_from is not None:
        shifted = ", shifted by least squares to the training part" if config.reference_energies == "refit" else ""
        return f"those of `{config.init_from.name}`{shifted}"
    if statistics.reference_source == "isolated_atoms":
        return "isolated atoms at the level of theory of the data"
    return f"least squares over the training part (rank {statistics.composition_rank} for {len(card.symbols)} elements)"


def _training(card: CardInput) -> str:
    config, loss = card.run.config, card.run.config.loss
    rows = training_rows(config, card.run.report, "frames") | {
        "loss": f"{loss.kind}; weights: {', '.join(f'{name} {weight:g}' for name, weight in loss.weights.items())}",
        "auxiliary task": describe_dens(config.dens),
    }
    return training_section(config, rows)


def _use(card: CardInput) -> str:
    return f"""
## How to use it

```python
from md_drivers import MLFFCalculator

atoms.calc = MLFFCalculator("{card.folder}")  # a shipped name, or the path of model.pt
energy, forces = atoms.get_potential_energy(), atoms.get_forces()  # eV, eV/Å
```
"""


def _limits(card: CardInput) -> str:
    elements = ", ".join(card.symbols)
    limits = [
        *card.notes.not_for,
        f"Elements other than {elements}: they are refused.",
        "Other surfaces, facets, cells, coverages or compositions than those of the data: nothing there was fitted.",
        "Reaction paths and barriers that the data do not sample: check them against the reference method.",
        "Temperatures and pressures beyond those of the data, and atoms closer to each other than in the data.",
    ]
    statistics = card.run.statistics
    undetermined = statistics.composition_rank < len(card.symbols)
    if statistics.reference_source == "least_squares" and undetermined:
        limits.append(
            "Energies of formation, adsorption or reaction between different compositions: the data do not determine "
            "the energies of the single elements, so only energy differences at equal composition have a meaning."
        )
    return limits_section(limits)


def _parts(counts: Mapping[str, int]) -> str:
    return f"{counts['train']} training, {counts['val']} validation, {counts['test']} test"
