"""The XML of the S3 protocol: read defensively, written exactly. Pure.

Element names are matched without their namespace: stores disagree about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote_plus
from xml.etree.ElementTree import Element, ParseError
from xml.etree.ElementTree import fromstring as fast_fromstring
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from sync.model import ListedObject, UploadedPart
from sync.ports import ListingPage

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"


class XmlFault(ValueError):
    """A reply's body is not the XML that was to be expected."""


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An ``<Error>`` reply. Fields a store left out are ""."""

    code: str = ""
    message: str = ""
    request_id: str = ""
    region: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class CompleteBody:
    """What Complete says of the finished object. ``checksums`` as headers would name them."""

    etag: str
    checksums: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartsPage:
    """One page of ListParts. ``marker`` continues the listing; "" at its end."""

    parts: tuple[UploadedPart, ...]
    marker: str


@dataclass(frozen=True, slots=True)
class UploadEntry:
    """One open upload in a listing."""

    key: str
    upload_id: str
    initiated: float


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """One page of ListMultipartUploads; the markers continue it, "" at its end."""

    entries: tuple[UploadEntry, ...]
    key_marker: str
    upload_marker: str


def unquoted(etag: str) -> str:
    """An ETag without the weak prefix and the quotes."""
    return etag.strip().removeprefix("W/").strip('"')


def timestamp(text: str) -> float:
    """POSIX timestamp of an ISO 8601 date; 0.0 where there is none or it is unreadable."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def parse_error(body: bytes) -> ErrorBody | None:
    """The error in a body, or None where the body holds none."""
    try:
        root = _root(body)
    except XmlFault:
        return None
    if _local(root) == "ErrorResponse":
        root = next(iter(_children(root, "Error")), root)
    if _local(root) not in {"Error", "ErrorResponse"}:
        return None
    return ErrorBody(
        code=_text(root, "Code"),
        message=_text(root, "Message"),
        request_id=_text(root, "RequestId"),
        region=_text(root, "Region"),
        endpoint=_text(root, "Endpoint"),
    )


def parse_upload_id(body: bytes) -> str:
    """The id of a begun multipart upload."""
    upload_id = _text(_expected(body, "InitiateMultipartUploadResult"), "UploadId")
    if not upload_id:
        raise XmlFault("no UploadId in the reply")
    return upload_id


def parse_complete(body: bytes) -> CompleteBody:
    """ETag and checksums of a completed object."""
    root = _expected(body, "CompleteMultipartUploadResult")
    checksums = {
        f"x-amz-{name.lower().replace('checksum', 'checksum-')}": text
        for name in ("ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumType")
        if (text := _text(root, name))
    }
    return CompleteBody(unquoted(_text(root, "ETag")), checksums)


def parse_parts(body: bytes) -> PartsPage:
    """One page of an upload's parts."""
    root = _expected(body, "ListPartsResult", "ListPartsResponse")
    parts = tuple(
        UploadedPart(
            _number(part, "PartNumber"),
            _number(part, "Size"),
            unquoted(_text(part, "ETag")),
            timestamp(_text(part, "LastModified")),
        )
        for part in _children(root, "Part")
    )
    marker = _text(root, "NextPartNumberMarker") or str(parts[-1].number if parts else "")
    return PartsPage(parts, marker if _truncated(root) else "")


def parse_uploads(body: bytes) -> UploadsPage:
    """One page of a bucket's open uploads."""
    root = _expected(body, "ListMultipartUploadsResult")
    decode = _key_decoder(root)
    entries = tuple(
        UploadEntry(
            decode(_text(item, "Key")),
            _text(item, "UploadId"),
            timestamp(_text(item, "Initiated")),
        )
        for item in _children(root, "Upload")
    )
    if not _truncated(root):
        return UploadsPage(entries, "", "")
    key_marker = decode(_text(root, "NextKeyMarker"))
    return UploadsPage(entries, key_marker, _text(root, "NextUploadIdMarker"))


def parse_objects(body: bytes) -> ListingPage:
    """One page of a bucket's objects."""
    root = _expected(body, "ListBucketResult")
    decode = _key_decoder(root)
    cut = len(root.tag) - len("ListBucketResult")  # every name has the same namespace before it
    entries = tuple(
        _listed({child.tag[cut:]: child.text or "" for child in item}, decode)
        for item in _children(root, "Contents")
    )
    token = _text(root, "NextContinuationToken")
    if _truncated(root) and not token:
        raise XmlFault("a truncated listing without a token to go on with")
    return ListingPage(entries, token if _truncated(root) else "")


def _listed(found: Mapping[str, str], decode: _Decoder) -> ListedObject:
    size = found.get("Size", "")
    if not (size.isascii() and size.isdigit()):
        raise XmlFault(f"<Size> is not a number: {size[:40]!r}")
    return ListedObject(
        decode(found.get("Key", "")),
        int(size),
        unquoted(found.get("ETag", "")),
        timestamp(found.get("LastModified", "")),
        found.get("StorageClass") or "STANDARD",
    )


def parse_tagging(body: bytes) -> str:
    """The tag set, URL-encoded as ``x-amz-tagging`` wants it."""
    root = _expected(body, "Tagging")
    tags = (tag for tag_set in _children(root, "TagSet") for tag in _children(tag_set, "Tag"))
    pairs = ((_text(tag, "Key"), _text(tag, "Value")) for tag in tags)
    return "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)


def complete_document(parts: Iterable[UploadedPart]) -> bytes:
    """The body of Complete."""
    items = "".join(
        f'<Part><PartNumber>{part.number}</PartNumber><ETag>"{escape(part.etag)}"</ETag></Part>'
        for part in parts
    )
    return (
        f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{items}</CompleteMultipartUpload>'
    ).encode()


def _root(body: bytes) -> Element:
    try:
        # Complete may send white space before its document to keep the connection alive.
        body = body.lstrip()
        # Without a declaration there is nothing to defuse, and the parser in C may have it.
        if body.startswith(b"<") and b"<!" not in body and b"\0" not in body:
            return fast_fromstring(body)  # noqa: S314  see above
        return fromstring(body)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise XmlFault("the reply's body is not XML") from error


def _expected(body: bytes, *names: str) -> Element:
    root = _root(body)
    if _local(root) not in names:
        raise XmlFault(f"the reply's body is <{_local(root)[:40]}>, not <{names[0]}>")
    return root


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child) == name)


def _text(element: Element, name: str) -> str:
    return next((child.text or "" for child in _children(element, name)), "")


def _number(element: Element, name: str) -> int:
    text = _text(element, name)
    try:
        return int(text)
    except ValueError as error:
        raise XmlFault(f"<{name}> is not a number: {text[:40]!r}") from error


def _truncated(root: Element) -> bool:
    return _text(root, "IsTruncated").strip().lower() == "true"


class _Decoder:
    """Undoes ``encoding-type=url`` where the store says that it applied it."""

    def __init__(self, *, encoded: bool) -> None:
        self._encoded = encoded

    def __call__(self, text: str) -> str:
        return unquote_plus(text) if self._encoded else text


def _key_decoder(root: Element) -> _Decoder:
    return _Decoder(encoded=_text(root, "EncodingType") == "url")


def concatenated(pages: Sequence[PartsPage]) -> list[UploadedPart]:
    """All parts of all pages, by number, each number once.

    SeaweedFS lists a part that was sent again beside the one it replaced: the later one counts,
    and where their times do not tell which that is, neither does.
    """
    found: dict[int, UploadedPart] = {}
    unclear: set[int] = set()
    for part in sorted((p for page in pages for p in page.parts), key=lambda p: p.last_modified):
        other = found.get(part.number)
        tied = other is not None and other.last_modified == part.last_modified
        if other is not None and tied and other.etag != part.etag:
            unclear.add(part.number)
        else:
            unclear.discard(part.number)
        found[part.number] = part
    return [found[number] for number in sorted(found) if number not in unclear]
