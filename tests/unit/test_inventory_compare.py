"""The comparison of inventories on DuckDB against a naive model, with keys that break things."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from sync.adapters.inventory_compare import Comparison, DuckDb, Row, Shape, compare, report
from sync.errors import ConfigError, IntegrityError, SyncError

_ONE, _TWO = "0" * 31 + "1", "0" * 31 + "2"
_NUMBERS = itertools.count()


def _rows(
    folder: Path,
    source: Sequence[Shape],
    destination: Sequence[Shape],
    how: Comparison,
    records: dict[str, int] | None = None,
) -> list[Row]:
    with DuckDb(memory_limit=100_000_000, temp_directory=folder, threads=1) as engine:
        left = engine.table("source", source, records=(records or {}).get("source"))
        right = engine.table("destination", destination, records=(records or {}).get("destination"))
        return list(engine.rows(report(compare(left, right, how))))


_LETTERS = st.sampled_from([*"aA+%/ 2B\"',;\\é中😀\x00\u00a0\ufffd", "e\u0301", "%2f", "p/"])
_KEYS = st.lists(_LETTERS, min_size=1, max_size=5).map("".join)
_ETAGS = st.sampled_from(["", _ONE, _TWO, f'"{_ONE}"', _TWO.upper(), f"{_ONE}-2", "f" * 32])


@st.composite
def _entries(draw: st.DrawFn, key: str) -> Entry:
    return Entry(
        key,
        size=draw(st.sampled_from([0, 1, 2**42])),
        etag=draw(_ETAGS),
        md5=draw(st.sampled_from(["", _ONE, _TWO, "f" * 32])),
        modified=NOON + draw(st.sampled_from([0, 60, 3600])),
        encryption=draw(st.sampled_from(["SSE-S3", "NOT-SSE", "SSE-KMS", "SSE-C", ""])),
        storage_class=draw(st.sampled_from(["STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"])),
        tier=draw(st.sampled_from(["", "FREQUENT", "ARCHIVE", "DEEP_ARCHIVE"])),
        latest=draw(st.booleans()),
        marker=draw(st.integers(0, 5)) == 0,
    )


@st.composite
def _two_sides(draw: st.DrawFn, under: str) -> tuple[list[Entry], list[Entry]]:
    source, destination = [], []
    for key in draw(st.lists(_KEYS, unique=True, max_size=20)):
        one = draw(_entries(key))
        if draw(st.booleans()):
            source.append(one)
        other = one if draw(st.booleans()) else draw(_entries(key))
        if draw(st.integers(0, 3)):
            place = under if draw(st.integers(0, 4)) else "elsewhere/"
            destination.append(other._replace(key=place + key))
    return source, destination


_COMPARISONS = st.builds(
    Comparison,
    source_prefix=st.sampled_from(["", "", "a", "p/", "é", "%2f"]),
    destination_prefix=st.sampled_from(["", "d", "d/", "é😀/x", "+%"]),
    checksum=st.booleans(),
    time=st.booleans(),
    snapshot=st.sampled_from([None, NOON - 1, NOON, NOON + 60, NOON + 3600]),
    archived_too=st.booleans(),
)
_WRITERS: dict[str, tuple[Kind, Callable[[Path, Sequence[Entry]], list[Shape]]]] = {
    "S3 CSV": (Kind.S3, s3_csv),
    "S3 CSV, %20": (Kind.S3, lambda path, rows: s3_csv(path, rows, encode=percent)),
    "S3 Parquet": (Kind.S3, lambda path, rows: s3_columnar(path, rows, Format.PARQUET)),
    "GCS CSV": (Kind.GCS, gcs_csv),
    "GCS Parquet": (Kind.GCS, gcs_parquet),
}


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), how=_COMPARISONS)
def test_the_comparison_finds_what_a_naive_model_finds(
    tmp_path: Path, data: st.DataObject, how: Comparison
) -> None:
    prefix = how.destination_prefix
    under = f"{prefix}/" if prefix and not prefix.endswith("/") else prefix
    source, destination = data.draw(_two_sides(under))
    folder = tmp_path / str(next(_NUMBERS))
    folder.mkdir()
    one, write = _WRITERS[data.draw(st.sampled_from(["S3 CSV", "S3 CSV, %20", "S3 Parquet"]))]
    other, also = _WRITERS[data.draw(st.sampled_from(sorted(_WRITERS)))]
    found = _rows(folder, write(folder / "s", source), also(folder / "d", destination), how)
    assert told(found) == expected(Side(one, source), Side(other, destination), how)


@pytest.mark.parametrize("encode", [plus, percent])
def test_hostile_keys_meet_themselves_and_nothing_else(tmp_path: Path, encode: object) -> None:
    source = [Entry(key, etag=_ONE) for key in HOSTILE]
    destination = [Entry(f"d/{key}", md5=_ONE) for key in HOSTILE]
    assert callable(encode)
    left = s3_csv(tmp_path / "s", source, encode=encode)
    found = _rows(
        tmp_path, left, gcs_csv(tmp_path / "d", destination), Comparison(destination_prefix="d")
    )
    assert [(row.kind, row.objects) for row in found] == [("equal", len(HOSTILE))]


@pytest.mark.parametrize("raw", UNREADABLE)
def test_a_key_that_is_no_text_is_told_and_is_no_other_key(tmp_path: Path, raw: str) -> None:
    left = s3_csv(tmp_path / "s", [Entry(raw), Entry("a", etag=_ONE)], encode=str)
    right = gcs_csv(tmp_path / "d", [Entry(raw), Entry("\ufffd"), Entry("a", md5=_ONE)])
    found = _rows(tmp_path, left, right, Comparison(snapshot=NOON - 1))
    assert {(row.kind, row.raw or row.key) for row in found} == {
        ("unreadable-key", raw),
        ("newer-than-inventory", raw),
        ("newer-than-inventory", "\ufffd"),
        ("equal", None),
    }


def test_an_unreadable_key_is_told_whatever_the_prefix(tmp_path: Path) -> None:
    left = s3_csv(tmp_path / "s", [Entry("%FF"), Entry("b")], encode=str)
    found = _rows(tmp_path, left, [], Comparison(source_prefix="a/"))
    assert [(row.kind, row.key, row.raw) for row in found] == [("unreadable-key", None, "%FF")]


def test_an_inventory_of_an_empty_bucket_has_no_files(tmp_path: Path) -> None:
    left = s3_csv(tmp_path / "s", [Entry("a"), Entry("b")])
    found = _rows(tmp_path, left, [], Comparison(destination_prefix="d"), {"destination": 0})
    assert sorted((row.kind, row.key) for row in found) == [("missing", "a"), ("missing", "b")]


def test_without_encryption_status_a_different_etag_proves_nothing(tmp_path: Path) -> None:
    left = s3_columnar(tmp_path / "s", [Entry("a", etag=_ONE)], Format.PARQUET)
    narrow = Shape(
        kind=Kind.S3,
        format=Format.CSV,
        files=(str(tmp_path / "plain"),),
        columns=("key", "size", "etag"),
    )
    (tmp_path / "plain").write_text(f'"a","1","{_TWO}"\n')
    right = gcs_csv(tmp_path / "d", [Entry("a", md5=_ONE)])
    assert [row.kind for row in _rows(tmp_path, left, right, Comparison())] == ["equal"]
    assert [row.kind for row in _rows(tmp_path, [narrow], right, Comparison())] == ["unverified"]


@pytest.mark.parametrize(
    ("columns", "line", "named"),
    [
        (("key", "etag"), '"a","x"', "no field Size"),
        (("key", "size", "version_id"), '"a","1","v"', "no field IsLatest"),
    ],
)
def test_a_field_that_is_missing_is_named(
    tmp_path: Path, columns: tuple[str, ...], line: str, named: str
) -> None:
    (tmp_path / "s").write_text(f"{line}\n")
    files = (str(tmp_path / "s"),)
    shape = Shape(kind=Kind.S3, format=Format.CSV, files=files, columns=columns)
    with pytest.raises(ConfigError, match=named):
        _rows(tmp_path, [shape], [], Comparison())


def test_plain_files_with_googles_columns_are_google_s(tmp_path: Path) -> None:
    left = s3_csv(tmp_path / "s", [Entry("a", etag=_ONE)])
    (shape,) = gcs_csv(tmp_path / "d", [Entry("a", md5=_ONE), Entry("b", marker=True)])
    plain = Shape(
        kind=Kind.PLAIN, format=shape.format, files=shape.files, columns=shape.columns, header=True
    )
    assert [row.kind for row in _rows(tmp_path, left, [plain], Comparison())] == ["equal"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-3],
        lambda data: b"PAR1" + data,
        lambda _data: b"",
    ],
)
def test_a_damaged_file_ends_the_comparison(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    entries = [Entry(f"{number:09}{'x' * 99}") for number in range(5000)]
    for shapes in (
        s3_csv(tmp_path / "s", entries),
        s3_columnar(tmp_path / "t", entries, Format.PARQUET),
    ):
        path = Path(shapes[0].files[0])
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(SyncError):
            _rows(tmp_path, [], shapes, Comparison())


@pytest.mark.parametrize("line", ['"b","a"', '"b","a","1","2"', '"b","a","1'])
def test_a_row_of_the_wrong_length_ends_the_comparison(tmp_path: Path, line: str) -> None:
    good = '"b","k","1"\n'
    (tmp_path / "s").write_text(f"{good}{line}\n{good}")
    files = (str(tmp_path / "s"),)
    shape = Shape(kind=Kind.S3, format=Format.CSV, files=files, columns=("bucket", "key", "size"))
    with pytest.raises(IntegrityError):
        _rows(tmp_path, [shape], [], Comparison())


def test_a_report_with_fewer_rows_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    right = gcs_csv(tmp_path / "d", [Entry("a"), Entry("b")])
    with pytest.raises(IntegrityError, match="speaks of 3 rows, its files have 2"):
        _rows(tmp_path, [], right, Comparison(), records={"destination": 3})


def test_more_than_memory_holds_goes_to_disk(tmp_path: Path) -> None:
    """Two sides of 90 MB in keys alone, on 100 MB."""
    entries = [Entry(f"{number:06}{'k' * 994}", etag=_ONE, md5=_ONE) for number in range(90_000)]
    left = s3_columnar(tmp_path / "s", entries[1:], Format.PARQUET)
    right = gcs_parquet(tmp_path / "d", entries[:-1])
    with DuckDb(memory_limit=100_000_000, temp_directory=tmp_path, threads=1) as engine:
        tables = engine.table("source", left), engine.table("destination", right)
        found = sorted(
            (row.kind, row.objects) for row in engine.rows(report(compare(*tables, Comparison())))
        )
    assert found == [("equal", 89_998), ("extraneous", 1), ("missing", 1)]


def test_too_little_memory_is_said_with_the_mend(tmp_path: Path) -> None:
    entries = [Entry(f"{number:06}{'k' * 994}") for number in range(20_000)]
    left = s3_columnar(tmp_path / "s", entries, Format.PARQUET)
    with (
        pytest.raises(ConfigError, match="--memory-limit"),
        DuckDb(memory_limit=1_000_000, temp_directory=tmp_path, threads=1) as engine,
    ):
        list(
            engine.rows(
                report(compare(engine.table("source", left), engine.table("d", left), Comparison()))
            )
        )
