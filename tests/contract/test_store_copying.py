"""What stores do by themselves, over a socket: CopyObject, UploadPartCopy, PutObjectTagging."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from support.buckets import make_bucket
from support.servers import S3Server
from support.stores import boto_for, connected
from sync.adapters.clock import SystemClock
from sync.adapters.dialects import GCS, GENERIC, S3Dialect
from sync.adapters.memory import MemoryObserver
from sync.adapters.s3 import S3Store
from sync.adapters.s3_copy import S3Copies
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.equality import Different
from sync.engine.options import CopyOptions, Mode
from sync.engine.transfer import Context, JobState, Sides
from sync.errors import KeyNotAllowed, NotFound, PreconditionFailed
from sync.model import MIB, JobKind, ObjectHeaders, ObjectRef, Outcome, TransferJob, TransferResult

HEADERS = ObjectHeaders(
    (("content-type", "text/plain"), ("cache-control", "no-store")), (("colour", "blue  green"),)
)
HOSTILE = ["a b+c%2B.txt", "ünï/✓.bin", "q?v=1&x=%", "~tilde'(quote)"]
"""Keys that the path of a copy's source must spell so that they are found."""


class Place:
    """A server with two buckets, and everything on it."""

    def __init__(self, server: S3Server, dialect: S3Dialect) -> None:
        self.server, self.dialect = server, dialect
        self.boto = boto_for(server)
        self.source, self.target = (f"copying-{name}-{id(self):x}" for name in "st")
        for bucket in (self.source, self.target):
            make_bucket(self.boto, bucket)

    def put(self, key: str, content: bytes, **fields: Any) -> str:
        """An object at the source; its ETag."""
        reply = self.boto.put_object(Bucket=self.source, Key=key, Body=content, **fields)
        return str(reply["ETag"]).strip('"')

    def held(self, key: str) -> dict[str, Any]:
        reply: dict[str, Any] = self.boto.get_object(Bucket=self.target, Key=key)
        return reply | {"Body": reply["Body"].read()}

    def tags(self, key: str) -> dict[str, str]:
        reply = self.boto.get_object_tagging(Bucket=self.target, Key=key)
        return {tag["Key"]: tag["Value"] for tag in reply["TagSet"]}

    def refs(self, key: str) -> tuple[ObjectRef, ObjectRef]:
        return ObjectRef(self.source, key), ObjectRef(self.target, key)

    def run(self, test: Callable[[S3Store, S3Copies], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with connected(self.server, self.dialect) as store:
                return await test(store, S3Copies(store.session, self.dialect))

        return asyncio.run(main())

    def copier(self, store: S3Store, **options: Any) -> Copier:
        return Copier(
            Context(
                source=store,
                destination=store,
                ledger=None,
                options=CopyOptions(**options),
                observer=MemoryObserver(),
                clock=SystemClock(),
                slots=Budget(4),
                sides=Sides(store, store, S3Copies(store.session, self.dialect)),
            )
        )

    def do(self, key: str, **options: Any) -> TransferResult:
        job = TransferJob(JobKind.COPY, *self.refs(key))

        async def one(store: S3Store, _copies: S3Copies) -> TransferResult:
            return await self.copier(store, **options).run(job, JobState())

        result: TransferResult = self.run(one)
        return result


@pytest.fixture(params=["seaweedfs", "moto", "gcs"])
def place(request: pytest.FixtureRequest) -> Place:
    name = request.param
    dialect = GCS if name == "gcs" else GENERIC
    return Place(request.getfixturevalue(f"{name}_server"), dialect)


@pytest.fixture(params=["seaweedfs", "moto"])
def with_parts(request: pytest.FixtureRequest) -> Place:
    """Stores that copy parts, told that 6 MiB are the most for one request."""
    server = request.getfixturevalue(f"{request.param}_server")
    return Place(server, replace(GENERIC, max_copy=6 * MIB))


def test_a_copy_has_the_headers_given_and_not_the_source_s(place: Place) -> None:
    etag = place.put("k", b"hello", ContentType="a/b", Metadata={"other": "x"})
    source, target = place.refs("k")
    place.run(lambda _store, copies: copies.copy(source, target, HEADERS, if_match=etag))
    held = place.held("k")
    assert (held["Body"], held["ContentType"]) == (b"hello", "text/plain")
    assert (held["CacheControl"], held["Metadata"]) == ("no-store", {"colour": "blue  green"})


@pytest.mark.parametrize("key", HOSTILE)
def test_the_source_s_key_is_found_whatever_it_holds(place: Place, key: str) -> None:
    etag = place.put(key, key.encode())
    source, target = place.refs(key)
    place.run(lambda _store, copies: copies.copy(source, target, HEADERS, if_match=etag))
    assert place.held(key)["Body"] == key.encode()


def test_a_pin_that_does_not_hold_and_a_source_that_is_gone(place: Place) -> None:
    place.put("k", b"hello")
    asked: list[tuple[str, type[Exception]]] = [("none", NotFound)]
    if place.server.name != "moto":  # which takes no notice of pins
        asked.append(("k", PreconditionFailed))
    for key, error in asked:
        source, target = place.refs(key)

        def other(
            _store: S3Store, copies: S3Copies, pair: tuple[ObjectRef, ObjectRef] = (source, target)
        ) -> Awaitable[Any]:
            return copies.copy(*pair, HEADERS, if_match="0" * 32)

        with pytest.raises(error):
            place.run(other)


def test_a_key_the_store_cannot_hold_is_not_asked_for(place: Place) -> None:
    source, target = place.refs("k" * 1025)
    with pytest.raises(KeyNotAllowed):
        place.run(lambda _store, copies: copies.copy(source, target, HEADERS, if_match="x"))


def test_the_engine_copies_and_verifies_small_and_large(with_parts: Place) -> None:
    tags = "a=1&b=%2B%20x"
    large = bytes(range(256)) * (4 * MIB // 64)  # 16 MiB
    for key, content in (("small", b"hello"), ("empty", b""), ("large", large)):
        with_parts.put(key, content, ContentType="a/b", Metadata={"colour": "blue"}, Tagging=tags)
        result = with_parts.do(key, mode=Mode.COPY, copy_tags=True, chunk=5 * MIB)
        assert (result.outcome, result.bytes_moved) == (Outcome.COPIED, len(content))
        held = with_parts.held(key)
        assert held["Body"] == content
        assert (held["ContentType"], held["Metadata"]) == ("a/b", {"colour": "blue"})
        assert with_parts.tags(key) == dict(parse_qsl(tags))
        checked = with_parts.do(key, mode=Mode.CHECK, copy_tags=True)
        assert checked.outcome is Outcome.SKIPPED
    assert result.parts_sent == 3


def test_without_copytags_a_copy_has_no_tags(with_parts: Place) -> None:
    with_parts.put("k", b"hello", Tagging="a=1")
    with_parts.do("k", mode=Mode.COPY)
    assert with_parts.tags("k") == {}


def test_the_engine_copies_on_a_store_that_copies_no_parts(place: Place) -> None:
    place.put("k", b"hello" * MIB, ContentType="a/b")
    result = place.do("k", mode=Mode.COPY)
    assert (result.outcome, place.held("k")["Body"]) == (Outcome.COPIED, b"hello" * MIB)
    assert place.do("k", mode=Mode.CHECK).outcome is Outcome.SKIPPED
    assert place.do("k", verify_first=True).outcome is Outcome.SKIPPED


def test_a_check_tells_what_differs(place: Place) -> None:
    place.put("k", b"hello", ContentType="a/b", Metadata={"colour": "blue"})
    with pytest.raises(Different, match="missing"):
        place.do("k", mode=Mode.CHECK)
    place.boto.put_object(Bucket=place.target, Key="k", Body=b"jello")
    with pytest.raises(Different, match=r"content-type.*metadata differs: colour"):
        place.do("k", mode=Mode.CHECK)


def test_a_check_tells_other_bytes_of_the_same_size(place: Place) -> None:
    place.put("k", b"hello")
    place.boto.put_object(Bucket=place.target, Key="k", Body=b"jello")
    with pytest.raises(Different, match=r"CRC32C|MD5"):
        place.do("k", mode=Mode.CHECK)


@pytest.mark.parametrize("tags", ["a=1&b=%2B%20x", ""])
def test_tags_alone_are_brought_up_to_date(with_parts: Place, tags: str) -> None:
    with_parts.put("k", b"hello", Tagging=tags)
    with_parts.boto.put_object(Bucket=with_parts.target, Key="k", Body=b"hello", Tagging="a=2")
    before = with_parts.held("k")["LastModified"]
    result = with_parts.do("k", verify_first=True, copy_tags=True)
    assert (result.outcome, result.bytes_moved) == (Outcome.COPIED, 0)
    assert with_parts.tags("k") == dict(parse_qsl(tags))
    assert with_parts.held("k")["LastModified"] == before
