"""``3gsync inventory send``: queue the objects that an inventory lists."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from sync.adapters.clock import SystemClock
from sync.adapters.inventory import Inventory, open_inventory
from sync.commands.output import json_line
from sync.config import Settings, load
from sync.config.keys import BY_NAME
from sync.config.kinds import Moment
from sync.errors import ConfigError
from sync.inventories import Access, open_access
from sync.inventories.access import ignore_list
from sync.inventories.selection import Reason, Selection
from sync.inventories.sending import Sending, Target
from sync.inventories.sinks import LinesSink, Nowhere, QueueSink, Sink
from sync.inventories.state import StateFile
from sync.inventories.tally import Notices

_ENCODED: Final = {"auto": None, "encoded": True, "plain": False}
_FLAGS: Final = (
    ("--columns", "NAMES", "columns of CSV files without manifest: Bucket, Key, VersionId, ..."),
    ("--source-bucket", "NAME", "the bucket, where neither manifest nor rows name it"),
    ("--destination-bucket", "NAME", "default: Des_bucket_default"),
    ("--destination-prefix", "TEXT", "default: Des_prefix_default"),
    ("--prefix", "TEXT", "only keys that begin so"),
    ("--since", "TIME", "only objects modified at this time or later"),
    ("--until", "TIME", "only objects modified before this time"),
    ("--queue", "NAMES", "default: sqs_queue_name"),
    ("--output", "FILE", "write job bodies, one a line, in place of sending; - is stdout"),
)
_FILES: Final = (
    ("--config", "configuration file"),
    ("--report", "write every unreadable row and every object to restore first, as JSON lines"),
    ("--state", "remember there how far it came; default: inventory-....state in this folder"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    parser.add_argument(
        "places",
        nargs="+",
        metavar="PLACE",
        help="a manifest.json, a folder, or data files: a path, s3://bucket/..., gs://bucket/...",
    )
    for flag, metavar, text in _FLAGS:
        parser.add_argument(flag, metavar=metavar, help=text)
    for flag, text in _FILES:
        parser.add_argument(flag, type=Path, metavar="FILE", help=text)
    parser.add_argument(
        "--keys",
        choices=sorted(_ENCODED),
        default="auto",
        help="whether keys are URL-encoded; auto: those of S3's CSV files are",
    )
    parser.add_argument("--keys-per-message", type=_positive, default=1, metavar="N")
    parser.add_argument("--limit", type=_positive, metavar="N", help="send at most so many")
    for flag, text in (
        ("--include-archived", "also objects that must be restored before they can be read"),
        ("--no-state", "remember nothing"),
        ("--dry-run", "only count"),
        ("--json", "end with one line of JSON"),
    ):
        parser.add_argument(flag, action="store_true", help=text)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Send; 0 where everything could be read and is where it belongs, else 1."""
    settings = load(arguments.config, environ)
    if arguments.queue:
        settings = replace(settings, queue_name=arguments.queue)
    if arguments.output and (arguments.state or arguments.dry_run):
        raise ConfigError("--output goes neither with --state nor with --dry-run")
    return asyncio.run(_send(arguments, settings, environ))


async def _send(
    arguments: argparse.Namespace, settings: Settings, environ: Mapping[str, str]
) -> int:
    target = _target(arguments, settings)
    selection = _selection(arguments, settings)
    async with open_access(settings, environ) as access:
        inventory = await open_inventory(
            arguments.places,
            access.files,
            columns=arguments.columns or "",
            encoded=_ENCODED[arguments.keys],
            bucket=arguments.source_bucket or "",
        )
        _introduce(inventory)
        sink = await _sink(arguments, settings, access)
        state = _state(arguments, inventory, target, selection)
        notices = Notices(_tell, arguments.report, append=bool(state and state.resumed))
        sending = Sending(
            inventory,
            selection=selection,
            target=target,
            sink=sink,
            notices=notices,
            clock=SystemClock(),
            state=state,
            limit=arguments.limit,
        )
        finished = False
        try:
            await sending.run()
            finished = not (sending.limited or sending.failed)
        finally:
            notices.close()
            sink.close(finished=finished)
            if state is not None:
                state.close(finished=finished)
                if not finished:
                    _tell(f"run it again to go on: {state.path} knows what was sent")
        return _summary(arguments, inventory, sending)


def _target(arguments: argparse.Namespace, settings: Settings) -> Target:
    bucket = arguments.destination_bucket or settings.default_bucket
    if not bucket:
        raise ConfigError(
            "no destination: set [Basic] Des_bucket_default or give --destination-bucket"
        )
    kind = BY_NAME["des_bucket_default"].kind
    try:
        kind.parse(bucket)
    except ValueError:
        raise ConfigError(f"--destination-bucket {bucket}: must be {kind.allowed}") from None
    prefix = arguments.destination_prefix
    return Target(bucket, settings.default_prefix if prefix is None else prefix)


def _selection(arguments: argparse.Namespace, settings: Settings) -> Selection:
    return Selection(
        prefix=arguments.prefix or "",
        since=_moment("--since", arguments.since),
        until=_moment("--until", arguments.until),
        archived=arguments.include_archived,
        ignore=ignore_list(settings, report=_tell),
    )


def _moment(flag: str, text: str | None) -> float | None:
    kind = Moment()
    try:
        return kind.parse(text or "")
    except ValueError:
        raise ConfigError(f"{flag} {text}: {kind.allowed} is expected") from None


async def _sink(arguments: argparse.Namespace, settings: Settings, access: Access) -> Sink:
    if arguments.dry_run:
        return Nowhere()
    if arguments.output:
        return LinesSink(arguments.output)
    if not settings.queue_name:
        raise ConfigError("no queue: set [Basic] sqs_queue_name or give --queue (or --dry-run)")
    return QueueSink(await access.queues(), keys_per_message=arguments.keys_per_message)


def _state(
    arguments: argparse.Namespace, inventory: Inventory, target: Target, selection: Selection
) -> StateFile | None:
    if arguments.no_state or arguments.dry_run or arguments.output:
        return None
    names = [inventory.digest, str(inventory.place), *(file.name for file in inventory.files)]
    options = [
        *(target.bucket, target.prefix, selection.prefix, selection.since, selection.until),
        *(selection.archived, arguments.columns, arguments.keys, arguments.source_bucket),
    ]
    head = {"inventory": _short(names), "set of options": _short(options)}
    path = arguments.state or Path(f"inventory-{head['inventory']}.state")
    state = StateFile(path, head)
    if state.resumed:
        _tell(f"going on where {path} says that an earlier run ended")
    return state


def _short(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _introduce(inventory: Inventory) -> None:
    checked = "; manifest.checksum agrees" if inventory.verified else ""
    whose = f" of {inventory.bucket}" if inventory.bucket else ""
    count = len(inventory.files)
    _tell(f"{inventory.place}: {inventory.kind}{whose}, {count} data file(s){checked}")


def _summary(arguments: argparse.Namespace, inventory: Inventory, sending: Sending) -> int:
    tally, failed = sending.total, sending.failed
    ignored = tally.skipped.pop(Reason.IGNORED, 0)
    left = tally.skipped[Reason.NEEDS_RESTORE]
    if left and not arguments.include_archived:
        _tell(f"{left} objects must be restored before they can be read; they were left out")
    value = {
        "inventory": str(inventory.place),
        "kind": str(inventory.kind),
        "verified": inventory.verified,
        "files": len(inventory.files),
        "files_failed": failed,
        "rows": tally.rows,
        "unreadable": tally.unreadable,
        "sent": tally.sent,
        "messages": tally.messages,
        "ignored": ignored,
        "skipped": {str(name): count for name, count in tally.skipped.items() if count},
        "limited": sending.limited,
        "dry_run": arguments.dry_run,
    }
    _show(arguments, value)
    return 1 if failed or tally.unreadable else 0


def _show(arguments: argparse.Namespace, value: Mapping[str, object]) -> None:
    if arguments.json:
        print(json_line(value))
    elif arguments.output != "-":
        done = "would be sent" if arguments.dry_run else "sent"
        print(f"{value['rows']} rows, {value['sent']} {done}", end="")
        skipped = value["skipped"]
        assert isinstance(skipped, dict)
        for name, count in (*skipped.items(), ("ignored", value["ignored"])):
            print(f", {count} {name}" if count else "", end="")
        print(f", {value['unreadable']} unreadable" if value["unreadable"] else "")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1")
    return number


def _tell(text: str) -> None:
    print(f"inventory: {text}", file=sys.stderr)
