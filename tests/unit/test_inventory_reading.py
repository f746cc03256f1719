"""Inventories of all formats, as rows."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from awscrt.checksums import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from support.inventories import (
    BUCKET,
    DATED,
    FOLDER,
    GCS_FIELDS,
    PARQUET_SCHEMA,
    STORE,
    WHEN,
    Item,
    csv_data,
    gcs_csv,
    gcs_parquet,
    gcs_report,
    gcs_row,
    orc_data,
    parquet_data,
    s3_inventory,
    table,
)
from sync.adapters.inventory import (
    SIZE_UNKNOWN,
    Files,
    Inventory,
    InventoryRow,
    Kind,
    RowBatch,
    canonical,
    open_inventory,
    parse_schema,
)
from sync.errors import ConfigError, IntegrityError, NotFound
from sync.model import Checksums

FORMATS = ["CSV", "Parquet", "ORC"]
KEYS = ["a b+c/ü%20.txt", 'x,"y"/日本', "line\nfeed", "/lead//double", "~plain", "100%"]


def opened(*places: object, **options: Any) -> Inventory:
    return asyncio.run(open_inventory([str(place) for place in places], Files(), **options))


def batches(inventory: Inventory) -> list[RowBatch]:
    async def read() -> list[RowBatch]:
        async with aclosing(inventory.rows()) as found:
            return [batch async for batch in found]

    return asyncio.run(read())


def rows(inventory: Inventory) -> list[InventoryRow]:
    found = batches(inventory)
    assert not [fault for batch in found for fault in batch.faults]
    return [row for batch in found for row in batch.rows]


def faults(inventory: Inventory) -> list[tuple[int, str]]:
    return [(f.number, f.reason) for batch in batches(inventory) for f in batch.faults]


def keys(inventory: Inventory) -> list[str]:
    return [row.object.key for row in rows(inventory)]


def plain(tmp_path: Path, text: str, name: str = "objects.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


# --- S3 Inventory ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    items = [
        *(Item(key, size=7) for key in KEYS),
        Item("old", version_id="v1", is_latest=False),
        Item("gone", version_id="v2", is_delete_marker=True),
        Item("cold", storage_class="INTELLIGENT_TIERING", tier="ARCHIVE", size=0),
    ]
    inventory = opened(s3_inventory(kind, items[:4], items[4:]).write(tmp_path))
    assert (inventory.kind, inventory.bucket, inventory.verified) == (Kind.S3, BUCKET, True)
    assert inventory.created == 1714521600.0
    assert len(inventory.files) == 2
    found = rows(inventory)
    assert [row.number for row in found] == [1, 2, 3, 4, 1, 2, 3, 4, 5]
    assert [row.object.key for row in found] == [item.key for item in items]
    first, (old, gone, cold) = found[0], found[-3:]
    assert first.bucket == BUCKET
    assert first.object.size == 7
    assert first.object.etag == items[0].etag
    assert first.object.last_modified == WHEN.timestamp()
    assert first.object.version_id is None
    assert first.object.checksums is None
    assert (first.is_latest, first.is_delete_marker) == (True, False)
    assert (old.is_latest, old.object.version_id) == (False, "v1")
    assert (gone.is_delete_marker, gone.object.size, gone.is_latest) == (True, 0, True)
    assert (cold.object.storage_class, cold.access_tier) == ("INTELLIGENT_TIERING", "ARCHIVE")
    assert cold.object.size == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), min_size=1))
def test_any_key_survives_csv_and_its_encoding(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("keys") / "x.csv.gz"
    path.write_bytes(csv_data(Item(name) for name in names))
    assert keys(opened(path)) == names


@pytest.mark.parametrize("kind", FORMATS)
def test_reading_goes_on_behind_any_row(kind: str, tmp_path: Path) -> None:
    items = [Item(f"k{number}") for number in range(25)]
    inventory = opened(s3_inventory(kind, items).write(tmp_path))
    file = inventory.files[0]

    async def from_there(skip: int) -> list[RowBatch]:
        path = await inventory.fetch(file, tmp_path)
        return [batch async for batch in inventory.batches(file, path, skip=skip, batch=10)]

    for skip in (0, 1, 9, 10, 11, 24, 25):
        found = asyncio.run(from_there(skip))
        numbers = [row.number for batch in found for row in batch.rows]
        assert numbers == list(range(skip + 1, 26))
        assert all(len(batch.rows) <= 10 for batch in found)
        assert [batch.last for batch in found] == [batch.rows[-1].number for batch in found]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_data_file_is_refused_before_its_first_row(kind: str, tmp_path: Path) -> None:
    made = s3_inventory(kind, [Item("a"), Item("b")])
    key = next(key for key in made.objects if "/data/" in key)
    data = made.objects[key]
    middle = len(data) // 2
    made.objects[key] = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    inventory = opened(made.write(tmp_path))
    with pytest.raises(IntegrityError, match=r"its MD5 is not the manifest's"):
        rows(inventory)
    (tmp_path / key).write_bytes(data[:-3])
    with pytest.raises(IntegrityError, match=rf"{len(data) - 3} bytes, the manifest says"):
        rows(inventory)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_file_that_nobody_vouches_for_is_noticed_too(kind: str, tmp_path: Path) -> None:
    suffix = {"CSV": "csv.gz", "Parquet": "parquet", "ORC": "orc"}[kind]
    made = s3_inventory(kind, [Item(f"k{number}") for number in range(9)])
    data = next(data for key, data in made.objects.items() if "/data/" in key)
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(data[:-9])
    with pytest.raises(IntegrityError, match="cut or damaged"):
        rows(opened(path))


def test_a_manifest_that_its_checksum_contradicts_is_refused(tmp_path: Path) -> None:
    made = s3_inventory("CSV", [Item("a")])
    manifest = made.write(tmp_path)
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=r"manifest\.checksum says"):
        opened(manifest)


def test_a_manifest_without_its_checksum_is_read_and_not_called_verified(tmp_path: Path) -> None:
    manifest = s3_inventory("CSV", [Item("a")]).write(tmp_path)
    manifest.with_name("manifest.checksum").unlink()
    inventory = opened(manifest)
    assert not inventory.verified
    assert keys(inventory) == ["a"]


def test_a_manifest_copied_with_its_data_files_beside_it(tmp_path: Path) -> None:
    made = s3_inventory("CSV", [Item("a")], [Item("b")])
    for number, (key, data) in enumerate(made.objects.items()):
        folder = tmp_path / "data" if number else tmp_path
        folder.mkdir(exist_ok=True)
        at = folder if "/data/" in key else tmp_path
        (at / key.rpartition("/")[2]).write_bytes(data)
    assert keys(opened(tmp_path / "manifest.json")) == ["a", "b"]
    assert keys(opened(tmp_path)) == ["a", "b"]


def test_columns_come_in_the_order_of_the_schema(tmp_path: Path) -> None:
    made = s3_inventory("CSV")
    data = gzip.compress(b'"7","a+b","example-source-bucket","etag"\n')
    made.objects[f"{FOLDER}/data/x.csv.gz"] = data
    made.describe(
        {
            "fileSchema": "Size, Key, Bucket, ETag",
            "files": [{"key": f"{FOLDER}/data/x.csv.gz", "size": len(data)}],
        }
    )
    (row,) = rows(opened(made.write(tmp_path)))
    assert (row.object.key, row.object.size, row.object.etag) == ("a b", 7, "etag")


def test_an_inventory_without_sizes_says_so(tmp_path: Path) -> None:
    (row,) = rows(opened(plain(tmp_path, "b,k\n")))
    assert row.object.size == SIZE_UNKNOWN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fileFormat": "Avro"}, "fileFormat 'Avro' is not known"),
        ({"fileSchema": "Bucket, Size"}, "no column Key"),
        ({"fileSchema": "Bucket, Key, Size, size"}, "come twice: size"),
        ({"files": {}}, "files is not a list"),
        ({"files": [{"size": 1}]}, "a file without a key"),
    ],
)
def test_a_manifest_that_makes_no_sense(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    made = s3_inventory("CSV", [Item("a")])
    made.describe(change)
    with pytest.raises(ConfigError, match=message):
        opened(made.write(tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", "\xff"])
def test_what_is_no_manifest(text: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="is no manifest"):
        opened(path)


# --- finding it -----------------------------------------------------------------------------


def test_the_newest_finished_inventory_of_a_folder(tmp_path: Path) -> None:
    for dated in ("2024-05-02T00-00Z", "2024-05-01T00-00Z", "2024-05-03T00-00Z"):
        made = s3_inventory("CSV", [Item(dated)], dated=dated)
        made.write(tmp_path)
    unfinished = tmp_path / FOLDER / "2024-05-03T00-00Z" / "manifest.checksum"
    unfinished.unlink()
    assert keys(opened(tmp_path / FOLDER)) == ["2024-05-02T00-00Z"]
    assert keys(opened(tmp_path / FOLDER / DATED)) == [DATED]


def test_a_folder_of_plain_data_files(tmp_path: Path) -> None:
    (tmp_path / "2.parquet").write_bytes(parquet_data(table([Item("p")])))
    (tmp_path / "1.csv").write_bytes(csv_data([Item("c")], compress=False))
    (tmp_path / "README").write_text("not one of them")
    assert keys(opened(tmp_path)) == ["c", "p"]


def test_a_folder_without_an_inventory_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    with pytest.raises(NotFound, match=r"neither a finished inventory .* it holds the folders so"):
        opened(tmp_path)
    with pytest.raises(NotFound, match="not there"):
        rows(opened(tmp_path / "missing.csv"))


@pytest.mark.parametrize("place", ["http://x/manifest.json", "s3://", "s3:///key", ""])
def test_what_is_no_place(place: str) -> None:
    with pytest.raises(ConfigError):
        opened(place)


def test_one_manifest_at_a_time_and_no_file_twice(tmp_path: Path) -> None:
    manifest = s3_inventory("CSV", [Item("a")]).write(tmp_path)
    with pytest.raises(ConfigError, match="one manifest at a time"):
        opened(manifest, manifest)
    path = plain(tmp_path, "b,k,1\n")
    with pytest.raises(ConfigError, match="named twice"):
        opened(path, path)


def test_stores_are_asked_only_for_remote_places() -> None:
    with pytest.raises(ConfigError, match=f"s3://{STORE}/manifest.json: no access"):
        opened(f"s3://{STORE}/manifest.json")


# --- plain CSV ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version", "size"),
    [
        ("b,k,12\n", None, 12),
        ("b,k,12,2024-05-01T00:00:00.000Z,etag,STANDARD\n", None, 12),
        ("b,k,v1,12\n", "v1", 12),
        ("b,k,,12\n", None, 12),
        ('"b","k","v1","false","false","12","2024-05-01T00:00:00.000Z"\n', "v1", 12),
        ("b,k,,true,false,12\n", None, 12),
        ("Bucket,Key,ETag,Size\nb,k,e,12\n", None, 12),
        ("b,k\n", None, SIZE_UNKNOWN),
    ],
)
def test_the_columns_of_a_plain_file_are_told_from_its_first_row(
    text: str, version: str | None, size: int, tmp_path: Path
) -> None:
    (row,) = rows(opened(plain(tmp_path, text)))
    assert (row.bucket, row.object.key) == ("b", "k")
    assert (row.object.version_id, row.object.size) == (version, size)
    assert row.is_latest == (not text.startswith('"b"'))


@pytest.mark.parametrize("text", ["b,k,12,13\n", "b,k,x,y\n", "k\n", "b,k,x\n"])
def test_columns_that_cannot_be_told_are_asked_for(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--columns"):
        rows(opened(plain(tmp_path, text)))


def test_columns_as_the_user_says(tmp_path: Path) -> None:
    path = plain(tmp_path, "12,k,77,whatever\n")
    (row,) = rows(opened(path, columns="versionId, key, Size", bucket="b"))
    assert (row.bucket, row.object.version_id, row.object.size) == ("b", "12", 77)
    with pytest.raises(ConfigError, match="--columns: there is no column Key"):
        opened(path, columns="Bucket, Size")


def test_keys_that_are_not_encoded(tmp_path: Path) -> None:
    path = plain(tmp_path, "b,a+b%20,1\n")
    assert keys(opened(path)) == ["a b "]
    assert keys(opened(path, encoded=False)) == ["a+b%20"]


def test_blank_lines_and_marks_of_other_systems_mean_nothing(tmp_path: Path) -> None:
    path = plain(tmp_path, "\ufeff\r\nb,k,1\r\n\r\nb,l,2\r\n\r\n")
    assert [(row.number, row.object.key) for row in rows(opened(path))] == [(2, "k"), (4, "l")]


def test_rows_that_make_no_sense_are_told_one_by_one(tmp_path: Path) -> None:
    lines = [
        "b,good,1,2024-05-01T00:00:00Z,true,false",
        "b,,1,2024-05-01T00:00:00Z,true,false",
        "b,k,many,2024-05-01T00:00:00Z,true,false",
        "b,k,-1,2024-05-01T00:00:00Z,true,false",
        "b,k,,2024-05-01T00:00:00Z,true,false",
        "b,k,1,yesterday,true,false",
        "b,k,1,2024-05-01T00:00:00Z,maybe,false",
        "b,k,1,2024-05-01T00:00:00Z,true,maybe",
        "b,50%,1,2024-05-01T00:00:00Z,true,false",
        "b,%FF,1,2024-05-01T00:00:00Z,true,false",
        "other,k,1,2024-05-01T00:00:00Z,true,false",
        "b,k",
        "b,k,\u0663,2024-05-01T00:00:00Z,true,false",
    ]
    path = plain(tmp_path, "\n".join(lines) + "\n")
    names = "Bucket, Key, Size, LastModifiedDate, IsLatest, IsDeleteMarker"
    inventory = opened(path, columns=names, bucket="b")
    found = dict(faults(inventory))
    assert list(found) == list(range(2, 14))
    for number, word in enumerate(
        [
            "no key",
            "'many'",
            "'-1'",
            "size ''",
            "'yesterday'",
            "IsLatest",
            "IsDeleteMarker",
            "--keys plain",
            "UTF-8",
            "bucket 'other'",
            "2 columns, 6 were expected",
            r"size '\u0663'",
        ],
        2,
    ):
        assert word in found[number]


def test_a_key_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"b,\xff\xfe,1\nb,k,1\n")
    assert faults(opened(path)) == [(1, r"key '\udcff\udcfe' is not UTF-8")]


def test_a_manifest_s_rows_have_exactly_its_columns(tmp_path: Path) -> None:
    made = s3_inventory("CSV")
    data = b'"example-source-bucket","k","1","surplus"\n'
    made.objects[f"{FOLDER}/data/x.csv"] = data
    made.describe({"fileSchema": "Bucket, Key, Size", "files": [{"key": f"{FOLDER}/data/x.csv"}]})
    assert faults(opened(made.write(tmp_path))) == [(1, "4 columns, 3 were expected")]


def test_a_header_says_how_many_columns_there_are(tmp_path: Path) -> None:
    path = plain(tmp_path, "bucket,name,size\nb,k,1\nb,k,l,1\n")
    assert faults(opened(path)) == [(3, "4 columns, 3 were expected")]


def test_a_broken_quote_is_damage(tmp_path: Path) -> None:
    path = plain(tmp_path, 'b,k,1\nb,"' + "x" * 200_000)
    with pytest.raises(IntegrityError, match="cut or damaged"):
        rows(opened(path))


# --- Parquet and ORC ------------------------------------------------------------------------


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    naive = [datetime(2024, 4, 30, 12, 0, 0, 250000)]  # noqa: DTZ001  as ORC keeps them
    column = pa.array(naive, pa.timestamp("ns"))
    content = pa.table({"Key": ["k"], "Bucket": ["b"], "LastModifiedDate": column})
    (tmp_path / "x.parquet").write_bytes(parquet_data(content))
    (tmp_path / "x.orc").write_bytes(orc_data(content))
    found = rows(opened(tmp_path))
    assert [row.object.last_modified for row in found] == [WHEN.timestamp()] * 2


def test_a_columnar_file_without_keys(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(parquet_data(pa.table({"size": [1]})))
    with pytest.raises(ConfigError, match=r"no column Key .or name. among size"):
        rows(opened(tmp_path))


def test_rows_of_a_columnar_file_that_make_no_sense(tmp_path: Path) -> None:
    content = pa.table({"key": ["a", None, "c", "d"], "size": [1, 2, None, -1]})
    (tmp_path / "x.parquet").write_bytes(parquet_data(content))
    assert [number for number, _ in faults(opened(tmp_path))] == [2, 3, 4]


def test_keys_as_bytes(tmp_path: Path) -> None:
    content = pa.table({"key": pa.array([b"\xc3\xbc", b"\xff"], pa.binary()), "size": [1, 2]})
    (tmp_path / "x.parquet").write_bytes(parquet_data(content))
    (batch,) = batches(opened(tmp_path))
    assert [row.object.key for row in batch.rows] == ["ü"]
    assert [fault.number for fault in batch.faults] == [2]


def test_memory_holds_one_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = table([Item(f"k{number}") for number in range(30)])
    (tmp_path / "x.parquet").write_bytes(parquet_data(content, row_group_size=10))
    inventory = opened(tmp_path)
    assert [len(batch.rows) for batch in batches(inventory)] == [30]


def test_pyarrow_that_is_missing_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.orc").write_bytes(orc_data(table([Item("k")])))

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("sync.adapters.inventory.columnar.import_module", missing)
    with pytest.raises(ConfigError, match=r"needs pyarrow: pip install '3gsync\[inventory\]'"):
        rows(opened(tmp_path))


# --- Storage Insights -----------------------------------------------------------------------

CONTENT = b"some content"
REPORT = [
    gcs_row("a b+c%20", CONTENT, crc32c=crc32c(CONTENT)),
    gcs_row("before", b"", crc32c=0, deleted=True),
]


@pytest.mark.parametrize(
    ("suffix", "data", "options"),
    [
        ("0.csv", gcs_csv(REPORT), {"delimiter": ",", "header_required": True}),
        ("0.csv", gcs_csv(REPORT), None),
        ("0.csv", gcs_csv(REPORT, delimiter=";"), {"delimiter": ";", "header_required": True}),
        ("0.csv", gcs_csv(REPORT, header=False), {"delimiter": ",", "header_required": False}),
        ("0.csv", gcs_csv(REPORT, header=False), {}),
        ("0.parquet", gcs_parquet(REPORT), None),
    ],
)
def test_a_report_of_storage_insights(
    suffix: str, data: bytes, options: dict[str, Any] | None, tmp_path: Path
) -> None:
    made = gcs_report({suffix: data}, 2, options=options)
    manifest = made.write(tmp_path)
    inventory = opened(manifest)
    assert (inventory.kind, inventory.records) == (Kind.GCS, 2)
    assert inventory.created == datetime(2024, 5, 1, tzinfo=UTC).timestamp()
    now, before = rows(inventory)
    assert (now.object.key, now.bucket, now.is_latest) == ("a b+c%20", BUCKET, True)
    assert now.object.size == len(CONTENT)
    assert now.object.last_modified == WHEN.timestamp()
    assert now.object.storage_class == "NEARLINE"
    assert now.object.version_id == "1714521600000001"
    sums = now.object.checksums
    assert sums == Checksums(crc32c(CONTENT), md5=sums.md5 if sums else None)
    assert sums is not None
    assert sums.md5 is not None
    assert len(sums.md5) == 16
    assert before.is_latest is False
    assert keys(opened(manifest.parent)) == ["a b+c%20", "before"]


def test_checksums_that_are_none(tmp_path: Path) -> None:
    rows_ = [REPORT[0] | {"crc32c": "@@"}, REPORT[0] | {"md5Hash": "AAAA"}]
    rows_.append(REPORT[0] | {"crc32c": "", "md5Hash": ""})
    rows_.append(REPORT[0] | {"crc32c": "0000000a", "md5Hash": ""})
    inventory = opened(gcs_report({"0.csv": gcs_csv(rows_)}, 4).write(tmp_path))
    (batch,) = batches(inventory)
    assert [fault.reason for fault in batch.faults] == [
        "crc32c '@@' is not a checksum",
        "md5Hash 'AAAA' is not a checksum",
    ]
    assert [row.object.checksums for row in batch.rows] == [None, Checksums(10)]


def test_the_newest_report_of_one_configuration(tmp_path: Path) -> None:
    made = gcs_report({"0.csv": gcs_csv(REPORT[:1])}, 1)
    made.write(tmp_path)
    folder = (tmp_path / made.manifest).parent
    for path in list(folder.iterdir()):
        text = path.read_text().replace("a b+c%20", "newer").replace("05-01T", "05-02T")
        path.with_name(path.name.replace("05-01T", "05-02T")).write_text(text)
    assert keys(opened(folder)) == ["newer"]
    other = "2f0a9c3e-0000-4000-8000-000000000000_2024-05-02T00:00_manifest.json"
    (folder / other).write_text("{}")
    with pytest.raises(ConfigError, match="reports of several kinds"):
        opened(folder)


def test_a_report_that_is_not_whole(tmp_path: Path) -> None:
    made = gcs_report({"0.csv": gcs_csv(REPORT)}, 2)
    value = json.loads(made.objects[made.manifest]) | {"shard_count": "2"}
    made.objects[made.manifest] = json.dumps(value).encode()
    with pytest.raises(ConfigError, match="1 shards are named, and there are 2"):
        opened(made.write(tmp_path))
    value["report_shards_file_names"] = ["a.txt", "b.csv"]
    made.objects[made.manifest] = json.dumps(value).encode()
    with pytest.raises(ConfigError, match="neither CSV nor Parquet"):
        opened(made.write(tmp_path))


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("Bucket, Key,ETag", ("bucket", "key", "etag")),
        ("struct<bucket:string,key:string,e_tag:string>", ("bucket", "key", "etag")),
        (PARQUET_SCHEMA, ("bucket", "key", "is_latest", "last_modified")),
        (", ".join(GCS_FIELDS[1:4]), ("bucket", "key", "")),
    ],
)
def test_schemas_of_all_kinds(schema: str, names: Sequence[str]) -> None:
    assert tuple(map(canonical, parse_schema(schema))) == names
