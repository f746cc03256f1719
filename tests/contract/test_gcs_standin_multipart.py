"""Multipart uploads on the stand-in."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from awscrt import checksums as crt
from botocore.exceptions import ClientError

from support.gcs import BUCKET, ask, boto_client, fault_text, running_gcs
from sync.standins.gcs import GcsProcess

MIN = 5 * 1024 * 1024
FIRST = b"1" * MIN
SECOND = b"2" * (MIN + 1)
LAST = b"the end"


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    with running_gcs() as running:
        yield running


@pytest.fixture
def client(gcs: GcsProcess) -> Any:
    return boto_client(gcs)


class Upload:
    """A multipart upload through boto3."""

    def __init__(self, client: Any, key: str, **options: Any) -> None:
        self._client = client
        reply = client.create_multipart_upload(Bucket=BUCKET, Key=key, **options)
        self.where = {"Bucket": BUCKET, "Key": key, "UploadId": reply["UploadId"]}

    def put(self, number: int, body: bytes) -> dict[str, Any]:
        reply = self._client.upload_part(**self.where, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": reply["ETag"]}

    def complete(self, *parts: dict[str, Any]) -> Any:
        return self._client.complete_multipart_upload(
            **self.where, MultipartUpload={"Parts": list(parts)}
        )


def crc(data: bytes) -> str:
    return f"crc32c={base64.b64encode(crt.crc32c(data).to_bytes(4, 'big')).decode()}"


def test_an_object_of_parts(client: Any) -> None:
    upload = Upload(
        client, "whole", Metadata={"a": "b"}, ContentType="x/y", StorageClass="COLDLINE"
    )
    parts = [upload.put(1, FIRST), upload.put(2, SECOND), upload.put(7, LAST)]
    done = upload.complete(*parts)
    whole = FIRST + SECOND + LAST
    assert done["ResponseMetadata"]["HTTPHeaders"]["x-goog-hash"] == crc(whole)
    found = client.get_object(Bucket=BUCKET, Key="whole")
    headers = found["ResponseMetadata"]["HTTPHeaders"]
    assert found["Body"].read() == whole
    assert headers["x-goog-hash"] == crc(whole)
    assert headers["x-goog-storage-class"] == "COLDLINE"
    assert (found["Metadata"], found["ContentType"]) == ({"a": "b"}, "x/y")
    ranged = client.get_object(Bucket=BUCKET, Key="whole", Range=f"bytes={MIN - 2}-{MIN + 1}")
    assert ranged["Body"].read() == b"1122"


def test_its_etag_is_not_the_md5_of_its_bytes(client: Any) -> None:
    upload = Upload(client, "etag")
    etag = upload.complete(upload.put(1, LAST))["ETag"].strip('"')
    assert etag == hashlib.md5(hashlib.md5(LAST).digest()).hexdigest() + "-1"
    assert client.head_object(Bucket=BUCKET, Key="etag")["ETag"].strip('"') == etag


def test_a_part_is_answered_with_md5_and_both_hashes(gcs: GcsProcess, client: Any) -> None:
    upload = Upload(client, "hashes")
    query = f"partNumber=3&uploadId={upload.where['UploadId']}"
    reply = ask(gcs, "PUT", "hashes", query=query, body=LAST)
    digest = hashlib.md5(LAST)
    hashes = [value for name, value in reply.headers if name == "x-goog-hash"]
    assert hashes == [crc(LAST), f"md5={base64.b64encode(digest.digest()).decode()}"]
    assert reply.header("etag") == f'"{digest.hexdigest()}"'
    md5 = {"content-md5": base64.b64encode(digest.digest()).decode()}
    assert ask(gcs, "PUT", "hashes", query=query, body=LAST, headers=md5).status == 200
    assert ask(gcs, "PUT", "hashes", query=query, body=b"no", headers=md5).code == "BadDigest"
    as_google = ask(
        gcs, "PUT", "hashes", query=query, body=b"no", headers={"x-goog-hash": crc(LAST)},
        scheme="GOOG4",
    )  # fmt: skip
    assert as_google.code == "BadDigest"


def test_unused_parts_vanish(gcs: GcsProcess, client: Any) -> None:
    upload = Upload(client, "unused")
    first, last = upload.put(1, FIRST), upload.put(2, LAST)
    upload.put(10_000, b"identity of the source")
    upload.complete(first, last)
    assert client.head_object(Bucket=BUCKET, Key="unused")["ContentLength"] == MIN + len(LAST)
    assert upload.where["UploadId"] not in str(client.list_multipart_uploads(Bucket=BUCKET))


def test_a_small_part_counts_only_where_it_is_listed_before_the_last(client: Any) -> None:
    upload = Upload(client, "small")
    small, big = upload.put(1, LAST), upload.put(2, FIRST)
    with pytest.raises(ClientError, match="EntityTooSmall"):
        upload.complete(small, big)
    upload.complete(small)


def test_wrong_parts_and_wrong_order(client: Any) -> None:
    upload = Upload(client, "wrong")
    one, two = upload.put(1, FIRST), upload.put(2, LAST)
    with pytest.raises(ClientError, match=r"InvalidPart\b"):
        upload.complete(one, {**two, "ETag": '"' + "0" * 32 + '"'})
    with pytest.raises(ClientError, match=r"InvalidPart\b"):
        upload.complete(one, {**two, "PartNumber": 3})
    with pytest.raises(ClientError, match="InvalidPartOrder"):
        upload.complete(two, one)
    with pytest.raises(ClientError, match="InvalidPartOrder"):
        upload.complete(one, one)
    with pytest.raises(ClientError, match="MalformedXML"):
        upload.complete()
    upload.complete(one, two)


def test_completing_again_finds_no_upload(client: Any) -> None:
    upload = Upload(client, "twice")
    part = upload.put(1, LAST)
    upload.complete(part)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        upload.complete(part)
    assert client.head_object(Bucket=BUCKET, Key="twice")["ContentLength"] == len(LAST)


def test_an_aborted_upload_is_gone(client: Any) -> None:
    upload = Upload(client, "aborted")
    upload.put(1, LAST)
    client.abort_multipart_upload(**upload.where)
    for again in (
        lambda: upload.put(1, LAST),
        lambda: client.list_parts(**upload.where),
        lambda: client.abort_multipart_upload(**upload.where),
    ):
        with pytest.raises(ClientError, match="NoSuchUpload"):
            again()


def test_an_upload_belongs_to_one_key(client: Any) -> None:
    upload = Upload(client, "mine")
    with pytest.raises(ClientError, match="NoSuchUpload"):
        client.upload_part(**{**upload.where, "Key": "yours"}, PartNumber=1, Body=LAST)


@pytest.mark.parametrize("number", ["0", "10001", "x", ""])
def test_part_numbers(gcs: GcsProcess, client: Any, number: str) -> None:
    upload = Upload(client, "numbers")
    query = f"partNumber={number}&uploadId={upload.where['UploadId']}"
    assert ask(gcs, "PUT", "numbers", query=query, body=LAST).code == "InvalidArgument"


def test_parts_are_listed_in_pages(client: Any) -> None:
    upload = Upload(client, "pages")
    for number in (1, 2, 5, 9, 10_000):
        upload.put(number, b"%d" % number)
    pages = list(
        client.get_paginator("list_parts").paginate(
            **upload.where, PaginationConfig={"PageSize": 2}
        )
    )
    parts = [part for page in pages for part in page["Parts"]]
    assert [part["PartNumber"] for part in parts] == [1, 2, 5, 9, 10_000]
    assert [part["Size"] for part in parts] == [1, 1, 1, 1, 5]
    assert parts[0]["ETag"].strip('"') == hashlib.md5(b"1").hexdigest()
    assert len(pages) == 3


def test_a_part_put_again_replaces_the_first(client: Any) -> None:
    upload = Upload(client, "again")
    stale = upload.put(1, b"stale")
    fresh = upload.put(1, b"fresh")
    with pytest.raises(ClientError, match=r"InvalidPart\b"):
        upload.complete(stale)
    upload.complete(fresh)


def test_open_uploads_are_listed_by_prefix_in_pages() -> None:
    with running_gcs() as gcs:
        client = boto_client(gcs)
        keys = ["up/a", "up/a", "up/\u00fc +", "other"]
        opened = {Upload(client, key).where["UploadId"] for key in keys[:3]}
        Upload(client, keys[3])
        pages = client.get_paginator("list_multipart_uploads").paginate(
            Bucket=BUCKET, Prefix="up/", EncodingType="url", PaginationConfig={"PageSize": 1}
        )
        found = [upload for page in pages for upload in page.get("Uploads", [])]
    assert {upload["UploadId"] for upload in found} == opened
    assert [unquote(upload["Key"]) for upload in found] == ["up/a", "up/a", "up/\u00fc +"]


def test_preconditions_are_refused_at_the_start(gcs: GcsProcess) -> None:
    headers = {"x-goog-if-generation-match": "0"}
    reply = ask(gcs, "POST", "pinned", query="uploads", scheme="GOOG4", headers=headers)
    assert (reply.status, reply.code) == (400, "NotImplemented")


def test_parts_are_not_copied(gcs: GcsProcess, client: Any) -> None:
    upload = Upload(client, "copied")
    with pytest.raises(ClientError, match="NotImplemented"):
        client.upload_part_copy(**upload.where, PartNumber=1, CopySource=f"{BUCKET}/whole")


def test_starting_needs_a_length(gcs: GcsProcess) -> None:
    reply = ask(gcs, "POST", "lengthless", query="uploads", body=None)
    assert reply.status == 411
    started = ask(gcs, "POST", "lengthless", query="uploads")
    assert fault_text(started.body, "UploadId")


def test_a_pin_on_a_multipart_etag_is_refused_in_a_copy(client: Any) -> None:
    upload = Upload(client, "pinned")
    etag = upload.complete(upload.put(1, LAST))["ETag"]
    source = {"Bucket": BUCKET, "Key": "pinned"}
    with pytest.raises(ClientError, match="InvalidArgument"):
        client.copy_object(Bucket=BUCKET, Key="c", CopySource=source, CopySourceIfMatch=etag)
    client.copy_object(Bucket=BUCKET, Key="c", CopySource=source)
