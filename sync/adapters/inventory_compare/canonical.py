"""Inventories of both clouds as one kind of table.

A canonical table has these columns:

==============  =========  ===========================================================
key             string     the object's key as it is; NULL where it could not be decoded
raw             string     only where ``key`` is NULL: what the inventory says
size            int64      bytes
digest          string     S3: the ETag; Cloud Storage: the MD5 in hex; NULL: none
certain         boolean    ``digest`` is the MD5 of the object's bytes, beyond doubt
modified        timestamp  UTC, when this version was written; NULL: not known
archived        boolean    it must be restored before it can be read
==============  =========  ===========================================================

It lists current objects only: no delete markers, no older versions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import ibis
from ibis.expr.types import BooleanColumn, Column, StringColumn, Table

from sync.adapters.inventory import Kind
from sync.adapters.inventory import canonical as canonical_name
from sync.errors import ConfigError
from sync.model import ARCHIVED

UTC: Final = "timestamp('UTC')"
# Text in which each %XX run is valid UTF-8 (RFC 3629); what DuckDB refuses, Spark would replace.
_TAIL: Final = "%[89AaBb][0-9A-Fa-f]"
_DECODABLE: Final = (
    "^(?:[^%]+|(?:%[0-7][0-9A-Fa-f])+"
    f"|%[Cc][2-9A-Fa-f]{_TAIL}|%[Dd][0-9A-Fa-f]{_TAIL}"
    f"|%[Ee]0%[AaBb][0-9A-Fa-f]{_TAIL}|%[Ee][1-9A-CEFa-cef]{_TAIL}{_TAIL}"
    f"|%[Ee][Dd]%[89][0-9A-Fa-f]{_TAIL}"
    f"|%[Ff]0%[9AaBb][0-9A-Fa-f]{_TAIL}{_TAIL}|%[Ff][1-3]{_TAIL}{_TAIL}{_TAIL}"
    f"|%[Ff]4%8[0-9A-Fa-f]{_TAIL}{_TAIL})*$"
)
_MD5_HEX: Final = "^[0-9a-f]{32}$"
_MD5_BASE64: Final = "^[A-Za-z0-9+/]{22}==$"
# With these the ETag is the MD5 of the bytes; with KMS or customer keys it is not.
_PLAIN_ENCRYPTION: Final = ("SSE-S3", "NOT-SSE")
_ARCHIVED: Final = tuple(sorted(ARCHIVED))
_ARCHIVED_TIERS: Final = ("ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS")
_SPELT: Final = {"key": "Key", "size": "Size", "is_latest": "IsLatest"}


@dataclass(frozen=True, slots=True)
class Functions:
    """What Ibis has no common word for. ``url_decode`` gets only what is valid UTF-8, with no
    ``+``; None where the engine has no such function. ``base64_hex`` gives lower case hex.
    """

    name: str
    base64_hex: Callable[[StringColumn], StringColumn]
    url_decode: Callable[[StringColumn], StringColumn] | None


def canonical(
    table: Table, kind: Kind, functions: Functions, *, encoded_keys: bool = False
) -> Table:
    """The canonical table of an inventory, whatever types its columns came in.

    Plain files are taken for Google's where they have Google's columns. ``encoded_keys``: keys
    are form-encoded, as in CSV files of S3 Inventory. ConfigError says which field the
    inventory would have to be configured with.
    """
    fields = _Fields(table)
    view = _gcs(fields, functions) if fields.of_google(kind) else _s3(fields)
    return _keyed(view, functions, encoded=encoded_keys)


class _Fields:
    """Columns by their canonical names: ``LastModifiedDate`` is ``last_modified_date`` too."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._names = {canonical_name(name) or name: name for name in table.columns}

    def of_google(self, kind: Kind) -> bool:
        """Only Google's reports have any of these."""
        if kind is not Kind.PLAIN:
            return kind is Kind.GCS
        return any(map(self.has, ("md5", "time_created", "time_deleted")))

    def has(self, name: str) -> bool:
        return name in self._names

    def need(self, name: str) -> Column:
        if not self.has(name):
            raise ConfigError(
                f"the inventory {self.table.get_name()} has no field {_SPELT[name]}, which the "
                "comparison needs: add it to the inventory's configuration and wait for the next"
            )
        return self.table[self._names[name]]

    def text(self, name: str) -> StringColumn:
        """The column as text; NULL for "" and where there is no such column."""
        if not self.has(name):
            return ibis.null("string")
        return self.need(name).cast("string").nullif("")

    def number(self, name: str) -> Column:
        return _loose(self.need(name), "int64")

    def time(self, name: str) -> Column:
        return _loose(self.need(name), UTC) if self.has(name) else ibis.null(UTC)

    def flag(self, name: str, *, default: bool) -> BooleanColumn:
        column = self.need(name)
        if column.type().is_boolean():
            return column.fill_null(default)
        return (column.cast("string").lower() == "true").fill_null(default)


def _loose(column: Column, kind: str) -> Column:
    """NULL for text that is none of the kind, and for ""."""
    if column.type().is_string():
        return column.nullif("").try_cast(kind)
    return column.cast(kind)


def _s3(fields: _Fields) -> Table:
    """S3 Inventory: ``Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ...``."""
    etag = fields.text("etag").replace('"', "").lower()
    encryption = fields.text("encryption_status").upper()
    certain = (etag.re_search(_MD5_HEX) & encryption.isin(_PLAIN_ENCRYPTION)).fill_null(False)
    table = fields.table
    for keep in _current(fields):
        table = table.filter(keep)
    return table.select(
        key=fields.need("key").cast("string"),
        size=fields.number("size"),
        digest=etag,
        certain=certain,
        modified=fields.time("last_modified"),
        archived=_archived(fields),
    )


def _archived(fields: _Fields) -> BooleanColumn:
    tier = fields.text("access_tier").upper().replace(" ", "_").replace("-", "_")
    frozen = fields.text("storage_class").isin(_ARCHIVED)
    return frozen.fill_null(False) | tier.isin(_ARCHIVED_TIERS).fill_null(False)


def _current(fields: _Fields) -> list[BooleanColumn]:
    """What keeps rows of current objects. An inventory of all versions must say which is which."""
    keep = []
    if fields.has("version_id") or fields.has("is_latest"):
        keep.append(fields.flag("is_latest", default=True))
    if fields.has("is_delete_marker"):
        keep.append(~fields.flag("is_delete_marker", default=False))
    return keep


def _gcs(fields: _Fields, functions: Functions) -> Table:
    """Storage Insights: ``bucket, name, size, timeCreated, timeDeleted, md5Hash, ...``.

    A row with a time of deletion is a noncurrent version. All classes are read at once.
    """
    md5 = fields.text("md5")
    digest = md5.re_search(_MD5_BASE64).ifelse(functions.base64_hex(md5), ibis.null("string"))
    table = fields.table
    if fields.has("time_deleted"):
        table = table.filter(fields.text("time_deleted").isnull())
    return table.select(
        key=fields.need("key").cast("string"),
        size=fields.number("size"),
        digest=digest,
        certain=digest.notnull(),
        modified=ibis.coalesce(fields.time("time_created"), fields.time("updated")),
        archived=ibis.literal(False),
    )


def _keyed(view: Table, functions: Functions, *, encoded: bool) -> Table:
    if not encoded:
        return view.mutate(raw=ibis.null("string"))
    decode = functions.url_decode
    if decode is None:
        raise ConfigError(
            f"{functions.name} cannot decode the URL-encoded keys of a CSV inventory: "
            "have the inventory written as Parquet or ORC and load that"
        )
    readable = ~view.key.contains("%") | view.key.re_search(_DECODABLE)
    spelt = view.key.replace("+", "%20")
    key = ibis.cases(
        (~spelt.contains("%"), spelt), (readable, decode(spelt)), else_=ibis.null("string")
    )
    return view.mutate(key=key, raw=readable.ifelse(ibis.null("string"), view.key))
