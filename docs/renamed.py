"""Write the table of former names in docs/renamed.md from mlff/former_names.json.

python docs/renamed.py [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "renamed.md"
BEGIN, END = "<!-- names:begin -->", "<!-- names:end -->"


def table(names: dict[str, dict[str, str]]) -> str:
    """A row for each former name; ``*`` stands for all public names of a module."""
    rows = ["| former | now |", "|---|---|"]
    for module, moved in names.items():
        for name, home in moved.items():
            path, _, new = home.partition(":")
            rows.append(f"| `{module}.{name}` | `{path}.{new or name}` |")
    return "\n".join(rows)


def written(page: str, names: dict[str, dict[str, str]]) -> str:
    """The page with the table between its two marker lines."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table(names)}\n\n{END}{rest.partition(END)[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is not up to date")
    check = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8")
    new = written(old, json.loads((ROOT / "mlff" / "former_names.json").read_text(encoding="utf-8")))
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    elif new != old:
        print(f"{PAGE.name} is not up to date; run: python docs/renamed.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
