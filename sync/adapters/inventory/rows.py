"""One row of a data file -> an object as the inventory shows it. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_plus

from sync.adapters.inventory.values import SIZE_UNKNOWN, InventoryRow
from sync.model import Checksums, ListedObject

_CRC32C_BYTES: Final = 4
_MD5_BYTES: Final = 16
_NOT_ENCODED: Final = re.compile("%(?![0-9a-fA-F]{2})")
_FLAGS: Final = {"true": True, "false": False, True: True, False: False}
_CUT: Final = 120
_MOST_DIGITS: Final = 19
"""A size of more digits is none: 63 bits count more than any store holds."""


class UnreadableRow(Exception):
    """The row makes no sense; the text says why."""


class RowReader:
    """Reads the rows of one file.

    ``columns`` are canonical names in the order of a row's values, which are texts (CSV), or
    what pyarrow makes of them, with times as POSIX timestamps. ``encoded``: keys are
    form-encoded, ``+`` is a space: so S3 Inventory writes them in CSV ("the key name is
    URL-encoded and must be decoded", AWS's user guide; with ``+`` as a space: cloud-custodian
    issue 1997), while Parquet, ORC and Google's reports hold them as they are. ``bucket`` is
    the one that the inventory is of, "" where nobody said. ``exact``: see `CsvStyle`.
    """

    def __init__(
        self, columns: Sequence[str], *, encoded: bool, bucket: str = "", exact: bool = False
    ) -> None:
        at = {name: index for index, name in enumerate(columns) if name}
        self._width, self._exact = len(columns), exact
        self._encoded, self._bucket = encoded, bucket
        self._key = at["key"]
        self._at = at.get
        self._bucket_at = at.get("bucket")
        self._size_at = at.get("size")
        self._plain = tuple(at.get(name) for name in ("etag", "storage_class", "access_tier"))
        self._version_at = at.get("version_id")
        self._flags = at.get("is_latest"), at.get("is_delete_marker"), at.get("time_deleted")
        # When the bytes were written; "updated" moves with the metadata, so it comes last.
        times = ("last_modified", "time_created", "updated")
        self._times = tuple(index for name in times if (index := at.get(name)) is not None)
        self._sums = at.get("crc32c"), at.get("md5")

    def row(self, values: Sequence[Any], number: int) -> InventoryRow:
        """The row. UnreadableRow where a value is missing or is not what it should be."""
        count = len(values)
        if count != self._width and (count < self._width or self._exact):
            raise UnreadableRow(f"{count} columns, {self._width} were expected")
        latest, marker = self._state(values)
        etag_at, class_at, tier_at = self._plain
        etag = "" if etag_at is None else values[etag_at] or ""
        storage_class = "" if class_at is None else values[class_at] or ""
        tier = "" if tier_at is None else values[tier_at] or ""
        listed = ListedObject(
            self._decoded(values[self._key]),
            0 if marker else self._size(values),
            etag.strip('"'),
            self._time(values),
            storage_class or "STANDARD",
            _optional(values, self._version_at),
            self._checksums(values) if self._sums != (None, None) else None,
        )
        return InventoryRow(number, self._of_bucket(values), listed, latest, marker, tier)

    def _decoded(self, key: Any) -> str:
        if isinstance(key, bytes):
            key = key.decode("utf-8", "surrogateescape")
        if not key:
            raise UnreadableRow("no key")
        if self._encoded and ("%" in key or "+" in key):
            key = _form_decoded(key)
        if not key.isascii():
            _require_text(key)
        return str(key)

    def _size(self, values: Sequence[Any]) -> int:
        if self._size_at is None:
            return SIZE_UNKNOWN
        value = values[self._size_at]
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            if len(value) > _MOST_DIGITS:
                raise UnreadableRow(f"size {_shown(value)} is above that of any object")
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise UnreadableRow(f"size {_shown(value)} is not a number of bytes")

    def _state(self, values: Sequence[Any]) -> tuple[bool, bool]:
        latest_at, marker_at, deleted_at = self._flags
        latest = latest_at is None or _flag(values[latest_at], "IsLatest", default=True)
        marker = marker_at is not None and _flag(values[marker_at], "IsDeleteMarker", default=False)
        # Google's reports have no IsLatest: a version that was replaced has a time of deletion.
        deleted = deleted_at is not None and values[deleted_at]
        return latest and not deleted, marker

    def _time(self, values: Sequence[Any]) -> float:
        for index in self._times:
            value = values[index]
            if value:
                return _timestamp(value)
        return 0.0

    def _of_bucket(self, values: Sequence[Any]) -> str:
        named = "" if self._bucket_at is None else values[self._bucket_at] or ""
        if named and self._bucket and named != self._bucket:
            raise UnreadableRow(
                f"bucket {_shown(named)} in an inventory of the bucket {self._bucket}"
            )
        return named or self._bucket

    def _checksums(self, values: Sequence[Any]) -> Checksums | None:
        crc_at, md5_at = self._sums
        crc = None if crc_at is None else _digest(values[crc_at], _CRC32C_BYTES, "crc32c")
        md5 = None if md5_at is None else _digest(values[md5_at], _MD5_BYTES, "md5Hash")
        if crc is None and md5 is None:
            return None
        return Checksums(None if crc is None else int.from_bytes(crc, "big"), md5=md5)


def _form_decoded(key: str) -> str:
    # Encoded text never holds a percent sign that begins no %XX: what does is not encoded.
    if "%" not in key:
        return key.replace("+", " ")
    if _NOT_ENCODED.search(key):
        raise UnreadableRow(f"key {_shown(key)} is not URL-encoded (--keys plain?)")
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise UnreadableRow(f"key {_shown(key)} is not URL-encoded UTF-8") from None


def _require_text(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UnreadableRow(f"key {_shown(key)} is not UTF-8") from None


def _optional(values: Sequence[Any], index: int | None) -> str | None:
    value = None if index is None else values[index]
    return None if value is None or value == "" else str(value)


def _flag(value: Any, name: str, *, default: bool) -> bool:
    flag = _FLAGS.get(value)
    if flag is not None:
        return flag
    if value is None or value == "":
        return default
    flag = _FLAGS.get(str(value).lower())
    if flag is None:
        raise UnreadableRow(f"{name} {_shown(value)} is neither true nor false")
    return flag


def _timestamp(value: Any) -> float:
    if isinstance(value, float | int):
        return float(value)
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        raise UnreadableRow(f"{_shown(value)} is not a time") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _digest(value: Any, length: int, name: str) -> bytes | None:
    """Base64 as Google's API writes checksums, or hexadecimal."""
    if value is None or value == "":
        return None
    try:
        text = str(value)
        # Neither length is divisible by three, so base64 is padded.
        found = base64.b64decode(text) if text.endswith("=") else bytes.fromhex(text)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != length:
        raise UnreadableRow(f"{name} {_shown(value)} is not a checksum")
    return found


def _shown(value: object) -> str:
    return ascii(value)[:_CUT]
