"""Error replies of AWS's JSON services (SQS, DynamoDB), translated once into sync.errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sync.errors import (
    AccessDenied,
    ClockSkewed,
    CredentialsRejected,
    NoSuchBucket,
    PreconditionFailed,
    RequestRefused,
    StoreError,
    Throttled,
    TransientStoreError,
)
from sync.json_text import loads

MALFORMED: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What taking a reply apart raises where it is not as documented; see ``malformed``."""
_LONGEST: Final = 400
_SERVER_FAULT: Final = 500

_THROTTLED: Final = frozenset(
    {
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_TRANSIENT: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ReplicatedWriteConflictException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionInProgressException",
    }
)
_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_SKEW: Final = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_SKEW_WORDS: Final = ("signature expired", "signature not yet current")
_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "KMSAccessDeniedException",
        "KmsAccessDenied",
        "KmsDisabled",
        "KmsInvalidKeyUsage",
        "KmsInvalidState",
        "KmsNotFound",
        "KmsOptInRequired",
        "NotAuthorized",
        "OptInRequired",
    }
)
_MISSING: Final = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "TableNotFoundException",
    }
)
_KINDS: Final[tuple[tuple[frozenset[str], type[StoreError]], ...]] = (
    (_SKEW, ClockSkewed),
    (_THROTTLED, Throttled),
    (_TRANSIENT, TransientStoreError),
    (_CREDENTIALS, CredentialsRejected),
    (_DENIED, AccessDenied),
    (_MISSING, NoSuchBucket),
    (frozenset({"ConditionalCheckFailedException"}), PreconditionFailed),
)
_BY_STATUS: Final[Mapping[int, type[StoreError]]] = {
    401: CredentialsRejected,
    403: AccessDenied,
    408: TransientStoreError,
    429: Throttled,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One JSON service: its name in signatures and in IAM actions, its X-Amz-Target prefix,
    its name for people, and what to do when the queue or table is missing.
    """

    name: str
    prefix: str
    title: str
    mend_missing: str


def malformed(operation: str) -> TransientStoreError:
    """The error for a reply that is JSON, and is not what the service's API reference says."""
    return TransientStoreError(
        f"{operation}: the reply is not as its documentation says", operation=operation
    )


def error_of(
    service: Service, operation: str, *, status: int, headers: Mapping[str, str], body: bytes
) -> StoreError:
    """The error that a reply other than 200 stands for. Never holds a credential."""
    fields = _fields(body)
    code = _code(fields, headers)
    text = _first_line(fields.get("message") or fields.get("Message"))
    kind = _kind(code, text, status)
    if kind is CredentialsRejected:
        # The service's own text may quote what was signed, the session token included.
        text = "the credentials or their signature were refused"
    error = kind(
        f"{service.title} {operation}: {code or status} {text}".rstrip()
        + _mend(service, operation, kind),
        operation=operation,
        status=status,
        code=code,
        request_id=headers.get("x-amzn-requestid", ""),
    )
    if isinstance(error, Throttled):
        error.retry_after = _seconds(headers.get("retry-after"))
    return error


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        value = loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _code(fields: Mapping[str, object], headers: Mapping[str, str]) -> str:
    raw = fields.get("__type") or headers.get("x-amzn-errortype")
    if not raw:
        raw = headers.get("x-amzn-query-error", "").partition(";")[0]
    return str(raw).rpartition("#")[2].partition(":")[0]


def _first_line(text: object) -> str:
    return str(text or "").strip().partition("\n")[0][:_LONGEST]


def _kind(code: str, text: str, status: int) -> type[StoreError]:
    if code in _CREDENTIALS and text.lower().startswith(_SKEW_WORDS):
        return ClockSkewed
    for codes, kind in _KINDS:
        if code in codes:
            return kind
    if status >= _SERVER_FAULT:
        return TransientStoreError
    return _BY_STATUS.get(status, RequestRefused)


def _mend(service: Service, operation: str, kind: type[StoreError]) -> str:
    if kind is AccessDenied:
        # DeleteMessageBatch and its like are allowed by the action without "Batch".
        return f" (allow {service.name}:{operation.removesuffix('Batch')} for these credentials)"
    if kind is NoSuchBucket:
        return f" ({service.mend_missing})"
    return ""


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None
