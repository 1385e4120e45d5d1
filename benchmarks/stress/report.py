"""The tables of a record, for docs/benchmarks.md.

python -m benchmarks.stress.report
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.stress.targets import ON_MODELS

RECORD = Path(__file__).resolve().parents[1] / "results" / "stress.json"


def tables(record: Mapping[str, Any]) -> str:
    """Markdown: commands against attacks, then the attacks on models with their kinds."""
    rows = record["attacks"]
    on_commands = [row for row in rows if row["attack"] not in ON_MODELS]
    attacks, targets = (list(dict.fromkeys(row[key] for row in on_commands)) for key in ("attack", "target"))
    found = {(row["target"], row["attack"]): _counts(row) for row in on_commands}
    commands = [[target, *(found.get((target, attack), "") for attack in attacks)] for target in targets]
    models = [
        [
            f"{row['attack']}, {row['target']}",
            _counts(row),
            ", ".join(f"{n} {name}" for name, n in row["kinds"].items()),
        ]
        for row in rows
        if row not in on_commands
    ]
    about, load = record["machine"], max(row.get("load", 0.0) for row in rows)
    where = f"{about['processor']}, {about['cores']} logical cores, load up to {load:.0f}, commit {about['commit'][:8]}"
    head = ["tried / held / lost"]
    return "\n\n".join([_table([*head, *attacks], commands), _table(["attack", *head, "kinds"], models), f"({where}.)"])


def _counts(row: Mapping[str, Any]) -> str:
    return f"{row['tried']} / {row['held']} / {row['lost']}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    print(tables(json.loads(RECORD.read_text())))
