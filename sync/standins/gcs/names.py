"""Cloud Storage's rules for names, storage classes and request headers. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from sync.standins.gcs.calls import Call
from sync.standins.gcs.refusals import Refusal
from sync.standins.gcs.store import Description

STORAGE_CLASSES: Final = frozenset({"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"})
MAX_KEY: Final = 1024
MAX_METADATA: Final = 8 * 1024
CONTENT_HEADERS: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_SDK_CHECKSUM: Final = re.compile(r"checksum-[a-z0-9]+|sdk-checksum-algorithm")
_CANNED: Final = frozenset(
    {
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
        "project-private",
    }
)
_KNOWN_EXTENSIONS: Final = frozenset(
    {
        "acl",
        "bucket-object-lock-enabled",
        "checksum-mode",
        "content-sha256",
        "copy-source",
        "copy-source-generation",
        "copy-source-if-generation-match",
        "copy-source-if-match",
        "copy-source-if-metageneration-match",
        "copy-source-if-modified-since",
        "copy-source-if-none-match",
        "copy-source-if-unmodified-since",
        "custom-time",
        "date",
        "expected-bucket-owner",
        "hash",
        "if-generation-match",
        "if-metageneration-match",
        "metadata-directive",
        "project-id",
        "storage-class",
        "te",
        "user-agent",
        "user-project",
    }
)


def check_key(raw: bytes) -> str:
    """The key as text; Refusal where Cloud Storage cannot hold it.

    Source: Cloud Storage documentation, "About Cloud Storage objects", naming requirements.
    """
    try:
        key = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("InvalidURI", "The object name is not UTF-8.") from None
    if len(raw) > MAX_KEY:
        raise Refusal("KeyTooLong", f"{len(raw)} bytes; {MAX_KEY} are allowed")
    if "\r" in key or "\n" in key:
        raise Refusal("InvalidObjectName", "Carriage returns and line feeds are not allowed.")
    if key in {".", ".."} or key.startswith(".well-known/acme-challenge/"):
        raise Refusal("InvalidObjectName", repr(key))
    return key


def check_bucket_name(name: str) -> None:
    """Refusal where the name breaks Cloud Storage's rules for buckets."""
    if not _BUCKET.fullmatch(name) or name.startswith("goog") or ".." in name:
        raise Refusal("InvalidBucketName", name)


def check_extensions(call: Call) -> None:
    """Refusal for an extension header the stand-in does not know.

    Cloud Storage passes over some of these; here they are refused, so that nobody relies on a
    header that does nothing there.
    """
    for name, _ in call.request.headers:
        for family in ("x-amz-", "x-goog-"):
            if not name.startswith(family):
                continue
            short = name.removeprefix(family)
            if short in _KNOWN_EXTENSIONS or short.startswith("meta-"):
                continue
            if not call.key_bytes and _SDK_CHECKSUM.fullmatch(short):
                # SDKs put one into bulk deletes whatever their settings; the service ignores it.
                continue
            raise Refusal("InvalidArgument", f"unsupported header {name}")
    if call.extension("bucket-object-lock-enabled") not in {"", "false"}:
        raise Refusal("NotImplemented", "object lock")
    acl = call.extension("acl")
    if acl and acl not in _CANNED:
        raise Refusal("InvalidArgument", f"unknown canned ACL {acl!r}")


def description(call: Call) -> Description:
    """What a request says its object is; Refusal for a wrong class or too much metadata."""
    request = call.request
    pairs = [(name, request.header(name)) for name in CONTENT_HEADERS if request.has(name)]
    content = dict(pair for pair in pairs if pair[1])
    content.setdefault("content-type", "application/octet-stream")
    return Description(tuple(content.items()), _metadata(call), storage_class(call))


def _metadata(call: Call) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    prefix = f"x-{call.family}-meta-"
    for name, _ in call.request.headers:
        if name.startswith(prefix):
            found[name.removeprefix(prefix)] = call.request.header(name)
    if sum(len(name) + len(value) for name, value in found.items()) > MAX_METADATA:
        raise Refusal("MetadataTooLarge", f"{MAX_METADATA} bytes are allowed")
    return tuple(found.items())


def storage_class(call: Call) -> str:
    """The storage class a request asks for; Refusal InvalidStorageClass for an unknown one."""
    named = call.extension("storage-class") or "STANDARD"
    if named not in STORAGE_CLASSES:
        raise Refusal("InvalidStorageClass", named)
    return named


def expected_hashes(call: Call) -> dict[str, bytes]:
    """What the request says its body hashes to: ``md5`` and ``crc32c``, as raw bytes.

    From Content-MD5 and x-goog-hash; Refusal InvalidDigest where one is not a hash.
    """
    wanted: dict[str, bytes] = {}
    if call.request.has("content-md5"):
        wanted["md5"] = _hash(call.request.header("content-md5"), 16)
    for entry in filter(None, call.request.header("x-goog-hash").split(",")):
        name, _, value = entry.strip().partition("=")
        if name not in {"md5", "crc32c"}:
            raise Refusal("InvalidDigest", f"x-goog-hash {name!r}")
        wanted[name] = _hash(value, 16 if name == "md5" else 4)
    return wanted


def _hash(text: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != length:
        raise Refusal("InvalidDigest", text)
    return raw
