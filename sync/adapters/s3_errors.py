"""What a store's refusal means: HTTP status and error code to `sync.errors`, in one place.

The code decides where it is known (S3 answers an expired token with 400, a broken region with
400 as well), the status where it is not. Texts name operation, object, status, code, request
id and the store's own message: none of these holds a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from sync.adapters.s3_xml import ErrorBody
from sync.errors import (
    AccessDenied,
    ClockSkewed,
    CredentialsRejected,
    IntegrityError,
    KeyNotAllowed,
    NoSuchBucket,
    NoSuchUpload,
    NoSuchVersion,
    NotFound,
    NotRestored,
    ObjectTooLarge,
    OutcomeUnknown,
    PreconditionFailed,
    RequestRefused,
    StoreError,
    SyncError,
    Throttled,
    TransientStoreError,
)

_MESSAGE_LIMIT: Final = 300
_OK: Final = 200
_NOT_FOUND: Final = 404
_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_METHOD_NOT_ALLOWED: Final = 405
_SERVER_ERROR: Final = 500

_BY_CODE: Final[dict[str, type[SyncError]]] = {
    **dict.fromkeys(
        (
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
            "InvalidSecurity",
            "AuthorizationHeaderMalformed",
        ),
        CredentialsRejected,
    ),
    "RequestTimeTooSkewed": ClockSkewed,
    "NoSuchKey": NotFound,
    "NoSuchVersion": NoSuchVersion,
    "NoSuchUpload": NoSuchUpload,
    "NoSuchBucket": NoSuchBucket,
    "PreconditionFailed": PreconditionFailed,
    "InvalidObjectState": NotRestored,
    **dict.fromkeys(
        (
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "ServiceUnavailable",
            "Throttling",
            "ThrottlingException",
            "KMS.ThrottlingException",
            "TooManyRequests",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
        ),
        Throttled,
    ),
    # InvalidPart: a part at the store is not the one that was sent; InvalidRange: the object
    # is shorter than its description said. Reading and writing anew mends both.
    **dict.fromkeys(
        (
            "BadDigest",
            "InvalidDigest",
            "XAmzContentSHA256Mismatch",
            "XAmzContentChecksumMismatch",
            "InvalidPart",
            "InvalidRange",
        ),
        IntegrityError,
    ),
    **dict.fromkeys(
        (
            "RequestTimeout",
            "IncompleteBody",
            "InternalError",
            "OperationAborted",
            "ConditionalRequestConflict",
            "RequestAborted",
        ),
        TransientStoreError,
    ),
    "EntityTooLarge": ObjectTooLarge,
    "KeyTooLongError": KeyNotAllowed,
    "KeyTooLong": KeyNotAllowed,
}

_BY_STATUS: Final[dict[int, type[SyncError]]] = {
    401: CredentialsRejected,
    403: AccessDenied,
    404: NotFound,
    408: TransientStoreError,
    412: PreconditionFailed,
    416: IntegrityError,
    429: Throttled,
    501: RequestRefused,
    503: Throttled,
    505: RequestRefused,
}


VISIBLE: Final = frozenset(
    {"PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject", "PutObjectTagging"}
)
"""Operations that change what readers see."""
# RFC 9110, 15.6.3 and 15.6.5: a gateway that gave up on a server, which may go on with it.
_GATEWAYS: Final = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that is not the wanted one. ``subject`` is bucket/key; header names lower case.

    ``versioned``: a certain version was asked for; ``of_upload``: a multipart upload was named.
    """

    operation: str
    subject: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: ErrorBody | None = None
    versioned: bool = False
    of_upload: bool = False

    @property
    def code(self) -> str:
        """The store's own error code, or ""."""
        return self.body.code if self.body else ""

    @property
    def request_id(self) -> str:
        """What the vendor's support asks for, or ""."""
        named = self.body.request_id if self.body else ""
        return (
            self.headers.get("x-amz-request-id")
            or self.headers.get("x-guploader-uploadid")
            or named
        )


def translate(refusal: Refusal, *, now: float) -> SyncError:
    """The error to raise for a refusal. ``now`` turns a Retry-After date into seconds."""
    kind = _kind(refusal)
    text = _text(refusal, kind)
    if not issubclass(kind, StoreError):
        return kind(text)
    error = kind(
        text,
        operation=refusal.operation,
        status=refusal.status,
        code=refusal.code,
        request_id=_clean(refusal.request_id, 200),
    )
    if isinstance(error, Throttled):
        error.retry_after = retry_after(refusal.headers, now=now)
    return error


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds a reply asks to wait, given as a number or as a date; None where it does not."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    when = http_date(text)
    return None if when is None else max(0.0, when - now)


@lru_cache(maxsize=512)
def http_date(text: str) -> float | None:
    """POSIX timestamp of an HTTP date, or None. Kept: objects written together share it."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _kind(refusal: Refusal) -> type[SyncError]:
    known = _BY_CODE.get(refusal.code)
    if known is NotFound:
        return _missing(refusal)
    if refusal.status in _GATEWAYS and refusal.operation in VISIBLE:
        known = OutcomeUnknown
    if known is not None:
        return known
    if refusal.status == _METHOD_NOT_ALLOWED and _delete_marker(refusal):
        return NoSuchVersion
    if refusal.status == _NOT_FOUND:
        return _missing(refusal)
    if refusal.status == _OK:
        # Complete answers 200 first and may then report anything; nothing is lost by asking.
        return TransientStoreError
    fallback = TransientStoreError if refusal.status >= _SERVER_ERROR else RequestRefused
    return _BY_STATUS.get(refusal.status, fallback)


def _missing(refusal: Refusal) -> type[NotFound]:
    # RGW says NoSuchKey of uploads and versions as well.
    if refusal.of_upload:
        return NoSuchUpload
    return NoSuchVersion if refusal.versioned else NotFound


def _delete_marker(refusal: Refusal) -> bool:
    marked = refusal.headers.get("x-amz-delete-marker", "").lower() == "true"
    return marked or (refusal.versioned and refusal.operation in {"HeadObject", "GetObject"})


def _text(refusal: Refusal, kind: type[SyncError]) -> str:
    facts = [f"status {refusal.status}"]
    if refusal.code:
        facts.append(_clean(refusal.code, 80))
    if refusal.body and refusal.body.message:
        facts.append(_clean(refusal.body.message, _MESSAGE_LIMIT))
    if refusal.request_id:
        facts.append(f"request id {_clean(refusal.request_id, 200)}")
    text = f"{refusal.operation} {refusal.subject}: {', '.join(facts)}"
    return text + _hint(refusal, kind)


def _hint(refusal: Refusal, kind: type[SyncError]) -> str:
    if refusal.status in _REDIRECTS and kind is RequestRefused:
        named = refusal.body.endpoint if refusal.body else ""
        served = f" at {_clean(named, 200)}" if named else " elsewhere"
        return f" (the bucket is served{served}: set the endpoint or the region)"
    if kind is AccessDenied and refusal.operation in {"HeadObject", "GetObject"}:
        return " (without s3:ListBucket on the bucket, a missing object is answered the same way)"
    if kind is NoSuchBucket:
        return " (check the bucket's name and the endpoint)"
    if kind is OutcomeUnknown:
        return " (it may still take effect)"
    if kind is CredentialsRejected:
        return " (check the access key, its secret and the region)"
    return ""


def _clean(text: str, limit: int) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= limit else shown[:limit] + "…"
