"""What a soak consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONG: Final = 30 * 60.0
"""Seconds from which on slopes are judged: a shorter run's are mostly chance."""


@dataclass(frozen=True, kw_only=True)
class Soak:
    """``rate`` changes a second for so many ``seconds``; what is measured in the first ``warm_up``
    seconds does not count. A sample ``every`` so many seconds. Over ``keys`` keys, again and
    again, so that the servers' stores stay small; one change in ``large_every`` writes an object
    in parts. ``faults``: the share of requests that meets one.
    """

    seconds: float
    warm_up: float
    rate: float = 20.0
    every: float = 2.0
    keys: int = 300
    large_every: int = 200
    faults: float = 0.05
    seed: int = 5
    trace: bool = False

    @property
    def judged(self) -> bool:
        """Long enough for slopes."""
        return self.seconds - self.warm_up >= LONG

    @property
    def command(self) -> str:
        """Does this run again, alone."""
        minutes = (self.seconds - self.warm_up) / 60
        words = f"--minutes {minutes:g} --rate {self.rate:g} --faults {self.faults:g}"
        return f"PYTHONPATH=bench:tests python -m faults.soak {words} --seed {self.seed}"
