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

_SIZE_DIGITS: Final = 18
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
    if local(root) == "ErrorResponse":
        root = next(iter(children(root, "Error")), root)
    if local(root) not in {"Error", "ErrorResponse"}:
        return None
    return ErrorBody(
        code=text_of(root, "Code"),
        message=text_of(root, "Message"),
        request_id=text_of(root, "RequestId"),
        region=text_of(root, "Region"),
        endpoint=text_of(root, "Endpoint"),
    )


def parse_upload_id(body: bytes) -> str:
    """The id of a begun multipart upload."""
    upload_id = text_of(expected(body, "InitiateMultipartUploadResult"), "UploadId")
    if not upload_id:
        raise XmlFault("no UploadId in the reply")
    return upload_id


def parse_complete(body: bytes) -> CompleteBody:
    """ETag and checksums of a completed object."""
    root = expected(body, "CompleteMultipartUploadResult")
    checksums = {
        f"x-amz-{name.lower().replace('checksum', 'checksum-')}": text
        for name in ("ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumType")
        if (text := text_of(root, name))
    }
    return CompleteBody(unquoted(text_of(root, "ETag")), checksums)


def parse_parts(body: bytes) -> PartsPage:
    """One page of an upload's parts."""
    root = expected(body, "ListPartsResult", "ListPartsResponse")
    parts = tuple(
        UploadedPart(
            _number(part, "PartNumber"),
            _number(part, "Size"),
            unquoted(text_of(part, "ETag")),
            timestamp(text_of(part, "LastModified")),
        )
        for part in children(root, "Part")
    )
    marker = text_of(root, "NextPartNumberMarker") or str(parts[-1].number if parts else "")
    return PartsPage(parts, marker if truncated(root) else "")


def parse_uploads(body: bytes) -> UploadsPage:
    """One page of a bucket's open uploads."""
    root = expected(body, "ListMultipartUploadsResult")
    decode = key_decoder(root)
    entries = tuple(
        UploadEntry(
            decode(text_of(item, "Key")),
            text_of(item, "UploadId"),
            timestamp(text_of(item, "Initiated")),
        )
        for item in children(root, "Upload")
    )
    if not truncated(root):
        return UploadsPage(entries, "", "")
    key_marker = decode(text_of(root, "NextKeyMarker"))
    return UploadsPage(entries, key_marker, text_of(root, "NextUploadIdMarker"))


def parse_objects(body: bytes) -> ListingPage:
    """One page of a bucket's objects. `listing_page.parse_page` says the same, sooner."""
    root = expected(body, "ListBucketResult")
    decode = key_decoder(root)
    cut = len(root.tag) - len("ListBucketResult")  # every name has the same namespace before it
    entries = tuple(
        listed({child.tag[cut:]: child.text or "" for child in item}, decode)
        for item in children(root, "Contents")
    )
    return ListingPage(entries, _continuation(root))


def parse_frame(body: bytes) -> tuple[str, bool]:
    """Of a listing whose one ``<Contents/>`` stands for its entries: the token that goes on
    with it, and whether keys are URL-encoded. XmlFault where it is anything else.
    """
    root = expected(body, "ListBucketResult")
    contents = [child for child in root if local(child) == "Contents"]
    if len(contents) != 1 or contents[0].tag != root.tag.replace("ListBucketResult", "Contents"):
        raise XmlFault("not one <Contents> in the listing")
    return _continuation(root), key_decoder(root).encoded


def _continuation(root: Element) -> str:
    """The token to go on with, "" at the end of the listing."""
    token = text_of(root, "NextContinuationToken")
    if truncated(root) and not token:
        raise XmlFault("a truncated listing without a token to go on with")
    return token if truncated(root) else ""


def listed(found: Mapping[str, str], decode: KeyDecoder) -> ListedObject:
    """An entry of a listing, from the texts of its elements by name."""
    size = found.get("Size", "")
    if not (size.isascii() and size.isdigit() and len(size) <= _SIZE_DIGITS):
        raise XmlFault(f"<Size> is not a number: {size[:40]!r}")
    return ListedObject(
        _key(found, decode),
        int(size),
        unquoted(found.get("ETag", "")),
        timestamp(found.get("LastModified", "")),
        found.get("StorageClass") or "STANDARD",
    )


def _key(found: Mapping[str, str], decode: KeyDecoder) -> str:
    if not found.get("Key"):
        raise XmlFault("an entry without a <Key>")
    try:
        return decode(found["Key"], errors="strict")
    except UnicodeDecodeError as error:
        raise XmlFault(f"a <Key> is not UTF-8: {found['Key'][:200]!r}") from error


def parse_tagging(body: bytes) -> str:
    """The tag set, URL-encoded as ``x-amz-tagging`` wants it."""
    root = expected(body, "Tagging")
    tags = (tag for tag_set in children(root, "TagSet") for tag in children(tag_set, "Tag"))
    pairs = ((text_of(tag, "Key"), text_of(tag, "Value")) for tag in tags)
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
            return fast_fromstring(body)  # noqa: S314  see above  # nosec B314
        return fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:  # no such encoding
        raise XmlFault("the reply's body is not XML") from error


def expected(body: bytes, *names: str) -> Element:
    """The root element; XmlFault where it has none of these names."""
    root = _root(body)
    if local(root) not in names:
        raise XmlFault(f"the reply's body is <{local(root)[:40]}>, not <{names[0]}>")
    return root


def local(element: Element) -> str:
    """The element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: Element, name: str) -> Iterator[Element]:
    """The children of that name, whatever their namespace."""
    return (child for child in element if local(child) == name)


def text_of(element: Element, name: str) -> str:
    """The text of the first child of that name, or ""."""
    return next((child.text or "" for child in children(element, name)), "")


def _number(element: Element, name: str) -> int:
    text = text_of(element, name)
    try:
        return int(text)
    except ValueError as error:
        raise XmlFault(f"<{name}> is not a number: {text[:40]!r}") from error


def truncated(root: Element) -> bool:
    """True where the listing goes on."""
    return text_of(root, "IsTruncated").strip().lower() == "true"


class KeyDecoder:
    """Undoes ``encoding-type=url`` where the store says that it applied it."""

    def __init__(self, *, encoded: bool) -> None:
        self.encoded = encoded

    def __call__(self, text: str, errors: str = "replace") -> str:
        """The key as the bucket has it; UnicodeDecodeError with ``errors`` strict."""
        return unquote_plus(text, errors=errors) if self.encoded else text


def key_decoder(root: Element) -> KeyDecoder:
    """What turns the document's keys into the bucket's."""
    return KeyDecoder(encoded=text_of(root, "EncodingType") == "url")


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
