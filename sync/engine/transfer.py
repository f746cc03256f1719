"""What the writers of one object share: the stores, the state of the job, headers, evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sync.checksums import BytesStream, DigestingStream
from sync.engine.budget import Budget
from sync.engine.integrity import Expected, confirm, matches
from sync.engine.options import CopyOptions
from sync.engine.retry import Retry
from sync.engine.versioning import VersionPolicy
from sync.errors import (
    IntegrityError,
    KeyNotAllowed,
    NoSuchBucket,
    NotFound,
    OutcomeUnknown,
    SyncError,
)
from sync.model import (
    Checksums,
    Identity,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    TransferJob,
    WriteReceipt,
)
from sync.ports import ByteStream, Clock, DestinationStore, JobLedger, SourceStore, TransferObserver

T = TypeVar("T")
_BUFFERED_AT_ONCE = 2


@dataclass(slots=True)
class JobState:
    """What a running job has to remember about itself.

    ``unanswered``: a write had been sent in full when the job was cut short; its lease must
    not be given back early. ``unknown_write``: a write of this job got no reply and may land
    late. ``touch`` is called whenever the job gets on, to put off its time-out.
    """

    begun: float = 0.0
    unanswered: bool = False
    unknown_write: bool = False
    bytes_moved: int = 0
    parts_sent: int = 0
    parts_reused: int = 0
    rounds: int = 0
    touch: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Written:
    """A verified write: which source version, and what the destination must show for it."""

    identity: Identity
    expected: Expected


@dataclass(slots=True)
class Proof:
    """``missing``: the destination's replies carry no checksum, so every body is buffered and
    sent with its Content-MD5.
    """

    missing: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a writer needs; made once per worker. ``slots`` is the budget of relays."""

    source: SourceStore
    destination: DestinationStore
    ledger: JobLedger | None
    options: CopyOptions
    observer: TransferObserver
    clock: Clock
    slots: Budget
    retry: Retry = field(init=False)
    policy: VersionPolicy = field(init=False)
    buffers: asyncio.Semaphore = field(init=False)
    proof: Proof = field(default_factory=Proof)

    def __post_init__(self) -> None:
        options = self.options
        retry = Retry(
            retries=max(1, options.max_retry),
            clock=self.clock,
            observer=self.observer,
            throttled_pause=self.destination.dialect.write_interval,
            throttled=self.slots.throttled,
        )
        policy = VersionPolicy(options.read_by_version, options.update_version)
        object.__setattr__(self, "retry", retry)
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "buffers", asyncio.Semaphore(_BUFFERED_AT_ONCE))

    @property
    def parts_at_a_time(self) -> int:
        """How many parts of one object may be on their way now."""
        return self.options.parts_per_object or max(1, self.slots.limit * 3 // 4)

    def must_buffer(self, last: SyncError | None) -> bool:
        """Is the body to be sent with a Content-MD5, which needs it whole in memory? Where the
        replies prove nothing, and after a try whose bytes were found to differ.
        """
        return self.proof.missing or isinstance(last, IntegrityError)

    def check_key(self, ref: ObjectRef) -> None:
        """KeyNotAllowed where the destination cannot hold such a name."""
        fault = self.destination.dialect.key_fault(ref.key)
        if fault:
            raise KeyNotAllowed(f"{ref}: {fault}")

    async def headers(self, job: TransferJob, meta: ObjectMeta) -> ObjectHeaders:
        """The headers to write with the object, by the options."""
        options, kept = self.options, meta.headers
        if not options.preserve_metadata:
            kept = ObjectHeaders(storage_class=kept.storage_class)
        if options.provenance:
            kept = replace(kept, metadata=kept.metadata + _provenance(meta.identity))
        tagging = ""
        if options.copy_tags and self.destination.dialect.has_tags:
            ref = replace(job.source, version_id=meta.identity.version_id)
            tagging = await self.source.tagging(ref)
        return replace(
            kept, storage_class=options.storage_class(kept.storage_class), tagging=tagging
        )


def _provenance(identity: Identity) -> tuple[tuple[str, str], ...]:
    pairs = [("3gsync-source-etag", identity.etag)]
    if identity.version_id:
        pairs.append(("3gsync-source-version-id", identity.version_id))
    return tuple(pairs)


Send = Callable[[ByteStream, bytes | None], Awaitable[WriteReceipt]]


async def send_verified(
    context: Context, stream: DigestingStream, send: Send, what: str
) -> tuple[WriteReceipt, Checksums]:
    """Send a stream and compare the reply's checksum. IntegrityError (retryable) where it
    differs; `Unproven` where the reply has none to compare, so that the caller sends the
    bytes again with a Content-MD5 that the store itself checks.
    """
    receipt = await send(stream, None)
    sums = stream.digester.checksums()
    if not confirm(sums, receipt, what):
        context.proof.missing = True
        context.observer.event("no-checksum-in-replies", {"destination": what})
        raise Unproven(f"{what}: the reply carried no checksum to compare")
    return receipt, sums


async def send_buffered(
    context: Context, stream: DigestingStream, send: Send, what: str
) -> tuple[WriteReceipt, Checksums]:
    """Read the bytes into memory and send them with their Content-MD5, which the store checks.

    At most two such buffers exist at once in a process.
    """
    async with context.buffers:
        data = bytearray()
        async for chunk in stream:
            data += chunk
        sums = stream.digester.checksums()
        receipt = await send(BytesStream(memoryview(data)), sums.md5)
    # The store's ETag may be no MD5 at all; its own check of Content-MD5 stands instead.
    confirm(replace(sums, md5=None), receipt, what)
    return receipt, sums


class Unproven(IntegrityError):
    """The destination accepted the bytes without saying anything that proves them."""


async def shown(context: Context, ref: ObjectRef, expected: Expected) -> bool | None:
    """Does the destination's object equal what was written? False too where there is none,
    None where it shows nothing that would tell.
    """

    async def attempt(_last: SyncError | None) -> bool | None:
        try:
            found = await context.destination.head(ref)
        except NoSuchBucket:
            raise
        except NotFound:
            return False
        return matches(found, expected)

    return await context.retry.run(f"verify {ref}", attempt)


async def mark_unanswered(
    state: JobState, stream: DigestingStream | None, write: Awaitable[T]
) -> T:
    """Await a write or delete that changes what is visible; remember it where its outcome is
    unknown.
    """
    try:
        return await write
    except asyncio.CancelledError:
        state.unanswered = stream is None or stream.complete
        raise
    except OutcomeUnknown:
        state.unknown_write = True
        raise
