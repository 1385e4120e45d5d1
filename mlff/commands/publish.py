"""``mlff publish``."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mlff.support.console import command, error_console
from mlff.support.errors import ConfigError
from mlff.support.files import check_exists
from mlff.support.kinds import find

if TYPE_CHECKING:
    from mlff.training import Publication, RunFolder

# bytes: beyond these the table of metrics stays away, and the whole folder is called large
_LARGEST_TABLE = 1_000_000
_LARGE = 20_000_000
_CONFIG_HEAD = """\
# The configuration this model was trained with. The data files are expected beside it; MODEL_CARD.md says where they
# are from. To train again: mlff train config.yaml -o run
"""


def run_publish(root: Path, output: Path, notes: Path | None, name: str | None, frames: int) -> None:
    """Write the folder of a published model of any kind; nothing is replaced before all is written.

    Raises:
        typer.Exit: after an error.
    """
    with command():
        check_exists(root, notes)
        from mlff.training.run_folder import RunFolder, kind_of, report_of

        if output.resolve() == root.resolve():
            raise ConfigError(f"{output}: is the folder of the run; publish into another one")
        run = RunFolder(root)
        report_of(run)
        from mlff.training.checkpointing import finished_report

        finished_report(run)
        task = find(kind_of(root)).training_task
        publication = task.publication(root, notes or output / "notes.yaml", name, output.resolve().name, frames)
        created = not output.exists()
        output.mkdir(parents=True, exist_ok=True)
        try:
            # Inside of the target: same file system, and not taken for a pretrained model by its name.
            with tempfile.TemporaryDirectory(prefix=".publish-", suffix=".tmp", dir=output) as text:
                temporary = Path(text)
                _write(temporary, run, publication)
                size = _replace(temporary, output)
        finally:
            if created and not any(output.iterdir()):
                output.rmdir()
        error_console.print(f"wrote {output} ({size / 1e6:.1f} MB); read {output / 'MODEL_CARD.md'}", markup=False)
        if size > _LARGE:
            error_console.print(f"note: pretrained models of this project stay below {_LARGE / 1e6:.0f} MB")


def _write(target: Path, run: RunFolder, publication: Publication) -> None:
    """All files of a publication, into an empty folder."""
    (target / "report").mkdir()
    for figure in run.report.glob("*.png"):
        shutil.copyfile(figure, target / "report" / figure.name)
    shutil.copyfile(run.weights, target / "weights.safetensors")
    if run.metrics.is_file() and run.metrics.stat().st_size <= _LARGEST_TABLE:
        shutil.copyfile(run.metrics, target / "metrics.csv")
    config = _CONFIG_HEAD + yaml.safe_dump(publication.config, sort_keys=False, allow_unicode=True)
    for name, text in {**publication.files, "config.yaml": config, "MODEL_CARD.md": publication.card}.items():
        (target / name).write_text(text, encoding="utf-8")
    publication.export(target / "model.pt")


def _replace(source: Path, target: Path) -> int:
    """Move the files of a publication into place, remove those of an earlier one; returns the bytes."""
    new = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    (target / "report").mkdir(exist_ok=True)
    old = [target / "metrics.csv", *(target / "report").glob("*.png")]
    for path in old:
        if path.relative_to(target) not in new:
            path.unlink(missing_ok=True)
    for path in new:
        os.replace(source / path, target / path)
    return sum((target / path).stat().st_size for path in new)
