"""Published test errors, from ``published.yaml``."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

FILE = Path(__file__).with_name("published.yaml")


class Published(BaseModel):
    """Models, their sources, and (energy meV, forces meV/Å) by test set and model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...]
    sources: dict[str, str]
    tests: dict[str, dict[str, tuple[float, float]]]

    @model_validator(mode="after")
    def _complete(self) -> Published:
        keys = {"sources": set(self.sources)} | {name: set(row) for name, row in self.tests.items()}
        for name, models in keys.items():
            if models != set(self.models):
                raise ValueError(f"{name} must have an entry for each of: {', '.join(self.models)}")
        return self


def load_published() -> dict[str, Published]:
    """Published results by recipe."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: Published.model_validate(value) for name, value in content.items()}
