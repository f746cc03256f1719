"""Facts about the stores that speak the S3 protocol. Code asks these, never a store's name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sync.model import GIB, MIB, TIB, Dialect, Digest

MAX_KEY_BYTES: Final = 1024

_S3_CLASSES: Final = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
        "OUTPOSTS",
        "SNOW",
        "EXPRESS_ONEZONE",
    }
)
_GCS_CLASSES: Final = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"})


@dataclass(frozen=True, slots=True)
class S3Dialect(Dialect):
    """A `Dialect` with what only the S3 adapter has to know.

    ``default_region`` signs requests where no region is configured. ``regional_hosts``: the
    host names follow AWS's scheme, so that a bucket may be part of the name and a region
    redirect can be followed. ``asks_checksums``: reads ask for the stored checksums by
    ``x-amz-checksum-mode``. ``asks_gzip``: reads accept gzip, without which the store unpacks
    objects that are stored compressed. ``version_query`` and ``version_header`` name a version.
    Where ``keeps_expires`` is False, a reply's Expires is made up on the way.
    """

    default_region: str = "us-east-1"
    regional_hosts: bool = False
    asks_checksums: bool = False
    asks_gzip: bool = False
    version_query: str = "versionId"
    version_header: str = "x-amz-version-id"


def s3_key_fault(key: str) -> str | None:
    """Why no S3 store can hold the key, or None. 1 to 1,024 bytes of UTF-8.

    Source: Amazon S3 user guide, "Naming Amazon S3 objects".
    """
    if key and len(key) <= MAX_KEY_BYTES and key.isascii():
        return None
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "the key is not valid Unicode, so it has no UTF-8 form"
    if not size:
        return "the key is empty"
    if size > MAX_KEY_BYTES:
        return f"the key has {size} bytes; the destination allows {MAX_KEY_BYTES}"
    return None


def gcs_key_fault(key: str) -> str | None:
    """Why Google Cloud Storage cannot hold the key, or None.

    Source: Cloud Storage documentation, "About Cloud Storage objects", naming requirements.
    """
    if "\r" in key or "\n" in key:
        return "the key holds a carriage return or line feed, which Cloud Storage refuses"
    if key.startswith("."):
        if key in {".", ".."}:
            return f"Cloud Storage refuses the key {key!r}"
        if key.startswith(".well-known/acme-challenge/"):
            return "Cloud Storage refuses keys that start with .well-known/acme-challenge/"
    return s3_key_fault(key)


AWS: Final = S3Dialect(
    name="aws",
    # A PUT without a checksum is answered with the CRC64NVME that S3 computed itself.
    digests=frozenset({Digest.CRC64NVME}),
    etag_is_md5=True,
    drops_unused_parts=True,
    storage_classes=_S3_CLASSES,
    # Source: Amazon S3 user guide, "Multipart upload limits": 48.8 TiB, 10,000 parts of 5 GiB.
    max_object=10_000 * 5 * GIB,
    key_fault=s3_key_fault,
    regional_hosts=True,
    asks_checksums=True,
)

GCS: Final = S3Dialect(
    name="gcs",
    digests=frozenset({Digest.CRC32C}),
    etag_is_md5=False,
    drops_unused_parts=True,
    storage_classes=_GCS_CLASSES,
    max_object=5 * TIB,
    # Source: Cloud Storage documentation, "Quotas and limits": 5 TiB in one request, and one
    # write a second to the same object name.
    max_single_put=5 * TIB,
    # Source: Cloud Storage documentation, "XML API multipart uploads": parts are uploaded, there
    # is no request to copy one; and "Copy objects": a whole object of any size in one request.
    max_copy=5 * TIB,
    copies_parts=False,
    write_interval=1.0,
    has_tags=False,
    key_fault=gcs_key_fault,
    default_region="auto",
    asks_gzip=True,
    # Source: Cloud Storage documentation, "Object metadata": no such fixed-key metadata.
    keeps_expires=False,
    version_query="generation",
    version_header="x-goog-generation",
)

GENERIC: Final = S3Dialect(
    name="generic",
    digests=frozenset({Digest.MD5}),
    etag_is_md5=True,
    drops_unused_parts=False,
    storage_classes=_S3_CLASSES,
    min_part=5 * MIB,
    key_fault=s3_key_fault,
)

BY_NAME: Final[dict[str, S3Dialect]] = {d.name: d for d in (AWS, GCS, GENERIC)}

_AWS_HOST: Final = re.compile(r"(?:^|[.])amazonaws[.]com(?:[.]cn)?$")
_GCS_HOST: Final = re.compile(
    r"^storage(?:-[a-z0-9-]+)?[.](?:[a-z0-9-]+[.]rep[.])?googleapis[.]com$"
)
_GCS_PRIVATE: Final = re.compile(r"^storage-[a-z0-9-]+[.]p[.]googleapis[.]com$")

_HOSTS: Final[tuple[tuple[Callable[[str], object], S3Dialect], ...]] = (
    (_AWS_HOST.search, AWS),
    (_GCS_HOST.match, GCS),
    (_GCS_PRIVATE.match, GCS),
)


def dialect_for(endpoint: str) -> S3Dialect:
    """The dialect of an endpoint URL, told by its host name; `GENERIC` for an unknown one."""
    host = (urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or "").rstrip(".")
    return next((dialect for known, dialect in _HOSTS if known(host)), GENERIC)
