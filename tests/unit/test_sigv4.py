"""The signer against published vectors, and against botocore over hostile input."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from unittest import mock
from urllib.parse import quote, unquote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync.errors import KeyNotAllowed, RequestRefused
from sync.ports import Credentials
from sync.wire import sigv4
from sync.wire.sigv4 import EMPTY_HASH, UNSIGNED_PAYLOAD, Signer, encode_key

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE = Credentials("AKIDEXAMPLE", SECRET)
S3_DOC = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
SUITE_TIME = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
DOC_TIME = dt.datetime(2013, 5, 24, tzinfo=dt.UTC)
Pairs = Sequence[tuple[str, str]]


def authorization(headers: Pairs) -> str:
    return dict(headers)["authorization"]


def signature(headers: Pairs) -> str:
    return authorization(headers).rpartition("Signature=")[2]


# AWS's published test suite (service "service", us-east-1, example.amazonaws.com).

VECTORS: list[tuple[str, str, str, Pairs, Pairs, str]] = [
    (
        "get-vanilla",
        "GET",
        "/",
        (),
        (),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-vanilla-query-order-key-case",
        "GET",
        "/",
        (("Param2", "value2"), ("Param1", "value1")),
        (),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-unreserved",
        "GET",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        (),
        (),
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "post-vanilla",
        "POST",
        "/",
        (),
        (),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "post-header-key-sort",
        "POST",
        "/",
        (),
        (("My-Header1", "value1"),),
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    (
        "get-slashes (normalised outside S3)",
        "GET",
        "//example//",
        (),
        (),
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    (
        "get-relative (normalised outside S3)",
        "GET",
        "/example/..",
        (),
        (),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected"),
    [vector[1:] for vector in VECTORS],
    ids=[vector[0] for vector in VECTORS],
)
def test_the_published_suite(
    method: str, path: str, query: Pairs, headers: Pairs, expected: str
) -> None:
    _, out = Signer(service="service").sign(
        method=method,
        host="example.amazonaws.com",
        path=path,
        query=query,
        headers=headers,
        payload_hash=EMPTY_HASH,
        credentials=SUITE,
        region="us-east-1",
        now=SUITE_TIME.timestamp(),
    )
    assert authorization(out).startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
    )
    assert signature(out) == expected


# The examples of S3's own documentation (examplebucket, 24 May 2013).

S3_EXAMPLES: list[tuple[str, str, str, Pairs, Pairs, str, str]] = [
    (
        "get-object-range",
        "GET",
        "/test.txt",
        (),
        (("Range", "bytes=0-9"),),
        EMPTY_HASH,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "put-object",
        "PUT",
        "/test%24file.text",
        (),
        (("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")),
        sigv4.payload_hash(b"Welcome to Amazon S3."),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    (
        "get-bucket-lifecycle",
        "GET",
        "/",
        (("lifecycle", ""),),
        (),
        EMPTY_HASH,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    (
        "list-objects",
        "GET",
        "/",
        (("max-keys", "2"), ("prefix", "J")),
        (),
        EMPTY_HASH,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "body_hash", "expected"),
    [vector[1:] for vector in S3_EXAMPLES],
    ids=[vector[0] for vector in S3_EXAMPLES],
)
def test_the_examples_of_s3(  # noqa: PLR0917  one for each column
    method: str, path: str, query: Pairs, headers: Pairs, body_hash: str, expected: str
) -> None:
    _, out = Signer(service="s3").sign(
        method=method,
        host="examplebucket.s3.amazonaws.com",
        path=path,
        query=query,
        headers=headers,
        payload_hash=body_hash,
        credentials=S3_DOC,
        region="us-east-1",
        now=DOC_TIME.timestamp(),
    )
    assert signature(out) == expected


def test_a_link_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(RequestRefused, match="latin-1"):
        Signer(service="s3").presign(
            method="GET",
            host="examplebucket.s3.amazonaws.com",
            path="/\u4e00",
            query=(),
            credentials=S3_DOC,
            region="us-east-1",
            now=0.0,
            expires=60,
        )


def test_the_presigned_example_of_s3() -> None:
    target = Signer(service="s3").presign(
        method="GET",
        host="examplebucket.s3.amazonaws.com",
        path="/test.txt",
        query=(),
        credentials=S3_DOC,
        region="us-east-1",
        now=DOC_TIME.timestamp(),
        expires=86400,
    )
    assert target == (
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


# Against botocore.


def botocore_signature(
    *,
    service: str,
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    body_hash: str,
    token: str,
) -> tuple[str, str]:
    """Signed header names and signature as botocore makes them at SUITE_TIME."""
    request = AWSRequest(method=method, url=url, data=b"")
    for name, value in headers:
        request.headers.add_header(name, value)
    credentials = BotoCredentials(SUITE.access_key, SECRET, token or None)
    kind = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer = kind(credentials, service, "us-east-1")
    naive = SUITE_TIME.replace(tzinfo=None)
    with (
        mock.patch.object(signer, "payload", return_value=body_hash),
        mock.patch("botocore.auth.get_current_datetime", return_value=naive, create=True),
        mock.patch("botocore.auth.datetime", create=True) as clock,
    ):
        clock.datetime.utcnow.return_value = naive
        signer.add_auth(request)
    found = re.search(r"SignedHeaders=([^,]*), Signature=(\w+)", request.headers["Authorization"])
    assert found is not None
    return found[1], found[2]


def ours(
    *,
    service: str,
    method: str,
    path: str,
    query: Pairs,
    headers: Pairs,
    body_hash: str,
    token: str,
) -> tuple[str, tuple[str, str]]:
    target, out = Signer(service=service).sign(
        method=method,
        host="bucket.example.com:9000",
        path=path,
        query=query,
        headers=headers,
        payload_hash=body_hash,
        credentials=Credentials(SUITE.access_key, SECRET, token),
        region="us-east-1",
        now=SUITE_TIME.timestamp(),
    )
    found = re.search(r"SignedHeaders=([^,]*), Signature=(\w+)", authorization(out))
    assert found is not None
    return target, (found[1], found[2])


KEYS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("/.%+ ~?#&=:@\x00\x01\x7f\n\r\t"),
    min_size=1,
    max_size=60,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("/%+ ~&="), max_size=20)
QUERIES = st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=4, unique_by=lambda pair: pair[0])
# What may stand in a header: no controls; space-like characters beyond ASCII are left out
# because botocore folds them as text, while on the wire they are bytes like any other.
VALUES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]) | st.just(" "))
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,15}", fullmatch=True).filter(
    lambda name: name.lower() not in sigv4._NEVER_SIGNED | {"date", "x-amz-date"}
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4, unique_by=lambda pair: pair[0].lower())


@settings(max_examples=200, deadline=None)
@given(KEYS, QUERIES, HEADERS, st.sampled_from(["", "a/token+with=chars"]))
@example("a//b", [], [], "")
@example("/a", [], [], "")
@example("./a", [], [], "")
@example("a/../b", [], [], "")
@example("a+b %2B ~ ?#", [("versionId", "a/b+c=")], [("x-amz-meta-a", "  two  spaces ")], "t")
@example("\U0001f600/\u00e9", [("prefix", "a b/")], [("x-amz-meta-n", "gr\u00fc")], "")
@example("k" * 1024, [("a", ""), ("a-", "1"), ("A", "2")], [], "")
@example("\x01\x7f\r\n\t", [("b", "\x00")], [], "")
def test_s3_signatures_equal_botocores(
    key: str, query: list[tuple[str, str]], headers: list[tuple[str, str]], token: str
) -> None:
    path = f"/{encode_key(key)}"
    assert path == f"/{quote(key, safe='/~')}"
    on_the_wire = [(name, value.encode().decode("latin-1")) for name, value in headers]
    target, made = ours(
        service="s3",
        method="PUT",
        path=path,
        query=query,
        headers=on_the_wire,
        body_hash=UNSIGNED_PAYLOAD,
        token=token,
    )
    assert target.partition("?")[0] == path
    url = f"https://bucket.example.com:9000{target}"
    assert made == botocore_signature(
        service="s3",
        method="PUT",
        url=url,
        headers=headers,
        body_hash=UNSIGNED_PAYLOAD,
        token=token,
    )


SEGMENT = st.text(st.sampled_from("aZ09-._~%/+ é"), max_size=20)


@settings(max_examples=100, deadline=None)
@given(SEGMENT, HEADERS)
@example("123456789012/queue name", [])
@example("a//b/../c/./", [])
def test_other_services_signatures_equal_botocores(
    path: str, headers: list[tuple[str, str]]
) -> None:
    encoded = f"/{encode_key(path)}"
    on_the_wire = [(name, value.encode().decode("latin-1")) for name, value in headers]
    body_hash = sigv4.payload_hash(b"{}")
    _, made = ours(
        service="sqs",
        method="POST",
        path=encoded,
        query=(),
        headers=on_the_wire,
        body_hash=body_hash,
        token="",
    )
    url = f"https://bucket.example.com:9000{encoded}"
    if encoded.startswith("//"):
        return  # botocore's URL parser and ours need not agree on what is then the host
    assert made == botocore_signature(
        service="sqs", method="POST", url=url, headers=headers, body_hash=body_hash, token=""
    )


@given(KEYS)
def test_an_encoded_key_is_the_key(key: str) -> None:
    encoded = encode_key(key)
    assert unquote(encoded) == key
    assert re.fullmatch(r"([A-Za-z0-9._~/-]|%[0-9A-F]{2})*", encoded)


# Rules of our own.


def test_headers_that_are_changed_on_the_way_are_never_signed() -> None:
    sent = (
        ("Accept-Encoding", "gzip"),
        ("User-Agent", "x"),
        ("Content-Length", "3"),
        ("Expect", "100-continue"),
        ("Connection", "keep-alive"),
        ("X-Amzn-Trace-Id", "Root=1"),
        ("If-Match", '"abc"'),
    )
    _, out = Signer(service="s3").sign(
        method="GET",
        host="h",
        path="/k",
        query=(),
        headers=sent,
        payload_hash=UNSIGNED_PAYLOAD,
        credentials=SUITE,
        region="auto",
        now=0.0,
    )
    assert out[: len(sent)] == sent
    names = "SignedHeaders=host;if-match;x-amz-content-sha256;x-amz-date,"
    assert names in authorization(out)


def test_repeated_headers_are_signed_as_one() -> None:
    once = ours(
        service="s3",
        method="GET",
        path="/k",
        query=(),
        headers=(("x-a", "1,2"),),
        body_hash=UNSIGNED_PAYLOAD,
        token="",
    )
    twice = ours(
        service="s3",
        method="GET",
        path="/k",
        query=(),
        headers=(("X-A", "1"), ("x-a", "2")),
        body_hash=UNSIGNED_PAYLOAD,
        token="",
    )
    assert once == twice


def test_the_day_and_the_secret_change_the_key() -> None:
    signer = Signer(service="s3")

    def made(secret: str, now: float) -> str:
        _, out = signer.sign(
            method="GET",
            host="h",
            path="/k",
            query=(),
            headers=(),
            payload_hash=UNSIGNED_PAYLOAD,
            credentials=Credentials("AK", secret),
            region="auto",
            now=now,
        )
        return authorization(out)

    first = made("one", 1e9)
    assert made("two", 1e9) != first
    assert "/20010910/" in made("one", 1e9 + 86400)
    for index in range(200):
        made(f"secret {index}", 1e9)
    assert made("one", 1e9) == first
    assert len(signer._keys) <= 64


def test_text_that_cannot_be_sent() -> None:
    with pytest.raises(KeyNotAllowed):
        encode_key("a\ud800b")
    with pytest.raises(RequestRefused):
        ours(
            service="s3",
            method="GET",
            path="/k",
            query=(),
            headers=(("x-a", "\u2603"),),
            body_hash=UNSIGNED_PAYLOAD,
            token="",
        )
