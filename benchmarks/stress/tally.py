"""What was tried, what held, what was lost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_MOST_SHOWN = 12


@dataclass(frozen=True)
class Limit:
    """When an attack on one target ends: after so many seconds or attempts."""

    seconds: float
    attempts: int

    def part(self, share: float) -> Limit:
        """A share of the time, and as many attempts."""
        return Limit(share * self.seconds, self.attempts)

    def numbers(self, tally: Tally | None = None) -> Iterator[int]:
        """0, 1 and so on, until it is time; with a tally only what it counts is an attempt."""
        end, number = time.monotonic() + self.seconds, 0
        while (number if tally is None else tally.tried) < self.attempts and time.monotonic() < end:
            yield number
            number += 1


@dataclass
class Tally:
    """Of one attack on one target.

    Attributes:
        kinds: attempts by kind.
        lost: fault of each attempt that was lost, with its label.
        minutes: that it took.
        load: processes that wanted to run at the same time, average of five minutes, the larger of those before and
            after.
    """

    attack: str
    target: str
    kinds: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    minutes: float = 0.0
    load: float = 0.0

    def add(self, kind: str, label: object, fault: str) -> None:
        """An attempt, and its fault, empty if it held."""
        self.kinds[kind] += 1
        if fault:
            self.lost.append(f"{kind} {label}: {fault}")

    @property
    def tried(self) -> int:
        """Attempts."""
        return sum(self.kinds.values())

    def as_dict(self) -> dict[str, Any]:
        """For the record."""
        counts = {"tried": self.tried, "held": self.tried - len(self.lost), "lost": len(self.lost)}
        about = {"attack": self.attack, "target": self.target, **counts, "kinds": dict(self.kinds)}
        about |= {"minutes": round(self.minutes, 1), "load": round(self.load, 1)}
        return about | ({"faults": self.lost[:_MOST_SHOWN]} if self.lost else {})
