"""The comparison: one Ibis expression over two canonical tables, the same on every engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC as UTC_ZONE
from datetime import datetime
from enum import StrEnum
from typing import Final

import ibis
from ibis.expr.types import BooleanColumn, StringColumn, Table

from sync.adapters.inventory_compare.canonical import UTC
from sync.messages import destination_key


class Difference(StrEnum):
    """How a key stands on the two sides, the first that is true."""

    UNREADABLE = "unreadable-key"
    MISSING = "missing"
    EXTRANEOUS = "extraneous"
    SIZE = "size"
    CHECKSUM = "checksum"
    TIME = "time"
    UNVERIFIED = "unverified"
    EQUAL = "equal"


NEWER: Final = "newer-than-inventory"
ARCHIVED: Final = "archived"
# Counted, not listed one by one.
SAME: Final = (Difference.EQUAL.value, Difference.UNVERIFIED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared. Sizes always are.

    ``checksum``: MD5s, where both sides have one, and S3's ETags with each other.
    ``time``: a source changed after its destination was written, where no checksum says that
    they are equal. ``source_prefix`` narrows both sides; ``destination_prefix`` is where the
    source's keys stand at the destination. ``snapshot`` is when the older of the two
    inventories was taken (POSIX timestamp): differences of what changed later may be in
    flight and are classed so. ``archived_too``: in place of a class of their own, objects
    that must be restored first are classed like all others.
    """

    source_prefix: str = ""
    destination_prefix: str = ""
    checksum: bool = True
    time: bool = False
    snapshot: float | None = None
    archived_too: bool = False


def compare(source: Table, destination: Table, options: Comparison) -> Table:
    """Every key of two canonical tables once, with its ``class`` and its ``difference``.

    They are the same but where the object is archived or newer than an inventory. Times are
    whole POSIX seconds. NULL where a side has no such object::

        key raw class difference source_size destination_size
        source_modified destination_modified
    """
    joined = _joined(_left(source, options), _right(destination, options))
    difference = _difference(joined, options)
    return joined.select(
        key=joined.key,
        raw=joined.raw,
        class_=_class(joined, difference, options),
        difference=difference,
        source_size=joined.source_size,
        destination_size=joined.destination_size,
        source_modified=joined.source_modified.epoch_seconds().cast("int64"),
        destination_modified=joined.destination_modified.epoch_seconds().cast("int64"),
    ).rename({"class": "class_"})


def report(compared: Table) -> Table:
    """The differences, one row each, and one row for each class that is the same: in one pass.

    ::

        class difference key raw source_size destination_size
        source_modified destination_modified objects bytes

    ``objects`` and ``bytes`` count what the row stands for: bytes at the source, or at the
    destination where only that has the object. No order.
    """
    same = compared["class"].isin(SAME)
    told = [name for name in compared.columns if name not in {"class", "difference"}]
    blank = {name: same.ifelse(ibis.null(compared[name].type()), compared[name]) for name in told}
    weight = ibis.coalesce(compared.source_size, compared.destination_size, 0)
    rows = compared.select("class", "difference", **blank, weight=weight)
    return rows.group_by(["class", "difference", *told]).agg(
        objects=rows.count(), bytes=rows.weight.sum().cast("int64")
    )


def _left(source: Table, options: Comparison) -> Table:
    rows = _within(source, options.source_prefix)
    return rows.select(
        key=rows.key,
        raw=rows.raw,
        size=rows.size,
        modified=rows.modified,
        archived=rows.archived,
        **_proof(rows, options),
    )


def _right(destination: Table, options: Comparison) -> Table:
    """Keys as the source has them."""
    prefix = destination_key(options.destination_prefix, "")
    rows = _within(destination, prefix + options.source_prefix)
    key = rows.key.substr(len(prefix)) if prefix else rows.key
    return rows.select(
        key=key, raw=rows.raw, size=rows.size, modified=rows.modified, **_proof(rows, options)
    )


def _within(table: Table, prefix: str) -> Table:
    """A key that cannot be read may be anywhere."""
    if not prefix:
        return table
    return table.filter(table.key.startswith(prefix) | table.key.isnull())


def _proof(rows: Table, options: Comparison) -> dict[str, ibis.Column]:
    return {"digest": rows.digest, "certain": rows.certain} if options.checksum else {}


def _joined(source: Table, destination: Table) -> Table:
    """NULL keys meet nothing. A side is told from the other's by the name's beginning."""
    left = source.rename(lambda name: f"source_{name}")
    right = destination.rename(lambda name: f"destination_{name}")
    joined = left.outer_join(right, left.source_key == right.destination_key)
    return joined.mutate(
        key=ibis.coalesce(joined.source_key, joined.destination_key),
        raw=ibis.coalesce(joined.source_raw, joined.destination_raw),
    )


def _difference(joined: Table, options: Comparison) -> StringColumn:
    unlike = ibis.coalesce(joined.source_size, -1) != ibis.coalesce(joined.destination_size, -1)
    branches = [
        (joined.raw.notnull(), Difference.UNREADABLE),
        (joined.destination_key.isnull(), Difference.MISSING),
        (joined.source_key.isnull(), Difference.EXTRANEOUS),
        (unlike, Difference.SIZE),
    ]
    if options.checksum:
        alike = (joined.source_digest == joined.destination_digest).fill_null(False)
        certain = joined.source_certain & joined.destination_certain
        branches += [(alike, Difference.EQUAL), (certain, Difference.CHECKSUM)]
    if options.time:
        later = joined.source_modified > joined.destination_modified
        branches.append((later.fill_null(False), Difference.TIME))
    rest = Difference.UNVERIFIED if options.checksum else Difference.EQUAL
    return ibis.cases(*((test, kind.value) for test, kind in branches), else_=rest.value)


def _class(joined: Table, difference: StringColumn, options: Comparison) -> StringColumn:
    """What is newer may have been copied meanwhile; what is archived cannot be."""
    differs = ~difference.isin([*SAME, Difference.UNREADABLE.value])
    branches = []
    if not options.archived_too:
        branches.append((differs & joined.source_archived.fill_null(False), ARCHIVED))
    if options.snapshot is not None:
        branches.append((differs & _newer(joined, options.snapshot), NEWER))
    return ibis.cases(*branches, else_=difference) if branches else difference


def _newer(joined: Table, snapshot: float) -> BooleanColumn:
    then = ibis.literal(datetime.fromtimestamp(snapshot, UTC_ZONE), type=UTC)
    source, destination = joined.source_modified > then, joined.destination_modified > then
    return source.fill_null(False) | destination.fill_null(False)
