"""A finished run of a jump model as a published model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlff.artifacts import export
from mlff.equijump.model import JumpModel
from mlff.equijump.training.about import about_trained
from mlff.equijump.training.config import JumpTrainingConfig
from mlff.equijump.training.trained import load_trained_jump
from mlff.training.card import limits_section, training_rows, training_section
from mlff.training.config import read_config
from mlff.training.notes import DataNotes, ModelNotes, load_notes, match_notes
from mlff.training.run_folder import RunFolder, finished_report
from mlff.training.task import Publication


def collect(root: Path, notes_path: Path, name: str | None, folder: str, self_test: int) -> Publication:
    """Everything that a published jump model consists of, see ``mlff.training.Task.publication``.

    The notes name each system of the data in their field ``file``.
    """
    report = finished_report(RunFolder(root))
    config = read_config(JumpTrainingConfig, RunFolder(root).config)
    notes = load_notes(notes_path)
    data = match_notes(notes, report["systems"], notes_path)
    chosen = name or notes.name or folder
    model, _ = load_trained_jump(root)
    about = about_trained(root, self_test=self_test)
    about["metadata"] |= {"name": chosen, "description": notes.description, "licence": notes.licence}
    for entry in about["metadata"]["training_data"]:
        said = data[entry["name"]]
        entry |= {"title": said.title, "source": said.origin, "licence": said.licence, "citation": said.citation}
    about["metadata"]["extra"] |= {"not_for": list(notes.not_for), "git_commit": report.get("git_commit")}
    return Publication(
        card=_card(chosen, notes, data, config, report, model),
        config=about["metadata"]["training_config"],
        export=lambda path: export(model, path, **about),
        files={},
    )


def _card(
    name: str,
    notes: ModelNotes,
    data: dict[str, DataNotes],
    config: JumpTrainingConfig,
    report: dict[str, Any],
    model: JumpModel,
) -> str:
    """Markdown text; every number in it comes from the run's report and records."""
    lags, best = ", ".join(f"{lag:g}" for lag in config.data.lags), report["best_validation"]
    facts = {entry["name"]: entry for entry in report["training_data"]}
    systems = "\n".join(
        f"- **{said.title}** (`{system}`): {facts[system]['sequence']}, {facts[system]['frames']} training frames "
        f"every {facts[system]['frame_interval_ps']:g} ps; origin: {said.origin}; licence: {said.licence}; cite: "
        f"{said.citation}{''.join(f'; {remark}' for remark in said.remarks)}"
        for system, said in data.items()
    )
    noise = model.config.transport
    return (
        "\n\n".join(
            text.strip()
            for text in (
                f"# {name}\n\n{notes.description}",
                f"A jump model: it takes frames of a trajectory {lags} ps ahead. Licence of the model: "
                f"{notes.licence}. This page was written by `mlff publish`; its numbers are from the run's own report.",
                f"## Training data\n\n{systems}",
                f"## Losses on held-out trajectories\n\nAnchors {best['val_anchors']:.4f}, vectors "
                f"{best['val_vectors']:.4f}, "
                "in units of the noise. They do not tell how well distributions are sampled: `equijump rollout` and "
                "`equijump analyze` do.\n\n![Losses during training](report/learning_curve.png)",
                f"## Model\n\n{report['parameters']:,} parameters, {config.dtype}; transport {noise.kind}, noise "
                f"{noise.position_noise:g} Å (anchors) and {noise.vector_noise:g} Å (vectors), {model.steps} steps.",
                training_section(config, training_rows(config, report, "jumps")),
                limits_section(notes.not_for),
            )
        )
        + "\n"
    )
