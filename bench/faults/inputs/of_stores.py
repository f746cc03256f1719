"""Bodies of S3's XML: listings, other pages, errors."""

# ruff: noqa: E501, ISC004, PLR2004  tables of bytes

from __future__ import annotations

from typing import Final

from faults.inputs.target import Target, agree, outcome
from sync.adapters.listing_page import parse_page, usual_page
from sync.adapters.s3_errors import Refusal, retry_after, translate
from sync.adapters.s3_listing import _parse_versions
from sync.adapters.s3_xml import (
    XmlFault,
    parse_complete,
    parse_error,
    parse_objects,
    parse_parts,
    parse_tagging,
    parse_upload_id,
    parse_uploads,
)
from sync.errors import StoreError, SyncError

_DECLARED: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE: Final = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def _page(data: bytes) -> None:
    """Both readers say the same of every page, or both refuse it."""
    slow = outcome(parse_objects, data, fails=XmlFault)
    agree(outcome(parse_page, data, fails=XmlFault), slow, "parse_page")
    quick = outcome(usual_page, data, fails=Exception)
    if quick is not None:
        agree(quick, slow, "usual_page")


_PARSERS: Final = (
    parse_parts, parse_uploads, parse_complete, parse_upload_id, parse_tagging, _parse_versions,
)  # fmt: skip


def _other(data: bytes) -> None:
    for parse in _PARSERS:
        outcome(parse, data, fails=XmlFault)


def _error(data: bytes) -> None:
    """An error body in a reply of a status and headers that the input names too."""
    first, _, body = data.partition(b"\n")
    status, _, header = first.decode("latin-1").partition(" ")
    headers = {"retry-after": header, "date": header, "x-amz-bucket-region": header}
    number = int(status) if status in _STATUSES else 400
    refusal = Refusal("GetObject", "bucket/key", number, headers, parse_error(body), versioned=True)
    error = translate(refusal, now=0.0)
    text = str(error)
    agree(text.isprintable() and len(text) < 4000, True, "a text for a log")
    if isinstance(error, StoreError):
        agree(error.status, number, "status")
    assert isinstance(error, SyncError)
    retry_after(headers, now=1e9)


_STATUSES: Final = frozenset(map(str, (200, 301, 307, 400, 403, 404, 405, 412, 416, 429, 500, 503)))
_ENTRY: Final = (
    b"<Contents><Key>%b</Key><LastModified>2026-01-05T10:00:00.000Z</LastModified>"
    b"<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag><Size>12</Size>"
    b"<StorageClass>STANDARD</StorageClass></Contents>"
)
_OTHER_ENTRY: Final = (
    b'<Contents>\n <Key>%b</Key><Owner><ID>x</ID></Owner><Size>0</Size><ETag>"x"</ETag>'
    b"<LastModified>2026-01-05T10:00:00+02:00</LastModified></Contents>\n"
)


def _list(*entries: bytes, more: bytes = b"<IsTruncated>false</IsTruncated>") -> bytes:
    body = b"".join(entries)
    return _DECLARED + b"<ListBucketResult %b>%b%b</ListBucketResult>" % (_SPACE, more, body)


_TRUNCATED: Final = (
    b"<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    b"<EncodingType>url</EncodingType>"
)
_PAGES: Final = (
    _list(),
    _list(_ENTRY % b"a", _ENTRY % b"b&amp;c"),
    _list(_ENTRY % b"a%2Fb+c", _ENTRY % b"%C3%BC", more=_TRUNCATED),
    _list(_OTHER_ENTRY % b"a", _OTHER_ENTRY % b"b\xc3\xbc"),
    b'<!DOCTYPE x [<!ENTITY a "b">]>' + _list(_ENTRY % b"&a;"),
)
_OTHERS: Final = (
    b"<ListPartsResult><Part><PartNumber>1</PartNumber><Size>5</Size><ETag>&quot;x&quot;</ETag>"
    b"<LastModified>2026-01-05T10:00:00Z</LastModified></Part><IsTruncated>true</IsTruncated>"
    b"<NextPartNumberMarker>1</NextPartNumberMarker></ListPartsResult>",
    b"<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
    b"<NextKeyMarker>k%20</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker><Upload>"
    b"<Key>k</Key><UploadId>u</UploadId><Initiated>2026-01-05T10:00:00Z</Initiated></Upload>"
    b"</ListMultipartUploadsResult>",
    b"<CompleteMultipartUploadResult><ETag>&quot;x-2&quot;</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"
    b"<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>",
    b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
    b"<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>",
    b"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><Version>"
    b"<Key>k</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version>"
    b"</ListVersionsResult>",
)
_ERROR: Final = (
    _DECLARED + b"<Error><Code>%b</Code><Message>no \xc3\xbc</Message><Resource>/b/k</Resource>"
    b"<Region>eu-west-1</Region><Endpoint>s3.example.com</Endpoint><RequestId>1</RequestId></Error>"
)
_ERRORS: Final = (
    b"404 \n" + _ERROR % b"NoSuchKey",
    b"503 120\n" + _ERROR % b"SlowDown",
    b"503 Mon, 05 Jan 2026 10:00:00 GMT\n<html>busy</html>",
    b"403 x\n<ErrorResponse><Error><Code>RequestTimeTooSkewed</Code></Error></ErrorResponse>",
    b"301 eu-west-1\n" + _ERROR % b"PermanentRedirect",
)
_TAGS: Final = (
    b"<Key>", b"</Key>", b"<Contents>", b"</Contents>", b"<IsTruncated>", b"<EncodingType>url</EncodingType>",
    b"<Size>", b"<Error>", b"<Code>", b"&lt;", b"&#10;", b"%0A", b"%FF", b" xmlns:a='b'",
)  # fmt: skip

TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="listing-page", probe=_page, allowed=(), seeds=_PAGES, words=_TAGS),
        Target(name="other-pages", probe=_other, allowed=(), seeds=_OTHERS, words=_TAGS),
        Target(name="error-bodies", probe=_error, allowed=(), seeds=_ERRORS, words=_TAGS),
    )
}
