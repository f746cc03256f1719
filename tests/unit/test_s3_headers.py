import base64
import hashlib

import pytest

from sync.adapters.dialects import AWS, GCS, GENERIC, S3Dialect
from sync.adapters.s3_headers import (
    content_md5_header,
    object_meta,
    ranged_size,
    stored_checksums,
    whole_size,
    write_headers,
    write_receipt,
)
from sync.checksums import encode_crc32c, encode_crc64nvme
from sync.errors import IntegrityError, OutcomeUnknown, TransientStoreError
from sync.model import Checksums, ObjectHeaders

MD5 = hashlib.md5(b"abc").digest()
B64 = base64.b64encode(MD5).decode()
CRC, CRC64 = 0x364B3FB7, 0x1122334455667788


def test_a_reply_describes_its_object() -> None:
    meta = object_meta(
        {
            "etag": '"abc-2"',
            "content-type": "text/html",
            "content-encoding": "gzip",
            "expires": "not a date at all",
            "x-amz-meta-one": "1",
            "x-amz-meta-tw\xf6": "\xc3\xa9",
            "x-amz-version-id": "v1",
            "x-amz-storage-class": "STANDARD_IA",
            "last-modified": "Thu, 01 Jan 1970 00:01:40 GMT",
            "server": "S3",
        },
        size=7,
        dialect=AWS,
    )
    assert (meta.identity.etag, meta.size, meta.identity.version_id) == ("abc-2", 7, "v1")
    assert meta.headers.content == (
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
        ("expires", "not a date at all"),
    )
    assert meta.headers.metadata == (("one", "1"), ("tw\xf6", "\xc3\xa9"))
    assert meta.headers.storage_class == "STANDARD_IA"
    assert meta.last_modified == 100.0


def test_an_empty_reply_describes_an_object_too() -> None:
    meta = object_meta({"etag": "e"}, size=0, dialect=GENERIC)
    assert meta.headers == ObjectHeaders(storage_class="STANDARD")
    assert (meta.identity.etag, meta.identity.version_id, meta.last_modified) == ("e", None, 0.0)


@pytest.mark.parametrize("etag", [{}, {"etag": ""}, {"etag": '""'}])
def test_a_reply_without_etag_is_no_stores(etag: dict[str, str]) -> None:
    """A gateway's page with status 200 was taken for an object, and for the proof of a write."""
    with pytest.raises(TransientStoreError, match="no ETag"):
        object_meta({"content-type": "text/html", **etag}, size=57, dialect=GENERIC)
    with pytest.raises(OutcomeUnknown, match="no ETag"):
        write_receipt({"content-type": "text/html", **etag}, GENERIC)


@pytest.mark.parametrize("etag", ['"a"', 'W/"a"', "a", ' "a" '])
def test_etags_lose_quotes_and_weakness(etag: str) -> None:
    assert object_meta({"etag": etag}, size=0, dialect=AWS).identity.etag == "a"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("aws-chunked", {}),
        ("aws-chunked,gzip", {"content-encoding": "gzip"}),
        ("gzip, AWS-Chunked", {"content-encoding": "gzip"}),
        ("gzip, br", {"content-encoding": "gzip, br"}),
    ],
)
def test_aws_chunked_is_no_encoding_of_the_object(sent: str, kept: dict[str, str]) -> None:
    meta = object_meta({"etag": "e", "content-encoding": sent}, size=0, dialect=AWS)
    assert dict(meta.headers.content) == kept


def test_cloud_storage_may_answer_in_its_own_family() -> None:
    meta = object_meta(
        {
            "etag": "e",
            "x-goog-meta-a": "1",
            "expires": "made up",
            "x-amz-meta-a": "1",
            "x-goog-meta-b": "2",
            "x-goog-storage-class": "NEARLINE",
            "x-goog-generation": "17",
            "x-amz-version-id": "no",
        },
        size=1,
        dialect=GCS,
    )
    assert dict(meta.headers.metadata) == {"a": "1", "b": "2"}
    assert len(meta.headers.metadata) == 2
    assert meta.headers.storage_class == "NEARLINE"
    assert meta.headers.content == ()
    assert meta.identity.version_id == "17"


@pytest.mark.parametrize(
    "text",
    [
        f"crc32c={encode_crc32c(CRC)},md5={B64}",
        f"crc32c={encode_crc32c(CRC)}, md5={B64}",
        f"md5={B64}, crc32c={encode_crc32c(CRC)}",
    ],
)
def test_google_hashes_are_read(text: str) -> None:
    assert stored_checksums({"x-goog-hash": text}) == Checksums(crc32c=CRC, md5=MD5)


def test_amazon_checksums_are_read() -> None:
    headers = {
        "x-amz-checksum-crc32c": encode_crc32c(CRC),
        "x-amz-checksum-crc64nvme": encode_crc64nvme(CRC64),
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    assert stored_checksums(headers) == Checksums(crc32c=CRC, crc64nvme=CRC64)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-crc32c": f"{encode_crc32c(CRC)}-3"},
        {"x-amz-checksum-crc32c": encode_crc32c(CRC), "x-amz-checksum-type": "COMPOSITE"},
    ],
    ids=["suffix", "type"],
)
def test_a_checksum_of_checksums_is_not_taken_for_one_of_bytes(headers: dict[str, str]) -> None:
    assert stored_checksums(headers) == Checksums(full_object=False)


@pytest.mark.parametrize("junk", ["", "crc32c=", "crc32c=!!!!", "md5=QUJD", "crc32c=QUI="])
def test_broken_checksums_are_no_checksums(junk: str) -> None:
    assert stored_checksums({"x-goog-hash": junk, "x-amz-checksum-crc32c": junk}).crc32c is None
    assert stored_checksums({"x-goog-hash": junk}).md5 is None


@pytest.mark.parametrize(
    ("dialect", "extra", "md5"),
    [
        (GENERIC, {}, MD5),
        (AWS, {"x-amz-server-side-encryption": "AES256"}, MD5),
        (AWS, {"x-amz-server-side-encryption": "aws:kms"}, None),
        (AWS, {"x-amz-server-side-encryption": "aws:kms:dsse"}, None),
        (AWS, {"x-amz-server-side-encryption-customer-algorithm": "AES256"}, None),
        (GCS, {}, None),
    ],
)
def test_an_etag_is_an_md5_only_where_it_must_be(
    dialect: S3Dialect, extra: dict[str, str], md5: bytes | None
) -> None:
    receipt = write_receipt({"etag": f'"{MD5.hex()}"', **extra}, dialect)
    assert receipt.etag == MD5.hex()
    assert receipt.checksums.md5 == md5


def test_a_multipart_etag_is_no_md5() -> None:
    assert write_receipt({"etag": f'"{MD5.hex()}-3"'}, GENERIC).checksums.md5 is None


def test_what_is_written() -> None:
    headers = ObjectHeaders((("content-type", "a/b"),), (("k", "v"),), "NEARLINE", "a=1")
    common = (("content-type", "a/b"), ("x-amz-meta-k", "v"), ("x-amz-storage-class", "NEARLINE"))
    assert write_headers(headers, GENERIC) == (*common, ("x-amz-tagging", "a=1"))
    assert write_headers(headers, GCS) == common
    assert write_headers(ObjectHeaders((("expires", "0"),)), GCS) == ()
    assert write_headers(ObjectHeaders((("expires", "0"),)), AWS) == (("expires", "0"),)
    assert write_headers(ObjectHeaders(), AWS) == ()
    assert content_md5_header(MD5) == ("content-md5", B64)


def test_a_whole_size_must_be_known_and_as_stored() -> None:
    assert whole_size({}, 5, "b/k") == 5
    assert whole_size({"x-goog-stored-content-length": "5"}, None, "b/k") == 5
    assert whole_size({"x-goog-stored-content-length": "5"}, 5, "b/k") == 5
    with pytest.raises(IntegrityError, match="b/k"):
        whole_size({}, None, "b/k")
    with pytest.raises(IntegrityError, match="unpacks"):
        whole_size({"x-goog-stored-content-length": "5"}, 9, "b/k")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes 0-9",
        "bytes 0-9/*",
        "bytes 1-10/100",
        "bytes 0-8/100",
        "items 0-9/100",
        "bytes 0-9/100 ",
    ],
)
def test_only_the_asked_range_is_taken(text: str) -> None:
    right = text.strip() == "bytes 0-9/100"
    if right:
        assert ranged_size({"content-range": text}, (0, 9), 10, "b/k") == 100
        return
    with pytest.raises(IntegrityError, match="b/k"):
        ranged_size({"content-range": text}, (0, 9), None, "b/k")


def test_a_range_of_another_length_is_refused() -> None:
    with pytest.raises(IntegrityError):
        ranged_size({"content-range": "bytes 0-9/100"}, (0, 9), 11, "b/k")
