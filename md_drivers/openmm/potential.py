"""The model of a force: a warning, and how it is found again."""

from __future__ import annotations

import warnings

from md_drivers.common.models import Model, model_name
from mlff.artifacts import available
from mlff.potential.artifact import LoadedModel


def warn_if_direct(model: LoadedModel) -> None:
    """Warn (UserWarning) where the forces of a model are not the derivative of its energy."""
    if not model.metadata.conservative:
        warnings.warn(
            f"model {model_name(model)!r} predicts forces directly: they are not the derivative of its energy. Total "
            "energy is not conserved, and whatever uses both (barostats, minimisation, free energies) is inconsistent",
            stacklevel=3,  # the caller of openmm_force
        )


def reference(model: Model, loaded: LoadedModel) -> str:
    """What finds the model again: the name of a pretrained one, known on any machine, else the file's absolute path."""
    return model if isinstance(model, str) and model in available() else str(loaded.path)
