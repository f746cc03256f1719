"""How the stand-in says no: one exception that carries status, code and details."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

BAD: Final = HTTPStatus.BAD_REQUEST
FORBIDDEN: Final = HTTPStatus.FORBIDDEN
MISSING: Final = HTTPStatus.NOT_FOUND
CONFLICT: Final = HTTPStatus.CONFLICT

_TEXTS: Final[dict[str, tuple[int, str]]] = {
    "AccessDenied": (FORBIDDEN, "Access denied."),
    "BadDigest": (BAD, "The Content-MD5 or checksum you specified did not match what we received."),
    "BucketAlreadyOwnedByYou": (CONFLICT, "Your previous request to create the bucket succeeded."),
    "BucketNotEmpty": (CONFLICT, "The bucket you tried to delete is not empty."),
    "EntityTooLarge": (BAD, "Your proposed upload exceeds the maximum allowed object size."),
    "EntityTooSmall": (
        BAD,
        "Your proposed upload is smaller than the minimum allowed object size.",
    ),
    "ExcessHeaderValues": (BAD, "Requests cannot specify both x-amz and x-goog headers."),
    "ExpiredToken": (BAD, "The provided token has expired."),
    "IncompleteBody": (BAD, "The request body ended before the announced number of bytes."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (FORBIDDEN, "The access id you provided does not exist in our records."),
    "InvalidArgument": (BAD, "Invalid argument."),
    "InvalidBucketName": (BAD, "The specified bucket is not valid."),
    "InvalidDigest": (BAD, "The Content-MD5 or checksum you specified is not valid."),
    "InvalidMultiObjectDeleteRequest": (BAD, "A request names between 1 and 1000 objects."),
    "InvalidObjectName": (BAD, "The specified object name is not valid."),
    "InvalidPart": (BAD, "One or more of the specified parts could not be found."),
    "InvalidPartOrder": (BAD, "The list of parts was not in ascending order."),
    "InvalidRange": (416, "The requested range cannot be satisfied."),
    "InvalidStorageClass": (BAD, "The storage class you specified is not valid."),
    "InvalidURI": (BAD, "Couldn't parse the specified URI."),
    "KeyTooLong": (BAD, "The object name is too long."),
    "MalformedSecurityHeader": (BAD, "Your request has a malformed header."),
    "MalformedXML": (BAD, "The XML you provided was not well-formed."),
    "MaxMessageLengthExceeded": (BAD, "Your request was too large."),
    "MetadataTooLarge": (BAD, "Your metadata headers exceed the maximum allowed metadata size."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "MissingSecurityHeader": (BAD, "Your request was missing a required header."),
    "NoSuchBucket": (MISSING, "The specified bucket does not exist."),
    "NoSuchKey": (MISSING, "The specified key does not exist."),
    "NoSuchUpload": (MISSING, "The requested upload was not found."),
    "NotImplemented": (BAD, "A header or query you provided requested a function we do not have."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold."),
    "RequestTimeTooSkewed": (FORBIDDEN, "The time in the request is too far from the server's."),
    "ServiceUnavailable": (503, "We encountered an internal error. Please try again."),
    "SignatureDoesNotMatch": (FORBIDDEN, "Access denied."),
    "SlowDown": (
        429,
        "The object exceeded the rate limit for mutations. Reduce your request rate.",
    ),
    "XAmzContentSHA256Mismatch": (BAD, "The SHA-256 you signed is not that of the body received."),
}


class Refusal(Exception):
    """A request refused with one of Cloud Storage's error codes.

    ``extra`` are further XML elements; ``headers`` go beside the XML. Status and message come
    from the code unless given.
    """

    def __init__(
        self,
        code: str,
        details: str = "",
        *,
        status: int = 0,
        message: str = "",
        extra: tuple[tuple[str, str], ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        known_status, known_text = _TEXTS.get(code, (int(BAD), "Invalid argument."))
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details
        self.status = status or int(known_status)
        self.message = message or known_text
        self.extra = extra
        self.headers = headers


class ClientGone(Exception):
    """The client closed or lost its connection before its request was complete."""


class CutConnection(Exception):
    """A scripted fault: the connection is to be cut here and now."""
