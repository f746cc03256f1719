"""Listing buckets over the S3 protocol: objects, and current versions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final, NamedTuple, TypeVar
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element

from sync.adapters.listing_page import parse_page
from sync.adapters.s3_session import Call, S3Session
from sync.adapters.s3_xml import (
    KeyDecoder,
    XmlFault,
    children,
    expected,
    key_decoder,
    listed,
    local,
    text_of,
    truncated,
)
from sync.errors import TransientStoreError
from sync.model import ListedObject
from sync.paging import Onward
from sync.ports import ListingPage

_T = TypeVar("_T")
_PAGE: Final = 1000


class S3Listing:
    """What a store that speaks the S3 protocol can list. An `ObjectLister`."""

    _session: S3Session

    @property
    def session(self) -> S3Session:
        """For calls that only one tool makes."""
        return self._session

    async def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        after: str = "",
        token: str = "",
        limit: int = _PAGE,
    ) -> ListingPage:
        """Up to ``limit`` objects in key order: behind the key ``after``, or on from ``token``."""
        query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", str(limit))]
        query += [("prefix", prefix)] if prefix else []
        query += [("start-after", after)] if after and not token else []
        query += [("continuation-token", token)] if token else []
        call = Call("ListObjectsV2", "GET", bucket, query=tuple(query))
        return parsed(call, parse_page, (await self._session.send(call)).body)

    async def list_objects(
        self, bucket: str, *, prefix: str = "", after: str = ""
    ) -> AsyncIterator[ListedObject]:
        """All objects in key order, page by page. A failure raises: it never ends short."""
        onward = Onward(f"ListObjectsV2 {bucket}")
        page = await self.list_page(bucket, prefix=prefix, after=after)
        while True:
            for entry in page.entries:
                yield entry
            if not page.token:
                return
            onward.step(page.token, empty=not page.entries)
            page = await self.list_page(bucket, prefix=prefix, token=page.token)


class _VersionsPage(NamedTuple):
    entries: list[ListedObject]
    markers: tuple[str, str] | None


class VersionLister:
    """An `ObjectLister` of the current versions, with their ids, by ListObjectVersions.

    Needs s3:ListBucketVersions. Old versions and delete markers are read past, so a page may
    hold fewer entries than there were versions in it. A token is the two markers that S3 goes
    on with, URL-encoded and joined by ``&``.
    """

    def __init__(self, session: S3Session, *, page: int = _PAGE) -> None:
        self._session = session
        self._versions = str(page)

    async def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        after: str = "",
        token: str = "",
        limit: int = _PAGE,
    ) -> ListingPage:
        """As any lister. ``limit`` only bounds what is given back."""
        markers = _markers(token) if token else ((after, "") if after else None)
        if markers is not None and not markers[1]:
            after = max(after, markers[0])  # Ceph begins with the marker's key, S3 behind it
        onward = Onward(f"ListObjectVersions {bucket}", start=markers)
        while True:
            page = await self._page(bucket, prefix, markers)
            entries = [entry for entry in page.entries if entry.key > after]
            if entries or page.markers is None:
                break
            onward.step(page.markers)  # pages of old versions alone are as they should be
            markers = page.markers
        if len(entries) > limit:  # asked only to see whether there is anything
            return ListingPage(entries[:limit], _token((entries[limit - 1].key, "")))
        return ListingPage(entries, _token(page.markers) if page.markers else "")

    async def _page(
        self, bucket: str, prefix: str, markers: tuple[str, str] | None
    ) -> _VersionsPage:
        query = [("versions", ""), ("encoding-type", "url"), ("max-keys", self._versions)]
        query += [("prefix", prefix)] if prefix else []
        if markers is not None:
            query += [("key-marker", markers[0])]
            query += [("version-id-marker", markers[1])] if markers[1] else []
        call = Call("ListObjectVersions", "GET", bucket, query=tuple(query))
        return parsed(call, _parse_versions, (await self._session.send(call)).body)


def _markers(token: str) -> tuple[str, str]:
    key, _, version = token.partition("&")
    return unquote(key, errors="surrogateescape"), unquote(version)


def _token(markers: tuple[str, str]) -> str:
    return "&".join(quote(marker, safe="", errors="surrogateescape") for marker in markers)


def _parse_versions(body: bytes) -> _VersionsPage:
    root = expected(body, "ListVersionsResult", "ListBucketVersionsResult")
    decode = key_decoder(root)
    entries = list(_latest(children(root, "Version"), decode))
    if not truncated(root):
        return _VersionsPage(entries, None)
    marker = text_of(root, "NextKeyMarker")
    if not marker:
        raise XmlFault("a truncated listing without a marker to go on with")
    # Ceph sends the marker as it is even where it encodes the keys.
    plain = any(decode(text_of(one, "Key")) == marker for one in _listed_ones(root))
    key = marker if plain else decode(marker)
    return _VersionsPage(entries, (key, text_of(root, "NextVersionIdMarker")))


def _listed_ones(root: Element) -> Iterable[Element]:
    return (*children(root, "Version"), *children(root, "DeleteMarker"))


def _latest(versions: Iterable[Element], decode: KeyDecoder) -> Iterable[ListedObject]:
    for version in versions:
        found = {local(child): child.text or "" for child in version}
        if found.get("IsLatest", "").strip().lower() == "true":
            yield listed(found, decode)._replace(version_id=found.get("VersionId") or "null")


def parsed(call: Call, parse: Callable[[bytes], _T], body: bytes) -> _T:
    """What the body says; TransientStoreError where it cannot be read."""
    try:
        return parse(body)
    except XmlFault as fault:
        raise unreadable(call, fault) from fault


def unreadable(call: Call, fault: XmlFault) -> TransientStoreError:
    """The error for a body that cannot be read."""
    return TransientStoreError(
        f"{call.operation} {call.subject}: {fault}", operation=call.operation, status=200
    )
