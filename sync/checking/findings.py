"""What a check has to tell: counted, the first, largest and oldest kept, the rest passed on."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from sync.checking.classes import KINDS
from sync.messages import destination_key
from sync.model import BucketPair, ListedObject, ObjectRef

EXTREMES: Final = 10
IN_TERMINAL: Final = 20
"""Entries of each class."""
IN_PAGE: Final = 1000
"""Entries of all classes together."""


class Entry(NamedTuple):
    """One object of one class. ``source`` and ``destination`` as they were seen, if they were;
    the destination's bears the source's key.
    """

    pair: BucketPair
    kind: str
    key: str
    source: ListedObject | None = None
    destination: ListedObject | None = None
    detail: str = ""

    @property
    def size(self) -> int:
        """The source's bytes, or the destination's where it has none."""
        held = self.source or self.destination
        return held.size if held else 0

    @property
    def modified(self) -> float:
        """When the source changed (POSIX), or the destination where it has none; or 0.0."""
        held = self.source or self.destination
        return held.last_modified if held else 0.0

    @property
    def place(self) -> ObjectRef:
        """Where it is found: at the source, or else at the destination."""
        if self.source is None and self.destination is not None:
            return self.target
        return ObjectRef(self.pair.source_bucket, self.key)

    @property
    def target(self) -> ObjectRef:
        """Where the copy belongs."""
        key = destination_key(self.pair.destination_prefix, self.key)
        return ObjectRef(self.pair.destination_bucket, key)


class Findings:
    """Takes entries. Keeps at most ``keep`` of each class, the ten largest and the ten oldest
    differences; every entry goes to each of ``sinks``.
    """

    def __init__(self, *, keep: int, sinks: Sequence[Callable[[Entry], None]] = ()) -> None:
        self._keep = keep
        self._sinks = sinks
        self.counts: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.kept: dict[str, list[Entry]] = {}
        self._largest: list[tuple[float, int, Entry]] = []
        self._oldest: list[tuple[float, int, Entry]] = []

    def add(self, entry: Entry) -> None:
        """One more."""
        self.counts[entry.kind] += 1
        self.bytes[entry.kind] += entry.size
        kept = self.kept.setdefault(entry.kind, [])
        if len(kept) < self._keep:
            kept.append(entry)
        if KINDS[entry.kind].differs:
            number = -self.counts.total()  # of equals the first ones stay; entries have no order
            _push(self._largest, (entry.size, number, entry))
            if entry.modified:
                _push(self._oldest, (-entry.modified, number, entry))
        for sink in self._sinks:
            sink(entry)

    @property
    def differences(self) -> int:
        """How many objects differ."""
        return sum(count for kind, count in self.counts.items() if KINDS[kind].differs)

    @property
    def largest(self) -> list[Entry]:
        """Of the differences, the largest first."""
        return [entry for _, _, entry in sorted(self._largest, reverse=True)]

    @property
    def oldest(self) -> list[Entry]:
        """Of the differences, those that have been waiting longest first."""
        return [entry for _, _, entry in sorted(self._oldest, reverse=True)]

    def classes(self) -> list[str]:
        """The classes that were met, in the order they are told."""
        return [kind for kind in KINDS if kind in self.counts]


def _push(heap: list[tuple[float, int, Entry]], item: tuple[float, int, Entry]) -> None:
    if len(heap) < EXTREMES:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)
