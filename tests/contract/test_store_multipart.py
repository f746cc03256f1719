"""Multipart uploads, over every store."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.stores import Subject, many
from sync.checksums import BytesStream, Digester, agreement, disagreement
from sync.errors import (
    IntegrityError,
    NoSuchUpload,
    NotFound,
    RequestRefused,
    StoreError,
    SyncError,
)
from sync.model import Checksums, ObjectHeaders, ObjectRef, Upload, UploadedPart

MIB = 1024 * 1024
PARTS = (b"a" * (5 * MIB), b"b" * (5 * MIB), b"the end")
MARK = 10_000


def new_ref(subject: Subject, name: str = "") -> ObjectRef:
    return ObjectRef(subject.bucket, f"multipart/{uuid.uuid4().hex}{name}")


def sums_of(subject: Subject, data: bytes) -> Checksums:
    digester = Digester(subject.dialect.digests)
    digester.update(data)
    return digester.checksums()


async def send(store: Any, upload: Upload, number: int, data: bytes) -> UploadedPart:
    receipt = await store.put_part(upload, number, BytesStream(data))
    return UploadedPart(number, len(data), receipt.etag)


async def content(store: Any, ref: ObjectRef) -> bytes:
    async with store.open(ref) as read:
        return b"".join([bytes(chunk) async for chunk in read.body])


def test_an_upload_becomes_the_object(subject: Subject) -> None:
    headers = ObjectHeaders(content=(("content-type", "a/b"),), metadata=(("k", "v"),))

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, headers)
        assert upload.ref == ref
        parts = []
        for number, data in enumerate(PARTS, 1):
            receipt = await store.put_part(upload, number, BytesStream(data))
            assert agreement(sums_of(subject, data), receipt.checksums)
            parts.append(UploadedPart(number, len(data), receipt.etag))
        with pytest.raises(NotFound):
            await store.head(ref)
        receipt = await store.complete(upload, parts)
        meta = await store.head(ref)
        assert receipt.etag in {"", meta.identity.etag}  # RGW leaves it empty
        assert meta.size == sum(map(len, PARTS))
        assert dict(meta.headers.content)["content-type"] == "a/b"
        assert meta.headers.metadata == (("k", "v"),)
        whole = b"".join(PARTS)
        assert await content(store, ref) == whole
        for shown in (receipt.checksums, meta.checksums):
            assert disagreement(sums_of(subject, whole), shown) is None
        assert await store.uploads(ref) == []

    subject.run(body)


def test_parts_are_listed_by_number(subject: Subject) -> None:
    async def body(store: Any) -> None:
        upload = await store.create_upload(new_ref(subject), ObjectHeaders())
        assert await store.parts(upload) == []
        sent = [await send(store, upload, number, b"%d" % number) for number in (3, 1, MARK, 2)]
        listed = await store.parts(upload)
        assert [part.number for part in listed] == [1, 2, 3, MARK]
        assert {(p.number, p.size, p.etag) for p in listed} == {
            (p.number, p.size, p.etag) for p in sent
        }
        if subject.dialect.etag_is_md5:
            assert listed[0].etag == hashlib.md5(b"1").hexdigest()
        await store.abort(upload)

    subject.run(body)


def test_more_parts_than_a_page_holds_are_listed(subject: Subject) -> None:
    count = 1003

    async def body(store: Any) -> None:
        upload = await store.create_upload(new_ref(subject), ObjectHeaders())
        await many(send(store, upload, number, b"x") for number in range(1, count + 1))
        assert [part.number for part in await store.parts(upload)] == list(range(1, count + 1))
        await store.abort(upload)

    subject.run(body)


def test_a_part_can_be_sent_again(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, ObjectHeaders())
        await send(store, upload, 1, b"first try")
        part = await send(store, upload, 1, b"second")
        # SeaweedFS lists both: then neither may be taken for what is there.
        assert [(p.size, p.etag) for p in await store.parts(upload)] in (
            [(6, part.etag)],
            [],
        )
        await store.complete(upload, [part])
        assert await content(store, ref) == b"second"

    subject.run(body)


def test_uploads_of_exactly_this_key_the_latest_first(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject, "/a b+c%2B&ü")
        longer = ObjectRef(ref.bucket, ref.key + "-longer")
        shorter = ObjectRef(ref.bucket, ref.key[:-1])
        assert await store.uploads(ref) == []
        opened = [await store.create_upload(r, ObjectHeaders()) for r in (ref, longer, shorter)]
        opened.append(await store.create_upload(ref, ObjectHeaders()))
        found = await store.uploads(ref)
        assert {u.upload_id for u in found} == {opened[0].upload_id, opened[3].upload_id}
        assert all(u.ref == ref for u in found)
        assert [u.initiated for u in found] == sorted((u.initiated for u in found), reverse=True)
        for upload in opened:
            await store.abort(upload)
        assert await store.uploads(ref) == []

    subject.run(body)


def test_an_aborted_upload_is_gone(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, ObjectHeaders())
        part = await send(store, upload, 1, b"abc")
        await store.abort(upload)
        await store.abort(upload)
        with pytest.raises(NoSuchUpload):
            await store.parts(upload)
        told = NoSuchUpload if subject.traits.tells_aborted_uploads else StoreError
        with pytest.raises(told):
            await send(store, upload, 2, b"abc")
        with pytest.raises(told):
            await store.complete(upload, [part])
        with pytest.raises(NotFound):
            await store.head(ref)

    subject.run(body)


def test_a_part_left_out_vanishes_or_is_refused(subject: Subject) -> None:
    """The engine leaves its identity mark out; a dialect says whether the store bears that."""

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, ObjectHeaders())
        part = await send(store, upload, 1, b"content")
        await send(store, upload, MARK, b"the mark")
        try:
            await store.complete(upload, [part])
        except SyncError:
            assert not subject.dialect.drops_unused_parts
            await store.abort(upload)
        else:
            assert await content(store, ref) == b"content"
            assert await store.uploads(ref) == []

    subject.run(body)


def test_parts_the_store_does_not_have_are_refused(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, ObjectHeaders())
        part = await send(store, upload, 1, b"content")
        wrong = UploadedPart(1, part.size, hashlib.md5(b"other").hexdigest())
        for claimed in ([part, UploadedPart(2, 7, part.etag)], [wrong]):
            with pytest.raises((IntegrityError, RequestRefused)):
                await store.complete(upload, claimed)
        with pytest.raises(NotFound):
            await store.head(ref)
        await store.abort(upload)

    subject.run(body)


def test_wrong_content_md5_of_a_part_is_refused(subject: Subject) -> None:
    if not subject.traits.checks_md5:
        pytest.skip(f"{subject.name} does not check Content-MD5")

    async def body(store: Any) -> None:
        upload = await store.create_upload(new_ref(subject), ObjectHeaders())
        wrong, right = (hashlib.md5(data).digest() for data in (b"abd", b"abc"))
        with pytest.raises(IntegrityError):
            await store.put_part(upload, 1, BytesStream(b"abc"), content_md5=wrong)
        assert await store.parts(upload) == []
        await store.put_part(upload, 1, BytesStream(b"abc"), content_md5=right)
        assert [part.size for part in await store.parts(upload)] == [3]
        await store.abort(upload)

    subject.run(body)


class BrokenBody:
    length = 4 * MIB

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        yield memoryview(bytes(MIB))
        raise IntegrityError("the read failed")


def test_a_part_whose_body_raises_is_not_kept(subject: Subject) -> None:
    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, ObjectHeaders())
        with pytest.raises(IntegrityError, match="the read failed"):
            await store.put_part(upload, 1, BrokenBody())
        assert await store.parts(upload) == []
        part = await send(store, upload, 1, b"whole")
        await store.complete(upload, [part])
        assert await content(store, ref) == b"whole"

    subject.run(body)


def test_completing_twice_tells_or_repeats(subject: Subject) -> None:
    """After a lost reply the engine asks again: it must learn the truth, not fail otherwise."""

    async def body(store: Any) -> None:
        ref = new_ref(subject)
        upload = await store.create_upload(ref, ObjectHeaders())
        part = await send(store, upload, 1, b"once")
        first = await store.complete(upload, [part])
        try:
            again = await store.complete(upload, [part])
        except NoSuchUpload:
            pass
        else:
            assert not first.etag or again.etag == first.etag
        assert await content(store, ref) == b"once"

    subject.run(body)
