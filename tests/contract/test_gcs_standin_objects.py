"""Objects on the stand-in: hashes, headers, conditions, ranges, names, copies."""

import base64
import gzip
import hashlib
from collections.abc import Iterator

import pytest
from awscrt import checksums as crt
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.gcs import BUCKET, ask, boto_client, running_gcs, send, signed
from sync.standins.gcs import GcsProcess

HELLO = b"hello, world"
CRC = base64.b64encode(crt.crc32c(HELLO).to_bytes(4, "big")).decode()
MD5 = base64.b64encode(hashlib.md5(HELLO).digest()).decode()
HOSTILE = [
    "a//b",
    "/a",
    "//",
    "./a",
    "a/../b",
    "a/./b",
    "../up",
    "+",
    "a+b c",
    "%2B",
    "100%",
    "%",
    "~tilde!*'()",
    "a?b=c&d#e",
    "\U0001f600/\u00fc",
    "e\u0301",
    "\u00e9",
    "back\\slash",
    'quote"<&>',
    "tab\there",
    "\x01\x7f",
    "trailing/",
    "ends with space ",
    "\uffff\U00010000",
    "x" * 1024,
    "\u00fc" * 512,
]


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    with running_gcs(versioned_buckets=("versioned",)) as running:
        yield running


def test_a_put_is_answered_with_both_hashes_and_a_generation(gcs: GcsProcess) -> None:
    reply = ask(gcs, "PUT", "plain", body=HELLO)
    hashes = [value for name, value in reply.headers if name == "x-goog-hash"]
    assert hashes == [f"crc32c={CRC}", f"md5={MD5}"]
    assert reply.header("etag") == f'"{hashlib.md5(HELLO).hexdigest()}"'
    assert reply.header("x-goog-stored-content-length") == str(len(HELLO))
    first = int(reply.header("x-goog-generation"))
    assert int(ask(gcs, "PUT", "plain", body=HELLO).header("x-goog-generation")) > first


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reads_carry_the_same_hashes(gcs: GcsProcess, method: str) -> None:
    ask(gcs, "PUT", "plain", body=HELLO)
    reply = ask(gcs, method, "plain")
    assert [v for n, v in reply.headers if n == "x-goog-hash"] == [f"crc32c={CRC}", f"md5={MD5}"]
    assert reply.header("content-length") == str(len(HELLO))
    assert reply.header("cache-control") == "private, max-age=0"
    assert reply.body == (HELLO if method == "GET" else b"")


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("AWS4", {"content-md5": MD5}),
        ("GOOG4", {"x-goog-hash": f"crc32c={CRC}"}),
        ("GOOG4", {"x-goog-hash": f"crc32c={CRC},md5={MD5}"}),
    ],
)
def test_hashes_in_the_request_are_verified(
    gcs: GcsProcess, scheme: str, headers: dict[str, str]
) -> None:
    assert ask(gcs, "PUT", "hashed", scheme=scheme, headers=headers, body=HELLO).status == 200
    reply = ask(gcs, "PUT", "hashed", scheme=scheme, headers=headers, body=b"damaged")
    assert (reply.status, reply.code) == (400, "BadDigest")
    assert ask(gcs, "GET", "hashed").body == HELLO


def test_what_is_no_hash_is_refused(gcs: GcsProcess) -> None:
    assert ask(gcs, "PUT", "k", headers={"content-md5": "short"}).code == "InvalidDigest"


def test_content_headers_and_metadata_are_kept(gcs: GcsProcess) -> None:
    client = boto_client(gcs)
    kept = {
        "ContentType": "text/x-plain",
        "ContentLanguage": "de",
        "ContentDisposition": "attachment",
        "CacheControl": "max-age=7",
        "ContentEncoding": "identity",
        "Metadata": {"one": "1", "two": "two words"},
    }
    client.put_object(
        Bucket=BUCKET, Key="described", Body=b"x", StorageClass="NEARLINE", Expires=0, **kept
    )
    found = client.head_object(Bucket=BUCKET, Key="described")
    assert {name: found[name] for name in kept} == kept
    sent = found["ResponseMetadata"]["HTTPHeaders"]
    assert sent["x-goog-storage-class"] == "NEARLINE"
    as_google = ask(gcs, "HEAD", "described", scheme="GOOG4")
    assert as_google.header("x-goog-meta-two") == "two words"


def test_storage_classes_of_s3_are_refused(gcs: GcsProcess) -> None:
    for name in ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"):
        assert ask(gcs, "PUT", "c", headers={"x-amz-storage-class": name}).status == 200
    for name in ("STANDARD_IA", "GLACIER", "standard"):
        reply = ask(gcs, "PUT", "c", headers={"x-amz-storage-class": name})
        assert (reply.status, reply.code) == (400, "InvalidStorageClass")


def test_more_than_8_kib_of_metadata_is_refused(gcs: GcsProcess) -> None:
    fits = {"x-amz-meta-a": "v" * (8192 - 1)}
    assert ask(gcs, "PUT", "meta", headers=fits).status == 200
    over = {"x-amz-meta-a": "v" * 8192}
    assert ask(gcs, "PUT", "meta", headers=over).code == "MetadataTooLarge"


@pytest.mark.parametrize(
    "header",
    ["x-amz-checksum-crc32c", "x-amz-tagging", "x-amz-server-side-encryption", "x-amz-grant-read"],
)
def test_unknown_extension_headers_are_refused(gcs: GcsProcess, header: str) -> None:
    reply = ask(gcs, "PUT", "k", headers={header: "AAAAAA=="})
    assert (reply.status, reply.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("header", "status", "span"),
    [
        ("bytes=0-4", 206, (0, 5)),
        ("bytes=7-", 206, (7, 12)),
        ("bytes=-5", 206, (7, 12)),
        ("bytes=-500", 206, (0, 12)),
        ("bytes=3-3000", 206, (3, 12)),
        ("bytes=5-4", 200, (0, 12)),
        ("lines=1-2", 200, (0, 12)),
    ],
)
def test_ranges(gcs: GcsProcess, header: str, status: int, span: tuple[int, int]) -> None:
    ask(gcs, "PUT", "ranged", body=HELLO)
    reply = ask(gcs, "GET", "ranged", headers={"range": header})
    assert (reply.status, reply.body) == (status, HELLO[slice(*span)])
    if status == 206:
        assert reply.header("content-range") == f"bytes {span[0]}-{span[1] - 1}/{len(HELLO)}"


def test_a_range_behind_the_end(gcs: GcsProcess) -> None:
    ask(gcs, "PUT", "ranged", body=HELLO)
    reply = ask(gcs, "GET", "ranged", headers={"range": "bytes=12-"})
    assert (reply.status, reply.code) == (416, "InvalidRange")
    assert reply.header("content-range") == "bytes */12"


def test_conditions_on_reads(gcs: GcsProcess) -> None:
    etag = ask(gcs, "PUT", "conditional", body=HELLO).header("etag")
    modified = ask(gcs, "HEAD", "conditional").header("last-modified")
    old = "Thu, 01 Jan 2015 00:00:00 GMT"
    expected = [
        ({"if-match": etag}, 200),
        ({"if-match": '"other"'}, 412),
        ({"if-none-match": etag}, 304),
        ({"if-none-match": '"other"'}, 200),
        ({"if-modified-since": modified}, 304),
        ({"if-modified-since": old}, 200),
        ({"if-unmodified-since": old}, 412),
        ({"if-unmodified-since": modified}, 200),
    ]
    for headers, status in expected:
        assert ask(gcs, "GET", "conditional", headers=headers).status == status, headers


def test_etag_conditions_on_writes_do_nothing(gcs: GcsProcess) -> None:
    ask(gcs, "PUT", "overwritten", body=b"1")
    assert ask(gcs, "PUT", "overwritten", body=b"2", headers={"if-none-match": "*"}).status == 200
    assert ask(gcs, "GET", "overwritten").body == b"2"
    assert ask(gcs, "DELETE", "overwritten", headers={"if-match": '"other"'}).status == 204


def test_generation_conditions_hold_under_goog4(gcs: GcsProcess) -> None:
    def put(key: str, generation: str) -> int:
        headers = {"x-goog-if-generation-match": generation}
        return ask(gcs, "PUT", key, scheme="GOOG4", headers=headers, body=b"x").status

    ask(gcs, "DELETE", "generations")
    assert put("generations", "0") == 200
    assert put("generations", "0") == 412
    current = ask(gcs, "HEAD", "generations").header("x-goog-generation")
    stale = {"x-goog-if-generation-match": "1"}
    assert ask(gcs, "DELETE", "generations", scheme="GOOG4", headers=stale).status == 412
    assert put("generations", current) == 200


def test_deleting_what_is_not_there_is_a_404(gcs: GcsProcess) -> None:
    reply = ask(gcs, "DELETE", "never written")
    assert (reply.status, reply.code) == (404, "NoSuchKey")


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_keys_through_boto3(gcs: GcsProcess, key: str) -> None:
    client = boto_client(gcs)
    body = hashlib.sha256(key.encode()).digest()
    client.put_object(Bucket=BUCKET, Key=key, Body=body)
    assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=key)
    assert key in [entry["Key"] for entry in listed["Contents"]]
    client.delete_object(Bucket=BUCKET, Key=key)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1))
def test_any_key_is_a_key_of_its_own(gcs: GcsProcess, key: str) -> None:
    if key in {".", ".."} or len(key.encode()) > 1024:
        return
    assert ask(gcs, "PUT", key, body=key.encode()).status == 200
    assert ask(gcs, "GET", key).body == key.encode()


@pytest.mark.parametrize(
    "key",
    [".", "..", "a\rb", "a\nb", ".well-known/acme-challenge/x", "x" * 1025, "\u00fc" * 513],
)
def test_keys_cloud_storage_cannot_hold(gcs: GcsProcess, key: str) -> None:
    assert ask(gcs, "PUT", key).code in {"InvalidObjectName", "KeyTooLong"}


def test_a_key_that_is_not_utf8(gcs: GcsProcess) -> None:
    headers = signed(gcs, "PUT", f"/{BUCKET}/%FF")
    assert send(gcs, "PUT", f"/{BUCKET}/%FF", headers=headers).code == "InvalidURI"


def test_a_put_without_a_length_is_refused(gcs: GcsProcess) -> None:
    reply = ask(gcs, "PUT", "lengthless", body=None)
    assert (reply.status, reply.code) == (411, "MissingContentLength")


def test_gzip_is_unpacked_for_who_does_not_ask_for_it(gcs: GcsProcess) -> None:
    packed = gzip.compress(HELLO * 10)
    ask(gcs, "PUT", "packed", body=packed, headers={"content-encoding": "gzip"})
    plain = ask(gcs, "GET", "packed", headers={"range": "bytes=0-3"})
    assert (plain.status, plain.body) == (200, HELLO * 10)
    assert plain.header("content-length") == ""
    assert plain.header("x-goog-stored-content-length") == str(len(packed))
    asking = {"headers": {"accept-encoding": "gzip"}, "unsigned": ("accept-encoding",)}
    stored = ask(gcs, "GET", "packed", **asking)  # type: ignore[arg-type]
    assert (stored.body, stored.header("content-encoding")) == (packed, "gzip")
    assert stored.header("content-length") == str(len(packed))
    head = ask(gcs, "HEAD", "packed", **asking)  # type: ignore[arg-type]
    assert head.header("content-length") == ""


def test_copies(gcs: GcsProcess) -> None:
    client = boto_client(gcs)
    client.put_object(Bucket=BUCKET, Key="from +%2B", Body=HELLO, Metadata={"a": "b"})
    source = {"Bucket": BUCKET, "Key": "from +%2B"}
    client.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
    found = client.get_object(Bucket=BUCKET, Key="to")
    assert (found["Body"].read(), found["Metadata"]) == (HELLO, {"a": "b"})
    client.copy_object(
        Bucket=BUCKET, Key="to", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"}
    )
    assert client.head_object(Bucket=BUCKET, Key="to")["Metadata"] == {"c": "d"}
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.copy_object(Bucket=BUCKET, Key="to", CopySource=source, CopySourceIfMatch="0" * 32)
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.copy_object(Bucket=BUCKET, Key="to", CopySource=f"{BUCKET}/nothing")


def test_generations_of_a_versioned_bucket(gcs: GcsProcess) -> None:
    def put(body: bytes) -> str:
        return ask(gcs, "PUT", "v", bucket="versioned", body=body).header("x-goog-generation")

    old, new = put(b"old"), put(b"new")
    assert ask(gcs, "GET", "v", bucket="versioned", query=f"generation={old}").body == b"old"
    assert ask(gcs, "DELETE", "v", bucket="versioned").status == 204
    assert ask(gcs, "GET", "v", bucket="versioned").code == "NoSuchKey"
    assert ask(gcs, "GET", "v", bucket="versioned", query=f"versionId={new}").body == b"new"
    listed = ask(gcs, "GET", "", bucket="versioned", query="versions").body.decode()
    assert [g for g in (new, old) if f"<Generation>{g}</Generation>" in listed] == [new, old]
    query = f"generation={old}"
    assert ask(gcs, "DELETE", "v", bucket="versioned", query=query).status == 204
    assert ask(gcs, "GET", "v", bucket="versioned", query=query).status == 404


@pytest.mark.parametrize("query", ["tagging", "object-lock", "acl", "retention", "restore"])
def test_subresources_that_are_not_there(gcs: GcsProcess, query: str) -> None:
    assert ask(gcs, "GET", "k", query=query).code == "NotImplemented"


def test_metadata_that_is_not_ascii_passes_byte_for_byte(gcs: GcsProcess) -> None:
    headers = {"x-amz-meta-city": "M\u00fcnchen"}
    assert ask(gcs, "PUT", "city", headers=headers).status == 200
    value = ask(gcs, "HEAD", "city").header("x-amz-meta-city")
    assert value.encode("latin-1") == "M\u00fcnchen".encode()


def test_unknown_query_parameters_are_refused(gcs: GcsProcess) -> None:
    assert ask(gcs, "GET", "k", query="x-id=GetObject").code == "InvalidArgument"
