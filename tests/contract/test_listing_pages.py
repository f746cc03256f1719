"""The pages that real servers send are read quickly, and as the XML parser reads them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from support.stores import Subject, many
from sync.adapters import s3_listing
from sync.adapters.listing_page import usual_page
from sync.adapters.s3_xml import parse_objects
from sync.checksums import BytesStream
from sync.model import ObjectHeaders, ObjectRef
from sync.ports import ListingPage

KEYS = ["a b", "a&b", "a'b", "a+b", "b%2Fc", "c/d", "e[1]", 'f"g', "é", "日本", "😀"]


def test_pages_have_the_usual_shape(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    if subject.name == "memory":
        pytest.skip("it sends no pages")
    prefix = f"pages-{uuid.uuid4().hex}/"
    bodies: list[bytes] = []

    def kept(body: bytes) -> ListingPage:
        bodies.append(body)
        return parse_objects(body)

    monkeypatch.setattr(s3_listing, "parse_page", kept)

    async def body(store: Any) -> None:
        refs = [ObjectRef(subject.bucket, prefix + key) for key in KEYS]
        await many(store.put(ref, BytesStream(b"x"), ObjectHeaders()) for ref in refs)
        await store.list_page(subject.bucket, prefix=prefix)
        await store.list_page(subject.bucket, prefix=prefix, limit=3)

    subject.run(body)
    assert [len(usual_page(one).entries) for one in bodies] == [len(KEYS), 3]
    assert [usual_page(one) for one in bodies] == [parse_objects(one) for one in bodies]
