"""Section 3 of the fault bench: random histories on virtual time, and that they have teeth.

Everything that is checked along the way is in ``judge``; what may happen in ``script``.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from faults.histories.guards import GUARDS
from faults.histories.many import Caught, Sums, catch, play_many
from faults.stage import Stage
from faults.tally import FORBIDDEN, Effort, Tally

HISTORIES: Final = {Effort.SHORT: 12, Effort.FULL: 10_000}
_MOST: Final = 150
"""Histories in which the absence of any guard has to be seen."""
_SHOWN: Final = ("pin",)
"""Guards whose failing history is made small in the short form too."""
_FIRST: Final = {
    "missing-bucket": 41,
    "lease-of-late-writes": 17,
    "pin": 11,
    "delete-of-existing": 9,
    "delete-relook": 9,
}
"""Seeds to begin with in the short form, so that it is short."""

SITUATIONS: Final = {
    "landed late on the newer one": "stale writes landing on newer objects",
    "a delete landed late on the newer one": "deletes landing on newer objects",
    "event resumed": "uploads resumed",
    "parts kept": "parts kept",
    "events served by another's copy": "events coalesced",
    "copied in several rounds": "copies of several rounds",
    "job gone": "GONE",
    "job skipped": "deletes skipped",
    "job deleted": "deletes",
    "events overtaken": "events overtaken",
    "handed out although in hand": "handed out twice",
    "event lease-lost": "leases lost",
    "leases kept for a write on its way": "leases kept at shutdown",
    "event breaker-open": "breaker opened",
    "event dead-lettered": "dead letters",
    "messages driven back": "driven back",
    "deleted by the jobsender": "jobsender's deletes",
    "op expire": "retentions",
    "event upload-aborted": "uploads of other versions aborted",
    "workers spared: their message is in other hands": "kills left out (no fencing)",
}
"""What a reader wants to see reached, and how the note calls it."""


def run(tally: Tally, effort: Effort, stage: Stage | None = None) -> None:
    """Play histories, then play them without each guard of the engine."""
    del stage  # no servers are needed
    began = time.monotonic()
    sums = play_many(0, HISTORIES[effort], processes=1 if effort is Effort.SHORT else None)
    _count(tally, sums, time.monotonic() - began)
    _teeth(tally, effort)


def _count(tally: Tally, sums: Sums, seconds: float) -> None:
    tally.histories += sums.histories
    tally.events += sums.events
    tally.crashes += sums.crashes
    tally.duplicated_acks += sums.answered_twice
    for kind in sums.kinds.keys() & set(FORBIDDEN):
        setattr(tally, kind, getattr(tally, kind) + sums.kinds[kind])
    for name, count in sums.seen.items():
        if name.startswith("fault "):
            tally.faults[f"history: {name.removeprefix('fault ')}"] += count
    tally.failures += sums.texts
    survived = sums.histories - sums.failed
    note = f"{sums.operations:,} operations in {seconds:.0f} s; {situations(sums.seen)}"
    tally.row("histories", "seeded histories of 200 operations", sums.histories, survived, note)


def situations(seen: Counter[str]) -> str:
    """How often the rare ones were reached."""
    return ", ".join(f"{seen[name]:,} {text}" for name, text in SITUATIONS.items())


def _teeth(tally: Tally, effort: Effort) -> None:
    short = effort is Effort.SHORT
    caught: list[Caught] = []
    for guard in GUARDS:
        first = _FIRST.get(guard, 0) if short else 0
        found = catch(guard, first=first, most=_MOST, shrink=not short or guard in _SHOWN)
        if found is None:
            tally.failures.append(f"histories: {_MOST} of them do not miss the guard {guard!r}")
        else:
            caught.append(found)
    note = ", ".join(_told(one) for one in caught)
    what = "guards whose absence the histories show"
    tally.row("histories", what, len(GUARDS), len(caught), note)


def _told(caught: Caught) -> str:
    size = f", made small: {len(caught.small.ops)} operations" if caught.small else ""
    return f"{caught.guard} (history {caught.after}{size})"
