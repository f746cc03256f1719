"""Writing and reading whole objects, over every store."""

from __future__ import annotations

import gzip
import hashlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.stores import Subject
from sync.checksums import BytesStream, Digester, DigestingStream, agreement, disagreement
from sync.errors import (
    CredentialsRejected,
    IntegrityError,
    KeyNotAllowed,
    NoSuchBucket,
    NotFound,
)
from sync.model import Checksums, Digest, ObjectHeaders, ObjectRef
from sync.ports import Credentials

MIB = 1024 * 1024
CONTENT = (
    ("content-type", "text/plain; charset=utf-8"),
    ("content-encoding", "x-own"),
    ("content-language", "de"),
    ("content-disposition", 'attachment; filename="a b.txt"'),
    ("cache-control", "max-age=60, public"),
    ("expires", "Thu, 01 Dec 2044 16:00:00 GMT"),
)
METADATA = (("colour", "blue  green"), ("with-dash", "a=b;c,d"), ("empty-not", "0"))
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
    "%",
    "%zz/100%",
    " ",
    " lead and trail ",
    "a?b&c=d#e",
    "tab\there",
    "quote'\"<>",
    "back\\slash",
    "üñí/日本語",
    "e\u0301-not-\u00e9",
    "🦊/🚀.bin",
    "folder/",
    "folder//",
    "~tilde*(star)!,;:@$[]{}|^`",
    "/".join(["w" * 200] * 5),
    "x" * 1024,
    "é" * 512,
]


def new_ref(subject: Subject, key: str = "") -> ObjectRef:
    return ObjectRef(subject.bucket, key or f"objects/{uuid.uuid4().hex}")


def stream(data: bytes) -> BytesStream:
    return BytesStream(data)


async def content(store: Any, ref: ObjectRef) -> bytes:
    async with store.open(ref) as read:
        assert read.body.length == read.meta.size
        return b"".join([bytes(chunk) async for chunk in read.body])


def sums_of(data: bytes) -> Checksums:
    digester = Digester(Digest)
    digester.update(data)
    return digester.checksums()


@pytest.mark.parametrize("size", [0, 1, 4096, 300_000], ids=str)
def test_what_is_put_can_be_read(subject: Subject, size: int) -> None:
    data = bytes(index % 251 for index in range(size))

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        receipt = await store.put(ref, stream(data), ObjectHeaders())
        assert await content(store, ref) == data
        meta = await store.head(ref)
        assert meta.size == size
        assert meta.identity.etag == receipt.etag
        assert '"' not in receipt.etag
        assert meta.last_modified > 1_600_000_000

    subject.run(body)


def test_headers_and_metadata_are_kept(subject: Subject) -> None:
    headers = ObjectHeaders(content=CONTENT, metadata=METADATA)

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        await store.put(ref, stream(b"abc"), headers)
        kept = (await store.head(ref)).headers
        expected = dict(CONTENT)
        if not subject.traits.keeps_expires:
            del expected["expires"]
        assert dict(kept.content) == expected
        # Runs of spaces are one space to a signature; stores may keep either.
        found = {name: " ".join(value.split()) for name, value in kept.metadata}
        assert found == {name: " ".join(value.split()) for name, value in METADATA}
        async with store.open(ref) as read:
            assert read.meta.headers == kept

    subject.run(body)


def test_metadata_beyond_ascii_passes_byte_for_byte(subject: Subject) -> None:
    if not subject.traits.keeps_raw_metadata:
        pytest.skip(f"{subject.name} does not keep metadata beyond ASCII")
    value = "Zoë 日本".encode().decode("latin-1")

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        await store.put(ref, stream(b"abc"), ObjectHeaders(metadata=(("name", value),)))
        assert (await store.head(ref)).headers.metadata == (("name", value),)

    subject.run(body)


def test_compressed_objects_come_as_they_are_stored(subject: Subject) -> None:
    data = gzip.compress(b"the same line\n" * 10_000)
    headers = ObjectHeaders((("content-type", "text/plain"), ("content-encoding", "gzip")))

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        await store.put(ref, stream(data), headers)
        assert await content(store, ref) == data
        meta = await store.head(ref)
        assert meta.size == len(data)
        assert dict(meta.headers.content)["content-encoding"] == "gzip"
        async with store.open(ref, byte_range=(10, 19)) as read:
            assert b"".join([bytes(chunk) async for chunk in read.body]) == data[10:20]

    subject.run(body)


def test_tags_are_kept(subject: Subject) -> None:
    if not (subject.dialect.has_tags and subject.traits.keeps_tags):
        pytest.skip(f"{subject.name} has no tags")

    async def body(store: Any) -> None:
        ref, plain = new_ref(subject), new_ref(subject)
        await store.put(ref, stream(b"abc"), ObjectHeaders(tagging="a=1&b%20c=2%2B"))
        await store.put(plain, stream(b"abc"), ObjectHeaders())
        assert sorted((await store.tagging(ref)).split("&")) == ["a=1", "b%20c=2%2B"]
        assert await store.tagging(plain) == ""

    subject.run(body)


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: ascii(key[:16]))
def test_keys_pass_byte_for_byte(subject: Subject, key: str) -> None:
    if key in subject.traits.lost_keys:
        pytest.skip(f"{subject.name} cannot hold this key")
    data = key.encode()

    async def body(store: Any) -> None:
        ref = new_ref(subject, key)
        await store.put(ref, stream(data), ObjectHeaders())
        assert await content(store, ref) == data
        assert (await store.head(ref)).size == len(data)
        upload = await store.create_upload(ref, ObjectHeaders())
        assert [u.upload_id for u in await store.uploads(ref)] == [upload.upload_id]
        await store.abort(upload)
        await store.delete(ref)
        with pytest.raises(NotFound):
            await store.head(ref)

    subject.run(body)


def test_keys_no_store_can_hold_are_refused(subject: Subject) -> None:
    if subject.name == "memory":
        pytest.skip("the fake takes any key")

    async def body(store: Any) -> None:
        for key in ("", "x" * 1025, "lone \ud800 surrogate"):
            ref = ObjectRef(subject.bucket, key)
            with pytest.raises(KeyNotAllowed):
                await store.put(ref, stream(b""), ObjectHeaders())
            with pytest.raises(KeyNotAllowed):
                await store.create_upload(ref, ObjectHeaders())

    subject.run(body)


def test_the_receipt_proves_the_bytes(subject: Subject) -> None:
    data = bytes(range(256)) * 1000

    async def body(store: Any) -> None:
        receipt = await store.put(new_ref(subject), stream(data), ObjectHeaders())
        sums = sums_of(data)
        assert disagreement(sums, receipt.checksums) is None
        assert agreement(sums, receipt.checksums)
        for digest in subject.dialect.digests:
            assert getattr(receipt.checksums, digest.value) == getattr(sums, digest.value)

    subject.run(body)


def test_wrong_content_md5_is_refused(subject: Subject) -> None:
    if not subject.traits.checks_md5:
        pytest.skip(f"{subject.name} does not check Content-MD5")

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        with pytest.raises(IntegrityError):
            await store.put(
                ref, stream(b"abc"), ObjectHeaders(), content_md5=hashlib.md5(b"abd").digest()
            )
        with pytest.raises(NotFound):
            await store.head(ref)
        right = hashlib.md5(b"abc").digest()
        await store.put(ref, stream(b"abc"), ObjectHeaders(), content_md5=right)
        assert await content(store, ref) == b"abc"

    subject.run(body)


def test_overwriting_replaces_bytes_and_headers(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject)
        await store.put(ref, stream(b"one"), ObjectHeaders(metadata=(("a", "1"),)))
        await store.put(ref, stream(b"second"), ObjectHeaders(metadata=(("b", "2"),)))
        assert await content(store, ref) == b"second"
        assert (await store.head(ref)).headers.metadata == (("b", "2"),)

    subject.run(body)


def test_deleting_is_quiet_about_what_is_not_there(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject)
        await store.delete(ref)
        await store.put(ref, stream(b"abc"), ObjectHeaders())
        await store.delete(ref)
        await store.delete(ref)
        with pytest.raises(NotFound) as told:
            await store.head(ref)
        assert not isinstance(told.value, NoSuchBucket)

    subject.run(body)


def test_a_missing_bucket_is_not_a_missing_object(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = ObjectRef(f"no-such-{uuid.uuid4().hex[:12]}", "key")
        with pytest.raises(NoSuchBucket):
            await store.head(ref)
        with pytest.raises(NoSuchBucket):
            await content(store, ref)
        if subject.traits.makes_missing_buckets:
            return
        with pytest.raises(NoSuchBucket):
            await store.put(ref, stream(b"abc"), ObjectHeaders())
        with pytest.raises(NoSuchBucket):
            await store.delete(ref)

    subject.run(body)


def test_a_wrong_secret_is_told_from_a_missing_permission(subject: Subject) -> None:
    if not subject.traits.checks_signatures:
        pytest.skip(f"{subject.name} does not check signatures")

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        for refused in (
            store.head(ref),
            content(store, ref),
            store.put(ref, stream(b"abc"), ObjectHeaders()),
            store.create_upload(ref, ObjectHeaders()),
        ):
            with pytest.raises(CredentialsRejected) as told:
                await refused
            assert "wrong-secret" not in str(told.value)

    subject.run(body, Credentials("AKIAIOSFODNN7TESTKEY", "wrong-secret"))


def test_an_unknown_access_key_is_rejected(subject: Subject) -> None:
    if not subject.traits.checks_signatures:
        pytest.skip(f"{subject.name} does not check signatures")

    async def body(store: Any) -> None:
        with pytest.raises(CredentialsRejected):
            await store.head(new_ref(subject))

    subject.run(body, Credentials("AKIANOSUCHKEY0000000", "secret"))


class BrokenBody:
    """Ends half way with an error, as a failing read does."""

    length = 4 * MIB

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for _ in range(2):
            yield memoryview(bytes(MIB))
        raise self._error


def test_a_body_that_raises_leaves_no_object(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref, error = new_ref(subject), IntegrityError("the read failed")
        with pytest.raises(IntegrityError) as told:
            await store.put(ref, BrokenBody(error), ObjectHeaders())
        assert told.value is error
        with pytest.raises(NotFound):
            await store.head(ref)
        await store.put(ref, stream(b"whole"), ObjectHeaders())
        assert await content(store, ref) == b"whole"

    subject.run(body)


class Pattern:
    """Many bytes that are never all in memory."""

    def __init__(self, length: int) -> None:
        self.length = length

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for index in range(self.length // MIB):
            yield memoryview(index.to_bytes(4, "big") * (MIB // 4))


def test_64_mib_stream_through(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref, sent = new_ref(subject), DigestingStream(Pattern(64 * MIB), subject.dialect.digests)
        receipt = await store.put(ref, sent, ObjectHeaders())
        assert agreement(sent.digester.checksums(), receipt.checksums)
        async with store.open(ref) as read:
            found = DigestingStream(read.body, subject.dialect.digests)
            assert sum([len(chunk) async for chunk in found]) == 64 * MIB
        assert found.digester.checksums() == sent.digester.checksums()
        await store.delete(ref)

    subject.run(body)
