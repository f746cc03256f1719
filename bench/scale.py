"""How the worker's cost grows, against the native servers: docs/performance.md, "Scale".

    python bench/scale.py [SERIES ...] [--short]

Series: jobs, connections, ignore, processes, mix, huge, auto, keys, ranges (default: all). Each
prints a table in Markdown; the last line is JSON of all. ``--short`` does a hundredth of the work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ignore_list import _mixed
from listing import Buckets, jobsender
from measured import Cost
from native_servers import pair
from worker_once import Run, run

MIB = 1024 * 1024
GIB = 1024 * MIB
SMALL, LARGE = 4096, 64 * MIB
Table = list[dict[str, Any]]


def show(title: str, table: Table) -> None:
    print(f"\n{title}\n\n| {' | '.join(table[0])} |\n|{' --- |' * len(table[0])}")
    for row in table:
        print(f"| {' | '.join(str(value) for value in row.values())} |", flush=True)


def _figures(what: Run, names: Sequence[str]) -> dict[str, Any]:
    figures = run(what)[1]
    return {name: figures[name] for name in names}


def jobs(scale: float) -> Table:
    """CPU for 1,000 jobs as there are more of them."""
    names = ("cpu_s_per_1000", "jobs_per_s", "rss_mb")
    counts = [int(max(100, 10**power * scale)) for power in (3, 4, 5, 6)]
    return [{"jobs": count} | _figures(Run(jobs=count), names) for count in counts]


def connections(scale: float) -> Table:
    """The same with servers that answer after 40 ms, by the number of connections."""
    names = ("cpu_s_per_1000", "jobs_per_s", "cores", "rss_mb")
    return [
        {"connections": width}
        | _figures(Run(jobs=_jobs(60 * width, scale), connections=str(width), delay=40), names)
        for width in (32, 64, 128, 256, 512)
    ]


def ignore(scale: float) -> Table:
    """Lines of the ignore list."""
    names = ("cpu_s_per_1000", "jobs_per_s", "rss_mb")
    table = []
    for lines in (0, 1000, 50_000):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(_mixed(n) for n in range(lines)))
            file.flush()
            what = Run(jobs=_jobs(20_000, scale), settings=[f"IgnoreList={file.name}"])
            table.append({"lines": lines} | _figures(what, names))
    return table


def processes(scale: float) -> Table:
    """One process and two, at 256 connections in all."""
    names = ("cpu_s_per_1000", "jobs_per_s", "cores")
    return [
        {"processes": count, "reply after ms": delay}
        | _figures(
            Run(
                jobs=_jobs(20_000, scale),
                processes=count,
                connections=str(256 // count),
                delay=delay,
            ),
            names,
        )
        for delay in (0, 40)
        for count in (1, 2)
    ]


def mix(scale: float) -> Table:
    """Small objects of 4 KiB among large ones of 64 MiB, seconds from the start of a job."""
    small, large = _jobs(20_000, scale), _jobs(40, scale)
    every = small // large
    cases = {
        "small alone": (f"src-{SMALL}-{small}", small),
        "large alone": (f"src-{LARGE}-{large}", large),
        "mixed": (f"src-{SMALL}-{small}-{LARGE}-{every}", small),
    }
    table = []
    for name, (bucket, count) in cases.items():
        what = Run(jobs=count, bucket=bucket, level="INFO", delay=10, settings=["LogFormat=json"])
        cost, figures = run(what)
        table.append({"case": name} | _latencies(cost.output) | {"wall_s": figures["wall_s"]})
    return table


def _latencies(log: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in log.splitlines() if '"event":"object"' in line]
    found: dict[str, Any] = {}
    for name, large in (("small", False), ("large", True)):
        seconds = sorted(line["seconds"] for line in lines if (line["size"] > MIB) is large)
        found[f"{name} p50 s"] = round(statistics.median(seconds), 3) if seconds else "-"
        found[f"{name} p99 s"] = seconds[int(0.99 * len(seconds))] if seconds else "-"
    return found


def huge(scale: float) -> Table:
    """One object, larger and larger: peak memory must not grow."""
    names = ("rss_mb", "cpu_s", "wall_s")
    sizes = [max(64 * MIB, int(gib * GIB * scale)) for gib in (1, 10, 100)]
    return [
        {"MiB": size // MIB} | _figures(Run(jobs=1, size=size, connections="8"), names)
        for size in sizes
    ]


def auto(scale: float) -> Table:
    """`auto` beside fixed numbers of connections, by the servers' delay and limit."""
    cases: list[tuple[str, dict[str, int], Sequence[int], int]] = [
        ("1 ms", {"delay": 1}, (16, 32, 64, 128), 20_000),
        ("40 ms", {"delay": 40}, (64, 128, 256, 512), 20_000),
        ("150 ms", {"delay": 150}, (128, 256, 416), 20_000),
        (
            "40 ms, 1,200 requests/s each",
            {"delay": 40, "throttle": 1200},
            (16, 32, 64, 256),
            10_000,
        ),
    ]
    table = []
    for name, servers, widths, count in cases:
        rates = {str(w): _rate(str(w), _jobs(count, scale), servers) for w in widths}
        own = _rate("auto", _jobs(3 * count, scale), servers)  # it has to find out first
        best = max(rates, key=lambda width: rates[width])
        told = ", ".join(f"{width}: {rate:.0f}" for width, rate in rates.items())
        table.append(
            {
                "servers": name,
                "jobs/s by connections": told,
                "auto": round(own),
                "of the best": round(own / rates[best], 2),
            }
        )
    return table


def _rate(width: str, count: int, servers: Mapping[str, int]) -> float:
    settings = ["MaxRetry=10"] if "throttle" in servers else []
    what = Run(jobs=count, connections=width, settings=settings, **servers)
    return float(run(what)[1]["jobs_per_s"])


def keys(scale: float) -> Table:
    """Keys a side, listed and compared by the jobsender."""
    table = []
    for count in (int(power * scale) for power in (100_000, 1_000_000, 10_000_000)):
        cost = _listed(count)
        table.append(
            {
                "keys": count,
                "cpu_s": round(cost.cpu, 1),
                "wall_s": round(cost.wall, 1),
                "rss_mb": round(cost.rss_mb),
            }
        )
    return table


def ranges(scale: float) -> Table:
    """A million keys a side, listing servers that answer after 40 ms, by `--connections`."""
    count, table = int(1_000_000 * scale), []
    for width in (1, 2, 4, 8, 16, 32):
        cost = _listed(count, "--connections", str(width), delay=40)
        table.append(
            {
                "connections": width,
                "wall_s": round(cost.wall, 1),
                "cpu_s": round(cost.cpu, 1),
                "rss_mb": round(cost.rss_mb),
            }
        )
    return table


def _listed(count: int, *options: str, delay: int = 0) -> Cost:
    with tempfile.TemporaryDirectory() as name, pair(Path(name), delay_ms=delay) as both:
        return jobsender(both, Buckets(count), *options)


def _jobs(count: int, scale: float) -> int:
    return max(20, int(count * scale))


SERIES: Mapping[str, Callable[[float], Table]] = {
    "jobs": jobs,
    "connections": connections,
    "ignore": ignore,
    "processes": processes,
    "mix": mix,
    "huge": huge,
    "auto": auto,
    "keys": keys,
    "ranges": ranges,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("series", nargs="*", help="which (default: all)", metavar="SERIES")
    parser.add_argument("--short", action="store_true", help="a hundredth of the work")
    given = parser.parse_args()
    wanted: Iterable[str] = given.series or SERIES
    done = {}
    for name in wanted:
        done[name] = SERIES[name](0.01 if given.short else 1.0)
        show(str(SERIES[name].__doc__), done[name])
    print(json.dumps(done))


if __name__ == "__main__":
    main()
