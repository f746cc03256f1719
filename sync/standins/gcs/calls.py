"""What a request asks for: bucket, key, query and the name of the operation. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from sync.standins.gcs.http1 import Request
from sync.standins.gcs.options import HmacIdentity
from sync.standins.gcs.refusals import Refusal

_AUTH_QUERY: Final = frozenset(
    f"x-{family}-{name}"
    for family in ("amz", "goog")
    for name in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")
)
_KNOWN_QUERY: Final = frozenset(
    {
        "delete",
        "delimiter",
        "encoding-type",
        "continuation-token",
        "fetch-owner",
        "generation",
        "generation-marker",
        "key-marker",
        "list-type",
        "location",
        "marker",
        "max-keys",
        "max-parts",
        "max-uploads",
        "part-number-marker",
        "partnumber",
        "prefix",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "start-after",
        "upload-id-marker",
        "uploadid",
        "uploads",
        "versionid",
        "version-id-marker",
        "versioning",
        "versions",
        "x-amz-content-sha256",
    }
)
_NOT_IMPLEMENTED: Final = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "billing",
        "compose",
        "cors",
        "encryption",
        "encryptionconfig",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipcontrols",
        "policy",
        "policystatus",
        "publicaccessblock",
        "replication",
        "requestpayment",
        "restore",
        "retention",
        "select",
        "storageclass",
        "tagging",
        "torrent",
        "website",
    }
)
_SERVICE: Final = {"GET": "ListBuckets"}
_BUCKET: Final = {
    "PUT": (("versioning", "PutBucketVersioning"), ("", "CreateBucket")),
    "HEAD": (("", "HeadBucket"),),
    "DELETE": (("", "DeleteBucket"),),
    "POST": (("delete", "DeleteObjects"),),
    "GET": (
        ("location", "GetBucketLocation"),
        ("versioning", "GetBucketVersioning"),
        ("uploads", "ListMultipartUploads"),
        ("versions", "ListObjectVersions"),
        ("list-type", "ListObjectsV2"),
        ("", "ListObjects"),
    ),
}
_OBJECT: Final = {
    "PUT": (("uploadId", "UploadPart"), ("", "PutObject")),
    "GET": (("uploadId", "ListParts"), ("", "GetObject")),
    "HEAD": (("", "HeadObject"),),
    "DELETE": (("uploadId", "AbortMultipartUpload"), ("", "DeleteObject")),
    "POST": (("uploads", "CreateMultipartUpload"), ("uploadId", "CompleteMultipartUpload")),
}


@dataclass(slots=True)
class Call:
    """One XML API request, taken apart. ``key`` is "" for a bucket, ``bucket`` for the service.

    ``key_bytes`` is the key as it came, percent-decoded once. ``family`` is ``amz`` or ``goog``,
    by the signature (``goog`` where there is none); ``identity`` is None for an anonymous caller.
    """

    request: Request
    bucket: str
    key_bytes: bytes
    query: tuple[tuple[str, str], ...]
    operation: str = ""
    key: str = ""
    family: str = "goog"
    identity: HmacIdentity | None = None
    payload: str = "UNSIGNED-PAYLOAD"
    notes: dict[str, str] = field(default_factory=dict)

    def param(self, name: str) -> str:
        """A query parameter's value, or ""."""
        return next((value for key, value in self.query if key == name), "")

    def asks(self, name: str) -> bool:
        """True where the query has that parameter, with or without a value."""
        return any(key == name for key, _ in self.query)

    def extension(self, name: str) -> str:
        """An extension header of the caller's own family: ``x-amz-…`` or ``x-goog-…``."""
        return self.request.header(f"x-{self.family}-{name}")


def split_target(target: str) -> tuple[str, str]:
    """Raw path and raw query of a request target; an absolute form loses its authority."""
    if not target.startswith("/"):
        target = "/" + target.split("://", 1)[-1].partition("/")[2]
    path, _, query = target.partition("?")
    return path, query


def parse_query(raw: str) -> tuple[tuple[str, str], ...]:
    """Decoded pairs; a plus sign stays one, as signatures want it."""
    pairs = (piece.partition("=") for piece in raw.split("&") if piece)
    return tuple((_text(name), _text(value)) for name, _, value in pairs)


def _text(raw: str) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


def parse(request: Request, domains: tuple[str, ...]) -> Call:
    """The call behind a request. Never fails: what is wrong with it is told by `check`."""
    path, raw_query = split_target(request.target)
    hosted = _hosted_bucket(request.header("host"), domains)
    rest = path[1:]
    if not hosted:
        first, _, rest = rest.partition("/")
        hosted = _text(first)
    call = Call(request, hosted, unquote_to_bytes(rest), parse_query(raw_query))
    call.key = call.key_bytes.decode("utf-8", "surrogateescape")
    call.operation = _operation(call)
    return call


def _hosted_bucket(host: str, domains: tuple[str, ...]) -> str:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    for domain in domains:
        if name.endswith("." + domain):
            return name[: -len(domain) - 1]
    return ""


def _operation(call: Call) -> str:
    method = call.request.method
    if not call.bucket:
        return _SERVICE.get(method, "")
    choices = (_OBJECT if call.key_bytes else _BUCKET).get(method, ())
    name = next((op for flag, op in choices if not flag or call.asks(flag)), "")
    if name in {"PutObject", "UploadPart"} and _copies(call):
        return "CopyObject" if name == "PutObject" else "UploadPartCopy"
    return name


def _copies(call: Call) -> bool:
    return call.request.has("x-amz-copy-source") or call.request.has("x-goog-copy-source")


def check(call: Call) -> None:
    """Refusal for a query or method nothing here answers."""
    for name, _ in call.query:
        lower = name.lower()
        if lower in _NOT_IMPLEMENTED or call.operation == "UploadPartCopy":
            raise Refusal("NotImplemented", f"{call.request.method} ?{name}")
        if lower not in _KNOWN_QUERY and lower not in _AUTH_QUERY:
            raise Refusal("InvalidArgument", f"unknown query parameter {name!r}")
    if not call.operation:
        raise Refusal("MethodNotAllowed", call.request.method)
