"""The uploads of a whole bucket, over every S3 store."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from support.stores import Subject
from sync.adapters.upload_listing import UploadLister
from sync.errors import NoSuchBucket
from sync.model import ObjectHeaders, ObjectRef, Upload

KEYS = ["a b", "a%20b", "a&b<c>", "a+b", "a/b", "tab\tkey", "é", "日本", "日本"]


def lister(subject: Subject) -> None:
    if subject.name == "memory":
        pytest.skip("the fake lists uploads of one key only")


async def listed(store: Any, bucket: str, prefix: str = "", page: int = 1000) -> list[Upload]:
    uploads = UploadLister(store.session, page=page).list_uploads(bucket, prefix=prefix)
    return [upload async for upload in uploads]


@pytest.mark.parametrize("page", [1000, 2])
def test_all_uploads_below_a_prefix_are_listed_once(subject: Subject, page: int) -> None:
    lister(subject)
    prefix = f"uploads-{uuid.uuid4().hex}/ä+ "

    async def body(store: Any) -> None:
        refs = [ObjectRef(subject.bucket, prefix + key) for key in KEYS]
        opened = [await store.create_upload(ref, ObjectHeaders()) for ref in refs]
        other = await store.create_upload(
            ObjectRef(subject.bucket, "other" + prefix), ObjectHeaders()
        )
        found = await listed(store, subject.bucket, prefix, page)
        assert sorted((u.ref.key, u.upload_id) for u in found) == sorted(
            (u.ref.key, u.upload_id) for u in opened
        )
        if subject.name != "moto":  # which says 2010 of all
            assert all(abs(f.initiated - opened[0].initiated) < 60 for f in found)
        assert other.upload_id in {u.upload_id for u in await listed(store, subject.bucket)}
        for upload in [*found, other]:
            await store.abort(upload)
        assert await listed(store, subject.bucket, prefix) == []

    subject.run(body)


def test_a_missing_bucket_is_an_error_not_an_empty_listing(subject: Subject) -> None:
    lister(subject)

    async def body(store: Any) -> None:
        with pytest.raises(NoSuchBucket):
            await listed(store, f"no-such-{uuid.uuid4().hex[:12]}")

    subject.run(body)
