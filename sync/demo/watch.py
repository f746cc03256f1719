"""Reads the workers' logs as they grow, and keeps the figures of the run."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter, deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_RECENT: Final = 60


@dataclass(slots=True)
class LogTail:
    """The complete lines that were added to a file since it was last read."""

    path: Path
    _offset: int = 0

    def lines(self) -> list[bytes]:
        """New lines; a line that is still being written waits for the next call."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offset += end
        return data[:end].splitlines()


@dataclass(slots=True)
class Figures:
    """What the logs told so far. ``copied`` holds the distinct objects; ``begun`` tells, for each
    object in parts, the last worker that began an upload of it, and the number of parts.
    """

    copied: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    bytes_moved: int = 0
    copies: int = 0
    resumed_parts: int = 0
    converged: int = 0
    lags: list[float] = field(default_factory=list)
    begun: dict[str, tuple[str, int]] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def take(self, worker: str, line: Mapping[str, Any]) -> None:
        """Count one line of a worker's log in."""
        name = str(line.get("event", ""))
        self.events[name] += 1
        if name == "ready":
            self.ready.add(worker)
        elif name == "upload-begun":
            self.begun[str(line.get("object"))] = (worker, int(line.get("parts") or 0))
        elif name == "object":
            self._take_object(line)

    def _take_object(self, line: Mapping[str, Any]) -> None:
        outcome = str(line.get("outcome"))
        self.outcomes[outcome] += 1
        self.bytes_moved += int(line.get("bytes") or 0)
        if outcome != "copied":
            return
        self.resumed_parts += int(line.get("parts_reused") or 0)
        self.copies += 1
        self.converged += int(line.get("rounds") or 1) > 1
        self.copied.add(str(line.get("destination")))
        lag = line.get("lag")
        if isinstance(lag, int | float):
            self.lags.append(float(lag))
            self.recent.append(float(lag))


class Watch:
    """Several workers' logs as one set of figures. Safe for several threads."""

    def __init__(self) -> None:
        self._figures = Figures()
        self._tails: dict[str, LogTail] = {}
        self._lock = threading.Lock()

    def follow(self, worker: str, path: Path) -> None:
        """Read this file too from now on."""
        with self._lock:
            self._tails[worker] = LogTail(path)

    def update(self) -> Figures:
        """A copy of the figures after reading what is new. Lines that are no JSON are not the
        workers' own and are left.
        """
        with self._lock:
            for worker, tail in self._tails.items():
                for raw in tail.lines():
                    if raw.startswith(b"{"):
                        self._figures.take(worker, json.loads(raw))
            return deepcopy(self._figures)


def quantile(values: list[float], share: float) -> float:
    """The nearest-rank quantile, 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]
