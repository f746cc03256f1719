"""The jobsender: compares buckets and queues what is missing at the destination.

``3gsync jobsender``, ``python -m sync.jobsender`` and ``python sync/jobsender.py`` are the same
program; `send_jobs` is what they, a timer and a Lambda function call.

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
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sync.arguments import whole
from sync.backfill.arguments import add_pair, add_running, add_selection, named_pair
from sync.backfill.checkpoint import Checkpoint
from sync.backfill.logs import set_up_logs
from sync.backfill.opening import Parts, open_parts
from sync.backfill.options import JobsenderOptions
from sync.backfill.pair import PairReport, PairRun
from sync.backfill.pairs import bucket_pairs
from sync.config import Settings, load
from sync.core_dumps import forbid_core_dumps
from sync.errors import ConfigError, NoSuchBucket, SyncError
from sync.model import BucketPair
from sync.telemetry.lines import write
from sync.telemetry.streams import let_go, promise, tell
from sync.worker import loop_factory, rest_the_collector

WELL: Final = 0
FAILED: Final = 1
MISUSED: Final = 2


@dataclass(slots=True)
class Summary:
    """What a run did. ``refused`` says why it did nothing, "" where it ran."""

    reports: list[PairReport] = field(default_factory=list)
    refused: str = ""
    dry_run: bool = False
    seconds: float = 0.0

    @property
    def errors(self) -> list[str]:
        """What failed, pair by pair."""
        return [error for report in self.reports for error in report.errors]

    def figures(self) -> dict[str, Any]:
        """The sums over all pairs, for machines; the names are explained in docs/backfill.md."""
        sums: Counter[str] = Counter()
        for report in self.reports:
            sums.update(report.figures())
        return {
            "pairs": len(self.reports),
            **sums,
            "dry_run": self.dry_run,
            "refused": self.refused,
            "errors": self.errors,
            "seconds": round(self.seconds, 1),
        }


async def send_jobs(
    settings: Settings,
    environ: Mapping[str, str],
    options: JobsenderOptions,
    pairs: Sequence[BucketPair] = (),
    *,
    bucket_list: Path | None = None,
) -> Summary:
    """Compare the pairs, or those of the bucket list, one after the other.

    A pair that fails ends there, with its error in the summary, and the next one follows.
    """
    begun = time.monotonic()
    summary = Summary(dry_run=options.dry_run)
    pairs = list(pairs) or await bucket_pairs(settings, environ, bucket_list)
    checkpoint = _checkpoint(settings, options)
    async with open_parts(settings, environ, options) as parts:
        summary.refused = await _refusal(parts, options)
        for pair in () if summary.refused else pairs:
            summary.reports.append(await PairRun(parts, pair, options, checkpoint).run())
            _tell(summary.reports[-1])
    if checkpoint is not None and not summary.errors and not summary.refused:
        checkpoint.close()
    summary.seconds = time.monotonic() - begun
    return summary


def _checkpoint(settings: Settings, options: JobsenderOptions) -> Checkpoint | None:
    if options.checkpoint is None or options.dry_run:
        return None
    rules = {
        "etag": options.etag,
        "newer": options.modified,
        "checksum": options.checksum,
        "include-archived": options.archived_too,
        "since": options.since,
        "until": options.until,
        "JobsenderCompareVersionId": settings.compare_version_id,
    }
    checkpoint = Checkpoint(options.checkpoint, rules)
    if checkpoint.resumed:
        text = f"going on where {options.checkpoint} says that an earlier run was"
        write(logging.INFO, text, {"event": "resumed", "checkpoint": str(options.checkpoint)})
    return checkpoint


async def _refusal(parts: Parts, options: JobsenderOptions) -> str:
    """--only-if-empty, as the original did: jobs that wait would be found missing once more."""
    if not options.only_if_empty or options.dry_run:
        return ""
    depths = await asyncio.gather(*(queue.outstanding() for queue in parts.queues))
    if not sum(depths):
        return ""
    text = f"the queue holds {sum(depths)} messages and --only-if-empty was given: nothing is done"
    write(logging.WARNING, text, {"event": "not-empty", "messages": sum(depths)})
    return text


def _tell(report: PairReport) -> None:
    figures = report.figures()
    for error in report.errors:
        write(logging.ERROR, error, {"event": "failure", "reason": error})
    said = ", ".join(f"{name} {value}" for name, value in figures.items())
    kinds = ", ".join(f"{name} {count}" for name, count in report.outcome.reasons.items())
    text = f"{report.pair}: {said}, seconds {report.seconds:.1f}" + (f" ({kinds})" if kinds else "")
    write(logging.INFO, text, {"event": "pair", "pair": str(report.pair), **figures})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The jobsender's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    add_pair(parser.add_argument_group("what is compared (default: the bucket list)"))
    add_selection(parser.add_argument_group("how it is compared (beside the size)"))
    what = parser.add_argument_group("what is done")
    what.add_argument("--dry-run", action="store_true", help="count and show, send nothing")
    what.add_argument(
        "--only-if-empty", action="store_true", help="do nothing while the queue holds messages"
    )
    what.add_argument(
        "--delete-extraneous",
        metavar="N",
        type=whole,
        default=0,
        help="delete what only the destination has, if it is N objects at the most",
    )
    add_running(what)
    what.add_argument(
        "--checkpoint", metavar="FILE", type=Path, help="go on from there after a crash"
    )
    what.add_argument(
        "--backup", metavar="FOLDER", type=Path, help="keep job-list and ignore-records files"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a summary as one line of JSON at the end"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Compare and send; returns the exit code."""
    try:
        settings = load(arguments.config, environ)
        pairs = named_pair(arguments, settings)
        set_up_logs(settings, "jobsender")
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            rest_the_collector()
            summary = runner.run(
                send_jobs(
                    settings,
                    environ,
                    _options(arguments, settings),
                    pairs,
                    bucket_list=arguments.bucket_list,
                )
            )
    except ConfigError as error:
        for fault in error.faults:
            tell(f"3gsync: {fault}")
        return MISUSED
    except SyncError as error:
        tell(f"3gsync: {error}")
        return MISUSED if isinstance(error, NoSuchBucket) else FAILED  # no such queue or table
    told = promise(json.dumps(summary.figures())) if arguments.json else True
    return WELL if told and not summary.errors else FAILED


def _options(arguments: argparse.Namespace, settings: Settings) -> JobsenderOptions:
    options = JobsenderOptions(
        dry_run=arguments.dry_run,
        only_if_empty=arguments.only_if_empty,
        etag=arguments.etag,
        modified=arguments.newer,
        checksum=arguments.checksum,
        archived_too=arguments.include_archived,
        since=arguments.since,
        until=arguments.until,
        delete_extraneous=arguments.delete_extraneous,
        connections=arguments.connections,
        keys_per_message=arguments.keys_per_message,
        checkpoint=arguments.checkpoint,
        backup=arguments.backup,
        sort=arguments.sort,
        progress=arguments.progress,
        expect=arguments.expect,
    )
    return replace(options, backup=options.backup or settings.log_folder)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    forbid_core_dumps()
    parser = argparse.ArgumentParser(
        prog="3gsync jobsender", description="Compare two buckets and queue what is missing."
    )
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv), os.environ)
    except KeyboardInterrupt:
        return FAILED
    finally:
        let_go()


if __name__ == "__main__":
    sys.exit(main())
