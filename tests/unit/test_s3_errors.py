import pytest

from sync.adapters.s3_errors import Refusal, http_date, retry_after, translate
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

NOW = 1_000_000.0


def error(
    status: int,
    code: str = "",
    *,
    operation: str = "PutObject",
    headers: dict[str, str] | None = None,
    message: str = "",
    versioned: bool = False,
    of_upload: bool = False,
) -> SyncError:
    body = ErrorBody(code=code, message=message) if code else None
    refusal = Refusal(operation, "b/k", status, headers or {}, body, versioned, of_upload)
    return translate(refusal, now=NOW)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "SignatureDoesNotMatch", CredentialsRejected),
        (403, "InvalidAccessKeyId", CredentialsRejected),
        (400, "ExpiredToken", CredentialsRejected),
        (400, "InvalidToken", CredentialsRejected),
        (400, "TokenRefreshRequired", CredentialsRejected),
        (401, "", CredentialsRejected),
        (403, "RequestTimeTooSkewed", ClockSkewed),
        (403, "AccessDenied", AccessDenied),
        (403, "", AccessDenied),
        (403, "InvalidObjectState", NotRestored),
        (404, "NoSuchKey", NotFound),
        (404, "", NotFound),
        (404, "NoSuchVersion", NoSuchVersion),
        (404, "NoSuchUpload", NoSuchUpload),
        (404, "NoSuchBucket", NoSuchBucket),
        (412, "PreconditionFailed", PreconditionFailed),
        (412, "", PreconditionFailed),
        (409, "OperationAborted", TransientStoreError),
        (409, "ConditionalRequestConflict", TransientStoreError),
        (409, "BucketAlreadyExists", RequestRefused),
        (503, "SlowDown", Throttled),
        (503, "ServiceUnavailable", Throttled),
        (503, "", Throttled),
        (429, "", Throttled),
        (429, "Whatever", Throttled),
        (400, "ThrottlingException", Throttled),
        (400, "BadDigest", IntegrityError),
        (400, "InvalidDigest", IntegrityError),
        (400, "XAmzContentSHA256Mismatch", IntegrityError),
        (400, "InvalidPart", IntegrityError),
        (416, "InvalidRange", IntegrityError),
        (416, "", IntegrityError),
        (400, "RequestTimeout", TransientStoreError),
        (400, "IncompleteBody", TransientStoreError),
        (408, "", TransientStoreError),
        (500, "InternalError", TransientStoreError),
        (200, "InternalError", TransientStoreError),
        (200, "SomethingNew", TransientStoreError),
        (502, "", OutcomeUnknown),
        (504, "", OutcomeUnknown),
        (501, "NotImplemented", RequestRefused),
        (400, "EntityTooLarge", ObjectTooLarge),
        (400, "KeyTooLongError", KeyNotAllowed),
        (400, "InvalidArgument", RequestRefused),
        (400, "", RequestRefused),
        (301, "PermanentRedirect", RequestRefused),
        (405, "MethodNotAllowed", RequestRefused),
    ],
)
def test_what_a_refusal_means(status: int, code: str, kind: type[SyncError]) -> None:
    told = error(status, code)
    assert type(told) is kind
    if isinstance(told, StoreError):
        assert (told.status, told.code, told.operation) == (status, code, "PutObject")


@pytest.mark.parametrize("status", [502, 504])
def test_what_a_gateway_gave_up_on_may_still_land(status: int) -> None:
    for operation in ("PutObject", "CopyObject", "CompleteMultipartUpload", "DeleteObject"):
        told = error(status, operation=operation)
        assert type(told) is OutcomeUnknown
        assert "may still take effect" in str(told)
    for operation in ("GetObject", "HeadObject", "UploadPart", "ListParts"):
        assert type(error(status, operation=operation)) is TransientStoreError


def test_a_delete_marker_is_no_version() -> None:
    for operation in ("HeadObject", "GetObject"):
        assert type(error(405, operation=operation, versioned=True)) is NoSuchVersion
        marked = error(405, "MethodNotAllowed", headers={"x-amz-delete-marker": "true"})
        assert type(marked) is NoSuchVersion


def test_what_is_missing_is_what_was_named() -> None:
    assert type(error(404, versioned=True)) is NoSuchVersion
    assert type(error(404, "NoSuchKey", versioned=True)) is NoSuchVersion
    assert type(error(404, "NoSuchKey", of_upload=True)) is NoSuchUpload
    assert type(error(404, "NoSuchBucket", versioned=True, of_upload=True)) is NoSuchBucket


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Mon, 12 Jan 1970 13:46:50 GMT", 10.0),
        ("Mon, 12 Jan 1970 13:46:30 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
    ],
)
def test_how_long_a_store_asks_to_wait(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, now=NOW) == seconds
    told = error(503, "SlowDown", headers={"retry-after": text})
    assert isinstance(told, Throttled)
    assert told.retry_after == seconds


def test_http_dates() -> None:
    assert http_date("Mon, 12 Jan 1970 13:46:40 GMT") == NOW
    assert http_date("yesterday") is None


def test_texts_say_what_was_asked_and_what_was_answered() -> None:
    text = str(
        error(
            400,
            "InvalidArgument",
            message="Some\nmessage",
            headers={"x-amz-request-id": "REQ-1", "authorization": "AWS4 secret"},
        )
    )
    assert text == "PutObject b/k: status 400, InvalidArgument, Some message, request id REQ-1"


def test_long_messages_are_cut() -> None:
    assert len(str(error(400, "InvalidArgument", message="x" * 10_000))) < 500


def test_a_refused_read_hints_at_the_missing_permission() -> None:
    assert "s3:ListBucket" in str(error(403, operation="HeadObject"))
    assert "s3:ListBucket" not in str(error(403))
