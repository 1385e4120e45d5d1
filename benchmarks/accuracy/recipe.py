"""Recipes: a training configuration, its test sets, and where the data come from."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlff.potential import DensConfig
from mlff.potential.training import TrainingConfig
from mlff.training import ConfigError
from mlff.training.config import validate_config

RECIPES = Path(__file__).resolve().parent / "recipes"


class Recipe(BaseModel):
    """Content of a recipe file.

    Attributes:
        name: of the file.
        title: in tables.
        folder: of its files within the folder of all data.
        origin: where to get these files.
        molecules: elements by molecule; ``{molecule}`` in file names then stands for the one chosen.
        tests: test file by the name of the test set; none: the test part of ``training.data.split``.
        dens: what ``--dens`` adds.
        training: a ``TrainingConfig`` but for what ``configuration`` fills in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    folder: str
    origin: str
    molecules: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    tests: dict[str, str] = Field(default_factory=dict)
    dens: DensConfig
    training: dict[str, Any]

    def files_of_tests(self, molecule: str | None) -> dict[str, str]:
        """File name by test set."""
        return {name: _filled(file, molecule) for name, file in self.tests.items()}


@dataclass(frozen=True)
class Choice:
    """What a run chooses within a recipe. Without ``minutes`` and ``epochs`` it is the full recipe."""

    molecule: str | None = None
    dens: bool = False
    seed: int = 0
    minutes: float | None = None
    epochs: int | None = None
    threads: int = 1
    compile: bool | None = None

    def name(self, recipe: Recipe) -> str:
        """Name of run folder and result file; choices that give different results have different names.

        Threads and compilation change the speed and no result, so they are in the name where minutes are the budget.
        The machine is not, though it counts as much: keep runs of several apart with ``--output``.
        """
        parts = [recipe.name]
        parts += [self.molecule] if self.molecule else []
        parts += ["dens"] if self.dens else []
        parts += [] if self.epochs is None else [f"{self.epochs}epochs"]
        if self.minutes is not None:
            parts += [f"{self.minutes:g}min", f"{self.threads}thread{'' if self.threads == 1 else 's'}"]
            compiled = recipe.training.get("compile", False) if self.compile is None else self.compile
            parts += ["compiled"] if compiled else []
        return "_".join([*parts, f"seed{self.seed}"])


def names() -> list[str]:
    """Names of the recipes here."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """A recipe by name, or by the path of its YAML file.

    Raises:
        ConfigError: no such recipe, or a bad file; the message names file and field.
    """
    path = Path(name) if name.endswith(".yaml") else RECIPES / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate({"name": path.stem, **content})
    except FileNotFoundError as error:
        raise ConfigError(f"no recipe {name!r}; there are: {', '.join(names())}") from error
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"{path}: {fields}") from error
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a readable recipe ({error})") from error


def configuration(recipe: Recipe, choice: Choice, data: Path, output: Path) -> TrainingConfig:
    """The configuration of a run.

    Filled in are molecule and its elements, the test files, DeNS, seed, threads, budget and run folder. A budget in
    minutes lets the learning rate follow the clock, so that the run ends annealed.

    Args:
        recipe: which.
        choice: what of it.
        data: folder that holds ``recipe.folder``.
        output: run folder.

    Raises:
        ConfigError: a choice that the recipe does not have, or a bad field.
    """
    _check_molecule(recipe, choice.molecule)
    content = _filled(copy.deepcopy(recipe.training), choice.molecule)
    epochs = content.get("epochs")
    if not isinstance(epochs, int):
        raise ConfigError(f"{recipe.name}: training.epochs must state the epochs of the full recipe")
    if choice.epochs is not None and choice.epochs > epochs:
        raise ConfigError(f"--epochs {choice.epochs}: the full recipe {recipe.name} has {epochs}")
    if choice.molecule is not None:
        content["model"]["species"] = list(recipe.molecules[choice.molecule])
    if recipe.tests:
        content["data"]["test"] = list(recipe.files_of_tests(choice.molecule).values())
    if choice.dens:
        content["dens"] = recipe.dens.model_dump(mode="json")
    if choice.epochs is not None:
        content["epochs"] = choice.epochs
    if choice.minutes is not None:
        content["max_minutes"] = choice.minutes
        content.setdefault("optimizer", {})["anneal_by"] = "time"
    if choice.compile is not None:
        content["compile"] = choice.compile
    content |= {"seed": choice.seed, "threads": choice.threads, "output": str(output.resolve())}
    return validate_config(TrainingConfig, content, source=recipe.name, base=(data / recipe.folder).resolve())


def check_data(recipe: Recipe, config: TrainingConfig) -> None:
    """Before anything starts: are the files there? Raises ConfigError that says where to get them."""
    files = [*config.data.files, *([config.data.isolated_atoms] if config.data.isolated_atoms else [])]
    missing = [path for path in files if not path.is_file()]
    if missing:
        listed = ", ".join(path.name for path in missing)
        raise ConfigError(
            f"{missing[0].parent}: no {listed}. --data names the folder with a subfolder {recipe.folder!r} that holds "
            f"them; get them from: {recipe.origin}"
        )


def _check_molecule(recipe: Recipe, molecule: str | None) -> None:
    if molecule is None and recipe.molecules:
        raise ConfigError(f"{recipe.name} needs --molecule, one of: {', '.join(recipe.molecules)}")
    if molecule is not None and molecule not in recipe.molecules:
        known = ", ".join(recipe.molecules) or "none, leave the option out"
        raise ConfigError(f"--molecule {molecule}: {recipe.name} knows {known}")


def _filled(value: Any, molecule: str | None) -> Any:
    """The value with the molecule for its placeholder in every string."""
    if isinstance(value, dict):
        return {key: _filled(item, molecule) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, molecule) for item in value]
    return value.replace("{molecule}", molecule) if isinstance(value, str) and molecule is not None else value
