"""Sections of the model card that every kind has, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlff.training.config import RunConfig


def training_rows(config: RunConfig, report: dict[str, Any], examples: str) -> dict[str, Any]:
    """What a run was trained with, as rows of a table; a kind adds its own and gives them to :func:`training_section`.

    Args:
        config: of the run.
        report: of the run.
        examples: what a batch holds, e.g. ``frames``.
    """
    optimizer, best = config.optimizer, report["best_validation"]
    clock = " towards the time limit" if optimizer.anneal_by == "time" else ""
    clipping = "no clipping" if optimizer.clip_norm is None else f"gradient norm clipped at {optimizer.clip_norm:g}"
    processes = f"{report.get('processes', 1)} process(es) with {report['threads']} thread(s)"
    epochs = f", {report['epochs']} full epochs" if "epochs" in report else ""
    return {
        "wall time": f"{report['wall_time_minutes']:.1f} min in total, interruptions not counted",
        "hardware": f"{report['hardware']}; {processes}",
        "steps": f"{report['steps']} with batches of {config.batch_size} {examples}{epochs}",
        "weights": f"averaged (EMA {config.ema:g}), from step {best.get('step')}, epoch {best.get('epoch')}",
        "optimiser": f"{optimizer.title}, learning rate {optimizer.lr:g}, weight decay {optimizer.weight_decay:g}, "
        f"warm-up, cosine{clock} down to {optimizer.min_lr_fraction:g} of it, {clipping}",
        "seed": config.seed,
        "started from": "random weights" if config.init_from is None else f"`{config.init_from.name}`",
        "commit": f"`{report['git_commit']}` (when the run ended)" if report.get("git_commit") else "not recorded",
        "resumed": describe_resumes(report.get("parts")),
        "versions": ", ".join(f"{package} {version}" for package, version in report["versions"].items()),
    }


def training_section(config: RunConfig, rows: dict[str, Any]) -> str:
    """The section on the training."""
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    exact = (
        " The schedule follows the clock, so a repetition gives a similar model, not the same."
        if config.optimizer.anneal_by == "time"
        else ""
    )
    return f"""
## Training

| | |
|---|---|
{table}

To train again, with the data beside `config.yaml`: `mlff train config.yaml -o run`.{exact}
"""


def limits_section(limits: Sequence[str]) -> str:
    """The section on what a model must not be used for."""
    lines = "\n".join(f"- {limit}" for limit in limits)
    return f"## What it must not be used for\n\n{lines}"


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
