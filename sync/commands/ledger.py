"""``3gsync ledger``: what the job table says."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from pathlib import Path
from typing import Final

from sync.adapters.aws_tools import open_aws
from sync.adapters.ledger_scan import LedgerScan
from sync.adapters.ledger_view import LedgerEntry, State, all_attributes, read_entry
from sync.arguments import whole
from sync.commands.output import json_line
from sync.commands.tables import age, moment, shown, table
from sync.config import Settings, load
from sync.errors import ConfigError
from sync.model import ObjectRef
from sync.telemetry.amounts import size

_COLUMNS: Final = (
    "key",
    "state",
    "status",
    "progress",
    "size",
    "started",
    "ended",
    "seconds",
    "tries",
    "destination",
    "version_id",
    "instances",
    "reason",
)
_MOST_SEGMENTS: Final = 64
_Order = Callable[[LedgerEntry], float]


@dataclass(frozen=True, slots=True)
class View:
    """Which rows are shown, and what puts them in order, highest first (None: as they come)."""

    help: str
    wanted: Callable[[LedgerEntry], bool]
    order: _Order | None = None


def _of(*states: State) -> Callable[[LedgerEntry], bool]:
    return lambda entry: entry.state in states


_VIEWS: Final[Mapping[str, View]] = {
    "running": View(
        "begun and not ended, the latest begun first; what a dead worker left is among them",
        _of(State.RUNNING),
        lambda entry: entry.started,
    ),
    "recent": View("ended last", lambda entry: entry.row.end_time > 0, lambda e: e.row.end_time),
    "failed": View(
        "failed or dead-lettered, the latest first", _of(State.FAILED), lambda e: e.row.end_time
    ),
    "slowest": View(
        "took the longest", lambda entry: entry.row.seconds > 0, lambda e: e.row.seconds
    ),
    "all": View("every row, in no order", lambda _: True),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions and options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, view in _VIEWS.items():
        action = actions.add_parser(name, help=view.help)
        _add_common(action)
        _add_scan(action)
        if view.order:
            action.add_argument("-n", type=whole, default=10, metavar="N", help="rows (10)")
        action.set_defaults(view=view, action=_scan, **({} if view.order else {"n": None}))
    showing = actions.add_parser("show", help="print one row, every attribute of it")
    _add_common(showing)
    showing.add_argument("object", metavar="BUCKET/KEY", help="of the source")
    showing.set_defaults(action=_show)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def _add_scan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=("table", "csv", "jsonl"), default="table", help="how rows are printed"
    )
    parser.add_argument(
        "--status",
        metavar="WORD",
        default="",
        help="only rows whose jobStatus, outcome or state is this, such as TIMEOUT or gone",
    )
    parser.add_argument(
        "--segments",
        type=whole,
        default=1,
        metavar="N",
        help=f"read the table with N requests at a time (1, at most {_MOST_SEGMENTS})",
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do what the action says; returns the exit code."""
    return int(arguments.action(arguments, environ))


@asynccontextmanager
async def _opened(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[LedgerScan]:
    if not settings.table_name:
        raise ConfigError("[Basic] table_queue_name is empty: there is no ledger to look at")
    async with open_aws(settings, environ) as tools:
        yield await tools.ledger(settings.table_name)


# --- one row ------------------------------------------------------------------------------


def _show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load(arguments.config, environ)
    bucket, slash, key = arguments.object.partition("/")
    if not (bucket and slash and key):
        raise ConfigError(f"{arguments.object!r}: name the source object as BUCKET/KEY")

    async def look() -> Mapping[str, Mapping[str, object]]:
        async with _opened(settings, environ) as ledger:
            return await ledger.item(ObjectRef(bucket, key))

    item = asyncio.run(look())
    if not item:
        print(shown(f"{arguments.object}: no row in {settings.table_name}"), file=sys.stderr)
        return 1
    entry, attributes = read_entry(item), all_attributes(item)
    for name, value in attributes.items():
        print(shown(f"{name:17} {', '.join(value) if isinstance(value, list) else value}"))
    print(f"{'state':17} {entry.state}")
    if arguments.json:
        print(json_line({"state": entry.state, "attributes": attributes}))
    return 0


# --- many rows ----------------------------------------------------------------------------


@dataclass(slots=True)
class _Top:
    """The ``count`` highest entries; memory does not grow with what is offered."""

    count: int
    order: _Order
    _heap: list[tuple[float, int, LedgerEntry]] = field(default_factory=list)
    _offered: int = 0

    def offer(self, entry: LedgerEntry) -> None:
        self._offered += 1
        item = (self.order(entry), -self._offered, entry)
        if len(self._heap) < self.count:
            heappush(self._heap, item)
        else:
            heappushpop(self._heap, item)

    def highest_first(self) -> list[LedgerEntry]:
        return [entry for _, _, entry in sorted(self._heap, reverse=True)]


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    matched: int = 0
    states: Counter[str] = field(default_factory=Counter)


def _scan(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if arguments.segments > _MOST_SEGMENTS:
        raise ConfigError(f"--segments {arguments.segments}: at most {_MOST_SEGMENTS}")
    settings = load(arguments.config, environ)
    shown_rows, counts = asyncio.run(_read(arguments, settings, environ))
    if arguments.json:
        report = {
            "table": settings.table_name,
            "rows": counts.rows,
            "matched": counts.matched,
            "states": dict(counts.states),
            "shown": [_plain(entry) for entry in shown_rows],
        }
        print(json_line(report))
    return 0


async def _read(
    arguments: argparse.Namespace, settings: Settings, environ: Mapping[str, str]
) -> tuple[Sequence[LedgerEntry], _Counts]:
    view: View = arguments.view
    counts = _Counts()
    async with _opened(settings, environ) as ledger:
        entries = _wanted(arguments, ledger, counts)
        if view.order is None:
            await _stream(entries, arguments.format)
            _summary(arguments, settings, counts, counts.matched)
            return (), counts
        top = _Top(arguments.n, view.order)
        async for entry in entries:
            top.offer(entry)
    rows = top.highest_first()
    for line in _PRINTERS[arguments.format](rows):
        print(line)
    _summary(arguments, settings, counts, len(rows))
    return rows, counts


async def _wanted(
    arguments: argparse.Namespace, ledger: LedgerScan, counts: _Counts
) -> AsyncIterator[LedgerEntry]:
    async for item in ledger.items(segments=arguments.segments):
        entry = read_entry(item)
        counts.rows += 1
        counts.states[entry.state] += 1
        if arguments.view.wanted(entry) and _has_status(entry, arguments.status):
            counts.matched += 1
            yield entry


def _has_status(entry: LedgerEntry, word: str) -> bool:
    words = (*entry.row.statuses, entry.row.outcome, entry.state)
    return not word or word.lower() in (one.lower() for one in words)


async def _stream(entries: AsyncIterator[LedgerEntry], form: str) -> None:
    first = True
    async for entry in entries:
        lines = list(_PRINTERS[form]([entry], streamed=True))
        for line in lines if first else lines[-1:]:
            print(line)
        first = False


def _summary(
    arguments: argparse.Namespace, settings: Settings, counts: _Counts, printed: int
) -> None:
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.states.items()))
    text = (
        f"{settings.table_name}: {counts.rows} rows ({states or 'none'}); "
        f"{printed} of {counts.matched} shown"
    )
    # Whoever reads rows by program must find nothing else among them.
    print(text, file=sys.stdout if arguments.format == "table" else sys.stderr)


def _as_table(rows: Sequence[LedgerEntry], *, streamed: bool = False) -> Iterator[str]:
    header = ("STATE", "%", "SIZE", "STARTED", "ENDED", "TOOK", "TRIES", "KEY", "REASON")
    lines = [_cells(entry) for entry in rows]
    if not streamed:
        yield from table(header, lines) if lines else ()
        return
    # Widths cannot be known beforehand where rows are not kept.
    for cells in (header, *lines):
        yield shown("  ".join(str(cell) or "-" for cell in cells).rstrip())


def _cells(entry: LedgerEntry) -> tuple[object, ...]:
    row = entry.row
    took = age(row.seconds) if row.seconds else "-"
    ends = moment(entry.started), moment(row.end_time)
    why = row.reason or " ".join(sorted(row.statuses - {"DONE"}))
    return (entry.state, row.progress, size(row.size), *ends, took, row.tries, row.key, why)


def _as_csv(rows: Sequence[LedgerEntry], *, streamed: bool = False) -> Iterator[str]:
    del streamed
    yield _csv_line(_COLUMNS)
    for entry in rows:
        values = _plain(entry).values()
        yield _csv_line([" ".join(v) if isinstance(v, list) else v for v in values])


def _csv_line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    encoding = sys.stdout.encoding or "utf-8"
    return buffer.getvalue().encode(encoding, "backslashreplace").decode(encoding)


def _as_json_lines(rows: Sequence[LedgerEntry], *, streamed: bool = False) -> Iterator[str]:
    del streamed
    return map(json_line, map(_plain, rows))


_PRINTERS: Final = {"table": _as_table, "csv": _as_csv, "jsonl": _as_json_lines}


def _plain(entry: LedgerEntry) -> dict[str, object]:
    """Values in the order of the columns; times are POSIX timestamps, 0 where not known."""
    row = entry.row
    values = (
        row.key,
        entry.state.value,
        sorted(row.statuses),
        row.progress,
        row.size,
        entry.started,
        row.end_time,
        row.seconds,
        row.tries,
        str(row.destination) if row.destination.bucket else "",
        row.version_id,
        sorted(row.instances),
        row.reason,
    )
    return dict(zip(_COLUMNS, values, strict=True))
