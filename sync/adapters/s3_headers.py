"""Headers of the S3 protocol to and from the model's values. Pure.

Header mappings are by lower-case name; values are latin-1 text and pass unchanged.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from sync.adapters.dialects import S3Dialect
from sync.adapters.s3_errors import http_date
from sync.adapters.s3_xml import unquoted
from sync.checksums import decode_crc, fingerprint
from sync.errors import IntegrityError, OutcomeUnknown, TransientStoreError
from sync.model import (
    REPLACED_IN_PLACE,
    Checksums,
    Identity,
    ObjectHeaders,
    ObjectMeta,
    WriteReceipt,
)

CONTENT_HEADERS: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
)
_CONTENT_BUT_EXPIRES: Final = tuple(name for name in CONTENT_HEADERS if name != "expires")
# Replies use the family of the signature, or both: either is understood.
_META_PREFIXES: Final = ("x-amz-meta-", "x-goog-meta-")
_MD5_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_GOOG_HASH: Final = re.compile(r"(crc32c|md5)=([A-Za-z0-9+/]+=*)")
_MD5_BYTES: Final = 16
_DIGITS: Final = 19  # fits in 63 bits
_NO_CHECKSUMS: Final = Checksums()

_Kept = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
# Source: Amazon S3 API reference, "Common response headers"; Cloud Storage sends one as well.
_NO_ETAG: Final = "the reply has no ETag, so it is not the store's: something between answered"


def object_meta(headers: Mapping[str, str], *, size: int, dialect: S3Dialect) -> ObjectMeta:
    """What a HEAD or GET reply says of an object of ``size`` bytes."""
    content, metadata = _content(headers, dialect), _metadata(headers)
    return ObjectMeta(
        identity=identity(headers, size=size, dialect=dialect, kept=(content, metadata)),
        headers=ObjectHeaders(
            content=content, metadata=metadata, storage_class=_storage_class(headers)
        ),
        checksums=stored_checksums(headers),
        last_modified=http_date(headers.get("last-modified", "")) or 0.0,
    )


def with_md5(meta: ObjectMeta, headers: Mapping[str, str], dialect: S3Dialect) -> ObjectMeta:
    """With the MD5 of the bytes where the ETag of that reply is one."""
    etag, stated = meta.identity.etag, meta.checksums
    if stated.md5 is not None or not dialect.etag_is_md5 or not _etag_tells_md5(etag, headers):
        return meta
    return meta._replace(checksums=stated._replace(md5=bytes.fromhex(etag)))


def identity(
    headers: Mapping[str, str], *, size: int, dialect: S3Dialect, kept: _Kept | None = None
) -> Identity:
    """The version that a HEAD or GET reply speaks of; TransientStoreError where it names none:
    then something on the way answered, such as a gateway with a page and status 200.
    """
    etag = unquoted(headers.get("etag", ""))
    if not etag:
        raise TransientStoreError(_NO_ETAG)
    version = headers.get(dialect.version_header)
    if version not in REPLACED_IN_PLACE:
        return Identity(etag, size, version)
    kept = kept or (_content(headers, dialect), _metadata(headers))
    return Identity(etag, size, version, fingerprint(*kept))


def _storage_class(headers: Mapping[str, str]) -> str:
    # S3 leaves the header out for STANDARD.
    named = headers.get("x-amz-storage-class") or headers.get("x-goog-storage-class")
    return named or "STANDARD"


def _content(headers: Mapping[str, str], dialect: S3Dialect) -> tuple[tuple[str, str], ...]:
    pairs = []
    for name in CONTENT_HEADERS if dialect.keeps_expires else _CONTENT_BUT_EXPIRES:
        value = headers.get(name)
        if value and name == "content-encoding":
            value = _own_encoding(value)
        if value:
            pairs.append((name, value))
    return tuple(pairs)


def _own_encoding(value: str) -> str:
    """Without ``aws-chunked``: it described how the bytes once travelled, not what they are."""
    if "aws-chunked" not in value.lower():
        return value
    codings = (coding.strip() for coding in value.split(","))
    return ",".join(coding for coding in codings if coding.lower() != "aws-chunked")


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    named = [name for name in headers if name.startswith(_META_PREFIXES)]
    if not named:
        return ()
    found: dict[str, str] = {}
    for name in named:
        found.setdefault(name.split("-meta-", 1)[1], headers[name])
    return tuple(found.items())


def stored_checksums(headers: Mapping[str, str]) -> Checksums:
    """Checksums a reply states outright; a checksum of checksums is left out and marked."""
    google = headers.get("x-goog-hash")
    own32 = headers.get("x-amz-checksum-crc32c", "")
    own64 = headers.get("x-amz-checksum-crc64nvme", "")
    kind = headers.get("x-amz-checksum-type", "")
    crc32c = md5 = None
    if google is not None:
        named = dict(_GOOG_HASH.findall(google))
        md5, crc32c = _md5(named.get("md5", "")), _crc(named.get("crc32c", ""))
    elif not (own32 or own64 or kind):
        return _NO_CHECKSUMS
    if kind.upper() == "COMPOSITE" or "-" in own32 or "-" in own64:
        return Checksums(crc32c, None, md5, full_object=False)
    return Checksums(_crc(own32) if crc32c is None else crc32c, _crc(own64), md5)


def _crc(text: str) -> int | None:
    try:
        return decode_crc(text) if text else None
    except ValueError:
        return None


def _md5(text: str) -> bytes | None:
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return raw if len(raw) == _MD5_BYTES else None


def write_receipt(headers: Mapping[str, str], dialect: S3Dialect) -> WriteReceipt:
    """What the reply to a PUT of an object or a part says of the bytes; OutcomeUnknown where it
    is none of a store's.
    """
    etag = unquoted(headers.get("etag", ""))
    if not etag:
        raise OutcomeUnknown(_NO_ETAG)
    stated = stored_checksums(headers)
    md5 = stated.md5
    if md5 is None and dialect.etag_is_md5 and _etag_tells_md5(etag, headers):
        stated = Checksums(
            stated.crc32c, stated.crc64nvme, bytes.fromhex(etag), full_object=stated.full_object
        )
    return WriteReceipt(etag, stated, headers.get(dialect.version_header))


def _etag_tells_md5(etag: str, headers: Mapping[str, str]) -> bool:
    # Source: Amazon S3 API reference, "Object": under SSE-KMS and SSE-C the ETag is no MD5.
    encryption = headers.get("x-amz-server-side-encryption", "AES256")
    customer = "x-amz-server-side-encryption-customer-algorithm" in headers
    return encryption == "AES256" and not customer and bool(_MD5_HEX.fullmatch(etag))


def write_headers(headers: ObjectHeaders, dialect: S3Dialect) -> tuple[tuple[str, str], ...]:
    """Request headers that make an object what ``headers`` describe."""
    pairs = list(headers.content)
    if not dialect.keeps_expires:
        pairs = [pair for pair in pairs if pair[0] != "expires"]
    if headers.metadata:
        pairs += [(f"x-amz-meta-{name}", value) for name, value in headers.metadata]
    if headers.storage_class:
        pairs.append(("x-amz-storage-class", headers.storage_class))
    if headers.tagging and dialect.has_tags:
        pairs.append(("x-amz-tagging", headers.tagging))
    return tuple(pairs)


def content_md5_header(digest: bytes) -> tuple[str, str]:
    """The header that makes the store refuse other bytes."""
    return "content-md5", base64.b64encode(digest).decode("ascii")


def byte_count(text: str) -> int | None:
    """A number of bytes as a header states it; None for anything else."""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else None


def whole_size(headers: Mapping[str, str], content_length: int | None, subject: object) -> int:
    """Bytes of a whole object as a HEAD or an unranged GET states them.

    IntegrityError where the reply does not say, or where the store would send other bytes than
    it stores (Cloud Storage unpacking gzip on the way).
    """
    stored = headers.get("x-goog-stored-content-length", "")
    known = byte_count(stored)
    if content_length is None:
        content_length = known
    if content_length is None:
        raise IntegrityError(f"{subject}: the store did not say how many bytes the object has")
    if known is not None and known != content_length:
        raise IntegrityError(
            f"{subject}: the store sends {content_length} bytes where it holds {known}; "
            "it unpacks the object on the way"
        )
    return content_length


def ranged_size(
    headers: Mapping[str, str], asked: tuple[int, int], content_length: int | None, subject: object
) -> int:
    """The whole object's bytes from the Content-Range of a 206 that is exactly what was asked.

    IntegrityError for any other range: its bytes would land in the wrong place.
    """
    text = headers.get("content-range", "")
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if not match:
        raise IntegrityError(f"{subject}: a partial reply without a usable Content-Range {text!r}")
    first, last, total = map(int, match.groups())
    length = asked[1] - asked[0] + 1
    if (first, last) != asked or content_length not in {None, length}:
        raise IntegrityError(
            f"{subject}: bytes {asked[0]}-{asked[1]} were asked for, the store sent {text!r}"
        )
    return total
