"""What the engine needs from the world, as Protocols. Adapters fulfil them; tests fake them.

Every method that talks to a store raises only errors of ``sync.errors``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sync.model import (
    Dialect,
    Identity,
    ListedObject,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    TransferJob,
    TransferResult,
    Upload,
    UploadedPart,
    WriteReceipt,
)


class ByteStream(Protocol):
    """``length`` bytes in chunks, with backpressure.

    A chunk is valid only until the next one is asked for. Ends after exactly ``length``
    bytes or raises a retryable error; it never ends short.

    A stream may have a second way, ``async def read(self) -> bytes``: all of it at once, in
    place of the iteration, with the same errors. It is meant for short bodies; whoever wants
    it asks with ``getattr``, so it is no part of the protocol.
    """

    @property
    def length(self) -> int:
        """Number of bytes that will come."""
        ...

    def __aiter__(self) -> AsyncIterator[memoryview]:
        """Iterate once over the chunks."""
        ...


class SourceRead(Protocol):
    """An open read: what the reply's head said, and the bytes."""

    @property
    def meta(self) -> ObjectMeta:
        """Of the whole object, also for a range."""
        ...

    @property
    def body(self) -> ByteStream:
        """The bytes asked for."""
        ...


class SourceStore(Protocol):
    """Reads objects."""

    async def head(self, ref: ObjectRef) -> ObjectMeta:
        """Describe the current version, or ``ref.version_id``. NotFound if there is none."""
        ...

    async def current(self, ref: ObjectRef) -> Identity:
        """A HEAD, but only what makes the version itself. NotFound as for ``head``."""
        ...

    def open(
        self,
        ref: ObjectRef,
        *,
        if_match: str | None = None,
        byte_range: tuple[int, int] | None = None,
    ) -> AbstractAsyncContextManager[SourceRead]:
        """Read an object or the bytes first..last of it, both included.

        ``ref.version_id`` or ``if_match`` (an ETag without quotes) pins what is read;
        PreconditionFailed or NoSuchVersion where the pin does not hold. Leaving the context
        before the body has ended closes the connection.
        """
        ...

    async def tagging(self, ref: ObjectRef) -> str:
        """The tag set, URL-encoded (``a=1&b=2``), or ""."""
        ...


class DestinationStore(Protocol):
    """Writes objects, and says what it holds.

    A body that raises cuts the request, so that the store drops the torso.
    ``content_md5`` (16 bytes) makes the store itself refuse other bytes.
    """

    @property
    def dialect(self) -> Dialect:
        """The facts about this store."""
        ...

    async def head(self, ref: ObjectRef) -> ObjectMeta:
        """Describe the object, or NotFound."""
        ...

    def open(self, ref: ObjectRef) -> AbstractAsyncContextManager[SourceRead]:
        """Read the object back."""
        ...

    async def put(
        self,
        ref: ObjectRef,
        body: ByteStream,
        headers: ObjectHeaders,
        *,
        content_md5: bytes | None = None,
    ) -> WriteReceipt:
        """Write a whole object in one request."""
        ...

    async def delete(self, ref: ObjectRef) -> None:
        """Remove the object; no error where there is none."""
        ...

    async def create_upload(self, ref: ObjectRef, headers: ObjectHeaders) -> Upload:
        """Begin a multipart upload."""
        ...

    async def put_part(
        self, upload: Upload, number: int, body: ByteStream, *, content_md5: bytes | None = None
    ) -> WriteReceipt:
        """Write part ``number``."""
        ...

    async def complete(self, upload: Upload, parts: Sequence[UploadedPart]) -> WriteReceipt:
        """Make the object of these parts, in order."""
        ...

    async def abort(self, upload: Upload) -> None:
        """Drop the upload and its parts; no error where there is none."""
        ...

    async def uploads(self, ref: ObjectRef) -> list[Upload]:
        """Open uploads of exactly this key, the latest begun first."""
        ...

    async def parts(self, upload: Upload) -> list[UploadedPart]:
        """All parts of an open upload, by number. NoSuchUpload where it is not open."""
        ...


class CopyingStore(Protocol):
    """A destination that copies by itself what it can read, and sets tags alone.

    ``source`` may name a version; ``if_match`` is its ETag. PreconditionFailed or NotFound where
    the source is not that one any more.
    """

    async def copy(
        self, source: ObjectRef, ref: ObjectRef, headers: ObjectHeaders, *, if_match: str
    ) -> WriteReceipt:
        """Copy a whole object, with these headers and tags in place of its own."""
        ...

    async def copy_part(
        self,
        source: ObjectRef,
        upload: Upload,
        number: int,
        *,
        if_match: str,
        byte_range: tuple[int, int],
    ) -> WriteReceipt:
        """Copy the bytes first..last, both included, as part ``number``."""
        ...

    async def put_tagging(self, ref: ObjectRef, tagging: str) -> None:
        """Replace the object's tags by these (URL-encoded); "" takes them away."""
        ...


class ListingPage(NamedTuple):
    """Objects in key order; ``token`` continues the listing, "" at its end."""

    entries: Sequence[ListedObject]
    token: str


class ObjectLister(Protocol):
    """Lists a bucket in key order (UTF-8 bytes), page by page."""

    async def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        after: str = "",
        token: str = "",
        limit: int = 1000,
    ) -> ListingPage:
        """Up to ``limit`` (at most 1,000) objects: behind the key ``after``, or on from ``token``.

        Any failure raises: a page is never shorter than the store's own.
        """
        ...


class JobSink(Protocol):
    """Where message bodies are sent."""

    @property
    def max_message_size(self) -> int:
        """Bytes of the largest body that it takes."""
        ...

    async def send(self, bodies: Iterable[str]) -> list[str]:
        """Send each as a message; returns those that could not be sent, after retries."""
        ...


class Delivery(NamedTuple):
    """One receipt of one message. ``attempt`` counts receipts from 1; ``lease_until`` is on
    the queue's monotonic clock; ``sent_at`` is a POSIX timestamp. ``group`` is the message
    group of a FIFO queue or ""; ``attributes`` are the sender's own (name, text value) pairs.
    """

    message_id: str
    receipt: str
    body: str
    attempt: int = 1
    sent_at: float = 0.0
    group: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


class JobQueue(Protocol):
    """A queue with leases (SQS visibility). The only thing that can delete a message.

    A queue that asks on while nobody receives has ``async def leave(self) -> list[Delivery]``:
    it stops asking and hands out what nobody received. Whoever ends asks for it with
    ``getattr``, so it is no part of the protocol.
    """

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        """Take up to ``limit`` (at most 10) messages, waiting up to ``wait`` seconds."""
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Delete messages; returns those that could not be deleted."""
        ...

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Hold messages ``lease`` seconds from now (0 gives them back); returns the failed."""
        ...

    async def dead_letter(self, delivery: Delivery, reason: str, code: str) -> bool:
        """Copy the message to the dead-letter queue with the reason as message attributes.

        True when it is safely there. False where no dead-letter queue is configured. Does
        not delete the original.
        """
        ...

    async def depth(self) -> int:
        """About how many messages wait (visible ones, and delayed ones)."""
        ...

    async def outstanding(self) -> int:
        """About how many messages there are in all, seen at one moment: waiting, delayed, or
        leased to somebody, dead or alive.
        """
        ...


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """What the ledger knows of an unfinished upload: enough to resume it, and to verify the
    resumed object whole. ``part_crc32c`` maps part number to CRC32C.
    """

    upload_id: str
    identity: Identity
    part_size: int
    part_crc32c: Mapping[int, int]


class JobLedger(Protocol):
    """Where jobs are recorded (DynamoDB). Losing it loses no object."""

    async def unfinished(self, job: TransferJob) -> UploadRecord | None:
        """The upload that an earlier attempt recorded, or None."""
        ...

    async def started(self, job: TransferJob, record: UploadRecord) -> None:
        """A multipart transfer begins or goes on."""
        ...

    async def progressed(self, job: TransferJob, record: UploadRecord) -> None:
        """More parts are verified. Called seldom; may be lost."""
        ...

    async def finished(self, result: TransferResult) -> None:
        """The job ended. Returns when the record is stored, or queued to be with others."""
        ...

    async def flush(self) -> None:
        """Store whatever is queued."""
        ...


class TransferObserver(Protocol):
    """Is told facts; never on the way of the bytes, and never able to stop a job."""

    def job_finished(self, result: TransferResult) -> None:
        """A job ended, well or not."""
        ...

    def event(self, name: str, detail: Mapping[str, object]) -> None:
        """Something an operator may want to know (a retry, a resume, the breaker opened)."""
        ...


class Clock(Protocol):
    """Time, so that tests can hand in their own."""

    def time(self) -> float:
        """POSIX timestamp."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed point."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class CredentialProvider(Protocol):
    """Gives keys to a signer. Implementations never show them in a repr."""

    async def credentials(self) -> Credentials:
        """The current keys; cached until shortly before they expire."""
        ...

    def invalidate(self) -> None:
        """A store refused them: read them anew next time."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """An access key. Never shown: the repr holds the access key id's last four letters only.

    ``region`` is "" where it is not known; ``expires_at`` is a POSIX timestamp or None.
    """

    access_key: str
    secret_key: str
    token: str = ""
    region: str = ""
    expires_at: float | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Credentials(…{self.access_key[-4:]})"
