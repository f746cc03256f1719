"""The stand-in's gate: signatures, clock, header families, permissions."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.gcs import BUCKET, RawReply, ask, boto_client, fault_text, running_gcs, send, signed
from sync.standins.gcs import (
    Control,
    GcsProcess,
    GcsStandIn,
    HmacIdentity,
    Options,
    Permission,
)

ALL = HmacIdentity("GOOGALL", "secret-of-all")
READER = HmacIdentity(
    "GOOGREADER", "secret-of-reader", {BUCKET: frozenset({Permission.READ, Permission.LIST})}
)
GETTER = HmacIdentity("GOOGGETTER", "secret-of-getter", {BUCKET: frozenset({Permission.READ})})
CREATOR = HmacIdentity("GOOGCREATOR", "secret-of-creator", {BUCKET: frozenset({Permission.WRITE})})


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    with running_gcs(identities=(ALL, READER, GETTER, CREATOR)) as running:
        yield running


@pytest.mark.parametrize("scheme", ["AWS4", "GOOG4"])
@pytest.mark.parametrize("region", ["auto", "us-east-1", "anything at all"])
def test_both_schemes_pass_whatever_the_region(gcs: GcsProcess, scheme: str, region: str) -> None:
    region = region.replace(" ", "-")
    reply = ask(gcs, "PUT", "signed/ok", scheme=scheme, region=region, body=b"x")
    assert reply.status == 200
    assert ask(gcs, "GET", "signed/ok", scheme=scheme, region=region).body == b"x"


@pytest.mark.parametrize("scheme", ["AWS4", "GOOG4"])
def test_wrong_secret_is_refused_with_what_was_to_be_signed(gcs: GcsProcess, scheme: str) -> None:
    wrong = HmacIdentity(ALL.access_id, "not the secret")
    reply = ask(gcs, "GET", "k", scheme=scheme, identity=wrong)
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    assert fault_text(reply.body, "StringToSign").startswith(f"{scheme}-HMAC-SHA256\n")
    assert fault_text(reply.body, "CanonicalRequest").startswith("GET\n/dst-bucket/k\n")


def test_boto3_hears_of_a_wrong_secret(gcs: GcsProcess) -> None:
    client = boto_client(gcs, identity=HmacIdentity(ALL.access_id, "no"))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.put_object(Bucket=BUCKET, Key="k", Body=b"")


def test_unknown_access_id(gcs: GcsProcess) -> None:
    reply = ask(gcs, "GET", "k", identity=HmacIdentity("GOOGNOBODY", "x"))
    assert (reply.status, reply.code) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("offset", [-16 * 60, 16 * 60])
def test_a_clock_more_than_fifteen_minutes_off(gcs: GcsProcess, offset: float) -> None:
    reply = ask(gcs, "GET", "k", when=time.time() + offset)
    assert (reply.status, reply.code) == (403, "RequestTimeTooSkewed")


def test_a_clock_fourteen_minutes_off_is_fine(gcs: GcsProcess) -> None:
    assert ask(gcs, "PUT", "skew", when=time.time() - 14 * 60).status == 200


def test_accept_encoding_must_not_be_signed(gcs: GcsProcess) -> None:
    headers = {"accept-encoding": "gzip"}
    reply = ask(gcs, "GET", "k", headers=headers)
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    ask(gcs, "PUT", "k", body=b"v")
    assert ask(gcs, "GET", "k", headers=headers, unsigned=("accept-encoding",)).body == b"v"


@pytest.mark.parametrize(
    ("scheme", "extra"),
    [("AWS4", {"x-goog-if-generation-match": "0"}), ("GOOG4", {"x-amz-meta-a": "b"})],
)
def test_header_families_do_not_mix(gcs: GcsProcess, scheme: str, extra: dict[str, str]) -> None:
    reply = ask(gcs, "PUT", "mixed", scheme=scheme, headers=extra)
    assert (reply.status, reply.code) == (400, "ExcessHeaderValues")


def test_an_extension_header_must_be_signed(gcs: GcsProcess) -> None:
    reply = ask(gcs, "PUT", "k", headers={"x-amz-meta-a": "b"}, unsigned=("x-amz-meta-a",))
    assert (reply.status, reply.code) == (400, "MalformedSecurityHeader")


def test_the_signed_payload_hash_must_be_that_of_the_body(gcs: GcsProcess) -> None:
    right = hashlib.sha256(b"body").hexdigest()
    assert ask(gcs, "PUT", "sha", payload=right, body=b"body").status == 200
    reply = ask(gcs, "PUT", "sha", payload=right, body=b"b0dy")
    assert (reply.status, reply.code) == (400, "XAmzContentSHA256Mismatch")
    assert ask(gcs, "GET", "sha").body == b"body"


@pytest.mark.parametrize(
    "mode", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]
)
def test_aws_chunked_is_refused(gcs: GcsProcess, mode: str) -> None:
    reply = ask(gcs, "PUT", "chunked", payload=mode, body=b"5\r\nhello\r\n0\r\n\r\n")
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")
    assert ask(gcs, "HEAD", "chunked").status == 404


def test_boto3_with_its_default_checksums_is_refused(gcs: GcsProcess) -> None:
    client = boto_client(gcs, request_checksum_calculation="when_supported")
    with pytest.raises(ClientError, match="InvalidArgument"):
        client.put_object(Bucket=BUCKET, Key="default-checksum", Body=b"x")
    upload = boto_client(gcs).create_multipart_upload(Bucket=BUCKET, Key="default-checksum")
    with pytest.raises(ClientError, match="InvalidArgument"):
        client.upload_part(
            Bucket=BUCKET,
            Key="default-checksum",
            UploadId=upload["UploadId"],
            PartNumber=1,
            Body=b"x",
        )


def test_without_a_signature_nothing_is_allowed(gcs: GcsProcess) -> None:
    reply = send(gcs, "GET", f"/{BUCKET}/k", headers={"host": "127.0.0.1"})
    assert (reply.status, reply.code) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "header",
    ["Bearer ya29.token", "AWS4-HMAC-SHA256 Credential=a/b", "AWS GOOGALL:c2lnbmF0dXJl"],
)
def test_other_kinds_of_authorization_are_refused(gcs: GcsProcess, header: str) -> None:
    reply = send(gcs, "GET", f"/{BUCKET}/k", headers={"host": "127.0.0.1", "authorization": header})
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_virtual_hosted_style(gcs: GcsProcess) -> None:
    host = {"host": f"{BUCKET}.storage.googleapis.com"}
    put = signed(gcs, "PUT", "/hosted//key", headers=host)
    assert send(gcs, "PUT", "/hosted//key", headers=put, body=b"v").status == 200
    assert ask(gcs, "GET", "hosted//key").body == b"v"


def test_presigned_links_of_boto3(gcs: GcsProcess) -> None:
    client = boto_client(gcs, signature_version="s3v4")
    client.put_object(Bucket=BUCKET, Key="pre signed+", Body=b"linked")
    reply = _follow(gcs, client, expires=60)
    assert (reply.status, reply.body) == (200, b"linked")


def test_a_presigned_link_that_is_too_old() -> None:
    async def run() -> bytes:
        options = Options(identities=(ALL,), buckets=(BUCKET,))
        async with GcsStandIn(options, clock=lambda: time.time() + 61) as server:
            place = GcsProcess(server.url, 0, Control(server.url, ""), ALL)
            client = boto_client(place, signature_version="s3v4")
            reply = await asyncio.to_thread(_follow, place, client, expires=60)
            return reply.body

    assert fault_text(asyncio.run(run()), "Code") == "ExpiredToken"


def test_a_presigned_link_that_was_changed(gcs: GcsProcess) -> None:
    client = boto_client(gcs, signature_version="s3v4")
    reply = _follow(gcs, client, expires=60, change=("Expires=60", "Expires=99"))
    assert (reply.status, reply.code) == (403, "SignatureDoesNotMatch")


def _follow(
    gcs: GcsProcess, client: Any, *, expires: int, change: tuple[str, str] = ("", "")
) -> RawReply:
    link = client.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": "pre signed+"}, ExpiresIn=expires
    )
    target = link.removeprefix(gcs.url).replace(*change)
    return send(gcs, "GET", target, headers={"host": gcs.url.removeprefix("http://")})


def test_a_reader_reads_and_does_nothing_else(gcs: GcsProcess) -> None:
    ask(gcs, "PUT", "guarded", body=b"v")
    assert ask(gcs, "GET", "guarded", identity=READER).body == b"v"
    for method in ("PUT", "DELETE"):
        reply = ask(gcs, method, "guarded", identity=READER)
        assert (reply.status, reply.code) == (403, "AccessDenied")
    assert ask(gcs, "GET", "missing", identity=READER).code == "NoSuchKey"


def test_who_may_not_list_does_not_learn_what_is_missing(gcs: GcsProcess) -> None:
    ask(gcs, "PUT", "there", body=b"v")
    assert ask(gcs, "GET", "there", identity=GETTER).status == 200
    assert ask(gcs, "GET", "missing", identity=GETTER).code == "AccessDenied"
    assert ask(gcs, "GET", "", identity=GETTER).code == "AccessDenied"


def test_replacing_an_object_needs_the_permission_to_delete(gcs: GcsProcess) -> None:
    ask(gcs, "DELETE", "created")
    assert ask(gcs, "PUT", "created", identity=CREATOR, body=b"1").status == 200
    assert ask(gcs, "PUT", "created", identity=CREATOR, body=b"2").code == "AccessDenied"
    assert ask(gcs, "GET", "created").body == b"1"


def test_the_journal_holds_no_signature_and_no_token(gcs: GcsProcess) -> None:
    client = boto_client(gcs, signature_version="s3v4")
    _follow(gcs, client, expires=60)
    ask(gcs, "GET", "k")
    for entry in gcs.control.requests():
        text = repr(entry)
        assert ALL.secret not in text
        sent = dict(entry["headers"]).get("authorization", "")
        assert sent in {"", "-"} or sent.endswith("Signature=-")
        assert entry["query"].get("X-Amz-Signature", "-") == "-"
        assert "X-Amz-Signature=-" in text or "X-Amz-Signature" not in text
