"""The table of the results of this benchmark.

python -m benchmarks.uncertainty.report
"""

from __future__ import annotations

import json
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results" / "uncertainty"
_HEAD = (
    "| set | frames | ρ (95 %) | forces in 90 % | quartiles | energies in 90 % | quartiles | flagged | bad frames | "
    "of these flagged | cost energy / all |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def table() -> str:
    """Markdown, a row for each result."""
    return "\n".join([_HEAD, *(_row(json.loads(path.read_text())) for path in sorted(RESULTS.glob("*.json")))])


def _row(result: dict) -> str:
    def percent(value: list[float]) -> str:
        return f"{value[0]:.0%} ({value[1]:.0%}–{value[2]:.0%})"

    cells = [
        result["set"],
        str(result["frames"]),
        "{:.2f} ({:.2f}–{:.2f})".format(*result["spearman"]),
        percent(result["forces_covered"]),
        " ".join(f"{part[0]:.0%}" for part in result["forces_quartiles"]),
        percent(result["energy_covered"]),
        " ".join(f"{part[0]:.0%}" for part in result["energy_quartiles"]),
        f"{result['flagged'][0]:.0%}",
        str(result["bad_frames"]),
        "–" if result["bad_flagged"] is None else f"{result['bad_flagged']:.0%}",
        f"{result['cost']['energy']:.2f} / {result['cost']['all']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(table())
