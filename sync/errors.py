"""The error tree. Every error answers three questions about itself.

* ``retry_here``: may the same request be tried again by this worker, after a pause?
* ``verdict``: if it still fails, is the message given back (REDELIVER) or handed to
  the dead-letter queue (DEAD_LETTER)?
* ``breaker``: is it the kind that fails every job alike (credentials, permissions, a
  missing bucket), so that the worker should stop taking messages when it repeats?

::

    SyncError
    ├─ ConfigError            wrong use or configuration; the program ends with exit code 2
    ├─ MessageError           a message body nobody can read           dead-letter
    ├─ Untransferable         the destination cannot hold it           dead-letter
    │  ├─ KeyNotAllowed
    │  └─ ObjectTooLarge
    ├─ IntegrityError         a checksum or a length disagrees         retry, redeliver
    ├─ SourceChanged          the pinned version is gone or replaced   plan anew, redeliver
    ├─ JobTimedOut            JobTimeout passed                        redeliver
    ├─ ListingOutOfOrder      a store does not list in key order       nothing is concluded
    ├─ Draining               the worker is shutting down              redeliver at once
    └─ StoreError             a store, queue or table answered or failed to answer
       ├─ TransientStoreError 5xx, time-outs, resets                   retry, redeliver
       │  ├─ Throttled        429, 503 SlowDown (carries retry_after)
       │  ├─ OutcomeUnknown   the request went out in full, no reply came back
       │  └─ ClockSkewed      RequestTimeTooSkewed (the clock is corrected, then retried)
       ├─ AccessDenied        403                                      redeliver, breaker
       │  └─ CredentialsRejected   bad signature, unknown or expired key: re-read, retry
       ├─ NotFound            404 for an object                        redeliver
       │  ├─ NoSuchVersion
       │  ├─ NoSuchUpload
       │  └─ NoSuchBucket                                              breaker
       ├─ PreconditionFailed  412: the pin no longer matches           plan anew
       ├─ NotRestored         InvalidObjectState: archived             dead-letter
       └─ RequestRefused      any other 4xx                            dead-letter
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Verdict(StrEnum):
    """What becomes of the message when the error stands."""

    REDELIVER = "redeliver"
    DEAD_LETTER = "dead-letter"


class SyncError(Exception):
    """Root of everything 3GSync raises on purpose."""

    retry_here: ClassVar[bool] = False
    verdict: ClassVar[Verdict] = Verdict.REDELIVER
    breaker: ClassVar[bool] = False


class ConfigError(SyncError):
    """Wrong use or configuration. ``faults`` holds one line for each thing to mend."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class MessageError(SyncError):
    """A message body that cannot be understood; the text says why."""

    verdict = Verdict.DEAD_LETTER


class Untransferable(SyncError):
    """The destination cannot hold this object, whatever is tried."""

    verdict = Verdict.DEAD_LETTER


class KeyNotAllowed(Untransferable):
    """The destination's naming rules refuse the key."""


class ObjectTooLarge(Untransferable):
    """The object is above the destination's size or part limits."""


class IntegrityError(SyncError):
    """A checksum or a length differs from what was streamed."""

    retry_here = True


class SourceChanged(SyncError):
    """The version being read was replaced or removed; look at the source and plan anew."""


class JobTimedOut(SyncError):
    """``JobTimeout`` seconds passed before the object was finished."""


class ListingOutOfOrder(SyncError):
    """Keys of a listing do not go up, so it cannot be merged with another."""


class Draining(SyncError):
    """The worker is shutting down and gave this job back."""


class StoreError(SyncError):
    """A store, queue or table refused a request or did not answer it.

    ``status`` is the HTTP status (0 where none was received), ``code`` the service's own
    error code. The text never holds a credential.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        status: int = 0,
        code: str = "",
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.status = status
        self.code = code
        self.request_id = request_id


class TransientStoreError(StoreError):
    """Worth another try: 5xx, time-outs, resets, broken connections."""

    retry_here = True


class Throttled(TransientStoreError):
    """The store asked for less (429, 503 SlowDown). ``retry_after`` is in seconds, or None."""

    retry_after: float | None = None


class OutcomeUnknown(TransientStoreError):
    """The request was sent in full and no reply came: it may still take effect, late."""


class ClockSkewed(TransientStoreError):
    """The store says this machine's clock is off; the signer's offset has been corrected."""


class AccessDenied(StoreError):
    """403: the credentials are known but not allowed this."""

    breaker = True


class CredentialsRejected(AccessDenied):
    """403 because of the credentials themselves; they are re-read before the next try."""

    retry_here = True


class NotFound(StoreError):
    """The object is not there."""


class NoSuchVersion(NotFound):
    """The named version is not there (or is a delete marker)."""


class NoSuchUpload(NotFound):
    """The multipart upload is not there: completed, aborted, or never begun."""


class NoSuchBucket(NotFound):
    """The bucket, queue or table is not there."""

    breaker = True


class PreconditionFailed(StoreError):
    """412: the ``If-Match`` pin does not hold any more."""


class NotRestored(StoreError):
    """The object is archived and must be restored before it can be read."""

    verdict = Verdict.DEAD_LETTER


class RequestRefused(StoreError):
    """Any other 4xx: asking again will not help."""

    verdict = Verdict.DEAD_LETTER


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters of an error's text: its beginning, which says what it is about,
    and its end, which says why.
    """
    if len(text) <= most:
        return text
    last = most // 2
    return f"{text[: most - last - 1]}…{text[-last:]}"
