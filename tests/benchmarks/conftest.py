"""Makes ``benchmarks``, which is not installed, importable; last on the path, so that what is installed is tested."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
