"""Two inventories for comparisons: entries, data files of both clouds, and a naive model."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pyarrow as pa
from pyarrow import orc, parquet

from sync.adapters.inventory import Format, Kind
from sync.adapters.inventory_compare import Comparison, Row, Shape

NOON = 1_714_478_400
S3_CANONICAL = (
    *("bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "last_modified"),
    *("etag", "storage_class", "access_tier", "encryption_status"),
)
S3_COLUMNAR = (
    *("bucket", "key", "version_id", "is_latest", "is_delete_marker", "size"),
    *("last_modified_date", "e_tag", "storage_class", "intelligent_tiering_access_tier"),
    "encryption_status",
)
GCS_COLUMNS = (
    *("bucket", "name", "size", "timeCreated", "timeDeleted", "updated", "md5Hash", "etag"),
)
GCS_CANONICAL = (
    *("bucket", "key", "size", "time_created", "time_deleted", "updated", "md5", "etag"),
)
# What breaks decoders, quoting, collations and normal forms.
HOSTILE = (
    *("a b", "a+b", "a%20b", "a%2Bb", "a%2520b", "%", "%%", "%zz", "100%", "+", " ", "  a  "),
    *("é", "e\u0301", "É", "A", "a", "ß", "ss", "中文/键", "😀", "\uffff", "\ufffd", "\U0010ffff"),
    *('q"uo,te;\t', "'", "\\x41", "\\N", "NULL", "//", "a//b", "/a", "a/../b", "x" * 1024),
    *("\x00", "\x01\x7f", "\u2028", "\u00a0", "i\u0307", "İ", "a\u200b", "-5", "1e3", "true"),
)
# What S3 never writes into CSV: not UTF-8, or no escape at all.
UNREADABLE = (
    *("%FF", "a%C3", "%C0%80", "%ED%A0%80", "%F4%90%80%80", "%F0%9F%98", "%E4%B8x"),
    *("%", "%4", "%z", "%EF%BF%BD%FF"),
)


class Entry(NamedTuple):
    """One version at one side. ``etag`` is S3's, ``md5`` (hex) Google's."""

    key: str
    size: int = 1
    etag: str = ""
    md5: str = ""
    modified: int = NOON
    encryption: str = "SSE-S3"
    storage_class: str = "STANDARD"
    tier: str = ""
    latest: bool = True
    marker: bool = False


def plus(key: str) -> str:
    """As S3 Inventory writes keys into CSV."""
    return quote_plus(key, safe="/")


def percent(key: str) -> str:
    """The same with %20, and small hex digits."""
    return re.sub("%..", lambda found: found[0].lower(), quote(key, safe="/*~"))


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def s3_csv(
    path: Path, entries: Iterable[Entry], *, encode: Callable[[str], str] = plus
) -> list[Shape]:
    """S3 Inventory's CSV, compressed."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for at in entries:
        flags = str(at.latest).lower(), str(at.marker).lower()
        facts = "" if at.marker else at.size, _time(at.modified), at.etag, at.storage_class
        writer.writerow(["b", encode(at.key), "v", *flags, *facts, at.tier, at.encryption])
    path.write_bytes(gzip.compress(text.getvalue().encode()))
    return [_shape(Kind.S3, Format.CSV, path, S3_CANONICAL, compressed=True, encoded=True)]


def s3_columnar(path: Path, entries: Iterable[Entry], form: Format) -> list[Shape]:
    """S3 Inventory's Parquet or ORC."""
    rows = [
        {
            "bucket": "b",
            "key": at.key,
            "version_id": "v",
            "is_latest": at.latest,
            "is_delete_marker": at.marker,
            "size": None if at.marker else at.size,
            "last_modified_date": datetime.fromtimestamp(at.modified, UTC),
            "e_tag": at.etag or None,
            "storage_class": at.storage_class,
            "intelligent_tiering_access_tier": at.tier or None,
            "encryption_status": at.encryption or None,
        }
        for at in entries
    ]
    fields: dict[str, Any] = dict.fromkeys(S3_COLUMNAR, pa.string())
    fields |= {"is_latest": pa.bool_(), "is_delete_marker": pa.bool_(), "size": pa.int64()}
    fields["last_modified_date"] = pa.timestamp("ms", tz="UTC")
    _write(path, rows, fields, form)
    return [_shape(Kind.S3, form, path, ())]


def gcs_csv(path: Path, entries: Iterable[Entry]) -> list[Shape]:
    """A Storage Insights report's CSV; keys as they are."""
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(GCS_COLUMNS)
        for at in entries:
            gone = _time(at.modified + 5) if at.marker else ""
            times = _time(at.modified), gone, _time(at.modified + 9_999)
            writer.writerow(["b", at.key, at.size, *times, _base64(at.md5), "CKih16="])
    return [_shape(Kind.GCS, Format.CSV, path, GCS_CANONICAL, header=True)]


def gcs_parquet(path: Path, entries: Iterable[Entry]) -> list[Shape]:
    """A Storage Insights report's Parquet."""
    rows = [
        {
            "bucket": "b",
            "name": at.key,
            "size": at.size,
            "timeCreated": datetime.fromtimestamp(at.modified, UTC),
            "timeDeleted": datetime.fromtimestamp(at.modified + 5, UTC) if at.marker else None,
            "updated": datetime.fromtimestamp(at.modified + 9_999, UTC),
            "md5Hash": _base64(at.md5) or None,
            "etag": "CKih16=",
        }
        for at in entries
    ]
    fields: dict[str, Any] = dict.fromkeys(GCS_COLUMNS, pa.string()) | {"size": pa.int64()}
    for name in ("timeCreated", "timeDeleted", "updated"):
        fields[name] = pa.timestamp("us", tz="UTC")
    _write(path, rows, fields, Format.PARQUET)
    return [_shape(Kind.GCS, Format.PARQUET, path, ())]


def _write(path: Path, rows: list[dict[str, Any]], fields: dict[str, Any], form: Format) -> None:
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(fields.items())))
    if form is Format.ORC:
        orc.write_table(table, path)
    else:
        parquet.write_table(table, path)


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _shape(kind: Kind, form: Format, path: Path, columns: Sequence[str], **options: Any) -> Shape:
    return Shape(kind=kind, format=form, files=(str(path),), columns=tuple(columns), **options)


class Side(NamedTuple):
    """The current objects of one side, by key."""

    kind: Kind
    entries: Sequence[Entry]

    def current(self) -> dict[str, Entry]:
        google = self.kind is Kind.GCS
        return {at.key: at for at in self.entries if not at.marker and (google or at.latest)}

    def digest(self, at: Entry) -> tuple[str, bool]:
        """What tells contents apart, and whether it is surely the MD5."""
        if self.kind is Kind.GCS:
            return at.md5, bool(at.md5)
        etag = at.etag.strip('"').lower()
        whole = len(etag) == 32 and "-" not in etag
        return etag, whole and at.encryption in {"SSE-S3", "NOT-SSE"}


Told = tuple[str, str, str, int | None, int | None, int | None, int | None]


def expected(source: Side, destination: Side, how: Comparison) -> Counter[Told]:
    """What a comparison has to tell, worked out the slow and obvious way."""
    prefix = how.destination_prefix
    prefix += "/" if prefix and not prefix.endswith("/") else ""
    left = {k: at for k, at in source.current().items() if k.startswith(how.source_prefix)}
    right = {
        key[len(prefix) :]: at
        for key, at in destination.current().items()
        if key.startswith(prefix) and key[len(prefix) :].startswith(how.source_prefix)
    }
    told: Counter[Told] = Counter()
    for key in left.keys() | right.keys():
        one, other = left.get(key), right.get(key)
        kind = _difference(source, destination, one, other, how)
        if kind in {"equal", "unverified"}:
            told[kind, kind, "", None, None, None, None] += 1
            continue
        sizes = one.size if one else None, other.size if other else None
        times = one.modified if one else None, other.modified if other else None
        told[_class(source, kind, one, times, how), kind, key, *sizes, *times] += 1
    return told


def _class(
    source: Side, kind: str, one: Entry | None, times: Sequence[int | None], how: Comparison
) -> str:
    if source.kind is Kind.S3 and one is not None and not how.archived_too:
        frozen = one.storage_class in {"GLACIER", "DEEP_ARCHIVE"}
        if frozen or "ARCHIVE" in one.tier:
            return "archived"
    if how.snapshot is not None and any(at is not None and at > how.snapshot for at in times):
        return "newer-than-inventory"
    return kind


def _difference(
    source: Side, destination: Side, one: Entry | None, other: Entry | None, how: Comparison
) -> str:
    if one is None or other is None:
        return "missing" if one else "extraneous"
    if one.size != other.size:
        return "size"
    if how.checksum:
        (mine, sure), (theirs, surely) = source.digest(one), destination.digest(other)
        if mine and mine == theirs:
            return "equal"
        if sure and surely:
            return "checksum"
    if how.time and one.modified > other.modified:
        return "time"
    return "unverified" if how.checksum else "equal"


def told(rows: Iterable[Row]) -> Counter[Told]:
    """Rows of an engine in the model's form."""
    found: Counter[Told] = Counter()
    for row in rows:
        sizes, times = row[4:6], row[6:8]
        found[row.kind, row.difference, row.key or row.raw or "", *sizes, *times] += row.objects
    return found
