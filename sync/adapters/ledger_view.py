"""What a row of the ledger tells people, whichever software wrote it. Pure.

Rows of the cluster version 0.96 have ``thisRoundStart`` and texts (``firstTime_f``,
``thisRoundStart_f``) where later ones have other names; its jobsender wrote rows before
anything was begun.
"""

from __future__ import annotations

import base64
import calendar
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sync.adapters.ledger_rows import Attribute, LedgerRow, read_row, unpack_parts

# ``Sat Nov 21 13:34:26 2020``: every row has one, and strptime is slow.
_ASCTIME: Final = re.compile(
    r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})", re.ASCII
)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_ENDED_BADLY: Final = frozenset({"ERR", "TIMEOUT", "QUIT", "TIMEOUT_or_MaxRetry"})
_WHOLE: Final = 100
# Left out are the checksums of parts, which make up most of an unfinished upload's row.
PROJECTION: Final = (
    "Key",
    "Size",
    "desBucket",
    "desKey",
    "endTime",
    "endTime_f",
    "firstTime",
    "firstTime_f",
    "instanceID",
    "jobStatus",
    "lastTimeProgress",
    "outcome",
    "reason",
    "startTime_f",
    "thisRoundStart",
    "thisRoundStart_f",
    "totalSpentTime",
    "tryTimes",
    "uploadId",
    "versionId",
)


class State(StrEnum):
    """How it stands with a row's object."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    GONE = "gone"
    FAILED = "failed"


_BY_OUTCOME: Final[Mapping[str, State]] = {
    "copied": State.DONE,
    "deleted": State.DONE,
    "skipped": State.DONE,
    "gone": State.GONE,
    "failed": State.FAILED,
    "dead-lettered": State.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A row with what follows from it. ``started`` is the latest start, POSIX or 0.0."""

    row: LedgerRow
    state: State
    started: float


def read_entry(item: Mapping[str, Attribute]) -> LedgerEntry:
    """An entry of any row; what is missing or odd becomes empty, never an error."""
    row = read_row(item)
    starts = [*_times(item, "startTime_f"), *_times(item, "thisRoundStart_f")]
    started = max([row.first_time, _number(item, "thisRoundStart"), *starts], default=0.0)
    first = row.first_time or min(_times(item, "firstTime_f"), default=0.0) or started
    ended = row.end_time or max(_times(item, "endTime_f"), default=0.0)
    if (first, ended) != (row.first_time, row.end_time):
        row = replace(row, first_time=first, end_time=ended)
    return LedgerEntry(row=row, state=_state(row, started), started=started or first)


def _state(row: LedgerRow, started: float) -> State:
    if row.outcome in _BY_OUTCOME:
        return _BY_OUTCOME[row.outcome]
    if row.unfinished:
        return State.RUNNING
    if row.progress >= _WHOLE or (row.statuses == {"DONE"} and started <= row.end_time):
        return State.DONE
    if row.statuses & _ENDED_BADLY and started <= row.end_time:
        return State.FAILED
    return State.RUNNING if row.tries or started or row.first_time else State.WAITING


def all_attributes(item: Mapping[str, Attribute]) -> dict[str, Any]:
    """Every attribute as plain JSON, sets sorted; checksums of parts as their number."""
    return {name: _plain(name, attribute) for name, attribute in sorted(item.items())}


def _plain(name: str, attribute: Attribute) -> Any:
    kind, value = next(iter(attribute.items()))
    if name == "partCRC32C" and kind == "B":
        return _parts(value)
    if kind == "N":
        return _as_number(value)
    return sorted(value) if kind in {"SS", "NS", "BS"} else value


def _parts(packed: str) -> str:
    try:
        return f"{len(unpack_parts(base64.b64decode(packed, validate=True)))} verified parts"
    except ValueError:
        return "unreadable"


def _as_number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() else number


def _number(item: Mapping[str, Attribute], name: str) -> float:
    attribute = item.get(name, {})
    try:
        value = float(attribute.get("N", attribute.get("S", "")))
    except (TypeError, ValueError):
        return 0.0
    return value if math.isfinite(value) else 0.0


def _times(item: Mapping[str, Attribute], name: str) -> Iterator[float]:
    """Times that stand there as text, as one or as a set of them."""
    attribute = item.get(name)
    if attribute:
        for text in (*attribute.get("SS", ()), attribute.get("S", "")):
            if found := _ASCTIME.fullmatch(text):
                yield _time(*found.groups())


def _time(month: str, *numbers: str) -> float:
    day, hour, minute, second, year = map(int, numbers)
    try:
        at = _MONTHS.index(month) // 3 + 1
        return float(calendar.timegm((year, at, day, hour, minute, second)))
    except ValueError:
        return 0.0
