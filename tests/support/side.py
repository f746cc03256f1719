"""One store of the rig, behind a proxy, and what it holds as others see it."""

from __future__ import annotations

import http.client
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from support.buckets import make_bucket
from support.gate import Gate, Proxy, Stage
from support.servers import S3Server

_HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
)


@dataclass(frozen=True)
class Held:
    """An object as a client of neither 3GSync nor boto3's URL handling sees it."""

    content: bytes
    headers: dict[str, str]


@cache
def _boto(server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 5},
        ),
    )


@dataclass
class Side:
    """One store with a bucket of its own. Requests of the tests do not pass the proxy."""

    server: S3Server
    dialect: str
    bucket: str = field(default_factory=lambda: f"e2e-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.boto = _boto(self.server)
        make_bucket(self.boto, self.bucket)
        self.versioned = False
        self.proxy = Proxy(self.server.endpoint)

    def put(self, key: str, content: bytes, **fields: Any) -> None:
        self.boto.put_object(Bucket=self.bucket, Key=key, Body=content, **fields)

    def put_raw(self, key: str, content: bytes) -> None:
        """As ``put``, for keys whose dots and slashes boto3's HTTP library would fold."""
        status, _, _ = self._raw("put_object", key, content, method="PUT")
        assert status == http.client.OK, f"{key!r}: {status}"

    def keep_versions(self) -> None:
        """Switch versioning on."""
        self.boto.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
        self.versioned = True

    def delete(self, key: str) -> None:
        self.boto.delete_object(Bucket=self.bucket, Key=key)

    def get(self, key: str) -> Held | None:
        """The object; None where there is none."""
        status, headers, content = self._raw("get_object", key)
        if status == http.client.NOT_FOUND:
            return None
        assert status == http.client.OK, f"{key!r}: {status} {content[:200]!r}"
        kept = {n: v for n, v in headers.items() if n in _HEADERS or "-meta-" in n}
        return Held(content, {n.replace("x-goog-", "x-amz-"): v for n, v in kept.items()})

    def _raw(
        self, operation: str, key: str, body: bytes | None = None, *, method: str = "GET"
    ) -> tuple[int, dict[str, str], bytes]:
        """A request whose path goes out exactly as it was signed."""
        url = self.boto.generate_presigned_url(operation, {"Bucket": self.bucket, "Key": key})
        place = urlsplit(url)
        target = url[url.index(place.netloc) + len(place.netloc) :]
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        try:
            connection.request(method, target, body=body)
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return reply.status, headers, reply.read()
        finally:
            connection.close()

    def content(self, key: str) -> bytes:
        held = self.get(key)
        assert held is not None, key
        return held.content

    def keys(self) -> set[str]:
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    def uploads(self) -> list[str]:
        """Ids of open multipart uploads."""
        reply = self.boto.list_multipart_uploads(Bucket=self.bucket)
        return [entry["UploadId"] for entry in reply.get("Uploads", ())]

    def remove(self) -> None:
        """Take the bucket away: SeaweedFS gives each its own volumes, and has only so many."""
        for upload in self.boto.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()):
            self.boto.abort_multipart_upload(
                Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
        for key in self.keys():
            assert self._raw("delete_object", key, method="DELETE")[0] < http.client.BAD_REQUEST
        if self.versioned:
            self._remove_versions()
        self.boto.delete_bucket(Bucket=self.bucket)

    def _remove_versions(self) -> None:
        reply = self.boto.list_object_versions(Bucket=self.bucket)
        for entry in (*reply.get("Versions", ()), *reply.get("DeleteMarkers", ())):
            self.boto.delete_object(
                Bucket=self.bucket, Key=entry["Key"], VersionId=entry["VersionId"]
            )

    def gate(self, pattern: str, stage: Stage, **options: int) -> Gate:
        return self.proxy.gate(pattern, stage, **options)
