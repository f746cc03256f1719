"""Reading with ranges and pins, over every store."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from support.stores import Subject
from sync.checksums import BytesStream
from sync.errors import IntegrityError, NoSuchVersion, NotFound, PreconditionFailed, RequestRefused
from sync.model import ObjectHeaders, ObjectRef

DATA = bytes(index % 253 for index in range(100_000))


def new_ref(bucket: str) -> ObjectRef:
    return ObjectRef(bucket, f"reading/{uuid.uuid4().hex}")


async def read_all(store: Any, ref: ObjectRef, **options: Any) -> bytes:
    async with store.open(ref, **options) as read:
        data = b"".join([bytes(chunk) async for chunk in read.body])
        assert len(data) == read.body.length
        return data


@pytest.mark.parametrize(
    "asked",
    [(0, 0), (0, 99), (1, 1), (50_000, 99_999), (99_999, 99_999), (0, 99_999)],
    ids=lambda asked: f"{asked[0]}-{asked[1]}",
)
def test_a_range_gives_its_bytes_and_the_whole_size(
    subject: Subject, asked: tuple[int, int]
) -> None:
    first, last = asked

    async def body(store: Any) -> None:
        ref = new_ref(subject.bucket)
        await store.put(ref, BytesStream(DATA), ObjectHeaders(metadata=(("a", "b"),)))
        async with store.open(ref, byte_range=asked) as read:
            assert read.meta.size == len(DATA)
            assert read.meta.headers.metadata == (("a", "b"),)
            assert read.body.length == last - first + 1
            got = b"".join([bytes(chunk) async for chunk in read.body])
        assert got == DATA[first : last + 1]

    subject.run(body)


def test_a_range_behind_the_end_is_an_error(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject.bucket)
        await store.put(ref, BytesStream(b"short"), ObjectHeaders())
        with pytest.raises((IntegrityError, RequestRefused)):
            await read_all(store, ref, byte_range=(5, 9))

    subject.run(body)


def test_a_range_beyond_the_end_is_never_taken_for_what_was_asked(subject: Subject) -> None:
    if subject.name == "memory":
        pytest.skip("the fake gives what it has")

    async def body(store: Any) -> None:
        ref = new_ref(subject.bucket)
        await store.put(ref, BytesStream(b"short"), ObjectHeaders())
        with pytest.raises(IntegrityError):
            await read_all(store, ref, byte_range=(0, 9))

    subject.run(body)


def test_the_etag_pins_a_read(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject.bucket)
        first = await store.put(ref, BytesStream(b"first"), ObjectHeaders())
        assert await read_all(store, ref, if_match=first.etag) == b"first"
        assert await read_all(store, ref, if_match=first.etag, byte_range=(1, 2)) == b"ir"
        second = await store.put(ref, BytesStream(b"second"), ObjectHeaders())
        with pytest.raises(PreconditionFailed):
            await read_all(store, ref, if_match=first.etag)
        with pytest.raises(PreconditionFailed):
            await read_all(store, ref, if_match=first.etag, byte_range=(0, 1))
        assert await read_all(store, ref, if_match=second.etag) == b"second"

    subject.run(body)


def test_a_version_id_pins_a_read(subject: Subject) -> None:
    if not subject.traits.versions:
        pytest.skip(f"{subject.name} has no versions here")
    ref = new_ref(subject.version_bucket())

    async def body(store: Any) -> None:
        old = await store.put(ref, BytesStream(b"old bytes"), ObjectHeaders())
        new = await store.put(ref, BytesStream(b"new"), ObjectHeaders())
        assert old.version_id
        assert new.version_id not in {None, old.version_id}
        past = ObjectRef(ref.bucket, ref.key, old.version_id)
        assert await read_all(store, past) == b"old bytes"
        assert await read_all(store, past, byte_range=(0, 2)) == b"old"
        assert (await store.head(past)).identity.version_id == old.version_id
        current = await store.head(ref)
        assert current.identity.version_id == new.version_id
        assert await read_all(store, ref) == b"new"

    subject.run(body)


def test_versions_that_are_gone_or_markers_are_told(subject: Subject) -> None:
    if not subject.traits.versions:
        pytest.skip(f"{subject.name} has no versions here")
    ref = new_ref(subject.version_bucket())

    async def body(store: Any) -> None:
        old = await store.put(ref, BytesStream(b"old"), ObjectHeaders())
        await store.put(ref, BytesStream(b"new"), ObjectHeaders())
        past = ObjectRef(ref.bucket, ref.key, old.version_id)
        await store.delete(past)
        for attempt in (store.head(past), read_all(store, past)):
            with pytest.raises(NoSuchVersion):
                await attempt
        await store.delete(ref)
        for attempt in (store.head(ref), read_all(store, ref)):
            with pytest.raises(NotFound):
                await attempt

    subject.run(body)


def test_a_missing_object_is_not_found(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject.bucket)
        for attempt in (
            store.head(ref),
            read_all(store, ref),
            read_all(store, ref, byte_range=(0, 0)),
        ):
            with pytest.raises(NotFound):
                await attempt

    subject.run(body)


def test_a_read_can_be_left_half_way(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject.bucket)
        await store.put(ref, BytesStream(DATA * 40), ObjectHeaders())
        async with store.open(ref) as read:
            async for _ in read.body:
                break
        assert await read_all(store, ref, byte_range=(0, 9)) == DATA[:10]

    subject.run(body)
