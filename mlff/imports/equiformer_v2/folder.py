"""The folder that ``mlff import-equiformer-v2`` writes."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from mlff.artifacts import ArtifactError, export
from mlff.imports.equiformer_v2.building import build
from mlff.imports.equiformer_v2.card import imported_card
from mlff.imports.equiformer_v2.checkpoint import PublicCheckpoint, read_checkpoint
from mlff.potential import Potential
from mlff.support.console import error_console
from mlff.training.checkpointing import save_weights
from mlff.training.run_folder import RunFolder

logger = logging.getLogger(__name__)

MODEL, CARD = "model.pt", "MODEL_CARD.md"
_CONFIG_HEAD = """\
# The model that this checkpoint holds, in the fields of a training configuration. To train it further, copy this
# section, add `data` and set init_from to this folder.
"""


class _Dumper(yaml.SafeDumper):
    """Lists on one line: there are 89 elements."""


_Dumper.add_representer(list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, True))


def run_import(source: Path, output: Path, name: str | None, licence: str | None, force: bool) -> None:
    """Write the folder of an imported checkpoint, which appears with all its files."""
    folder = output.resolve()
    _check_output(folder, force)
    logger.info("reading %s", source)
    checkpoint = read_checkpoint(source)
    potential = build(checkpoint)
    kind = "averaged weights" if checkpoint.averaged else "weights"
    logger.info("%s parameters, %s; exporting and comparing", f"{_count(potential):,}", kind)
    with error_console.status("a minute or two for a model of 31 million parameters"):
        size = _write(folder, checkpoint, potential, name or folder.name, licence)
    error_console.print(f"wrote {output} ({size / 1e6:.1f} MB); read {output / CARD}", markup=False)


def _check_output(output: Path, force: bool) -> None:
    if output.exists() and not output.is_dir():
        raise ArtifactError(f"{output} is a file; give the name of a folder")
    if output.is_dir() and any(output.iterdir()) and not force:
        raise ArtifactError(f"{output} exists and is not empty; give another name, or --force to replace its files")


def _count(potential: Potential) -> int:
    return sum(parameter.numel() for parameter in potential.parameters())


def _write(output: Path, checkpoint: PublicCheckpoint, potential: Potential, name: str, licence: str | None) -> int:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", suffix=".tmp", dir=output.parent) as text:
        folder = Path(text) / output.name
        folder.mkdir()
        origin = _origin(checkpoint)
        about: dict[str, Any] = {
            "name": name,
            "description": f"Imported from {checkpoint.path.name}, a checkpoint of the public EquiformerV2 code",
            "extra": {"imported": origin},
        }
        if licence is not None:
            about["licence"] = licence
        config = potential.config
        export(potential, folder / MODEL, metadata=about)
        save_weights(RunFolder(folder).weights, potential, {"model": config.model_dump_json()})
        section = {"model": config.model_dump(mode="json")}
        written = _CONFIG_HEAD + yaml.dump(section, Dumper=_Dumper, sort_keys=False, width=120)
        RunFolder(folder).config.write_text(written, encoding="utf-8")
        card = imported_card(name, config, origin, _count(potential), licence)
        (folder / CARD).write_text(card, encoding="utf-8")
        files = sorted(folder.iterdir())
        size = sum(file.stat().st_size for file in files)
        if output.exists():
            for file in files:
                os.replace(file, output / file.name)
        else:
            os.replace(folder, output)
    return size


def _origin(checkpoint: PublicCheckpoint) -> dict[str, Any]:
    """What the file said, for metadata and model card."""
    labels = checkpoint.labels
    return {
        "file": checkpoint.path.name,
        "sha256": checkpoint.sha256,
        "model": checkpoint.model,
        "options": checkpoint.options.model_dump(mode="json", exclude_unset=True),
        "averaged_weights": checkpoint.averaged,
        "energy_mean": labels.mean,
        "energy_std": labels.std,
        "force_std": labels.force_std,
        "reference_energies": bool(labels.references.any()),
        **checkpoint.progress,
    }
