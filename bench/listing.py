"""Two large buckets listed and compared: 3GSync's jobsender beside rclone.

    python bench/listing.py [--keys N] [--rounds N] [--delay MS] [--alone]

Each side has N keys (default 1,000,000), a thousand in a folder, made up by the native servers
as they are asked for; at the destination one in 1,000 is missing and one in 2,000 has another
size. `3gsync jobsender --dry-run` finds them, and so does `rclone check --size-only`, by
directories and with --fast-list: its better run of each round counts. What they found must be
what there is. `rclone lsf` of the source is run once, for the record. ``--alone``: without rclone.

Last line: JSON. ``listing_cpu_ratio``: CPU by rclone's, median of the rounds. ``listing_rss_mb``:
peak memory. ``listing_cpu_s``, ``rclone_listing_cpu_s``: the medians themselves.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import rivals
from measured import Cost, measure
from native_servers import Pair, pair

FOLDER, MISSING, DIFFERENT = 1000, 1000, 2000
OURS, CHECK, FAST = "3GSync jobsender", "rclone check", "rclone check --fast-list"
LSF = "rclone lsf, one side"
Table = dict[str, list[Cost]]


@dataclass(frozen=True)
class Buckets:
    """What is compared, and how many differences there are."""

    keys: int

    @property
    def source(self) -> str:
        return f"keys-{self.keys}-{FOLDER}"

    @property
    def destination(self) -> str:
        return f"{self.source}-{MISSING}-{DIFFERENT}"

    @property
    def differences(self) -> int:
        missing = set(range(MISSING // 2, self.keys, MISSING))
        return len(missing | set(range(DIFFERENT // 3, self.keys, DIFFERENT)))


def jobsender(both: Pair, buckets: Buckets, *options: str) -> Cost:
    """The whole program, which would queue each difference."""
    file = both.config("events_src-1-1_listing")
    command = [sys.executable, "-m", "sync.jobsender", "--config", str(file)]
    command += ["--source-bucket", buckets.source, "--destination-bucket", buckets.destination]
    command += ["--destination-prefix", "", "--dry-run", "--json", "--progress", "0", *options]
    cost = measure(command, both.environment(), both.folder)
    found = json.loads(cost.output.strip().splitlines()[-1])
    _must_be(OURS, found["queued"], buckets.differences)
    _must_be(f"{OURS}, equal", found["equal"], buckets.keys - buckets.differences)
    return cost


def check(where: rivals.Endpoints, buckets: Buckets, *options: str) -> Cost:
    """rclone's comparison."""
    cost = rivals.rclone_check(where, buckets.source, buckets.destination, *options)
    found = re.search(r"(\d+) differences found", cost.output)
    _must_be(CHECK, int(found[1]) if found else 0, buckets.differences)
    return cost


def lsf(where: rivals.Endpoints, buckets: Buckets) -> Cost:
    cost = rivals.rclone_lsf(where, buckets.source)
    _must_be(LSF, len(cost.output.splitlines()), buckets.keys)
    return cost


def _must_be(who: str, found: int, there: int) -> None:
    if found != there:
        sys.exit(f"bench: {who} found {found} of {there}")


@dataclass
class Comparison:
    """Rounds on one pair of servers."""

    both: Pair
    buckets: Buckets
    table: Table = field(default_factory=dict)

    def run(self, *, rounds: int, record: bool, alone: bool = False) -> None:
        where = rivals.of_pair(self.both)
        for _ in range(rounds):
            self._add(OURS, jobsender(self.both, self.buckets))
            if not alone:
                self._add(CHECK, check(where, self.buckets))
                self._add(FAST, check(where, self.buckets, "--fast-list"))
        if record and not alone:
            self._add(LSF, lsf(where, self.buckets))

    def _add(self, name: str, cost: Cost) -> None:
        self.table.setdefault(name, []).append(cost)
        print(f"  {self.buckets.keys} keys, {name}: {cost.cpu:.2f} s CPU, {cost.wall:.2f} s")

    def figures(self) -> dict[str, object]:
        ours = [cost.cpu for cost in self.table[OURS]]
        found: dict[str, object] = {
            "listing_rss_mb": round(max(cost.rss_mb for cost in self.table[OURS])),
            "listing_cpu_s": round(statistics.median(ours), 2),
            "listing_keys": self.buckets.keys,
        }
        if CHECK not in self.table:
            return found
        both = zip(self.table[CHECK], self.table[FAST], strict=True)
        theirs = [min(one.cpu, other.cpu) for one, other in both]
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        return {
            "listing_cpu_ratio": round(statistics.median(ratios), 3),
            "listing_cpu_ratio_spread": [round(min(ratios), 3), round(max(ratios), 3)],
            "rclone_listing_cpu_s": round(statistics.median(theirs), 2),
            **found,
        }

    def lines(self) -> str:
        """The table as text."""
        millions = self.buckets.keys / 1e6
        head = f"{'program':26}{'CPU s/million a side':>21}{'least-most':>14}{'seconds':>9}"
        out = [head + f"{'peak MB':>9}"]
        for name, costs in self.table.items():
            cpu = [cost.cpu / millions for cost in costs]
            wall = statistics.median(cost.wall for cost in costs)
            out.append(
                f"{name:26}{statistics.median(cpu):>21.2f}"
                f"{f'{min(cpu):.1f}-{max(cpu):.1f}':>14}{wall:>9.1f}"
                f"{max(cost.rss_mb for cost in costs):>9.0f}"
            )
        return "\n".join(out)


def compare(both: Pair, *, keys: int, rounds: int, record: bool) -> dict[str, object]:
    """For `run.py`: its rounds, shown as they are; the figures of its last line."""
    games = Comparison(both, Buckets(keys))
    games.run(rounds=rounds, record=record)
    print(f"\n{keys} keys a side, listed and compared\n{games.lines()}\n", flush=True)
    return games.figures()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=int, default=0, help="ms before each reply")
    parser.add_argument("--alone", action="store_true", help="without rclone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, pair(Path(name), delay_ms=given.delay) as both:
        games = Comparison(both, Buckets(given.keys))
        games.run(rounds=given.rounds, record=True, alone=given.alone)
        print(f"\n{games.lines()}\n\n{json.dumps(games.figures())}")


if __name__ == "__main__":
    main()
