"""The table of a run's metrics, kept across resumes."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlff.support.files import replacing


def columns(losses: Sequence[str] = (), errors: Sequence[str] = ()) -> tuple[str, ...]:
    """Columns of the table of a run: what every run has, its parts of the loss, its errors of validations."""
    every = ("step", "epoch", "minutes", "lr", "loss")
    return (*every, *losses, "gradient_norm", "frames_per_second", "val_loss", *errors)


class MetricsTable:
    """CSV file with one row per logged step; rows after a resumed step are dropped, then rows are appended.

    Args:
        path: the file; created with a header if missing.
        step: rows beyond this step belong to a lost part of the run.
        names: columns of the table; values of other names are left out.
    """

    def __init__(self, path: Path, step: int, names: Sequence[str] = columns()) -> None:
        self._path = path
        self._columns = tuple(names)
        kept = [row for row, values in _rows(path) if values["step"] <= step] if path.exists() and step > 0 else []
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def append(self, row: dict[str, float]) -> None:
        """Add a row; values that are not given stay empty."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, extrasaction="ignore").writerow(row)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics table; empty cells are left out, a row torn by a kill is ignored."""
    return [values for _, values in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[dict[str, str], dict[str, float]]]:
    """Each readable row as text and as numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                values = {name: float(value) for name, value in row.items() if value}
            except (TypeError, ValueError):
                continue
            if "step" in values and None not in row.values():
                yield row, values
