"""Listing a bucket, over every S3 store."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from support.stores import Subject, many
from sync.checksums import BytesStream
from sync.errors import NoSuchBucket
from sync.model import ObjectHeaders, ObjectRef

KEYS = ["a b", "a%20b", "a&b", "a+b", "b/c", "tab\tkey", "é", "日本"]


def lister(subject: Subject) -> None:
    if subject.name == "memory":
        pytest.skip("the fake's listing has an interface of its own")


async def names(store: Any, bucket: str, prefix: str, after: str = "") -> list[str]:
    listed = store.list_objects(bucket, prefix=prefix, after=after)
    return [entry.key[len(prefix) :] async for entry in listed]


def test_keys_come_in_order_and_unchanged(subject: Subject) -> None:
    lister(subject)
    prefix = f"listing-{uuid.uuid4().hex}/ä+ /"

    async def body(store: Any) -> None:
        for key in KEYS:
            ref = ObjectRef(subject.bucket, prefix + key)
            await store.put(ref, BytesStream(key.encode()), ObjectHeaders())
        ordered = sorted(KEYS, key=str.encode)
        assert await names(store, subject.bucket, prefix) == ordered
        assert await names(store, subject.bucket, prefix, prefix + ordered[2]) == ordered[3:]
        page = await store.list_page(subject.bucket, prefix=prefix)
        meta = await store.head(ObjectRef(subject.bucket, prefix + ordered[0]))
        entry = page.entries[0]
        assert entry.size == meta.size
        assert entry.etag == meta.identity.etag
        assert entry.storage_class == "STANDARD"
        assert abs(entry.last_modified - meta.last_modified) < 2

    subject.run(body)


def test_a_listing_goes_on_behind_its_first_page(subject: Subject) -> None:
    lister(subject)
    prefix = f"many-{uuid.uuid4().hex}/"
    expected = [f"{number:04}" for number in range(1003)]

    async def body(store: Any) -> None:
        refs = [ObjectRef(subject.bucket, prefix + key) for key in expected]
        await many(store.put(ref, BytesStream(b""), ObjectHeaders()) for ref in refs)
        assert await names(store, subject.bucket, prefix) == expected

    subject.run(body)


def test_a_missing_bucket_is_an_error_not_an_empty_listing(subject: Subject) -> None:
    lister(subject)

    async def body(store: Any) -> None:
        with pytest.raises(NoSuchBucket):
            await names(store, f"no-such-{uuid.uuid4().hex[:12]}", "")

    subject.run(body)
