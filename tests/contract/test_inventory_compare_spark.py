"""The same expression on Spark: it tells what DuckDB and a naive model tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import inventories
from support.spark import spark_session
from support.two_inventories import (
    HOSTILE,
    NOON,
    UNREADABLE,
    Entry,
    Side,
    expected,
    gcs_csv,
    gcs_parquet,
    percent,
    plus,
    s3_columnar,
    s3_csv,
    told,
)
from sync.adapters.inventory import Format, Kind
from sync.adapters.inventory_compare import Comparison, DuckDb, Shape, compare, report
from sync.adapters.inventory_compare.on_spark import Spark
from sync.cli import main
from sync.errors import IntegrityError

_ONE, _TWO = "0" * 31 + "1", "0" * 31 + "2"


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield Spark(session)


def _mixed(under: str) -> tuple[list[Entry], list[Entry]]:
    """Every way to stand, each with a key of its own that breaks something."""
    variants: tuple[tuple[dict[str, Any] | None, dict[str, Any] | None], ...] = (
        ({}, {}),
        ({}, None),
        (None, {}),
        ({"size": 2**42}, {}),
        ({"etag": _TWO}, {}),
        ({"etag": f'"{_ONE.upper()}"'}, {}),
        ({"etag": f"{_ONE}-3"}, {}),
        ({"etag": _TWO, "encryption": "SSE-KMS"}, {}),
        ({"etag": ""}, {"md5": ""}),
        ({"etag": _TWO, "encryption": "", "modified": NOON + 9}, {}),
        ({"size": 7, "storage_class": "DEEP_ARCHIVE"}, {}),
        ({"size": 7, "tier": "ARCHIVE"}, None),
        ({"size": 7, "modified": NOON + 100}, {}),
        ({"latest": False}, {}),
        ({"marker": True}, {"marker": True}),
        ({"size": 3}, {"modified": NOON + 100}),
    )
    source, destination = [], []
    for number, (mine, theirs) in enumerate(variants * 3):
        key = f"{HOSTILE[number % len(HOSTILE)]}{number}"
        if mine is not None:
            source.append(Entry(key, etag=_ONE)._replace(**mine))
        if theirs is not None:
            destination.append(Entry(under + key, md5=_ONE, etag=_ONE)._replace(**theirs))
    return source, destination


_HOW = Comparison(destination_prefix="é😀", time=True, snapshot=NOON + 50)


@pytest.mark.parametrize("kind", ["CSV", "Parquet", "ORC"])
def test_spark_tells_what_duckdb_and_a_model_tell(spark: Spark, tmp_path: Path, kind: str) -> None:
    source, destination = _mixed("é😀/")
    if kind == "CSV":
        left = s3_csv(tmp_path / "s.csv.gz", source)
        right = gcs_csv(tmp_path / "d.csv", destination)
    else:
        left = s3_columnar(
            tmp_path / "s", source, Format.PARQUET if kind == "Parquet" else Format.ORC
        )
        right = gcs_parquet(tmp_path / "d", destination)
    tables = spark.table(f"source_{kind}", left), spark.table(f"destination_{kind}", right)
    found = told(spark.rows(report(compare(*tables, _HOW))))
    assert found == expected(Side(Kind.S3, source), Side(Kind.GCS, destination), _HOW)
    assert len({row[1] for row in found}) == 7
    if kind != "ORC":
        assert found == _on_duckdb(tmp_path, left, right)


def _on_duckdb(folder: Path, left: list[Shape], right: list[Shape]) -> object:
    with DuckDb(memory_limit=100_000_000, temp_directory=folder, threads=1) as duck:
        tables = duck.table("source", left), duck.table("destination", right)
        return told(duck.rows(report(compare(*tables, _HOW))))


def test_hostile_keys_of_csv_meet_themselves_and_nothing_else(spark: Spark, tmp_path: Path) -> None:
    source = [Entry(key, etag=_ONE) for key in HOSTILE]
    destination = [Entry(key, md5=_ONE) for key in HOSTILE]
    shapes = s3_csv(tmp_path / "s.csv.gz", source, encode=plus)
    again = s3_csv(tmp_path / "t.csv.gz", source, encode=percent)
    right = spark.table("hostile", gcs_parquet(tmp_path / "d", destination))
    for number, each in enumerate((shapes, again)):
        left = spark.table(f"spelt{number}", each)
        rows = list(spark.rows(report(compare(left, right, Comparison()))))
        assert [(row.kind, row.objects) for row in rows] == [("equal", len(HOSTILE))]


def test_keys_that_are_no_text_are_told_and_are_no_other_key(spark: Spark, tmp_path: Path) -> None:
    left = s3_csv(tmp_path / "s.csv.gz", [Entry(raw) for raw in UNREADABLE], encode=str)
    right = gcs_csv(tmp_path / "d.csv", [Entry("\ufffd"), Entry("%FF")])
    tables = spark.table("unread", left), spark.table("replaced", right)
    found = sorted(
        (row.kind, row.raw or row.key) for row in spark.rows(report(compare(*tables, Comparison())))
    )
    assert found == sorted(
        [("extraneous", "%FF"), ("extraneous", "\ufffd")]
        + [("unreadable-key", raw) for raw in UNREADABLE]
    )


def test_an_inventory_without_files_is_one_of_an_empty_bucket(spark: Spark, tmp_path: Path) -> None:
    left = spark.table("only", s3_csv(tmp_path / "s.csv.gz", [Entry("a")]), records=1)
    rows = list(spark.rows(report(compare(left, spark.table("none", []), Comparison()))))
    assert [(row.kind, row.key) for row in rows] == [("missing", "a")]


def test_fewer_rows_than_the_manifest_says_are_refused(spark: Spark, tmp_path: Path) -> None:
    right = gcs_csv(tmp_path / "d.csv", [Entry("a"), Entry("b")])
    with pytest.raises(IntegrityError, match="speaks of 3 rows, its files have 2"):
        spark.table("short", right, records=3)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("kind", ["CSV", "ORC"])
def test_the_verb_on_spark(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes the session that is there, and the files where they are."""
    items = [inventories.Item("a b+c/ü"), inventories.Item("gone")]
    one = inventories.s3_inventory(kind, items[:1], items[1:]).write(tmp_path / "one")
    rows = [inventories.gcs_row("a b+c/ü", b"", crc32c=0) | {"size": 1}]
    report_ = inventories.gcs_report({"0.csv": inventories.gcs_csv(rows)}, 1)
    two = report_.write(tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    options = ("--engine", "spark", "--config", "/dev/null", "--output", "-")
    assert main(["inventory", "compare", str(one), str(two), *options]) == 3
    out = capsys.readouterr().out
    assert [json.loads(line)["key"] for line in out.splitlines()] == ["gone"]
