"""Manifests and data files of inventories."""

# ruff: noqa: B008, E501, PLC0415  frozen default; tables; pyarrow is slow to import

from __future__ import annotations

import atexit
import gzip
import io
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from faults.inputs.target import Disagreement, Target
from sync.adapters.inventory.columnar import read_columnar
from sync.adapters.inventory.csv_rows import read_csv
from sync.adapters.inventory.manifest import parse_manifest
from sync.adapters.inventory.places import Place
from sync.adapters.inventory.values import CsvStyle, DataFile, Format
from sync.errors import ConfigError, IntegrityError

_FOLDER: Final = Path(tempfile.mkdtemp(prefix="3gsync-fuzz-"))
atexit.register(shutil.rmtree, _FOLDER, True)
_PLACE: Final = Place("s3", "inventories", "folder/2026-01-05T00-00Z/manifest.json")
_ALLOWED: Final = (ConfigError, IntegrityError)


def _manifest(data: bytes) -> None:
    for file in parse_manifest(data, _PLACE).files:
        file.name.encode()
        if "\0" in file.name or not file.places:
            raise Disagreement(f"{file.name!a} at {file.places}")


def _rows(data: bytes, form: Format, style: CsvStyle = CsvStyle()) -> None:
    path = _FOLDER / f"data.{form}"
    path.write_bytes(data)
    file = DataFile(name="data", places=(), format=form, style=style)
    read = read_csv if form is Format.CSV else read_columnar
    for batch in read(file, path, bucket="source", batch=100):
        for row in batch.rows:
            row.object.key.encode()
            if row.object.size < -1 or not row.object.key:
                raise Disagreement(f"{row!a}")


def _csv(data: bytes) -> None:
    """The first byte says how the file is written; compressed where it is odd."""
    kind, data = data[:1], data[1:]
    flags = kind[0] if kind else 0
    if flags & 1:
        data = gzip.compress(data, 1, mtime=0)
        if flags & 2:
            data = data[: flags * 4] + bytes([flags]) + data[flags * 4 + 1 :]
    header = {0: None, 4: True, 8: False}.get(flags & 12)
    _rows(data, Format.CSV, CsvStyle(header=header, encoded=bool(flags & 16)))


def _parquet(data: bytes) -> None:
    _rows(data, Format.PARQUET)


def _orc(data: bytes) -> None:
    _rows(data, Format.ORC)


def _table() -> Any:
    import pyarrow as pa

    when = [datetime(2026, 1, 5, tzinfo=UTC), None, datetime(1970, 1, 1, tzinfo=UTC)]
    return pa.table(
        {
            "bucket": ["source"] * 3,
            "key": ["a/b", "ü" * 20, "x y+z"],
            "size": pa.array([1, None, 2**62], pa.int64()),
            "last_modified_date": pa.array(when, pa.timestamp("ms", "UTC")),
            "is_latest": [True, False, None],
            "e_tag": ["0" * 32, None, ""],
        }
    )


def _parquet_seeds() -> list[bytes]:
    import pyarrow.parquet as pq

    files = []
    for options in ({"compression": "none"}, {"compression": "snappy", "use_dictionary": False}):
        to = io.BytesIO()
        pq.write_table(_table(), to, **options)
        files.append(to.getvalue())
    return files


def _orc_seeds() -> list[bytes]:
    from pyarrow import orc

    files = []
    for compression in ("uncompressed", "zlib"):
        to = io.BytesIO()
        orc.write_table(_table(), to, compression=compression)
        files.append(to.getvalue())
    return files


_ENTRY: Final = {"key": "data/x.csv.gz", "size": 10, "MD5checksum": "0" * 32}
_AWS: Final = {
    "sourceBucket": "source", "destinationBucket": "arn:aws:s3:::inventories",
    "version": "2016-11-30", "creationTimestamp": "1767571200000", "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate",
    "files": [_ENTRY, _ENTRY],
}  # fmt: skip
_PARQUET: Final = _AWS | {
    "fileFormat": "Parquet",
    "fileSchema": "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8);}",
}
_GOOGLE: Final = {
    "report_config": {
        "csv_options": {"delimiter": ",", "header_required": True},
        "object_metadata_report_options": {"metadata_fields": ["name", "size", "timeCreated"]},
    },
    "records_processed": "3", "snapshot_time": "2026-01-05T00:00:00Z", "shard_count": 1,
    "report_shards_file_names": ["a_0.csv"],
}  # fmt: skip
_ROWS: Final = (
    b'"source","a%2Fb+c","v1","true","false","12","2026-01-05T10:00:00.000Z"\n'
    b'"source","","","","","",""\n'
)
_NAMED: Final = (
    b"bucket,name,size,timeCreated,crc32c,md5Hash\nsource,a b,1,2026-01-05 10:00:00,AAAAAA==,\n"
)

TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="manifest", probe=_manifest, allowed=(ConfigError,),
               seeds=[json.dumps(each).encode() for each in (_AWS, _PARQUET, _GOOGLE)],
               words=(b'"fileSchema"', b"struct<", b"message x {", b'"shard_count"')),
        Target(name="inventory-csv", probe=_csv, allowed=_ALLOWED,
               seeds=[bytes([flags]) + rows for rows in (_ROWS, _NAMED) for flags in range(0, 32, 5)],
               words=(b'","', b'""', b"1970-01-01T00:00:00Z", b"9999-12-31")),
        Target(name="inventory-parquet", probe=_parquet, allowed=_ALLOWED, seeds=_parquet_seeds(),
               memory=1024, patience=5),
        Target(name="inventory-orc", probe=_orc, allowed=_ALLOWED, seeds=_orc_seeds(),
               memory=1024, patience=5),
    )
}  # fmt: skip
