"""Run the tutorials and keep what they print and write, for the pages of the site.

python docs/run_tutorials.py -o build/docs/tutorials [--length 0.1] [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "examples" / "tutorials"
NAMES = tuple(sorted(script.stem for script in SCRIPTS.glob("*.py")))


def run(name: str, folder: Path, length: float) -> str:
    """Run one tutorial in an empty folder of its own below ``folder``; what it printed, also in ``output.txt``.

    Raises:
        subprocess.CalledProcessError: it failed; its errors have been shown.
    """
    home = folder / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    environment = {**os.environ, "TUTORIAL_LENGTH": str(length), "MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(SCRIPTS / f"{name}.py")]
    done = subprocess.run(command, cwd=home, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    (home / "output.txt").write_text(done.stdout, encoding="utf-8")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the tutorials.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {', '.join(NAMES)}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder for each tutorial is made here")
    parser.add_argument("--length", type=float, default=1.0, help="share of the steps")
    options = parser.parse_args()
    for name in options.names or NAMES:
        print(f"tutorial {name}", flush=True)
        print(run(name, options.output, options.length))


if __name__ == "__main__":
    main()
