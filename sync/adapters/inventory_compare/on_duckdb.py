"""The comparison on embedded DuckDB: out of core, results streamed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import ibis
import pyarrow as pa
from ibis.expr.types import Table

from sync.adapters.inventory import Format, Kind
from sync.adapters.inventory_compare.canonical import canonical
from sync.adapters.inventory_compare.functions import DUCKDB
from sync.adapters.inventory_compare.inputs import (
    NOTHING,
    Column,
    csv_names,
    kind_of,
    table_of,
    united,
)
from sync.adapters.inventory_compare.results import COLUMNS, Row
from sync.adapters.inventory_compare.shapes import Shape
from sync.errors import ConfigError, IntegrityError, SyncError

_ROWS: Final = 20_000
_TEXTS: Final = 4
_TYPES: Final = {
    Column.TEXT: "VARCHAR",
    Column.NUMBER: "BIGINT",
    Column.FLAG: "BOOLEAN",
    Column.TIME: "TIMESTAMPTZ",
}


_ARROW: Final = pa.schema(
    (name, pa.string() if at < _TEXTS else pa.int64()) for at, name in enumerate(COLUMNS)
)


class DuckDb:
    """An engine in this process; a context that closes it.

    ``memory_limit`` (bytes) bounds DuckDB's own memory; what has no room there goes to the
    folder ``temp_directory``.
    """

    def __init__(
        self, *, memory_limit: int, temp_directory: Path, threads: int | None = None
    ) -> None:
        self._connection: Any = duckdb.connect(
            config={
                "memory_limit": f"{memory_limit}B",
                "temp_directory": str(temp_directory),
                "threads": str(threads or os.cpu_count() or 1),
                # The order of rows says nothing, and keeping it costs memory.
                "preserve_insertion_order": "false",
                # All that is used is built in: nothing is ever fetched from anywhere.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give memory and files back."""
        self._connection.close()

    def table(self, name: str, shapes: Sequence[Shape], *, records: int | None = None) -> Table:
        """The canonical table of data files.

        ConfigError where a field is missing; IntegrityError where a file cannot be read, or
        there are not as many rows as ``records``.
        """
        with _plain_errors():
            tables = [self._one(f"{name} {at}", each) for at, each in enumerate(shapes, 1)]
            if records is not None:
                self._count(name, tables, records)
            if not tables:
                return self._nothing(name)
        return united(
            canonical(table, shape.kind, DUCKDB, encoded_keys=shape.encoded)
            for table, shape in zip(tables, shapes, strict=True)
        )

    def rows(self, report: Table) -> Iterator[Row]:
        """The rows of a report, as they come."""
        with _plain_errors():
            relation = self._connection.sql(str(ibis.to_sql(report, dialect="duckdb")))
            for batch in relation.to_arrow_reader(_ROWS):
                whole = batch.cast(_ARROW)
                columns = (column.to_pylist() for column in whole.columns)
                yield from map(Row._make, zip(*columns, strict=True))

    def _one(self, name: str, shape: Shape) -> Table:
        read = _csv(shape) if shape.format is Format.CSV else _parquet(shape)
        described = self._connection.execute(f"DESCRIBE FROM {read}").fetchall()
        return self._view(name, {row[0]: kind_of(row[1]) for row in described}, f"FROM {read}")

    def _nothing(self, name: str) -> Table:
        """An inventory of an empty bucket may have no file."""
        table = self._view(name, NOTHING, "FROM (SELECT NULL key, NULL size) WHERE false")
        return canonical(table, Kind.S3, DUCKDB)

    def _view(self, name: str, columns: dict[str, Column], source: str) -> Table:
        casts = ", ".join(
            f"CAST({_name(column)} AS {_TYPES[kind]}) AS {_name(column)}"
            for column, kind in columns.items()
        )
        self._connection.execute(f"CREATE VIEW {_name(name)} AS SELECT {casts} {source}")
        return table_of(name, columns)

    def _count(self, name: str, tables: Sequence[Table], records: int) -> None:
        found = 0
        for table in tables:
            sql = f"FROM {_name(table.get_name())} SELECT count(*)"
            found += self._connection.execute(sql).fetchall()[0][0]
        if found != records:
            raise IntegrityError(
                f"{name}: the manifest speaks of {records} rows, its files have {found}"
            )


def _csv(shape: Shape) -> str:
    columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in csv_names(shape.columns))
    compression = "gzip" if shape.compressed else "none"
    return (
        f"read_csv({_files(shape)}, columns = {{{columns}}}, header = {shape.header}, "
        f"delim = {_text(shape.delimiter)}, quote = '\"', escape = '\"', auto_detect = false, "
        f"compression = '{compression}')"
    )


def _parquet(shape: Shape) -> str:
    """Files of one inventory may differ: a field that was added later is in the new ones."""
    return f"read_parquet({_files(shape)}, union_by_name = true, binary_as_string = true)"


def _files(shape: Shape) -> str:
    return f"[{', '.join(map(_text, shape.files))}]"


def _name(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"'


def _text(text: str) -> str:
    return f"'{text.replace(chr(39), chr(39) * 2)}'"


@contextmanager
def _plain_errors() -> Iterator[None]:
    """DuckDB's errors as ours."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise _too_little(error) from None
    except duckdb.IOException as error:
        if "No space left" in str(error):
            raise _too_little(error) from None
        raise IntegrityError(f"a data file cannot be read: {_first(error)}") from None
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        raise IntegrityError(f"a data file is cut or damaged: {_first(error)}") from None
    except duckdb.Error as error:
        raise SyncError(f"the comparison failed: {_first(error)}") from None


def _too_little(error: Exception) -> ConfigError:
    return ConfigError(
        f"the comparison has too little memory, or disk ({_first(error)}): give it more with "
        "--memory-limit, a folder with room with --work-directory, or fewer --threads"
    )


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0]
