"""Listing current versions, over every store that keeps versions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from support.stores import Subject
from sync.adapters.s3_listing import VersionLister
from sync.checksums import BytesStream
from sync.errors import NoSuchBucket
from sync.model import ListedObject, ObjectHeaders, ObjectRef

KEYS = ["a b", "a%20b", "a+b", "b/c", "é", "\ufffd", "\U00010000"]


def versioned(subject: Subject) -> str:
    if subject.name == "memory" or not subject.traits.versions:
        pytest.skip("keeps no versions that can be listed")
    if subject.dialect.name == "gcs":
        pytest.skip("is never the source whose versions are listed")
    return subject.version_bucket()


async def put(store: Any, bucket: str, key: str, content: bytes) -> None:
    await store.put(ObjectRef(bucket, key), BytesStream(content), ObjectHeaders())


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_only_current_versions_are_listed_in_order_and_whole(subject: Subject, page: int) -> None:
    bucket = versioned(subject)
    prefix = f"versions-{uuid.uuid4().hex}/"

    async def body(store: Any) -> None:
        for key in KEYS:
            for size in range(3):
                await put(store, bucket, prefix + key, b"x" * size)
        for key in ("deleted", "back"):
            await put(store, bucket, prefix + key, b"1")
            await store.delete(ObjectRef(bucket, prefix + key))
        await put(store, bucket, prefix + "back", b"2")
        lister = VersionLister(store.session, page=page)
        found: list[ListedObject] = []
        token = ""
        while True:
            last = found[-1].key if found else ""
            listed = await lister.list_page(bucket, prefix=prefix, after=last, token=token)
            found += listed.entries
            token = listed.token
            if not token:
                break
        wanted = sorted(prefix + key for key in (*KEYS, "back"))
        assert [entry.key for entry in found] == wanted
        for entry in found:
            meta = await store.head(ObjectRef(bucket, entry.key))
            assert (entry.size, entry.version_id) == (meta.size, meta.identity.version_id)
        behind = await lister.list_page(bucket, prefix=prefix, after=wanted[2], limit=1)
        assert [entry.key for entry in behind.entries] == [wanted[3]]
        on = await lister.list_page(bucket, prefix=prefix, token=behind.token, limit=1)
        assert [entry.key for entry in on.entries] == [wanted[4]]
        end = await lister.list_page(bucket, prefix=prefix, after=wanted[-1], limit=1)
        assert (list(end.entries), end.token) == ([], "")

    subject.run(body)


def test_a_missing_bucket_is_an_error(subject: Subject) -> None:
    versioned(subject)

    async def body(store: Any) -> None:
        with pytest.raises(NoSuchBucket):
            await VersionLister(store.session).list_page(f"no-such-{uuid.uuid4().hex[:12]}")

    subject.run(body)
