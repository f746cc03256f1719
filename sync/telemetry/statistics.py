"""Running figures of a worker: counts, bytes, lag. A line of them every so often."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

from sync.model import Outcome, TransferResult
from sync.ports import Clock
from sync.telemetry.lines import write
from sync.telemetry.observers import lag

_LAGS_KEPT: Final = 4096


class Statistics:
    """Counts what finishes. Lag quantiles are of the last 4,096 objects."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.bytes_moved = 0
        self.events: Counter[str] = Counter()
        self._lags: deque[float] = deque(maxlen=_LAGS_KEPT)

    def job_finished(self, result: TransferResult) -> None:
        """Count it."""
        self.outcomes[result.outcome] += 1
        self.bytes_moved += result.bytes_moved
        found = lag(result)
        if found is not None and result.outcome is Outcome.COPIED:
            self._lags.append(found)

    def event(self, name: str, _detail: Mapping[str, object]) -> None:
        """Count it."""
        self.events[name] += 1

    def quantile(self, share: float) -> float | None:
        """Lag in seconds that this share of the recent objects stayed below; None without any."""
        if not self._lags:
            return None
        ordered = sorted(self._lags)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def report_for_ever(
    statistics: Statistics, *, every: float, clock: Clock, in_flight: Callable[[], int]
) -> None:
    """Write a line of figures every ``every`` seconds; rates are of the time since the last."""
    done, moved = 0, 0
    while True:
        await clock.sleep(every)
        total = sum(statistics.outcomes.values())
        rate, speed = (total - done) / every, (statistics.bytes_moved - moved) / every
        done, moved = total, statistics.bytes_moved
        figures = {
            "event": "statistics",
            "objects_per_s": round(rate, 2),
            "bytes_per_s": round(speed),
            "in_flight": in_flight(),
            "lag_p50_s": _rounded(statistics.quantile(0.5)),
            "lag_p99_s": _rounded(statistics.quantile(0.99)),
            **{outcome.value: count for outcome, count in statistics.outcomes.items()},
        }
        said = ", ".join(f"{name} {value}" for name, value in figures.items() if name != "event")
        write(logging.INFO, f"statistics: {said}", figures)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
