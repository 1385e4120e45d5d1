"""The model card of a published model, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlff.support.templates import render
from mlff.training.config import RunConfig
from mlff.training.notes import DataNotes, ModelNotes


def trained_card(
    template: str,
    name: str,
    notes: ModelNotes,
    data: Mapping[str, DataNotes],
    config: RunConfig,
    report: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> str:
    """The card of a trained model; every number in it comes from the run's report and records.

    Args:
        template: of the kind of model, which extends ``training/model_card.md.j2``.
        name: of the model.
        notes: what the author says.
        data: notes by data file.
        config: of the run.
        report: of the run.
        facts: what else the template of the kind names.
    """
    common = {"name": name, "notes": notes, "data": data, "config": config, "report": report}
    return render(template, {**common, "resumes": describe_resumes(report.get("parts")), **facts})


def describe_resumes(parts: list[dict[str, Any]] | None) -> str:
    """Where a run was resumed, in words, from ``parts`` of its report."""
    if parts is None:
        return "not recorded"
    started = any(part["step"] == 0 for part in parts)  # not so in runs that an earlier version began
    resumes = (
        f"after {part['minutes']:.1f} min ({part['hardware']}; commit `{part['git_commit'] or 'not recorded'}`)"
        for part in parts[int(started) :]
    )
    return ("" if started else "start not recorded, ") + ", ".join(resumes) or "no"
