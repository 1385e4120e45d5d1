"""The model card of an imported checkpoint, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlff.graph import describe_neighbors
from mlff.potential import PotentialConfig
from mlff.potential.training.card import describe_backbone
from mlff.support.templates import render


def imported_card(
    name: str, config: PotentialConfig, origin: Mapping[str, Any], parameters: int, licence: str | None
) -> str:
    """Markdown text that says what is known of a checkpoint, and what is not.

    Args:
        name: of the model.
        config: of the potential.
        origin: file, hash, options and normalisation as the command records them in ``model.pt``.
        parameters: their number.
        licence: of the model, if the user named it.
    """
    values = {
        "name": name,
        "config": config,
        "origin": origin,
        "parameters": parameters,
        "licence": licence,
        "backbone": describe_backbone(config.backbone),
        "neighbors": describe_neighbors(config.max_neighbors, config.max_neighbors_strict),
    }
    return render("imports/equiformer_v2/model_card.md.j2", values)
