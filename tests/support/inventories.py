"""Inventories as Amazon and Google document them, made up for tests."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet

BUCKET = "example-source-bucket"
STORE = "example-inventory-bucket"
DATED = "2024-05-01T00-00Z"
FOLDER = f"inv/{BUCKET}/all"
WHEN = datetime(2024, 4, 30, 12, 0, 0, 250000, tzinfo=UTC)
# The order and the spelling of AWS's user guide, "Locating your inventory list".
SCHEMA = (
    "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, "
    "StorageClass, IsMultipartUploaded, ReplicationStatus, EncryptionStatus, "
    "ObjectLockRetainUntilDate, ObjectLockMode, ObjectLockLegalHoldStatus, "
    "IntelligentTieringAccessTier, BucketKeyStatus, ChecksumAlgorithm"
)
PARQUET_SCHEMA = (
    "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); "
    "optional boolean is_latest; optional int64 last_modified_date (TIMESTAMP_MILLIS); }"
)
_ARROW = pa.schema(
    [
        pa.field("bucket", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        ("version_id", pa.string()),
        ("is_latest", pa.bool_()),
        ("is_delete_marker", pa.bool_()),
        ("size", pa.int64()),
        ("last_modified_date", pa.timestamp("ms", tz="UTC")),
        ("e_tag", pa.string()),
        ("storage_class", pa.string()),
        ("is_multipart_uploaded", pa.bool_()),
        ("intelligent_tiering_access_tier", pa.string()),
    ]
)


@dataclass(frozen=True)
class Item:
    """One version of an object, or a delete marker."""

    key: str
    size: int = 1
    version_id: str = ""
    is_latest: bool = True
    is_delete_marker: bool = False
    when: datetime = WHEN
    etag: str = "d41d8cd98f00b204e9800998ecf8427e"
    storage_class: str = "STANDARD"
    tier: str = ""


def csv_data(items: Iterable[Item], *, compress: bool = True) -> bytes:
    """As S3 Inventory writes CSV: no header, every value in quotes, keys form-encoded."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for item in items:
        writer.writerow(_csv_row(item))
    data = text.getvalue().encode()
    return gzip.compress(data) if compress else data


def _csv_row(item: Item) -> list[str]:
    marker = item.is_delete_marker
    return [
        BUCKET,
        quote_plus(item.key, safe="/"),
        item.version_id,
        str(item.is_latest).lower(),
        str(marker).lower(),
        "" if marker else str(item.size),
        item.when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "" if marker else item.etag,
        "" if marker else item.storage_class,
        "false",
        "",
        "SSE-S3",
        "",
        "",
        "",
        item.tier,
        "DISABLED",
        "",
    ]


def table(items: Iterable[Item]) -> pa.Table:
    """As S3 Inventory's Parquet and ORC files hold it; keys as they are."""
    rows = [
        {
            "bucket": BUCKET,
            "key": item.key,
            "version_id": item.version_id or None,
            "is_latest": item.is_latest,
            "is_delete_marker": item.is_delete_marker,
            "size": None if item.is_delete_marker else item.size,
            "last_modified_date": item.when,
            "e_tag": None if item.is_delete_marker else item.etag,
            "storage_class": None if item.is_delete_marker else item.storage_class,
            "is_multipart_uploaded": False,
            "intelligent_tiering_access_tier": item.tier or None,
        }
        for item in items
    ]
    return pa.Table.from_pylist(rows, schema=_ARROW)


def parquet_data(content: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(content, sink, compression="snappy", **options)
    return sink.getvalue()


def orc_data(content: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pyarrow.orc.write_table(content, sink, compression="zlib", **options)
    return sink.getvalue()


def data_of(kind: str, items: Sequence[Item]) -> bytes:
    """A data file in one of the three formats."""
    if kind == "CSV":
        return csv_data(items)
    return (parquet_data if kind == "Parquet" else orc_data)(table(items))


_SUFFIX = {"CSV": "csv.gz", "Parquet": "parquet", "ORC": "orc"}


@dataclass
class Made:
    """An inventory's objects by their keys in the inventory bucket."""

    objects: dict[str, bytes] = field(default_factory=dict)
    manifest: str = f"{FOLDER}/{DATED}/manifest.json"

    def write(self, root: Path) -> Path:
        """Everything below a folder; gives the manifest."""
        for key, data in self.objects.items():
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root / self.manifest

    def describe(self, change: Mapping[str, Any]) -> None:
        """Change the manifest, and its checksum with it."""
        value = json.loads(self.objects[self.manifest]) | dict(change)
        self.set_manifest(json.dumps(value).encode())

    def set_manifest(self, data: bytes) -> None:
        self.objects[self.manifest] = data
        digest = hashlib.md5(data).hexdigest()
        checksum = self.manifest.replace("manifest.json", "manifest.checksum")
        self.objects[checksum] = f"{digest}\n".encode()


def s3_inventory(kind: str, *parts: Sequence[Item], dated: str = DATED) -> Made:
    """An S3 Inventory of one data file for each part."""
    made = Made(manifest=f"{FOLDER}/{dated}/manifest.json")
    files = []
    for number, items in enumerate(parts):
        key = f"{FOLDER}/data/{number:08}-{dated}.{_SUFFIX[kind]}"
        data = data_of(kind, items)
        made.objects[key] = data
        files.append({"key": key, "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest()})
    value = {
        "sourceBucket": BUCKET,
        "destinationBucket": f"arn:aws:s3:::{STORE}",
        "version": "2016-11-30",
        "creationTimestamp": "1714521600000",
        "fileFormat": kind,
        "fileSchema": _schema(kind),
        "files": files,
    }
    made.set_manifest(json.dumps(value, indent=4).encode())
    return made


def _schema(kind: str) -> str:
    if kind == "CSV":
        return SCHEMA
    if kind == "ORC":
        return "struct<bucket:string,key:string,version_id:string,is_latest:boolean,size:bigint>"
    return PARQUET_SCHEMA


GCS_FIELDS = (
    "project",
    "bucket",
    "name",
    "location",
    "size",
    "timeCreated",
    "timeDeleted",
    "updated",
    "storageClass",
    "etag",
    "crc32c",
    "md5Hash",
    "generation",
)


def gcs_row(
    key: str, data: bytes, *, crc32c: int, deleted: bool = False, when: datetime = WHEN
) -> dict[str, Any]:
    """One object as a Storage Insights report shows it."""
    return {
        "project": "123456",
        "bucket": BUCKET,
        "name": key,
        "location": "us",
        "size": len(data),
        "timeCreated": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "timeDeleted": "2024-05-01T00:00:00Z" if deleted else "",
        "updated": "2024-05-02T00:00:00Z",
        "storageClass": "NEARLINE",
        "etag": "CKih16+khYgDEAE=",
        "crc32c": base64.b64encode(crc32c.to_bytes(4, "big")).decode(),
        "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
        "generation": "1714521600000001",
    }


def gcs_csv(
    rows: Iterable[Mapping[str, Any]], *, header: bool = True, delimiter: str = ","
) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, GCS_FIELDS, delimiter=delimiter, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def gcs_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    typed = [
        {
            **row,
            **{
                name: datetime.fromisoformat(row[name]) if row[name] else None
                for name in ("timeCreated", "timeDeleted", "updated")
            },
        }
        for row in rows
    ]
    return parquet_data(pa.Table.from_pylist(typed))


def gcs_report(
    shards: Mapping[str, bytes], records: int, *, options: Mapping[str, Any] | None = None
) -> Made:
    """The manifest and the shards of a report."""
    stem = "1f0a9c3e-0000-4000-8000-000000000000_2024-05-01T00:00"
    made = Made(manifest=f"reports/{stem}_manifest.json")
    names = {f"{stem}_{suffix}": data for suffix, data in shards.items()}
    value = {
        "report_config": {
            "display_name": "all",
            "object_metadata_report_options": {"metadata_fields": list(GCS_FIELDS)},
            **({"csv_options": dict(options)} if options is not None else {}),
        },
        "records_processed": records,
        "snapshot_time": "2024-05-01T00:00:00Z",
        "shard_count": len(names),
        "report_shards_file_names": list(names),
    }
    made.objects = {f"reports/{name}": data for name, data in names.items()}
    made.objects[made.manifest] = json.dumps(value).encode()
    return made
