"""``3gsync uploads``: unfinished uploads of a bucket, and what they hold."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sync.adapters.clock import SystemClock
from sync.adapters.upload_listing import UploadLister
from sync.arguments import duration
from sync.commands.output import json_line
from sync.commands.tables import age, moment, shown
from sync.config import Settings, load
from sync.engine.tools.janitor import Aborted, Janitor, Unfinished
from sync.errors import ConfigError
from sync.ports import Clock
from sync.telemetry.amounts import size
from sync.wiring import open_stores

_HEADER: Final = f"{'BEGUN':20}  {'IDLE':>9}  {'PARTS':>5}  {'HELD':>10}  KEY  UPLOAD ID"
_MOST_IN_JSON: Final = 1000
_MOST_FAILURES: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions and options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="show unfinished uploads and what they hold")
    aborting = actions.add_parser("abort", help="abort unfinished uploads of some age")
    for action in (listing, aborting):
        _add_common(action)
        action.add_argument(
            "--older-than",
            type=duration,
            metavar="TIME",
            required=action is aborting,
            help="only those to which nothing has happened for so long: 7d, 12h, 30m",
        )
    aborting.add_argument("--dry-run", action="store_true", help="only show what would be aborted")
    listing.set_defaults(aborting=False, dry_run=False)
    aborting.set_defaults(aborting=True)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument(
        "--bucket", metavar="NAME", default="", help="in place of Des_bucket_default"
    )
    parser.add_argument(
        "--source", action="store_true", help="a bucket at the source, with its keys (--bucket)"
    )
    parser.add_argument("--prefix", metavar="PREFIX", default="", help="keys that begin so")
    parser.add_argument(
        "--no-sizes",
        action="store_true",
        help="do not look into each upload (a request each); age is then that of its beginning",
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


@dataclass(slots=True)
class _Totals:
    """What was seen. ``items`` holds the first thousand only."""

    uploads: int = 0
    parts: int = 0
    held: int = 0
    oldest: float = 0.0
    items: list[dict[str, object]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    failed: int = 0

    def add(self, found: Unfinished, error: str = "") -> None:
        begun = found.upload.initiated
        self.uploads += 1
        self.parts += found.parts or 0
        self.held += found.held or 0
        self.oldest = min(self.oldest or begun, begun) if begun else self.oldest
        if error:
            self.failed += 1
            if len(self.failures) < _MOST_FAILURES:
                self.failures.append(f"{found.upload.ref} {found.upload.upload_id}: {error}")
        if len(self.items) < _MOST_IN_JSON:
            self.items.append(_described(found, error))


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """List or abort; 1 where one could not be aborted."""
    settings = load(arguments.config, environ)
    bucket = _bucket(arguments, settings)
    totals = asyncio.run(_run(arguments, settings, environ, bucket))
    for failure in totals.failures:
        print(shown(f"not aborted: {failure}"), file=sys.stderr)
    print(_summary(arguments, bucket, totals))
    if arguments.json:
        print(json_line(_report(arguments, bucket, totals)))
    return int(totals.failed > 0)


def _bucket(arguments: argparse.Namespace, settings: Settings) -> str:
    if arguments.source and not arguments.bucket:
        raise ConfigError("--source needs --bucket NAME: the configuration names no source bucket")
    bucket = str(arguments.bucket or settings.default_bucket)
    if not bucket:
        raise ConfigError("no bucket: set Des_bucket_default or give --bucket NAME")
    return bucket


async def _run(
    arguments: argparse.Namespace, settings: Settings, environ: Mapping[str, str], bucket: str
) -> _Totals:
    clock = SystemClock()
    async with open_stores(settings, environ) as stores:
        store = stores.source if arguments.source else stores.destination
        janitor = Janitor(
            lister=UploadLister(store.session),
            store=store,
            clock=clock,
            retries=settings.max_retry,
            sizes=not arguments.no_sizes,
        )
        return await _go_through(arguments, janitor, clock, bucket)


async def _go_through(
    arguments: argparse.Namespace, janitor: Janitor, clock: Clock, bucket: str
) -> _Totals:
    totals = _Totals()
    found = janitor.unfinished(bucket, prefix=arguments.prefix, older_than=arguments.older_than)
    aborting = arguments.aborting and not arguments.dry_run
    async for done in janitor.abort(found) if aborting else _untouched(found):
        if not totals.uploads:
            print(_HEADER)
        totals.add(done.found, done.error)
        print(_line(done.found, clock.time()))
    return totals


async def _untouched(found: AsyncIterator[Unfinished]) -> AsyncIterator[Aborted]:
    async for one in found:
        yield Aborted(one, "")


def _line(found: Unfinished, now: float) -> str:
    idle = age(now - found.idle_since) if found.idle_since else "-"
    parts = "-" if found.parts is None else str(found.parts)
    held = "-" if found.held is None else size(found.held)
    name = shown(f"{found.upload.ref.key}  {found.upload.upload_id}")
    return f"{moment(found.upload.initiated):20}  {idle:>9}  {parts:>5}  {held:>10}  {name}"


def _summary(arguments: argparse.Namespace, bucket: str, totals: _Totals) -> str:
    holding = "" if arguments.no_sizes else f", {totals.parts} parts, {size(totals.held)}"
    count = totals.uploads - totals.failed
    if not arguments.aborting:
        return f"{bucket}: {totals.uploads} unfinished uploads{holding}"
    if arguments.dry_run:
        return f"{bucket}: {totals.uploads} uploads would be aborted{holding}"
    failed = f"; {totals.failed} could not be" if totals.failed else ""
    return f"{bucket}: {count} of {totals.uploads} uploads aborted{holding}{failed}"


def _described(found: Unfinished, error: str) -> dict[str, object]:
    upload = found.upload
    item: dict[str, object] = {
        "key": upload.ref.key,
        "upload_id": upload.upload_id,
        "initiated": upload.initiated,
        "idle_since": found.idle_since,
        "parts": found.parts,
        "bytes": found.held,
    }
    return item | ({"error": error} if error else {})


def _report(arguments: argparse.Namespace, bucket: str, totals: _Totals) -> dict[str, object]:
    sized = not arguments.no_sizes
    done = totals.uploads - totals.failed if arguments.aborting and not arguments.dry_run else 0
    return {
        "bucket": bucket,
        "prefix": arguments.prefix,
        "uploads": totals.uploads,
        "parts": totals.parts if sized else None,
        "bytes": totals.held if sized else None,
        "oldest": totals.oldest,
        "aborted": done,
        "failed": totals.failed,
        "items": totals.items,
        "items_left_out": totals.uploads - len(totals.items),
    }
