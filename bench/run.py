"""`make bench`: what 3GSync takes beside rclone, s5cmd and boto3, on the same local TLS servers.

    python bench/run.py [--quick] [--rounds N] [--small N] [--large MIB] [--keys N] [--cross-check]

CPU is user + system time of the mover's process tree, start-up and listing included, as the
operating system accounts it when it ends; the servers are counted apart. Rounds are interleaved;
medians are quoted, with the least and the most. docs/performance.md has the method.

Last line: JSON. ``small_cpu_ratio`` and ``large_cpu_ratio``: the relay's CPU by that of rclone
tuned. ``worker_cpu_s_per_1000``: the whole worker's for 1,000 jobs of 4 KiB. ``worker_jobs_per_s``:
its rate with servers that answer after 40 ms, and ``worker_cores`` the cores it took. ``rss_mb_8``:
its peak memory at 8 connections, with objects of 4 MiB. ``listing_cpu_ratio``: the CPU of listing
and comparing a million keys a side by that of rclone; ``listing_rss_mb``: its peak memory.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import contest
import cross_check
import listing
import picture
import rivals
from contest import OURS, TUNED, Contest, Row
from native_servers import Pair, pair

MIB = 1024 * 1024
SMALL = 4096
DELAY_MS = 40
WORKER = "3GSync worker"
RESULTS = Path(__file__).resolve().parent / "results"


def servers_cpu(both: Pair) -> Callable[[], float]:
    return lambda: float(both.source.stats()["cpu_s"] + both.destination.stats()["cpu_s"])


def compare(both: Pair, *, count: int, size: int, rounds: int, record: bool) -> dict[str, Row]:
    """The movers' rounds on one bucket; those for the record run once."""
    where = rivals.of_pair(both)
    table: dict[str, Row] = {}
    games = Contest(servers_cpu(both))
    taking_part = contest.movers(both, where)
    games.round({}, taking_part, "src-4096-50")  # programs and libraries come off the disk
    for _ in range(rounds):
        games.round(table, taking_part, f"src-{size}-{count}")
    if record:
        games.round(table, contest.for_the_record(where), f"src-{size}-{count}")
    return table


def memory(both: Pair, *, objects: int) -> tuple[float, float]:
    """Peak MB of a worker at 8 connections, and MB for each further one up to 264."""
    peaks = {}
    for connections in (8, 264):
        bucket = f"src-{4 * MIB}-{objects * (connections // 8)}"
        config = {"connections": connections}
        peaks[connections] = contest.worker(both, bucket, f"m{connections}", config=config).rss_mb
    return peaks[8], (peaks[264] - peaks[8]) / 256


def slow_servers(opened: AbstractContextManager[Pair], *, jobs: int) -> tuple[float, float]:
    """Jobs a second where every reply takes 40 ms, and the cores taken for them.

    Counted by the queue, from the first receive to the last delete: a worker that has done its
    number of jobs still waits for polls it had sent.
    """
    bucket = f"src-{SMALL}-{jobs}"
    with opened as both:
        cost = contest.worker(both, bucket, "slow", config={"connections": 512})
        seconds = both.source.stats()["queues"][f"events_{bucket}_slow"]["seconds"]
    return jobs / seconds, cost.cpu / seconds


def with_ledger(both: Pair, *, jobs: int) -> float:
    """The worker's CPU seconds with the job table on, by those without."""
    bucket = f"src-{SMALL}-{jobs}"
    without = contest.worker(both, bucket, "table-off")
    return contest.worker(both, bucket, "table-on", config={"ledger": True}).cpu / without.cpu


def openssl() -> str:
    """Of the movers' own Python, whatever this one was started with."""
    command = [sys.executable, "-c", "import ssl; print(ssl.OPENSSL_VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less than a minute, rough figures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, help="objects of 4 KiB (default 20000)")
    parser.add_argument(
        "--large", type=int, help="MiB in large objects, of 1 GiB each (default 2048)"
    )
    parser.add_argument("--keys", type=int, help="listed on each side (default 1000000)")
    parser.add_argument("--cross-check", action="store_true", help="on SeaweedFS as well")
    given = parser.parse_args()
    # Ended from outside, it still ends its servers and clears up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given.small = given.small or (2000 if given.quick else 20_000)
    given.large = given.large or (256 if given.quick else 2048)
    given.keys = given.keys or (100_000 if given.quick else 1_000_000)
    given.rounds = 1 if given.quick else given.rounds
    with tempfile.TemporaryDirectory(dir=_in_memory()) as name:
        print(json.dumps(measure_all(given, Path(name))))


def _in_memory() -> str | None:
    """s5cmd's files and all output go where no disk disturbs."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def measure_all(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    record = not given.quick
    count, size = large_objects(given)
    with pair(folder) as both:
        small = compare(both, count=given.small, size=SMALL, rounds=given.rounds, record=record)
        show_small(small, given)
        large = compare(both, count=count, size=size, rounds=given.rounds, record=record)
        show_large(large, given)
        rss, more = memory(both, objects=8 if given.quick else 16)
        ledger = with_ledger(both, jobs=given.small)
        listed = listing.compare(both, keys=given.keys, rounds=given.rounds, record=record)
        real = {}
        if given.cross_check:
            count, mib = (500, 128) if given.quick else (2000, 512)
            real = cross_check.run(both, rounds=given.rounds, small=count, large_mib=mib)
    slow = pair(folder, delay_ms=DELAY_MS)
    rate, cores = slow_servers(slow, jobs=given.small if given.quick else 20_000)
    draw(small, large, given)
    thousands, gib = given.small / 1000, given.large / 1024
    return {
        "small_cpu_ratio": round(contest.ratio(small, OURS), 3),
        "large_cpu_ratio": round(contest.ratio(large, OURS), 3),
        "worker_cpu_s_per_1000": round(small[WORKER].median("cpu") / thousands, 3),
        "worker_jobs_per_s": round(rate),
        "rss_mb_8": round(rss),
        **listed,
        "rss_mb_per_connection": round(more, 3),
        "openssl": openssl(),
        "small_cpu_ratio_spread": _rounded(contest.ratios(small, OURS)),
        "large_cpu_ratio_spread": _rounded(contest.ratios(large, OURS)),
        "worker_small_cpu_ratio": round(contest.ratio(small, WORKER), 3),
        "worker_large_cpu_ratio": round(contest.ratio(large, WORKER), 3),
        "worker_cores": round(cores, 2),
        "worker_ledger_ratio": round(ledger, 2),
        "rclone_cpu_s_per_1000": round(small[TUNED].median("cpu") / thousands, 3),
        "relay_cpu_s_per_gib": round(large[OURS].median("cpu") / gib, 3),
        "rclone_cpu_s_per_gib": round(large[TUNED].median("cpu") / gib, 3),
        "small": given.small,
        "large_mib": given.large,
        "rounds": given.rounds,
        **real,
    }


def large_objects(given: argparse.Namespace) -> tuple[int, int]:
    """How many there are, and bytes of each: 1 GiB, or all there is where that is less."""
    count = max(1, given.large // 1024)
    return count, given.large * MIB // count


def _rounded(pair_of: tuple[float, float]) -> list[float]:
    return [round(value, 3) for value in pair_of]


def show_small(table: dict[str, Row], given: argparse.Namespace) -> None:
    units = given.small / 1000
    print(f"\n{given.small} objects of 4 KiB")
    text = contest.lines(table, units=units, unit="1000", objects=given.small, size=SMALL)
    print(text + "\n", flush=True)


def show_large(table: dict[str, Row], given: argparse.Namespace) -> None:
    print(f"\n{given.large} MiB in objects of 1 GiB at most")
    objects, size = large_objects(given)
    text = contest.lines(table, units=given.large / 1024, unit="GiB", objects=objects, size=size)
    print(text + "\n", flush=True)


def draw(small: dict[str, Row], large: dict[str, Row], given: argparse.Namespace) -> None:
    """The picture."""
    charts = {
        "CPU seconds per 1,000 objects of 4 KiB": {
            name: row.median("cpu") / given.small * 1000 for name, row in small.items()
        },
        "CPU seconds per GiB of large objects": {
            name: row.median("cpu") / given.large * 1024 for name, row in large.items()
        },
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "bench.svg"
    path.write_text(picture.svg(charts, f"{openssl()}; TLS on both sides; medians"))
    print(f"\n{path}\n")


if __name__ == "__main__":
    main()
