"""The comparison on Apache Spark: the same expression, on a session that is handed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import ibis
from ibis.expr.types import Table

from sync.adapters.inventory import Format, Kind
from sync.adapters.inventory_compare.canonical import canonical
from sync.adapters.inventory_compare.functions import SPARK
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
from sync.errors import IntegrityError

_TYPES: Final = {
    Column.TEXT: "string",
    Column.NUMBER: "bigint",
    Column.FLAG: "boolean",
    Column.TIME: "timestamp",
}


class Spark:
    """An engine on a SparkSession, which is left open.

    Times are read and compared in UTC: the session's time zone is set to it.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        session.conf.set("spark.sql.session.timeZone", "UTC")

    def table(self, name: str, shapes: Sequence[Shape], *, records: int | None = None) -> Table:
        """As DuckDb's."""
        tables = [self._one(f"{name}_{at}", each) for at, each in enumerate(shapes, 1)]
        if records is not None:
            self._count(name, tables, records)
        if not tables:
            empty = self._session.sql("SELECT CAST(NULL AS STRING) key, 0L size WHERE false")
            return canonical(self._view(name, empty, NOTHING), Kind.S3, SPARK)
        return united(
            canonical(table, shape.kind, SPARK, encoded_keys=shape.encoded)
            for table, shape in zip(tables, shapes, strict=True)
        )

    def rows(self, report: Table) -> Iterator[Row]:
        """The rows of a report, a partition at a time."""
        frame = self._session.sql(str(ibis.to_sql(report, dialect="pyspark")))
        for row in frame.select(*COLUMNS).toLocalIterator():
            yield Row._make(row)

    def _one(self, name: str, shape: Shape) -> Table:
        frame = self._read(shape)
        return self._view(name, frame, {column: kind_of(of) for column, of in frame.dtypes})

    def _view(self, name: str, frame: Any, columns: dict[str, Column]) -> Table:
        casts = [f"CAST({_name(at)} AS {_TYPES[of]}) AS {_name(at)}" for at, of in columns.items()]
        frame.selectExpr(*casts).createOrReplaceTempView(name)
        return table_of(name, columns)

    def _read(self, shape: Shape) -> Any:
        reader = self._session.read
        if shape.format is Format.PARQUET:
            return reader.option("mergeSchema", "true").parquet(*shape.files)
        if shape.format is Format.ORC:
            return reader.option("mergeSchema", "true").orc(list(shape.files))
        names = csv_names(shape.columns)
        return (
            reader.schema(", ".join(f"{_name(name)} string" for name in names))
            .option("header", str(shape.header).lower())
            .option("sep", shape.delimiter)
            .option("quote", '"')
            .option("escape", '"')
            # A row of the wrong length, or bytes that are no UTF-8, end the comparison.
            .option("mode", "FAILFAST")
            .csv(list(shape.files))
        )

    def _count(self, name: str, tables: Sequence[Table], records: int) -> None:
        found = sum(self._session.table(table.get_name()).count() for table in tables)
        if found != records:
            raise IntegrityError(
                f"{name}: the manifest speaks of {records} rows, its files have {found}"
            )


def _name(text: str) -> str:
    return f"`{text.replace('`', '``')}`"
