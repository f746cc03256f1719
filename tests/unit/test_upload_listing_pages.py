"""Pages of uploads that stores may send, well-formed and not."""

from __future__ import annotations

import asyncio
from typing import cast
from xml.sax.saxutils import escape

import pytest

from support.stores import FixedCredentials
from sync.adapters.dialects import GENERIC
from sync.adapters.s3_place import parse_endpoint
from sync.adapters.s3_session import S3Session
from sync.adapters.upload_listing import UploadLister
from sync.errors import AccessDenied, TransientStoreError
from sync.model import Upload
from sync.ports import Credentials
from sync.wire.client import Client, Reply
from sync.wire.request import Request


class Scripted:
    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self.targets: list[str] = []

    async def send(self, request: Request, *, limit: int = 0) -> Reply:
        self.targets.append(request.target)
        return self._replies.pop(0)


def page(*keys: str, more: str | None = None, extra: str = "") -> Reply:
    items = "".join(
        f"<Upload><Key>{key}</Key><UploadId>u-{key[-1:]}</UploadId>"
        "<Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>"
        for key in keys
    )
    cut = "" if more is None else f"<IsTruncated>true</IsTruncated>{more}"
    root = "ListMultipartUploadsResult"
    return Reply(200, {}, f"<{root} xmlns='x'>{items}{extra}{cut}</{root}>".encode())


def following(key: str, upload_id: str = "") -> str:
    return (
        f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{upload_id}</NextUploadIdMarker>"
    )


def listed(*replies: Reply, prefix: str = "") -> tuple[list[Upload], list[str]]:
    client = Scripted(*replies)
    session = S3Session(
        client=cast("Client", client),
        credentials=FixedCredentials(Credentials("AK", "secret")),
        endpoint=parse_endpoint("http://127.0.0.1:9", dialect=GENERIC),
    )

    async def all_of_them() -> list[Upload]:
        uploads = UploadLister(session).list_uploads("bucket", prefix=prefix)
        return [upload async for upload in uploads]

    return asyncio.run(all_of_them()), client.targets


def keys(found: list[Upload]) -> list[str]:
    return [upload.ref.key for upload in found]


def test_both_markers_lead_on() -> None:
    found, targets = listed(
        page("a b", "b&amp;", more=following("b&amp;", "u-2")), page("b&amp;"), prefix="é/"
    )
    assert keys(found) == ["a b", "b&", "b&"]
    assert {upload.initiated for upload in found} == {1767323045.0}
    assert "prefix=%C3%A9%2F" in targets[0]
    assert "key-marker" not in targets[0]
    assert "key-marker=b%26" in targets[1]
    assert "upload-id-marker=u-2" in targets[1]


def test_an_upload_id_alone_leads_on() -> None:
    found, targets = listed(page("a", more=following("", "u-1")), page("b"))
    assert keys(found) == ["a", "b"]
    assert "?upload-id-marker=u-1" in targets[1] or "&upload-id-marker=u-1" in targets[1]
    assert "key-marker=" not in targets[1]


def test_an_empty_page_is_not_the_end() -> None:
    found, _ = listed(page(more=following("m")), page("z"))
    assert keys(found) == ["z"]


@pytest.mark.parametrize(
    "replies",
    [
        (page("a", more=following("")),),
        (page("a", more=following("a")), page("b", more=following(""))),
        (page("a", more=following("a", "u")), page("a", more=following("a", "u"))),
        (Reply(200, {}, b"<ListBucketResult/>"), Reply(200, {}, b"<ListBucketResult/>")),
        (Reply(200, {}, b"not xml"), Reply(200, {}, b"not xml")),
    ],
)
def test_a_listing_that_cannot_go_on_is_an_error(replies: tuple[Reply, ...]) -> None:
    again = replies + replies
    with pytest.raises(TransientStoreError, match="ListMultipartUploads bucket"):
        listed(*again)


def test_a_refusal_on_the_second_page_is_raised() -> None:
    refused = Reply(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
    with pytest.raises(AccessDenied):
        listed(page("a", more=following("a")), refused)


@pytest.mark.parametrize("said", ["", "<EncodingType>url</EncodingType>"])
def test_keys_that_xml_cannot_hold_are_asked_for_encoded(said: str) -> None:
    """Whether the store says that it encoded them or not, as RGW."""
    raw = Reply(200, {}, b"<ListMultipartUploadsResult><Upload><Key>\x07</Key></Upload>")
    found, targets = listed(raw, page("a%07+b%2Bc", extra=said, more=following("a%07")), page("z"))
    assert keys(found) == ["a\x07 b+c", "z"]
    assert ["encoding-type=url" in target for target in targets] == [False, True, False]
    assert "key-marker=a%07" in targets[2]


def test_keys_are_taken_as_they_stand_where_xml_can_hold_them() -> None:
    """SeaweedFS would say that they are encoded; so nothing is asked for."""
    assert keys(listed(page(escape("100%25+ & <x>")))[0]) == ["100%25+ & <x>"]
