"""One run of the whole worker against the native servers, also under a profiler.

    python bench/worker_once.py [--jobs N] [--size BYTES] [--connections N] [--delay MS] [--ledger]
        [--level INFO] [--kind events|jobs] [--under "perf record -o /tmp/p.data --"]

Prints a line of JSON: CPU and wall seconds, memory, what the servers counted;
jobs per second are those between the first receive and the last delete.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import Cost, measure
from native_servers import pair


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one worker is to do. ``bucket`` "" holds ``jobs`` objects of ``size`` bytes;
    ``connections`` is a number or ``auto``; ``settings`` are Key=value; ``under`` is a command.
    """

    jobs: int = 5000
    size: int = 4096
    bucket: str = ""
    connections: str = "32"
    delay: int = 0
    throttle: int = 0
    ledger: bool = False
    level: str = "WARNING"
    kind: str = "events"
    processes: int = 1
    settings: Sequence[str] = ()
    under: str = ""


def run(what: Run) -> tuple[Cost, dict[str, Any]]:
    """Do it; returns what it took, and the figures (see the module)."""
    queue = f"{what.kind}_{what.bucket or f'src-{what.size}-{what.jobs}'}_once"
    with (
        tempfile.TemporaryDirectory() as name,
        pair(Path(name), delay_ms=what.delay, throttle=what.throttle) as both,
    ):
        config = both.config(
            queue, connections=what.connections, level=what.level, ledger=what.ledger
        )
        command = [*shlex.split(what.under), sys.executable, "-m", "sync.worker", "--json"]
        command += ["--config", str(config), "--processes", str(what.processes)]
        # Two processes cannot share a number of messages: they end when the queue is empty.
        command += ["--max-jobs", str(what.jobs)] if what.processes == 1 else ["--until-empty"]
        cost = measure(command, both.environment(*what.settings), Path(name))
        source, destination = both.source.stats(), both.destination.stats()
    seconds = source["queues"][queue]["seconds"]
    return cost, {
        "cpu_s": round(cost.cpu, 3),
        "cpu_s_per_1000": round(1000 * cost.cpu / what.jobs, 3),
        "wall_s": round(cost.wall, 2),
        "jobs_per_s": round(what.jobs / seconds, 1),
        "cores": round(cost.cpu / seconds, 2),
        "rss_mb": round(cost.rss_mb),
        "servers_cpu_s": [source["cpu_s"], destination["cpu_s"]],
        "written": destination["puts"] + destination["completes"],
        "queue": source["queues"],
        "receives": source["receives"],
        "delete_batches": source["delete_batches"],
        "dynamodb": source["dynamodb"],
        "most_open": [source["most_open"], destination["most_open"]],
        "refused": [source["refused"], destination["refused"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--connections", default="32")
    parser.add_argument("--delay", type=int, default=0, help="ms before every reply")
    parser.add_argument("--throttle", type=int, default=0, help="S3 requests a second and server")
    parser.add_argument("--ledger", action="store_true")
    parser.add_argument("--level", default="WARNING")
    parser.add_argument("--kind", choices=("events", "jobs"), default="events")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    parser.add_argument("--under", default="", help="a command to run the worker under")
    cost, figures = run(Run(**vars(parser.parse_args())))
    print(cost.output.strip()[-3000:], file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
