"""How ``3gsync inventory compare`` compares: opens both sides, runs the engine, tells."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final, TextIO

from sync.adapters.inventory import Inventory, open_inventory
from sync.adapters.inventory_compare import Comparison, DuckDb, Shape, compare, report, shapes_of
from sync.adapters.inventory_compare.as_sql import GCS_COLUMNS, S3_COLUMNS, bigquery
from sync.adapters.inventory_compare.shapes import named_shapes
from sync.commands.inventory_findings import Findings, settle
from sync.commands.output import json_line
from sync.config import Settings
from sync.errors import ConfigError
from sync.inventories import Access, open_access
from sync.inventories.access import ignore_list
from sync.inventories.sinks import QueueSink
from sync.model import MIB, BucketPair

_DIFFERENT: Final = 3
_SIDES: Final = ("source", "destination")
_ENCODED: Final = {"auto": None, "encoded": True, "plain": False}


def run(arguments: argparse.Namespace, settings: Settings, environ: Mapping[str, str]) -> int:
    """Compare, or print the query; returns the exit code."""
    if arguments.print_sql:
        print(_query(arguments, settings))
        return 0
    if arguments.queue:
        settings = replace(settings, queue_name=arguments.queue)
    if arguments.send and not settings.queue_name:
        raise ConfigError("no queue: set [Basic] sqs_queue_name or give --queue")
    return asyncio.run(_compare(arguments, settings, environ))


def _query(arguments: argparse.Namespace, settings: Settings) -> str:
    options = _options(arguments, settings, snapshot=None)
    return bigquery(
        arguments.source,
        arguments.destination,
        options,
        source_columns=_names(arguments.source_columns or S3_COLUMNS),
        destination_columns=_names(arguments.destination_columns or GCS_COLUMNS),
    )


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


async def _compare(
    arguments: argparse.Namespace, settings: Settings, environ: Mapping[str, str]
) -> int:
    began = monotonic()
    async with open_access(settings, environ) as access:
        source, destination = [await _open(arguments, access, side) for side in _SIDES]
        pair = _pair(arguments, settings, source, destination)
        options = _options(arguments, settings, _older(source, destination))
        ignore = ignore_list(settings, report=_tell)
        sink = await _sink(arguments, access)
        with _lines(arguments.output) as lines:
            async with _engine(arguments, source, destination) as (engine, (one, other)):
                rows = engine.rows(report(compare(one, other, options)))
                findings = await settle(rows, pair=pair, ignore=ignore, sink=sink, lines=lines)
    for line in findings.lines():
        print(line, file=sys.stderr if arguments.output == "-" else sys.stdout)
    _advise(findings, arguments)
    if arguments.json:
        sides = {"source": _described(source), "destination": _described(destination)}
        sent = {"sent": sink.sent, "messages": sink.messages} if sink is not None else {"sent": 0}
        seconds = round(monotonic() - began, 3)
        print(json_line({**sides, **findings.figures(), **sent, "seconds": seconds}))
    return _exit_code(arguments, findings)


def _exit_code(arguments: argparse.Namespace, findings: Findings) -> int:
    if findings.objects("unreadable-key"):
        return 1
    return _DIFFERENT if findings.differences and not arguments.send else 0


async def _open(arguments: argparse.Namespace, access: Access, side: str) -> Inventory:
    options = vars(arguments)
    inventory = await open_inventory(
        [options[side]],
        access.files,
        columns=options[f"{side}_columns"] or "",
        encoded=_ENCODED[options[f"{side}_keys"]],
        bucket=options[f"{side}_bucket"] or "",
    )
    taken = _taken(inventory) or "nobody says when"
    whose = f" of {inventory.bucket}" if inventory.bucket else ""
    _tell(f"{side}: {inventory.place}: {inventory.kind}{whose}, taken {taken}")
    return inventory


def _taken(inventory: Inventory) -> str:
    if not inventory.created:
        return ""
    return datetime.fromtimestamp(inventory.created, UTC).isoformat(timespec="seconds")


def _described(inventory: Inventory) -> dict[str, object]:
    return {
        "inventory": str(inventory.place),
        "kind": str(inventory.kind),
        "bucket": inventory.bucket,
        "taken": _taken(inventory) or None,
        "verified": inventory.verified,
        "files": len(inventory.files),
    }


def _older(source: Inventory, destination: Inventory) -> float | None:
    taken = [when for when in (source.created, destination.created) if when]
    return min(taken) if taken else None


def _pair(
    arguments: argparse.Namespace, settings: Settings, source: Inventory, destination: Inventory
) -> BucketPair:
    bucket = arguments.destination_bucket or destination.bucket or settings.default_bucket
    if arguments.send and not source.bucket:
        raise ConfigError(f"{source.place} does not name its bucket: give --source-bucket")
    if arguments.send and not bucket:
        raise ConfigError(
            f"{destination.place} does not name its bucket: give --destination-bucket, or set "
            "[Basic] Des_bucket_default"
        )
    prefix = _destination_prefix(arguments, settings)
    return BucketPair(source.bucket, arguments.prefix or "", bucket, prefix)


def _destination_prefix(arguments: argparse.Namespace, settings: Settings) -> str:
    prefix: str | None = arguments.destination_prefix
    return settings.default_prefix if prefix is None else prefix


def _options(
    arguments: argparse.Namespace, settings: Settings, snapshot: float | None
) -> Comparison:
    return Comparison(
        source_prefix=arguments.prefix or "",
        destination_prefix=_destination_prefix(arguments, settings),
        checksum=not arguments.size_only,
        time=arguments.time,
        snapshot=snapshot,
        archived_too=arguments.include_archived,
    )


async def _sink(arguments: argparse.Namespace, access: Access) -> QueueSink | None:
    if not arguments.send:
        return None
    return QueueSink(await access.queues(), keys_per_message=arguments.keys_per_message)


@asynccontextmanager
async def _engine(
    arguments: argparse.Namespace, source: Inventory, destination: Inventory
) -> AsyncIterator[tuple[Any, list[Any]]]:
    """The engine, and both sides' canonical tables."""
    sides = dict(zip(_SIDES, (source, destination), strict=True))
    with _folder(arguments.work_directory) as folder:
        if arguments.engine == "spark":
            spark = _spark()
            found = {name: await named_shapes(side, folder) for name, side in sides.items()}
            yield spark, _tables(spark, found, sides)
            return
        found = {name: await shapes_of(side, folder) for name, side in sides.items()}
        limit = arguments.memory_limit * MIB
        with DuckDb(memory_limit=limit, temp_directory=folder, threads=arguments.threads) as duck:
            yield duck, _tables(duck, found, sides)


def _tables(
    engine: Any, shapes: Mapping[str, list[Shape]], sides: Mapping[str, Inventory]
) -> list[Any]:
    return [
        engine.table(name, shapes[name], records=inventory.records)
        for name, inventory in sides.items()
    ]


def _spark() -> Any:
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415  only where Spark is asked for

        from sync.adapters.inventory_compare.on_spark import Spark  # noqa: PLC0415  the same
    except ModuleNotFoundError:
        raise ConfigError("--engine spark needs PySpark: run it where Spark is set up") from None
    return Spark(SparkSession.builder.appName("3gsync inventory compare").getOrCreate())


@contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    try:
        made = tempfile.TemporaryDirectory(prefix="3gsync-compare-", dir=parent)
    except OSError as error:
        raise ConfigError(f"--work-directory {parent}: {error.strerror}") from None
    with made as folder:
        yield Path(folder)


@contextmanager
def _lines(name: str | None) -> Iterator[TextIO | None]:
    """A file gets its name when it is whole; until then it is ``FILE.part``."""
    if name is None or name == "-":
        yield sys.stdout if name else None
        return
    path = Path(name)
    part = path.with_name(f"{path.name}.part")
    try:
        file = part.open("w", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"--output {name}: {error.strerror}") from None
    with file:
        yield file
    part.replace(path)


def _advise(findings: Findings, arguments: argparse.Namespace) -> None:
    if findings.objects("unverified"):
        _tell(
            "unverified: equal sizes, and no checksums that mean the same on both sides; "
            "`3gsync check --read` compares bytes. An S3 inventory with the field "
            "EncryptionStatus lets more be compared"
        )
    if findings.objects("archived"):
        _tell("archived: must be restored before they can be copied; they are not sent")
    if findings.objects("extraneous") and arguments.send:
        _tell("extraneous: only the destination has them; nothing is ever deleted from here")


def _tell(text: str) -> None:
    print(f"inventory: {text}", file=sys.stderr)
