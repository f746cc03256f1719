"""The requests that have a store copy by itself, and its replies, against a scripted client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import pytest

from support.stores import FixedCredentials
from sync.adapters.dialects import AWS, GCS, S3Dialect
from sync.adapters.s3 import S3Store
from sync.adapters.s3_copy import S3Copies
from sync.errors import (
    AccessDenied,
    CredentialsRejected,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    Throttled,
    TransientStoreError,
)
from sync.model import ObjectHeaders, ObjectRef, Upload, WriteReceipt
from sync.ports import Credentials
from sync.wire.client import Client, Reply
from sync.wire.request import Request

SOURCE = ObjectRef("source", "a b/+ü%")
TARGET = ObjectRef("target", "k")
HEADERS = ObjectHeaders(
    (("content-type", "text/plain"),), (("colour", "blue"),), "STANDARD_IA", "a=1"
)
DONE = (
    b'<?xml version="1.0"?>\n<CopyObjectResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<LastModified>2026-01-01T00:00:00Z</LastModified><ETag>&quot;e1&quot;</ETag>"
    b"<ChecksumCRC64NVME>AAAAAAAAAAE=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>"
    b"</CopyObjectResult>"
)
PART = b'<CopyPartResult><ETag>"p1"</ETag></CopyPartResult>'


class Scripted:
    """A client that gives these replies."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.requests: list[Request] = []

    async def send(self, request: Request, *, limit: int = 0) -> Reply:
        self.requests.append(request)
        return self._replies.pop(0)

    @property
    def sent(self) -> Mapping[str, str]:
        lines = self.requests[-1].lines.splitlines()
        return dict(line.split(": ", 1) for line in lines)


def ask(
    do: Callable[[S3Copies], Awaitable[Any]], *replies: Reply, dialect: S3Dialect = AWS
) -> tuple[Any, Scripted]:
    client = Scripted(*replies)
    store = S3Store(
        client=cast("Client", client),
        credentials=FixedCredentials(Credentials("AKID", "secret")),
        endpoint="https://store.example",
        dialect=dialect,
    )

    async def main() -> Any:
        return await do(S3Copies(store.session, dialect))

    return asyncio.run(main()), client


def copying(source: ObjectRef = SOURCE) -> Callable[[S3Copies], Awaitable[WriteReceipt]]:
    return lambda copies: copies.copy(source, TARGET, HEADERS, if_match="e0")


def part(copies: S3Copies) -> Awaitable[WriteReceipt]:
    upload = Upload(TARGET, "u1")
    return copies.copy_part(SOURCE, upload, 3, if_match="e0", byte_range=(10, 19))


def test_a_copy_names_its_source_pins_it_and_replaces_everything() -> None:
    receipt, client = ask(copying(), Reply(200, {"x-amz-version-id": "v2"}, DONE))
    assert (receipt.etag, receipt.version_id) == ("e1", "v2")
    assert receipt.checksums.crc64nvme == 1
    sent = client.sent
    assert sent["x-amz-copy-source"] == "/source/a%20b/%2B%C3%BC%25"
    assert sent["x-amz-copy-source-if-match"] == '"e0"'
    assert sent["x-amz-metadata-directive"] == sent["x-amz-tagging-directive"] == "REPLACE"
    assert (sent["content-type"], sent["x-amz-meta-colour"]) == ("text/plain", "blue")
    assert (sent["x-amz-storage-class"], sent["x-amz-tagging"]) == ("STANDARD_IA", "a=1")
    (request,) = client.requests
    assert (request.method, request.body) == ("PUT", b"")
    assert not request.repeatable


@pytest.mark.parametrize(
    ("version", "dialect", "ending"),
    [
        ("v 1", AWS, "?versionId=v%201"),
        ("null", AWS, ""),
        (None, AWS, ""),
        ("17", GCS, ""),
    ],
)
def test_a_version_is_named_where_it_pins(
    version: str | None, dialect: S3Dialect, ending: str
) -> None:
    source = ObjectRef("source", "k", version)
    _, client = ask(copying(source), Reply(200, {}, DONE), dialect=dialect)
    assert client.sent["x-amz-copy-source"] == f"/source/k{ending}"
    assert ("x-amz-tagging-directive" in client.sent) is dialect.has_tags
    assert not [name for name in client.sent if name.startswith("x-goog-")]


def test_a_part_is_a_range_of_the_source() -> None:
    receipt, client = ask(part, Reply(200, {}, PART))
    assert receipt == WriteReceipt("p1")
    assert client.sent["x-amz-copy-source-range"] == "bytes=10-19"
    assert client.requests[0].target.endswith("?partNumber=3&uploadId=u1")


@pytest.mark.parametrize(
    ("code", "error"),
    [("InternalError", TransientStoreError), ("SlowDown", Throttled)],
)
@pytest.mark.parametrize("do", [copying(), part])
def test_a_failure_reported_after_a_200_is_one(
    do: Callable[[S3Copies], Awaitable[Any]], code: str, error: type[Exception]
) -> None:
    body = f"\n\n  <Error><Code>{code}</Code></Error>".encode()
    with pytest.raises(error):
        ask(do, Reply(200, {}, body))


@pytest.mark.parametrize("body", [b"", b"   ", DONE[:80], b"<Other/>"])
def test_a_reply_that_does_not_tell_the_end_leaves_it_unknown(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        ask(copying(), Reply(200, {}, body))


def test_refusals_say_what_to_do() -> None:
    denied = Reply(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
    with pytest.raises(AccessDenied, match="read the source bucket") as caught:
        ask(copying(), denied)
    assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    rejected = Reply(403, {}, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
    with pytest.raises(CredentialsRejected) as other:
        ask(copying(), rejected)
    assert "read the source bucket" not in str(other.value)
    with pytest.raises(PreconditionFailed):
        ask(copying(), Reply(412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"))
    with pytest.raises(NoSuchUpload):
        ask(part, Reply(404, {}, b"<Error><Code>NoSuchUpload</Code></Error>"))


def test_tags_are_replaced_whole_or_taken_away() -> None:
    _, client = ask(
        lambda copies: copies.put_tagging(TARGET, "a=1&b=%3C%26%3E"), Reply(200, {}, b"")
    )
    (request,) = client.requests
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key>"
    body += b"<Value>&lt;&amp;&gt;</Value></Tag></TagSet></Tagging>"
    assert (request.method, request.body) == ("PUT", body)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    assert client.sent["content-md5"] == md5
    _, client = ask(lambda copies: copies.put_tagging(TARGET, ""), Reply(204, {}, b""))
    assert client.requests[0].method == "DELETE"
