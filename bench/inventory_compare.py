"""Time, CPU, memory and spilling of `3gsync inventory compare` over inventories made up here.

    python bench/inventory_compare.py --millions 20 --memory-limit 400 --folder /big/disk

An S3 Inventory and a Storage Insights report in Parquet (200 bytes a row and side, keys of 75
characters; six in a million differ), their manifests, and the verb as a user runs it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import monotonic

import duckdb

PARTS = 4
BASE = """
CREATE VIEW base AS SELECT i,
  'datasets/region=eu-west-' || (i % 3) || '/year=' || (2018 + i % 7) || '/month=' || (i % 12)
    || '/' || substr(md5(i::varchar), 1, 16) || '-part-' || i || '.parquet' AS k,
  md5((i * 7)::varchar) AS m, (hash(i) % 10000000)::bigint AS s,
  timestamptz '2024-01-01 00:00:00Z' + to_seconds((i % 10000000)::bigint) AS t
FROM range({rows}) r(i)
"""
S3 = """
COPY (SELECT 'src' bucket, k "key", s size, t last_modified_date, m e_tag,
  'STANDARD' storage_class, false is_multipart_uploaded, 'SSE-S3' encryption_status
  FROM base WHERE i >= {first} AND i < {last} AND i % 1000003 <> 7) TO '{path}'
"""
GCS = """
COPY (SELECT 'dst' bucket, k "name", CASE WHEN i % 500000 = 11 THEN s + 1 ELSE s END size,
  t + interval 1 minute "timeCreated", t + interval 1 minute updated,
  NULL::timestamptz "timeDeleted", 'STANDARD' "storageClass",
  to_base64(unhex(CASE WHEN i % 500000 = 12 THEN md5('x') ELSE m END)) "md5Hash",
  'AAAAAA==' crc32c, i generation
  FROM base WHERE i >= {first} AND i < {last} AND i % 1000000 <> 5) TO '{path}'
"""


def made(folder: Path, rows: int) -> tuple[Path, Path]:
    """Both manifests; what was made before is kept."""
    sides = folder / f"{rows}" / "s3", folder / f"{rows}" / "gcs"
    manifests = sides[0] / "manifest.json", sides[1] / "x_manifest.json"
    if manifests[1].exists():
        return manifests
    with duckdb.connect(config={"memory_limit": "2GB"}) as connection:
        connection.execute(BASE.format(rows=rows))
        counted = 0
        for side, text in zip(sides, (S3, GCS), strict=True):
            side.mkdir(parents=True, exist_ok=True)
            for part in range(PARTS):
                first, last = rows * part // PARTS, rows * (part + 1) // PARTS
                path = side / f"{part}.parquet"
                done = connection.execute(text.format(first=first, last=last, path=path))
                counted += done.fetchall()[0][0] if side is sides[1] else 0
    manifests[0].write_text(json.dumps(_s3_manifest(sides[0])))
    manifests[1].write_text(json.dumps(_gcs_manifest(sides[1], counted)))
    return manifests


def _s3_manifest(side: Path) -> dict[str, object]:
    files = [
        {"key": path.name, "size": path.stat().st_size, "MD5checksum": _md5(path)}
        for path in sorted(side.glob("*.parquet"))
    ]
    schema = "message s3.inventory { required binary key (UTF8); }"
    when = "1900000000000"
    facts = {"sourceBucket": "src", "destinationBucket": "arn:aws:s3:::inventories"}
    return {
        **facts,
        "creationTimestamp": when,
        "fileFormat": "Parquet",
        "fileSchema": schema,
        "files": files,
    }


def _gcs_manifest(side: Path, records: int) -> dict[str, object]:
    names = sorted(path.name for path in side.glob("*.parquet"))
    return {
        "records_processed": records,
        "snapshot_time": "2030-01-01T00:00:00Z",
        "shard_count": len(names),
        "report_shards_file_names": names,
    }


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def measured(command: list[str], folder: Path) -> dict[str, float]:
    """Runs the command; MB and seconds."""
    ended, spilled = threading.Event(), [0]

    def watch() -> None:
        while not ended.wait(0.5):
            files = [path for path in folder.rglob("*") if path.is_file()]
            spilled[0] = max(spilled[0], sum(_size(path) for path in files))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = monotonic()
    process = subprocess.Popen(command, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = monotonic() - began
    ended.set()
    watcher.join()
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "spilled_mb": round(spilled[0] / 1e6),
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, default=2.0, help="rows a side")
    parser.add_argument("--memory-limit", default="300", help="as the verb's")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--folder", type=Path, required=True, help="room for rows and spilling")
    parser.add_argument("options", nargs="*", help="further options of the verb, behind --")
    arguments = parser.parse_args()
    rows = int(arguments.millions * 1_000_000)
    source, destination = made(arguments.folder.absolute(), rows)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as work:
        command = [sys.executable, "-m", "sync.cli", "inventory", "compare"]
        command += [str(source), str(destination), "--config", os.devnull]
        command += ["--memory-limit", arguments.memory_limit, "--threads", arguments.threads]
        command += ["--work-directory", work, *arguments.options]
        figures = measured(command, Path(work).absolute())
    print(json.dumps({"rows_a_side": rows, **figures}))


if __name__ == "__main__":
    main()
