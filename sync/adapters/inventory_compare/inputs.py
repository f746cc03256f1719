"""Data files as an engine has them, and as Ibis is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import reduce
from typing import Final

import ibis
from ibis.expr.types import Table

from sync.adapters.inventory_compare.canonical import UTC


class Column(StrEnum):
    """What a column holds, as Ibis calls it. Engines cast to these when they read files."""

    TEXT = "string"
    NUMBER = "int64"
    FLAG = "boolean"
    TIME = UTC


# As the engines name them: Spark says int, DuckDB INTEGER, and it knows unsigned ones too.
_WHOLE: Final = frozenset(
    f"{sign}{size}"
    for sign in ("", "u")
    for size in ("tinyint", "smallint", "int", "integer", "bigint")
)


def kind_of(type_name: str) -> Column:
    """The kind of an engine's column type, by the type's name."""
    name = type_name.lower()
    if name in _WHOLE:
        return Column.NUMBER
    if name.startswith("timestamp"):
        return Column.TIME
    return Column.FLAG if name == "boolean" else Column.TEXT


NOTHING = {"key": Column.TEXT, "size": Column.NUMBER}


def csv_names(columns: Sequence[str]) -> list[str]:
    """A name for each column of a CSV file; they may not be empty."""
    return [name or f"unused_{at}" for at, name in enumerate(columns)]


def table_of(name: str, columns: Mapping[str, Column]) -> Table:
    """A table that an engine knows by that name."""
    return ibis.table({column: str(kind) for column, kind in columns.items()}, name=name)


def table_in(place: Sequence[str], columns: Mapping[str, Column]) -> Table:
    """A table by its name and what that is in: dataset, or project and dataset."""
    *within, name = place
    kinds = {column: str(kind) for column, kind in columns.items()}
    catalog = within[0] if len(within) > 1 else None
    return ibis.table(kinds, name=name, database=within[-1], catalog=catalog)


def united(tables: Iterable[Table]) -> Table:
    """All rows of all tables."""
    return reduce(lambda one, other: one.union(other), tables)
