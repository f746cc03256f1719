"""What was tried and what survived, counted by every section of the fault bench."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

FORBIDDEN: Final = ("lost", "stale", "mixed", "duplicated_acks", "unhandled")
"""Counts of what must never happen: any of them above zero fails the bench."""


class Effort(StrEnum):
    """How much is tried."""

    SHORT = "short"
    """Minutes, also part of the test suite."""
    FULL = "full"
    """The campaign: an hour or two."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: ``tried`` attempts of ``what``, ``survived`` of them."""

    section: str
    what: str
    tried: int
    survived: int
    note: str = ""


@dataclass
class Tally:
    """Counts over all sections.

    ``events``: messages or changes that went through a queue. ``faults``: faults that fired, by
    kind. ``lost``: objects that the source has and the destination lacks at the end, and messages
    that vanished. ``stale``: objects whose destination is an older version of the source's.
    ``mixed``: objects whose destination was never a version of the source. ``duplicated_acks``:
    deliveries acknowledged again although their first acknowledgement had been answered.
    ``bad_inputs``: hostile inputs given. ``unhandled``: those that led to a crash, a hang, a bug
    event or unbounded memory. ``failures`` says of each forbidden thing where it was seen.
    """

    histories: int = 0
    events: int = 0
    crashes: int = 0
    lost: int = 0
    stale: int = 0
    mixed: int = 0
    duplicated_acks: int = 0
    bad_inputs: int = 0
    unhandled: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def row(self, section: str, what: str, tried: int, survived: int, note: str = "") -> None:
        """Add a line to the table; one where not all survived is a failure too."""
        self.rows.append(Row(section=section, what=what, tried=tried, survived=survived, note=note))
        if survived != tried:
            self.failures.append(f"{section}: {what}: {survived} of {tried} survived. {note}")

    def end_state(
        self, where: str, versions: Mapping[str, Iterable[bytes]], held: Mapping[str, bytes]
    ) -> bool:
        """Judge a destination once its queue is empty; True where it equals its source.

        ``versions``: for each key that the source has, all contents it ever had, oldest first.
        What the destination holds of other keys counts as stale. ``held``: what it holds.
        """
        before = len(self.failures)
        for key, contents in versions.items():
            self._judge(where, key, list(contents), held.get(key))
        for key in held.keys() - versions.keys():
            self.stale += 1
            self.failures.append(f"{where}: {key!r} is still there, though deleted")
        return len(self.failures) == before

    def _judge(self, where: str, key: str, contents: list[bytes], found: bytes | None) -> None:
        if found == contents[-1]:
            return
        kind = "lost" if found is None else "stale" if found in contents else "mixed"
        setattr(self, kind, getattr(self, kind) + 1)
        self.failures.append(f"{where}: {key!r} is {kind}")

    @property
    def well(self) -> bool:
        """Nothing forbidden was seen."""
        return not self.failures and not any(getattr(self, name) for name in FORBIDDEN)

    def verify(self) -> None:
        """AssertionError that lists all failures, unless all is well."""
        counts = {name: getattr(self, name) for name in FORBIDDEN}
        assert self.well, "\n".join([f"{counts}", *self.failures])

    def summary(self) -> dict[str, Any]:
        """The last line of ``make faults``."""
        return {
            "histories": self.histories,
            "events": self.events,
            "faults_injected": self.faults.total(),
            "fault_kinds": len(self.faults),
            "crashes": self.crashes,
            "lost": self.lost,
            "stale": self.stale,
            "mixed": self.mixed,
            "duplicated_acks": self.duplicated_acks,
            "bad_inputs": self.bad_inputs,
            "unhandled": self.unhandled,
        }

    def text(self) -> str:
        """The table, the failures under it, and the summary as one line of JSON."""
        lines = [_line("", "what was tried", "times", "survived", "")]
        previous = ""
        for row in self.rows:
            name = row.section if row.section != previous else ""
            previous = row.section
            lines.append(_line(name, row.what, f"{row.tried:,}", f"{row.survived:,}", row.note))
        return "\n".join([*lines, "", *self.failures, json.dumps(self.summary())])


def _line(section: str, what: str, tried: str, survived: str, note: str) -> str:
    return f"{section:<12} {what:<52} {tried:>11} {survived:>11}  {note}".rstrip()
