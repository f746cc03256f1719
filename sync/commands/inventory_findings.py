"""What a comparison of inventories comes to: counts, lines, jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TextIO

from sync.adapters.inventory_compare import ARCHIVED, SAME, Difference, Row
from sync.ignore import IgnoreList
from sync.inventories.sinks import Sink
from sync.messages import destination_key
from sync.model import BucketPair, JobKind, ObjectRef, TransferJob

_COPIED: Final = frozenset(
    {Difference.MISSING, Difference.SIZE, Difference.CHECKSUM, Difference.TIME}
)
_KEY_FACTS: Final = (
    *("key", "raw", "source_size", "destination_size", "source_modified", "destination_modified"),
)


@dataclass(slots=True)
class Count:
    """Objects, and their bytes at the source, or at the destination where only it has them."""

    objects: int = 0
    bytes: int = 0

    def add(self, row: Row) -> None:
        """What the row stands for."""
        self.objects += row.objects
        self.bytes += row.bytes


@dataclass(slots=True)
class Findings:
    """Counts by class; ``ignored`` are differences that the ignore list names."""

    classes: dict[str, Count] = field(default_factory=dict)
    ignored: int = 0

    @property
    def differences(self) -> int:
        """Objects that are not the same on both sides, or may be not."""
        return sum(count.objects for name, count in self.classes.items() if name not in SAME)

    def objects(self, name: str) -> int:
        """Of one class."""
        return self.classes[name].objects if name in self.classes else 0

    def lines(self) -> Iterator[str]:
        """A table to read, the most frequent class first."""
        for name, count in sorted(self.classes.items(), key=lambda item: -item[1].objects):
            yield f"{name:<22}{count.objects:>16,} objects {count.bytes:>22,} bytes"
        if self.ignored:
            yield f"{'ignored':<22}{self.ignored:>16,} objects"

    def figures(self) -> dict[str, object]:
        """For a line of JSON."""
        return {
            "differences": self.differences,
            "ignored": self.ignored,
            "classes": {
                name: {"objects": count.objects, "bytes": count.bytes}
                for name, count in sorted(self.classes.items())
            },
        }


async def settle(
    rows: Iterable[Row],
    *,
    pair: BucketPair,
    ignore: IgnoreList,
    sink: Sink | None,
    lines: TextIO | None,
) -> Findings:
    """Count the rows; write each difference to ``lines``; send what a copy would mend.

    Nothing is ever sent to be deleted, and nothing that must be restored first.
    """
    findings = Findings()
    for row in rows:
        if row.key is not None and ignore.matches(pair.source_bucket, row.key):
            findings.ignored += row.objects
            continue
        findings.classes.setdefault(row.kind, Count()).add(row)
        if row.kind in SAME:
            continue
        if lines is not None:
            lines.write(f"{_line(row)}\n")
        if sink is not None and row.key is not None and _to_copy(row):
            await sink.add(_job(row, row.key, pair))
    if sink is not None:
        await sink.flush()
    return findings


def _to_copy(row: Row) -> bool:
    return row.kind != ARCHIVED and row.difference in _COPIED


def _job(row: Row, key: str, pair: BucketPair) -> TransferJob:
    return TransferJob(
        JobKind.COPY,
        ObjectRef(pair.source_bucket, key),
        ObjectRef(pair.destination_bucket, destination_key(pair.destination_prefix, key)),
        size=row.source_size,
        event_name="inventory",
    )


def _line(row: Row) -> str:
    facts = {name: getattr(row, name) for name in _KEY_FACTS}
    value: dict[str, object] = {"class": row.kind, "difference": row.difference}
    return json.dumps(value | {name: fact for name, fact in facts.items() if fact is not None})
