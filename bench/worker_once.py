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
from pathlib import Path

from measured import measure
from native_servers import pair


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
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--under", default="", help="a command to run the worker under")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        pair(Path(name), delay_ms=given.delay, throttle=given.throttle) as both,
    ):
        queue = f"{given.kind}_src-{given.size}-{given.jobs}_once"
        config = both.config(
            queue,
            connections=given.connections,
            level=given.level,
            ledger=given.ledger,
        )
        command = [*shlex.split(given.under), sys.executable, "-m", "sync.worker", "--processes"]
        command += ["1", "--max-jobs", str(given.jobs), "--json", "--config", str(config)]
        cost = measure(command, both.environment(*given.set), Path(name))
        source, destination = both.source.stats(), both.destination.stats()
    print(cost.output.strip()[-3000:], file=sys.stderr)
    figures = {
        "cpu_s": round(cost.cpu, 3),
        "cpu_s_per_1000": round(1000 * cost.cpu / given.jobs, 3),
        "wall_s": round(cost.wall, 2),
        "jobs_per_s": round(given.jobs / source["queues"][queue]["seconds"]),
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
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
