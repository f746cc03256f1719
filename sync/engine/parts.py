"""One multipart transfer under way, and how its parts travel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from traceback import clear_frames
from typing import Final, Generic, TypeVar

from sync.checksums import DigestingStream
from sync.engine.integrity import PartSum, md5_of
from sync.engine.transfer import Context, JobState, proven, send_buffered
from sync.engine.versioning import Pin
from sync.errors import (
    NoSuchBucket,
    NoSuchUpload,
    NotFound,
    PreconditionFailed,
    SourceChanged,
    SyncError,
)
from sync.model import (
    Checksums,
    Digest,
    Identity,
    PartSpec,
    TransferJob,
    TransferPlan,
    Upload,
    UploadedPart,
)
from sync.ports import UploadRecord

_NOTE_EVERY: Final = 5.0
"""Seconds between two notes of progress in the ledger."""

T = TypeVar("T")


@dataclass(slots=True)
class Work:
    """What a multipart transfer has to remember. ``sums`` are the parts that lie there."""

    job: TransferJob
    state: JobState
    identity: Identity
    pin: Pin
    cut: TransferPlan
    upload: Upload
    digests: frozenset[Digest]
    sums: dict[int, PartSum] = field(default_factory=dict)
    noted_at: float = 0.0

    @property
    def record(self) -> UploadRecord:
        """For the ledger."""
        crcs = {n: s.checksums.crc32c for n, s in self.sums.items()}
        known = {n: crc for n, crc in crcs.items() if crc is not None}
        return UploadRecord(self.upload.upload_id, self.identity, self.cut.part_size, known)

    @property
    def ordered(self) -> list[PartSum]:
        """The parts by number."""
        return [self.sums[number] for number in sorted(self.sums)]

    def keep(self, part: UploadedPart, sums: Checksums) -> None:
        """A part that an earlier attempt sent stays."""
        self.sums[part.number] = PartSum(part.number, part.size, part.etag, sums)
        self.state.parts_reused += 1


class PartMover:
    """Sends parts, and reads kept ones again."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def send_missing(self, work: Work) -> None:
        """Send every part that does not lie there yet."""
        missing = (spec for spec in work.cut.parts() if spec.number not in work.sums)
        await self._each(missing, lambda spec: self._send(work, spec))

    async def reread(self, work: Work, parts: Iterable[UploadedPart]) -> None:
        """Keep those parts whose listed MD5 is that of the source's bytes."""
        await self._each(iter(parts), lambda part: self._reread(work, part))

    async def note_progress(self, work: Work) -> None:
        """Tell the ledger which parts are verified."""
        work.noted_at = self._context.clock.monotonic()
        if self._context.ledger is not None:
            await self._context.ledger.progressed(work.job, work.record)

    async def _each(self, items: Iterator[T], do: Callable[[T], Awaitable[None]]) -> None:
        """Run ``do`` over the items, as many at a time as one object may take by then."""
        failures: list[BaseException] = []
        try:
            await _Takers(self._context, items, do).run()
        except BaseExceptionGroup as group:
            failures.append(_first(group))
            clear_frames(group.__traceback__)
        if failures:
            # Held by this frame, by the group as its cause or by a frame of the TaskGroup's, it
            # would hold itself, and all that the parts had in hand: a cycle, which the worker
            # lets lie for long.
            raise failures.pop()

    async def _send(self, work: Work, spec: PartSpec) -> None:
        what = f"{work.job.destination} part {spec.number}"

        async def attempt(last: SyncError | None) -> PartSum:
            buffered = self._context.must_buffer(last)
            async with self._context.slots.parts:
                sent = await self._relay(work, spec, what, buffered=buffered)
                self._context.slots.moved(spec.length)
                return sent

        work.sums[spec.number] = await self._context.retry.run(what, attempt)
        work.state.parts_sent += 1
        work.state.bytes_moved += spec.length
        work.state.got_on_at = now = self._context.clock.monotonic()
        if now - work.noted_at >= _NOTE_EVERY:
            await self.note_progress(work)

    async def _relay(self, work: Work, spec: PartSpec, what: str, *, buffered: bool) -> PartSum:
        context = self._context
        wanted = work.digests | {Digest.MD5} if buffered else work.digests
        send = partial(context.destination.put_part, work.upload, spec.number)
        try:
            opened = context.source.open(
                work.pin.ref, if_match=work.pin.if_match, byte_range=(spec.offset, spec.last)
            )
            async with opened as read:
                _same_version(read.meta.identity, work.identity)
                stream = DigestingStream(read.body, wanted)
                if buffered:
                    receipt, sums = await send_buffered(context, stream, send, what)
                else:
                    receipt = await send(stream)
                    sums = proven(context, stream, receipt, what)
        except NoSuchUpload:
            raise
        except NoSuchBucket:
            raise
        except (PreconditionFailed, NotFound) as error:
            raise SourceChanged(f"{work.job.source} changed during the copy") from error
        return PartSum(spec.number, spec.length, receipt.etag, sums)

    async def _reread(self, work: Work, part: UploadedPart) -> None:
        """Compute a kept part's CRC32C from the source; drop the part where its MD5 differs."""
        listed = md5_of(part.etag)
        if listed is None:
            return

        async def attempt(_last: SyncError | None) -> Checksums:
            spec = work.cut.part(part.number)
            async with self._context.slots.parts:
                return await self._digest(work, spec)

        sums = await self._context.retry.run(f"re-read {work.job.source}", attempt)
        if sums.md5 == listed:
            work.keep(part, sums)

    async def _digest(self, work: Work, spec: PartSpec) -> Checksums:
        try:
            async with self._context.source.open(
                work.pin.ref, if_match=work.pin.if_match, byte_range=(spec.offset, spec.last)
            ) as read:
                stream = DigestingStream(read.body, work.digests | {Digest.MD5})
                async for _chunk in stream:
                    pass
                return stream.digester.checksums()
        except NoSuchBucket:
            raise
        except (PreconditionFailed, NotFound) as error:
            raise SourceChanged(f"{work.job.source} changed during the copy") from error


class _Takers(Generic[T]):
    """Tasks that take items in turn, as many as may run by then."""

    def __init__(
        self, context: Context, items: Iterator[T], do: Callable[[T], Awaitable[None]]
    ) -> None:
        self._context = context
        self._items = items
        self._do = do
        self._takers: set[asyncio.Task[None]] = set()
        self._exhausted = False

    async def run(self) -> None:
        """Until all items are done; an exception group where one failed."""
        try:
            async with asyncio.TaskGroup() as self._group:
                self._more()
        finally:
            del self._group  # it keeps the failures, whose frames have this

    def _more(self) -> None:
        for _ in range(self._context.parts_at_a_time - len(self._takers)):
            taker = self._group.create_task(self._take())
            self._takers.add(taker)
            taker.add_done_callback(self._takers.discard)

    async def _take(self) -> None:
        for item in self._items:
            await self._do(item)
            if _cancelled() or len(self._takers) > self._context.parts_at_a_time:
                return
            if not self._exhausted:
                self._more()
        self._exhausted = True


def _cancelled() -> bool:
    """True where this task has been cancelled and its next await will say so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _same_version(found: Identity, wanted: Identity) -> None:
    """The pin's word is not taken for it: the reply must name the version asked for."""
    if found.etag != wanted.etag or found.size != wanted.size:
        raise SourceChanged("the source answered a pinned read with another version")


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that says most: one of ours before anything else."""
    flat = list(_leaves(failures))
    ours = [error for error in flat if isinstance(error, SyncError)]
    return ours[0] if ours else flat[0]


def _leaves(failures: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in failures.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
