"""Rounds of all movers on the same objects, interleaved, and what they took."""

from __future__ import annotations

import itertools
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rivals
from measured import Cost, measure
from native_servers import Pair

BENCH = Path(__file__).resolve().parent
Mover = Callable[[str, str], Cost]
OURS, TUNED = "3GSync relay", "rclone tuned"
# A queue is used up by one run: no two runs of one bench may have the same tag.
_RUNS = itertools.count(1)


@dataclass
class Row:
    """One mover's runs."""

    costs: list[Cost] = field(default_factory=list)
    servers_cpu: list[float] = field(default_factory=list)

    def median(self, what: str) -> float:
        return float(statistics.median(getattr(cost, what) for cost in self.costs))

    @property
    def spread(self) -> tuple[float, float]:
        cpu = [cost.cpu for cost in self.costs]
        return min(cpu), max(cpu)


def relay(
    pair: Pair, bucket: str, tag: str, *, path: str, config: Mapping[str, Any] | None = None
) -> Cost:
    """bench/mover.py: this project's data path without a queue."""
    file = pair.config(f"events_{bucket}_{tag}", **dict(config or {}))
    command = [sys.executable, str(BENCH / "mover.py"), "--config", str(file)]
    command += ["--bucket", bucket, "--prefix", tag, "--path", path]
    return measure(command, pair.environment(), pair.folder)


def worker(pair: Pair, bucket: str, tag: str, *, config: Mapping[str, Any] | None = None) -> Cost:
    """The whole worker, with one message for every object of the bucket."""
    count = bucket.split("-")[2]  # it would wait for ever for one more than there are
    file = pair.config(f"events_{bucket}_{tag}", **dict(config or {}))
    command = [sys.executable, "-m", "sync.worker", "--processes", "1", "--max-jobs", count]
    return measure([*command, "--config", str(file)], pair.environment(), pair.folder)


def movers(pair: Pair, where: rivals.Endpoints) -> dict[str, Mover]:
    """All that take part in every round."""
    return {
        OURS: lambda bucket, tag: relay(pair, bucket, tag, path="relay"),
        TUNED: lambda bucket, tag: rivals.rclone(where, bucket, tag, tuned=True),
        "3GSync worker": lambda bucket, tag: worker(pair, bucket, tag),
        "rclone defaults": lambda bucket, tag: rivals.rclone(where, bucket, tag, tuned=False),
    }


def for_the_record(where: rivals.Endpoints) -> dict[str, Mover]:
    """Those that run once."""
    return {
        "s5cmd": lambda bucket, tag: rivals.s5cmd(where, bucket, tag),
        "boto3 threads": lambda bucket, tag: rivals.boto3(where, bucket, tag),
    }


class Contest:
    """Runs movers and keeps what each run took, with the servers' CPU seconds beside it."""

    def __init__(self, servers_cpu: Callable[[], float]) -> None:
        self._servers_cpu = servers_cpu

    def round(self, table: dict[str, Row], taking_part: Mapping[str, Mover], bucket: str) -> None:
        for name, mover in taking_part.items():
            before = self._servers_cpu()
            cost = mover(bucket, f"r{next(_RUNS)}")
            row = table.setdefault(name, Row())
            row.costs.append(cost)
            row.servers_cpu.append(self._servers_cpu() - before)
            print(f"  {bucket} {name}: {cost.cpu:.2f} s CPU, {cost.wall:.2f} s", flush=True)


def ratio(table: Mapping[str, Row], ours: str, theirs: str = TUNED) -> float:
    """Median of the rounds' own ratios: what disturbs a round disturbs both."""
    pairs = zip(table[ours].costs, table[theirs].costs, strict=True)
    return float(statistics.median(a.cpu / b.cpu for a, b in pairs))


def ratios(table: Mapping[str, Row], ours: str, theirs: str = TUNED) -> tuple[float, float]:
    """The least and the greatest of the rounds' ratios."""
    each = [a.cpu / b.cpu for a, b in zip(table[ours].costs, table[theirs].costs, strict=True)]
    return min(each), max(each)


def lines(table: Mapping[str, Row], *, units: float, unit: str, objects: int, size: int) -> str:
    """The table as text: per unit of work."""
    head = f"{'mover':18}{'CPU s/' + unit:>14}{'least-most':>16}{'objects/s':>11}{'MiB/s':>8}"
    out = [head + f"{'peak MB':>9}{'servers CPU s':>15}"]
    for name, row in table.items():
        low, high = (value / units for value in row.spread)
        wall = row.median("wall")
        out.append(
            f"{name:18}{row.median('cpu') / units:>14.3f}{f'{low:.3f}-{high:.3f}':>16}"
            f"{objects / wall:>11.0f}{objects * size / wall / 2**20:>8.0f}"
            f"{max(cost.rss_mb for cost in row.costs):>9.0f}"
            f"{statistics.median(row.servers_cpu) / units:>15.3f}"
        )
    return "\n".join(out)
