"""The worker: takes messages from the queue until it is told to stop.

``3gsync worker``, ``python -m sync.worker`` and ``python sync/worker.py`` are the same program.
With more than one process (``Processes``) it becomes their supervisor.

Exit codes: 0 all well; 1 something failed and is listed; 2 wrong use or configuration.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:  # started as a file: its folder leads the path
    sys.path[:] = [
        entry
        for entry in sys.path
        if Path(entry or ".").resolve() != Path(__file__).resolve().parent
    ]

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sync.adapters.clock import SystemClock
from sync.adapters.metadata import wait_for_notice
from sync.arguments import whole
from sync.backfill.logs import set_up_logs
from sync.config import JobType, Settings, load
from sync.core_dumps import forbid_core_dumps
from sync.engine.settling import RunReport
from sync.errors import ConfigError, NoSuchBucket, SyncError
from sync.supervisor import LISTED, supervise
from sync.telemetry.lines import write
from sync.telemetry.statistics import report_for_ever
from sync.telemetry.streams import let_go, promise, tell
from sync.wiring import WorkerParts, open_worker
from sync.worker_options import add_overrides, override_arguments, overrides

WELL: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
BROKEN: Final = 70
"""EX_SOFTWARE of sysexits.h: what a child tells its supervisor, which starts it anew, where a
worker alone ends with 1. What it had in hand comes back when the leases run out.
"""
_NEW_OBJECTS: Final = 50_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The worker's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument(
        "--until-empty", action="store_true", help="end when the queue is empty (batch use)"
    )
    parser.add_argument(
        "--max-jobs", type=whole, metavar="N", help="end after N messages (one process)"
    )
    parser.add_argument(
        "--processes", type=whole, metavar="N", help="worker processes (default: Processes)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a summary as one line of JSON at the end"
    )
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    add_overrides(parser)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve the queue; returns the exit code."""
    try:
        settings = _settings(arguments, environ)
        count = _processes(settings, arguments)
        if count > 1:
            return supervise(_child_arguments(arguments), count, as_json=arguments.json)
        return _serve(settings, environ, arguments)
    except ConfigError as error:
        for fault in error.faults:
            tell(f"3gsync: {fault}")
        return MISUSED
    except SyncError as error:
        tell(f"3gsync: {error}")
        return MISUSED if isinstance(error, NoSuchBucket) else FAILED  # no such queue or table
    except Exception as error:  # noqa: BLE001  nobody is left to handle it
        tell("".join(traceback.format_exception(error)))
        tell(f"3gsync: broke down: {error!r}; what was in hand comes back when its leases run out")
        return BROKEN if arguments.supervised else FAILED


def _settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    settings = load(arguments.config, {**environ, **overrides(arguments)})
    faults = settings.require_worker()
    if faults:
        raise ConfigError(*faults)
    return settings


def _processes(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.max_jobs is not None:
        return 1
    wanted = arguments.processes or settings.processes
    return wanted or len(os.sched_getaffinity(0))


def _child_arguments(arguments: argparse.Namespace) -> list[str]:
    given = ["--processes", "1", "--json", "--supervised"]
    if arguments.config is not None:
        given += ["--config", str(arguments.config)]
    given += override_arguments(arguments)
    return given + (["--until-empty"] if arguments.until_empty else [])


def _serve(settings: Settings, environ: Mapping[str, str], arguments: argparse.Namespace) -> int:
    set_up_logs(settings, "ec2-worker")
    rest_the_collector()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        report = runner.run(_work(settings, environ, arguments))
    if arguments.supervised:
        return _leave_to_supervisor(report)
    _conclude(report, report.failing)
    told = promise(json.dumps(summary(report))) if arguments.json else True
    return WELL if told and report.well else FAILED


def _leave_to_supervisor(report: RunReport) -> int:
    """What failed here may have been done by another process since: the supervisor sees them all.
    For it alone ``failing`` is by message, and ``taken_over`` is told.
    """
    _conclude(report, {})
    mine = {"failing": report.failing, "taken_over": list(report.taken_over)}
    told = promise(json.dumps(summary(report) | mine))
    return WELL if told and not report.dead_lettered else FAILED


def rest_the_collector() -> None:
    """Jobs leave next to no cycles behind: looking for them after every 700 new objects took a
    twentieth of the worker's time. What the program itself consists of is never looked at.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def loop_factory() -> Any:
    """uvloop's, where there is one."""
    try:
        import uvloop  # noqa: PLC0415  optional
    except ImportError:  # pragma: no cover  not on Windows
        return None
    return uvloop.new_event_loop


async def _work(
    settings: Settings, environ: Mapping[str, str], arguments: argparse.Namespace
) -> RunReport:
    opened = open_worker(
        settings, environ, until_empty=arguments.until_empty, max_jobs=arguments.max_jobs
    )
    async with opened as parts:
        _stop_on_signals(parts)
        helpers = [
            asyncio.create_task(_stop_on_notice(parts, settings, environ)),
            asyncio.create_task(_report(parts, settings)),
        ]
        text = f"worker ready on {parts.instance}, queue {settings.queue_name}"
        write(logging.INFO, text, {"event": "ready", "instance": parts.instance})
        try:
            return await parts.runner.run()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)


def _stop_on_signals(parts: WorkerParts) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def stop(name: str) -> None:
        parts.runner.stop(name)
        # A second signal means it: leave at once, the leases run out by themselves.
        loop.add_signal_handler(signal.SIGINT, task.cancel if task else loop.stop)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)


async def _stop_on_notice(
    parts: WorkerParts, settings: Settings, environ: Mapping[str, str]
) -> None:
    """Drain when the cloud is about to take the machine."""
    if settings.job_type is JobType.ENV:
        return
    reason = await wait_for_notice(environ)
    if reason:
        parts.runner.stop(reason)


async def _report(parts: WorkerParts, settings: Settings) -> None:
    if settings.statistics_interval:
        await report_for_ever(
            parts.statistics,
            every=float(settings.statistics_interval),
            clock=SystemClock(),
            in_flight=lambda: parts.runner.in_flight,
        )


def summary(report: RunReport) -> dict[str, Any]:
    """What a worker did, for machines; the field names are documented in docs/operations.md."""
    return {
        "messages": report.messages,
        "outcomes": {outcome.value: count for outcome, count in report.outcomes.items()},
        "bytes": report.bytes_moved,
        "parts_reused": report.parts_reused,
        "dead_lettered": report.dead_lettered,
        "failing": sorted(set(report.failing.values())),
    }


def _conclude(report: RunReport, failing: Mapping[str, str]) -> None:
    """List what failed, then say how it went."""
    for reason in report.dead_lettered[:LISTED]:
        write(logging.ERROR, f"dead-lettered: {reason}", {"event": "failure", "reason": reason})
    for reason in sorted(set(failing.values()))[:LISTED]:
        write(logging.ERROR, f"still failing: {reason}", {"event": "failure", "reason": reason})
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items())
    text = f"worker ended: {report.messages} messages, {counts or 'nothing done'}"
    write(logging.INFO, text, {"event": "ended", **summary(report)})


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    forbid_core_dumps()
    parser = argparse.ArgumentParser(prog="3gsync worker", description="Serve the queue.")
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv), os.environ)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return FAILED
    finally:
        let_go()


if __name__ == "__main__":
    sys.exit(main())
