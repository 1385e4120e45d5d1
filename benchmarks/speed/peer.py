"""MACE in its own environment, asked for one evaluation at a time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

SCRIPT = Path(__file__).resolve().parents[1] / "peers" / "mace_speed.py"


class MaceServer:
    """A running ``mace_speed.py --serve``; `header` says what it holds. To be used as a context manager.

    Raises:
        RuntimeError: the peer does not start or ends early.
    """

    def __init__(self, python: Path, structure: Path, *, threads: int, cutoff: float, seed: int) -> None:
        command = [str(python), str(SCRIPT), "--serve", "--structure", str(structure)]
        command += ["--threads", str(threads), "--cutoff", str(cutoff), "--seed", str(seed)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._requests, self._answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        self.header: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            status = self._process.wait()
            raise RuntimeError(f"the peer ended with status {status}; run {SCRIPT.name} by itself to see why")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def evaluator(self, model: str) -> Callable[[], float]:
        """Return a function that lets the peer evaluate `model` once and gives the milliseconds by its own clock."""

        def evaluate() -> float:
            self._requests.write(model + "\n")
            self._requests.flush()
            return float(self._read()["ms"])

        return evaluate

    def __enter__(self) -> MaceServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._requests.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
