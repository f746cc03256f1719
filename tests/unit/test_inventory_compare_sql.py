"""The query for BigQuery: compiled, and checked by its meaning on another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import expressions as nodes

from support.two_inventories import (
    GCS_COLUMNS,
    HOSTILE,
    NOON,
    S3_COLUMNAR,
    Entry,
    Side,
    expected,
    gcs_parquet,
    s3_columnar,
    told,
)
from sync.adapters.inventory import Format, Kind
from sync.adapters.inventory_compare import Comparison, Row
from sync.adapters.inventory_compare.as_sql import GCS_COLUMNS as GCS_USUAL
from sync.adapters.inventory_compare.as_sql import S3_COLUMNS as S3_USUAL
from sync.adapters.inventory_compare.as_sql import bigquery
from sync.errors import ConfigError

_ONE, _TWO = "0" * 31 + "1", "0" * 31 + "2"
_HOW = Comparison(source_prefix="", destination_prefix="é😀", time=True, snapshot=NOON + 50)
# GoogleSQL's functions that the query may call; all are in its reference.
_GOOGLE_SQL = frozenset(
    {
        *("CAST", "CASE", "COALESCE", "CONCAT", "COUNT", "FROM_BASE64", "IF", "LENGTH", "LOWER"),
        *("NULLIF", "REGEXP_CONTAINS", "REPLACE", "STARTS_WITH", "SUBSTRING", "SUM"),
        *("TIMESTAMP", "TO_HEX", "UNIX_SECONDS", "UPPER"),
    }
)


def _query(how: Comparison = _HOW) -> str:
    return bigquery(
        "project.dataset.s3",
        "dataset.gcs",
        how,
        source_columns=S3_COLUMNAR,
        destination_columns=GCS_COLUMNS,
    )


def _entries() -> tuple[list[Entry], list[Entry]]:
    """Every hostile key, in every way to stand."""
    variants: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({}, {}),
        ({"size": 2**42}, {}),
        ({"etag": _TWO}, {}),
        ({"etag": f"{_ONE}-3"}, {}),
        ({"etag": _TWO, "encryption": "", "modified": NOON + 9}, {}),
        ({"size": 7, "storage_class": "GLACIER"}, {}),
        ({"size": 7, "modified": NOON + 100}, {}),
        ({"latest": False}, {}),
        ({}, {"marker": True}),
    )
    source, destination = [], []
    for number, key in enumerate(HOSTILE):
        mine, theirs = variants[number % len(variants)]
        source.append(Entry(key, etag=_ONE)._replace(**mine))
        other = Entry(f"é😀/{key}", md5=_ONE)
        destination.append(other._replace(**theirs))
    return source, destination


def test_the_query_means_what_the_model_says(tmp_path: Path) -> None:
    """Read as GoogleSQL, translated for DuckDB, and run there."""
    source, destination = _entries()
    s3_columnar(tmp_path / "s3", source, Format.PARQUET)
    gcs_parquet(tmp_path / "gcs", destination)
    (tree,) = sqlglot.parse(_query(), dialect="bigquery")
    assert tree is not None
    for table in tree.find_all(nodes.Table):
        table.set("db", None)
        table.set("catalog", None)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in ("s3", "gcs"):
            connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{tmp_path / name}')")
        rows: list[Any] = connection.execute(tree.sql(dialect="duckdb")).fetchall()
    found = told(map(Row._make, rows))
    assert found == expected(Side(Kind.S3, source), Side(Kind.GCS, destination), _HOW)
    assert len({row[1] for row in found}) == 7


def test_only_functions_that_bigquery_has_are_called() -> None:
    tree = sqlglot.parse_one(_query(), dialect="bigquery")
    called = {
        node.name.upper() if isinstance(node, nodes.Anonymous) else node.sql_names()[0]
        for node in tree.find_all(nodes.Func)
    }
    written = {name for name in called if f"{name}(" in _query().upper()}
    assert "SUM" in written
    assert written <= _GOOGLE_SQL
    assert not tree.find(nodes.Anonymous)


def test_the_tables_are_named_as_bigquery_wants_them() -> None:
    assert "FROM `project`.`dataset`.`s3` AS" in _query()
    assert "FROM `dataset`.`gcs` AS" in _query()


def test_what_a_usual_inventory_has_is_enough() -> None:
    names = [[name.strip() for name in text.split(",")] for text in (S3_USUAL, GCS_USUAL)]
    text = bigquery("a.s", "a.d", _HOW, source_columns=names[0], destination_columns=names[1])
    assert "is_latest" not in text
    assert "`e_tag`" in text


@pytest.mark.parametrize("columns", [["key", "size", "nonsense"], ["key"]])
def test_columns_that_make_no_inventory_are_refused(columns: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"nonsense|no field Size"):
        bigquery("a.s", "a.d", _HOW, source_columns=columns, destination_columns=GCS_COLUMNS)


def test_a_table_is_named_with_its_dataset() -> None:
    with pytest.raises(ConfigError, match="dataset"):
        bigquery("s", "a.d", _HOW, source_columns=S3_COLUMNAR, destination_columns=GCS_COLUMNS)
