"""The comparison as the text of a query, for engines that are not reached from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import ibis
from ibis.expr.types import Table

from sync.adapters.inventory import Kind
from sync.adapters.inventory import canonical as canonical_name
from sync.adapters.inventory_compare.canonical import canonical
from sync.adapters.inventory_compare.expression import Comparison, compare, report
from sync.adapters.inventory_compare.functions import BIGQUERY
from sync.adapters.inventory_compare.inputs import Column, table_in
from sync.errors import ConfigError

# Without the columns of an inventory of all versions; those a table must have are known then.
S3_COLUMNS: Final = (
    "key, size, last_modified_date, e_tag, storage_class, intelligent_tiering_access_tier, "
    "encryption_status"
)
GCS_COLUMNS: Final = "name, size, timeCreated, timeDeleted, md5Hash"
_PARTS: Final = (2, 3)
_KINDS: Final = {
    "size": Column.NUMBER,
    "is_latest": Column.FLAG,
    "is_delete_marker": Column.FLAG,
    "last_modified": Column.TIME,
    "time_created": Column.TIME,
    "time_deleted": Column.TIME,
    "updated": Column.TIME,
}


def bigquery(
    source: str,
    destination: str,
    options: Comparison,
    *,
    source_columns: Sequence[str],
    destination_columns: Sequence[str],
) -> str:
    """The report's query in GoogleSQL, over tables that inventories were loaded into.

    Tables are ``project.dataset.table`` or ``dataset.table``, loaded from Parquet or ORC with
    their columns' own types (CSV's encoded keys cannot be decoded there). Compiled, not run.
    """
    left = _loaded(source, source_columns)
    right = _loaded(destination, destination_columns)
    return str(ibis.to_sql(report(compare(left, right, options)), dialect="bigquery"))


def _loaded(name: str, columns: Sequence[str]) -> Table:
    unknown = [column for column in columns if not canonical_name(column)]
    if unknown:
        raise ConfigError(f"{name}: no such field of an inventory: {', '.join(unknown)}")
    kinds = {column: _KINDS.get(canonical_name(column), Column.TEXT) for column in columns}
    place = name.split(".")
    if len(place) not in _PARTS or not all(place):
        raise ConfigError(f"{name!r} is no table: project.dataset.table, or dataset.table")
    return canonical(table_in(place, kinds), Kind.PLAIN, BIGQUERY)
