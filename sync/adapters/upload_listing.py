"""The unfinished uploads of a whole bucket, by ListMultipartUploads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from sync.adapters.s3_listing import parsed, unreadable
from sync.adapters.s3_session import Call, S3Session
from sync.adapters.s3_xml import (
    XmlFault,
    children,
    expected,
    text_of,
    timestamp,
    truncated,
)
from sync.model import ObjectRef, Upload
from sync.paging import Onward

_PAGE: Final = 1000
_START: Final = ("", "")


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """One page of uploads; ``markers`` continue the listing, None at its end."""

    uploads: tuple[Upload, ...]
    markers: tuple[str, str] | None


class UploadLister:
    """Lists uploads at any store that speaks the S3 protocol. ``page`` uploads a request."""

    def __init__(self, session: S3Session, *, page: int = _PAGE) -> None:
        self._session = session
        self._limit = page

    async def list_uploads(self, bucket: str, *, prefix: str = "") -> AsyncIterator[Upload]:
        """All open uploads of keys that begin with ``prefix``. A failure raises: it never ends
        short.
        """
        markers: tuple[str, str] | None = _START
        onward = Onward(f"ListMultipartUploads {bucket}", start=_START)
        while markers is not None:
            page = await self.page(bucket, prefix=prefix, after=markers)
            for upload in page.uploads:
                yield upload
            markers = page.markers
            if markers is not None:
                onward.step(markers, empty=not page.uploads)

    async def page(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] = _START
    ) -> UploadsPage:
        """The uploads behind the markers ``after``. TransientStoreError for a page that cannot
        be read or does not lead on.

        Plain keys first: RGW encodes them here without saying so, SeaweedFS says so and does
        not. Encoded only where a key holds characters that XML cannot.
        """
        call = self._call(bucket, prefix, after, encoded=False)
        try:
            page = _parse((await self._session.send(call)).body, bucket, str)
        except XmlFault:
            call = self._call(bucket, prefix, after, encoded=True)
            body = (await self._session.send(call)).body
            # What can be read now could not before, so it is encoded whatever the store says.
            page = parsed(call, lambda text: _parse(text, bucket, unquote_plus), body)
        if page.markers == after:
            raise unreadable(call, XmlFault("the listing does not get on"))
        return page

    def _call(self, bucket: str, prefix: str, after: tuple[str, str], *, encoded: bool) -> Call:
        query = [("uploads", ""), ("max-uploads", str(self._limit))]
        query += [("encoding-type", "url")] if encoded else []
        query += [("prefix", prefix)] if prefix else []
        query += [("key-marker", after[0])] if after[0] else []
        query += [("upload-id-marker", after[1])] if after[1] else []
        return Call("ListMultipartUploads", "GET", bucket, query=tuple(query))


def _parse(body: bytes, bucket: str, decode: Callable[[str], str]) -> UploadsPage:
    root = expected(body, "ListMultipartUploadsResult")
    uploads = tuple(
        Upload(
            ObjectRef(bucket, decode(text_of(item, "Key"))),
            text_of(item, "UploadId"),
            timestamp(text_of(item, "Initiated")),
        )
        for item in children(root, "Upload")
    )
    if not truncated(root):
        return UploadsPage(uploads, None)
    # SeaweedFS lists by upload id and names that alone; with a key beside it, it loses uploads.
    markers = decode(text_of(root, "NextKeyMarker")), text_of(root, "NextUploadIdMarker")
    if markers == _START:
        raise XmlFault("a truncated listing without a marker to go on with")
    return UploadsPage(uploads, markers)
