"""What the writers of one object share: the stores, the state of the job, headers, evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sync.checksums import BytesStream, DigestingStream
from sync.engine.budget import Budget
from sync.engine.equality import Likeness, likeness
from sync.engine.integrity import Expected, confirm, matches
from sync.engine.options import CopyOptions
from sync.engine.planner import most_at_once
from sync.engine.retry import Retry
from sync.engine.versioning import VersionPolicy
from sync.engine.window import Window
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
    Upload,
    WriteReceipt,
)
from sync.ports import (
    Clock,
    CopyingStore,
    DestinationStore,
    JobLedger,
    SourceStore,
    TransferObserver,
)

if TYPE_CHECKING:
    from sync.engine.comparing.closer_look import ComparableStore

_BUFFERED_AT_ONCE = 2


@dataclass(slots=True, eq=False)
class JobState:
    """What a running job has to remember about itself.

    ``unanswered``: a write had been sent in full when the job was cut short; its lease must not
    be given back early. ``unknown_write``: a write of this job got no reply and may land late.
    ``stays``: how often it was done again for that. ``upload``: the multipart upload that is open
    for it. ``got_on_at``: when the job last got on, which puts off its time-out; as ``begun``, on
    the monotonic clock.
    """

    begun: float = 0.0
    unanswered: bool = False
    unknown_write: bool = False
    stays: int = 0
    bytes_moved: int = 0
    parts_sent: int = 0
    parts_reused: int = 0
    rounds: int = 0
    got_on_at: float = 0.0
    upload: Upload | None = None

    @property
    def may_land_late(self) -> bool:
        """True where a write may still take effect, so that its message is not given back early."""
        return self.unanswered or self.unknown_write

    def write_failed(self, error: BaseException, *, in_full: bool = True) -> None:
        """Remember a write or delete that changes what is visible, where its outcome is unknown.

        ``in_full``: all of it may have been sent when ``error`` came.
        """
        if isinstance(error, asyncio.CancelledError):
            self.unanswered = in_full
        elif isinstance(error, OutcomeUnknown):
            self.unknown_write = True


class Written(NamedTuple):
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
class Sides:
    """The stores once more, as those modes need them that do more than relay."""

    source: ComparableStore
    destination: ComparableStore
    copies: CopyingStore


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a writer needs; made once per worker. ``slots`` is the budget of relays;
    ``most_at_once`` the size up to which an object is written with one PUT; ``window`` which
    objects are wanted by their time, None for all; ``sides`` may be None with the default mode.
    """

    source: SourceStore
    destination: DestinationStore
    ledger: JobLedger | None
    options: CopyOptions
    observer: TransferObserver
    clock: Clock
    slots: Budget
    sides: Sides | None = None
    retry: Retry = field(init=False)
    policy: VersionPolicy = field(init=False)
    buffers: asyncio.Semaphore = field(init=False)
    proof: Proof = field(default_factory=Proof)
    most_at_once: int = field(init=False)
    window: Window | None = field(init=False)
    _class_to_write: Callable[[str], str] = field(init=False, repr=False)

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
        at_once = most_at_once(options.threshold, self.destination.dialect)
        object.__setattr__(self, "most_at_once", at_once)
        window = Window(options.modified_since, options.not_modified_since)
        object.__setattr__(self, "window", window if window != (None, None) else None)
        object.__setattr__(self, "_class_to_write", lru_cache(64)(options.storage_class))

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
            kept = kept._replace(metadata=kept.metadata + _provenance(meta.identity))
        tagging = ""
        if options.copy_tags and self.destination.dialect.has_tags:
            ref = job.source._replace(version_id=meta.identity.version_id)
            tagging = await self.source.tagging(ref)
        storage_class = self._class_to_write(kept.storage_class)
        if storage_class == kept.storage_class and tagging == kept.tagging:
            return kept
        return kept._replace(storage_class=storage_class, tagging=tagging)


def _provenance(identity: Identity) -> tuple[tuple[str, str], ...]:
    pairs = [("3gsync-source-etag", identity.etag)]
    if identity.version_id:
        pairs.append(("3gsync-source-version-id", identity.version_id))
    return tuple(pairs)


def proven(
    context: Context, stream: DigestingStream, receipt: WriteReceipt, what: object
) -> Checksums:
    """The checksums of what was sent, once the reply's are found to agree.

    IntegrityError (retryable) where they differ; `Unproven` where the reply has none to
    compare, so that the caller sends the bytes again with a Content-MD5 that the store checks.
    """
    sums = stream.digester.checksums()
    if not confirm(sums, receipt, what):
        context.proof.missing = True
        context.observer.event("no-checksum-in-replies", {"destination": str(what)})
        raise Unproven(f"{what}: the reply carried no checksum to compare")
    return sums


async def send_buffered(
    context: Context,
    stream: DigestingStream,
    send: Callable[..., Awaitable[WriteReceipt]],
    what: object,
) -> tuple[WriteReceipt, Checksums]:
    """Read the bytes into memory and send them with their Content-MD5, which the store checks:
    ``send(body, content_md5=...)``. At most two such buffers exist at once in a process.
    """
    async with context.buffers:
        data = bytearray()
        async for chunk in stream:
            data += chunk
        sums = stream.digester.checksums()
        receipt = await send(BytesStream(memoryview(data)), content_md5=sums.md5)
    # The store's ETag may be no MD5 at all; its own check of Content-MD5 stands instead.
    confirm(sums._replace(md5=None), receipt, what)
    return receipt, sums


class Unproven(IntegrityError):
    """The destination accepted the bytes without saying anything that proves them."""


async def shown(context: Context, ref: ObjectRef, expected: Expected) -> bool | None:
    """Does the destination's object equal what was written? False too where there is none,
    None where it shows nothing that would tell.
    """
    found = await held(context, ref, doing="verify ")
    return False if found is None else matches(found, expected)


async def held(context: Context, ref: ObjectRef, *, doing: str) -> ObjectMeta | None:
    """What the destination has under this key, or None; ``doing`` as in `Retry.run`."""

    async def attempt(_last: SyncError | None) -> ObjectMeta | None:
        try:
            return await context.destination.head(ref)
        except NoSuchBucket:
            raise
        except NotFound:
            return None

    return await context.retry.run(ref, attempt, doing=doing)


async def abort(context: Context, upload: Upload) -> None:
    """Drop an upload and its parts."""

    async def attempt(_last: SyncError | None) -> None:
        await context.destination.abort(upload)

    await context.retry.run(f"abort upload {upload.ref}", attempt)


async def alike(
    context: Context, job: TransferJob, meta: ObjectMeta, found: ObjectMeta
) -> Likeness | None:
    """How like a copy of ``meta``'s version is what the destination has, headers and metadata
    included. None where tags are copied: a HEAD does not show them.
    """
    if context.options.copy_tags:
        return None
    wanted = await context.headers(job, meta)
    dialect = context.destination.dialect
    return likeness(meta, found, wanted=wanted, headers=True, tagging=None, dialect=dialect)
