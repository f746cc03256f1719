"""A copier on boto3 and threads, for comparison: each object or part is read whole by get_object
and written with its Content-MD5.

    python bench/boto3_threads.py SOURCE DESTINATION BUCKET PREFIX CHUNK_MIB
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

THREADS = 8
MIB = 1024 * 1024


def client(endpoint: str) -> Any:
    config = Config(
        max_pool_connections=THREADS,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    return boto3.client("s3", endpoint_url=endpoint, config=config)


def content_md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def listed(source: Any, bucket: str) -> Iterator[tuple[str, int]]:
    for page in source.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            yield entry["Key"], entry["Size"]


def small(source: Any, destination: Any, bucket: str, key: str, target: str) -> None:
    body = source.get_object(Bucket=bucket, Key=key)["Body"].read()
    destination.put_object(Bucket="target", Key=target, Body=body, ContentMD5=content_md5(body))


def large(
    source: Any, destination: Any, bucket: str, key: str, target: str, *, size: int, chunk: int
) -> None:
    where = {"Bucket": "target", "Key": target}
    upload = destination.create_multipart_upload(**where)["UploadId"]

    def part(number: int) -> dict[str, Any]:
        first = (number - 1) * chunk
        asked = f"bytes={first}-{min(first + chunk, size) - 1}"
        body = source.get_object(Bucket=bucket, Key=key, Range=asked)["Body"].read()
        sent = destination.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=body, ContentMD5=content_md5(body)
        )
        return {"PartNumber": number, "ETag": sent["ETag"]}

    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(part, range(1, -(-size // chunk) + 1)))
    destination.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": parts}
    )


def main() -> None:
    endpoint, other, bucket, prefix, mib = sys.argv[1:]
    source, destination = client(endpoint), client(other)
    chunk = int(mib) * MIB
    with ThreadPoolExecutor(THREADS) as pool:
        running = []
        for key, size in listed(source, bucket):
            target = f"{prefix}/{key}"
            if size > 50 * MIB:
                large(source, destination, bucket, key, target, size=size, chunk=chunk)
            else:
                running.append(pool.submit(small, source, destination, bucket, key, target))
        for one in running:
            one.result()


if __name__ == "__main__":
    main()
