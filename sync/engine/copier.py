"""One object, from a job to a verified, current copy.

The converge rule: what is copied is the source's current version; after the write the source
is looked at once more, and what has changed meanwhile is copied again. So duplicates, disorder
and two workers on one key end in the right state: the last writer always looks after its
write, and whoever died before its look has left its message in the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sync.checksums import DigestingStream, disagreement
from sync.engine.deadlines import Deadlines
from sync.engine.integrity import Expected, whole_object
from sync.engine.multipart import MultipartCopy
from sync.engine.options import Mode
from sync.engine.selection import Checker, Comparer
from sync.engine.server_copy import ServerCopy
from sync.engine.single import SourceGone, copy_single
from sync.engine.transfer import Context, JobState, Written, abort, alike, held, shown
from sync.engine.versioning import current
from sync.engine.window import LeftOut
from sync.errors import (
    IntegrityError,
    JobTimedOut,
    NoSuchBucket,
    NotFound,
    SourceChanged,
    SyncError,
)
from sync.model import (
    Checksums,
    Identity,
    JobKind,
    ObjectMeta,
    ObjectRef,
    Outcome,
    TransferJob,
    TransferResult,
    Upload,
)

T = TypeVar("T")
End = tuple[Outcome, Written | None, str]
_Do = Callable[[TransferJob, JobState], Awaitable[End]]

MAX_ROUNDS: Final = 8
"""Copies of one object in one job before it is given back: somebody rewrites it all the time."""


class Copier:
    """Carries out jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._multipart = MultipartCopy(context)
        self._deadlines = Deadlines(context.options.job_timeout, context.clock)
        self._do_copy: _Do = self._converge
        self._do_delete: _Do = self._remove
        self._write: Callable[..., Awaitable[Written]] = self._relay
        self._looks_first = context.window is not None or context.options.mode is Mode.COPY
        self._first_read = current if self._looks_first else context.policy.first_read
        if context.options.verify_first or context.options.mode is not Mode.DOWNUP:
            self._equip(context)

    def _equip(self, context: Context) -> None:
        """For what is done otherwise than by relaying whatever comes."""
        assert context.sides is not None, "these options need the stores as `Sides`"
        self._comparer = Comparer(context, context.sides)
        if context.options.verify_first:
            self._do_copy = self._unless_equal
        if context.options.mode is Mode.COPY:
            self._server = ServerCopy(context, context.sides.copies)
            self._write = self._have_copied
        elif context.options.mode is Mode.CHECK:
            self._checker = Checker(context, self._comparer)
            self._do_copy = self._do_delete = self._check

    async def run(self, job: TransferJob, state: JobState) -> TransferResult:
        """Do the job; raises an error of ``sync.errors`` where it could not be done."""
        clock = self._context.clock
        started_at, begun = clock.time(), clock.monotonic()
        self._context.check_key(job.destination)
        task = self._deadlines.enter(state, begun)
        try:
            do = self._do_delete if job.kind is JobKind.DELETE else self._do_copy
            outcome, written, reason = await do(job, state)
            while state.unknown_write:  # however it ended: it may land on top of what was found
                await self._wait_for_late_writes(state)
                outcome, written, reason = await do(job, state)
        except BaseException as error:
            if self._deadlines.leave(task) and isinstance(error, asyncio.CancelledError):
                limit = self._context.options.job_timeout
                raise JobTimedOut(f"{job.source}: no progress in {limit:.0f} s") from error
            raise
        self._deadlines.leave(task)
        seconds = clock.monotonic() - begun
        return TransferResult(
            outcome,
            job,
            written.identity if written else None,
            bytes_moved=state.bytes_moved,
            seconds=seconds,
            parts_sent=state.parts_sent,
            parts_reused=state.parts_reused,
            rounds=state.rounds or 1,
            crc32c=written.expected.checksums.crc32c if written else None,
            started_at=started_at,
            finished_at=started_at + seconds,
            reason=reason,
        )

    async def _wait_for_late_writes(self, state: JobState) -> None:
        await self._context.clock.sleep(self._context.options.late_write_grace)
        state.unknown_write = False

    # --- copying ----------------------------------------------------------------------

    async def _converge(self, job: TransferJob, state: JobState) -> End:
        context = self._context
        first, fresh = self._first_read(job.source), False
        meta = await self._look_if_large(job, job.size)
        before: tuple[Identity, Identity] | None = None
        for state.rounds in range(1, MAX_ROUNDS + 1):
            try:
                written = await self._write(job, state, meta, first, fresh=fresh)
                if context.options.verify_twice:
                    await self._read_back(job, written)
            except SourceGone:
                return await self._gone(job, state)
            except LeftOut as why:
                return Outcome.SKIPPED, None, str(why)
            except SourceChanged:
                first, meta = current(job.source), None
                continue
            except IntegrityError:
                if fresh:
                    raise
                fresh = True
                continue
            found = await self._look(job, context.source.current)
            if found is None:
                return await self._gone(job, state)
            pair = written.identity, found
            if (found == written.identity or (pair == before and _same_bytes(*pair))) and (
                not state.unknown_write or await self._settled(job, state, written)
            ):
                return Outcome.COPIED, written, ""
            first, before = current(job.source), pair
            meta = await self._look_if_large(job, found.size)
        raise SourceChanged(f"{job.source} changed {MAX_ROUNDS} times while it was being copied")

    async def _look_if_large(self, job: TransferJob, size: int | None) -> ObjectMeta | None:
        """A HEAD before the first read, but only where a large object is to be expected, or
        where what it says decides what is done.
        """
        if (size is None or size <= self._context.most_at_once) and not self._looks_first:
            return None
        return await self._look(job, self._context.source.head)

    async def _relay(
        self,
        job: TransferJob,
        state: JobState,
        meta: ObjectMeta | None,
        first: ObjectRef,
        *,
        fresh: bool,
    ) -> Written:
        """One copy of the current version, small or large as it proves to be."""
        if meta is not None and self._context.window is not None:
            self._context.window.check(job.source, meta)
        if meta is None or meta.size <= self._context.most_at_once:
            small = await copy_single(self._context, job, state, first)
            if isinstance(small, Written):
                if state.upload is not None:
                    await self._abandon(state, state.upload)
                return small
            meta = await self._look(job, self._context.source.head)
            if meta is None:
                raise SourceGone(f"{job.source} is not there any more")
            if meta.size <= self._context.most_at_once:
                raise SourceChanged(f"{job.source}: the current version is a small one")
            if self._context.window is not None:
                self._context.window.check(job.source, meta)
        return await self._multipart.run(job, state, meta, fresh=fresh)

    async def _have_copied(
        self,
        job: TransferJob,
        state: JobState,
        meta: ObjectMeta | None,
        first: ObjectRef,
        *,
        fresh: bool,
    ) -> Written:
        """TransferMode = copy: the store copies, where it can; else as ``_relay``."""
        meta = meta or await self._look(job, self._context.source.head)
        if meta is None:
            raise SourceGone(f"{job.source} is not there any more")
        if not self._server.can(meta):
            return await self._relay(job, state, meta, first, fresh=fresh)
        if self._context.window is not None:
            self._context.window.check(job.source, meta)
        return await self._server.run(job, state, meta, fresh=fresh)

    async def _unless_equal(self, job: TransferJob, state: JobState) -> End:
        """VerifyBeforeCopy: nothing is written where the destination is proven equal, and only
        the tags where only they differ.
        """
        outcome, written, why = Outcome.SKIPPED, None, "it was equal already"
        for _ in range(MAX_ROUNDS):
            try:
                found = await self._comparer.compare(job)
            except LeftOut as left_out:
                return Outcome.SKIPPED, None, str(left_out)
            like = found.likeness
            if found.source is None or like is None or not (like.equal or like.only_tags):
                return await self._converge(job, state)
            if like.equal:
                return outcome, written, f"{why} ({like.proof})"
            await self._comparer.set_tags(job, found.tagging)
            sums = whole_object(found.source.checksums) or Checksums()
            written = Written(found.source.identity, Expected(found.source.size, sums))
            outcome, why = Outcome.COPIED, "only the tags differed and were set"
        raise SourceChanged(f"{job.source} was tagged {MAX_ROUNDS} times while tags were copied")

    async def _check(self, job: TransferJob, _state: JobState) -> End:
        """TransferMode = check: compare only."""
        outcome, reason = await self._checker.run(job)
        return outcome, None, reason

    async def _read_back(self, job: TransferJob, written: Written) -> None:
        """ifVerifyMD5Twice: read the finished object from the destination and compare."""
        wanted = written.expected.checksums
        if wanted.crc32c is None:
            return

        async def attempt(_last: SyncError | None) -> Checksums:
            async with (
                self._context.slots,
                self._context.destination.open(job.destination) as read,
            ):
                stream = DigestingStream(read.body)
                async for _chunk in stream:
                    pass
                return stream.digester.checksums()

        found = await self._context.retry.run(f"read back {job.destination}", attempt)
        if disagreement(found, wanted):
            raise IntegrityError(f"{job.destination}: reading it back gave other bytes")

    def _look(
        self, job: TransferJob, ask: Callable[[ObjectRef], Awaitable[T]]
    ) -> Awaitable[T | None]:
        """``ask`` for the source's current version; None where there is none."""
        ref = current(job.source)

        async def attempt(_last: SyncError | None) -> T | None:
            try:
                return await ask(ref)
            except NoSuchBucket:
                raise
            except NotFound:
                return None

        return self._context.retry.run(job.source, attempt, doing="look at ")

    async def _abandon(self, state: JobState, upload: Upload) -> None:
        """Drop the parts of a version that nobody will ask for any more: they are paid for."""
        state.upload = None
        try:
            await abort(self._context, upload)
        except SyncError as error:
            detail = {"object": str(upload.ref), "error": str(error)}
            self._context.observer.event("upload-not-aborted", detail)

    async def _settled(self, job: TransferJob, state: JobState, written: Written) -> bool:
        """A write without a reply may land late, on top of the good one: wait, look again."""
        await self._wait_for_late_writes(state)
        if not await self._holds(job, written):
            return False
        meta = await self._look(job, self._context.source.head)
        return meta is not None and await self._is_copy(job, meta)

    async def _holds(self, job: TransferJob, written: Written) -> bool:
        return await shown(self._context, job.destination, written.expected) is True

    # --- deleting ---------------------------------------------------------------------

    async def _gone(self, job: TransferJob, state: JobState) -> End:
        if state.upload is not None:
            await self._abandon(state, state.upload)
        if not self._context.options.sync_deletes:
            if not await self._really_gone(job):
                raise SourceChanged(f"{job.source} is there after all")
            return Outcome.GONE, None, "the source object was deleted before it could be copied"
        return await self._remove(job, state)

    async def _remove(self, job: TransferJob, state: JobState) -> End:
        """Delete at the destination what is really gone at the source, and look afterwards."""
        off = not self._context.options.sync_deletes
        if off and not _may_uncover(job):
            return Outcome.IGNORED, None, "SyncDeletes is off"
        if not await self._really_gone(job):
            return await self._exists_after_all(job, state)
        if off:
            return Outcome.IGNORED, None, "SyncDeletes is off"
        await self._delete(job, state)
        if not await self._really_gone(job):
            return await self._converge(job, state)
        return Outcome.DELETED, None, ""

    async def _exists_after_all(self, job: TransferJob, state: JobState) -> End:
        """A delete event of an object that exists. An earlier attempt's delete may have landed
        late, on top of the newer object, so the destination is looked at before this is skipped.
        """
        meta = await self._look(job, self._context.source.head)
        if meta is not None and await self._is_copy(job, meta):
            return Outcome.SKIPPED, None, "the source object exists, and so does its copy"
        return await self._converge(job, state)

    async def _is_copy(self, job: TransferJob, meta: ObjectMeta) -> bool:
        """True where the destination shows a copy of this very object, metadata and all."""
        found = await held(self._context, job.destination, doing="look at ")
        like = await alike(self._context, job, meta, found) if found is not None else None
        return like is not None and like.equal

    async def _really_gone(self, job: TransferJob) -> bool:
        """Asked by a GET, whose error names what is missing: a HEAD's 404 could as well mean
        that the whole bucket is not there, and then nothing may be deleted.
        """

        async def attempt(_last: SyncError | None) -> bool:
            try:
                async with self._context.source.open(current(job.source)):
                    return False
            except NoSuchBucket:
                raise
            except NotFound:
                return True

        return await self._context.retry.run(job.source, attempt, doing="look at ")

    async def _delete(self, job: TransferJob, state: JobState) -> None:
        async def attempt(_last: SyncError | None) -> None:
            try:
                await self._context.destination.delete(job.destination)
            except BaseException as error:
                state.write_failed(error)
                raise

        await self._context.retry.run(job.destination, attempt, doing="delete ")


def _same_bytes(one: Identity, other: Identity) -> bool:
    """Do they differ in headers and metadata at most? A source that describes an object in two
    ways, in its replies to GET and to HEAD, does so each time.
    """
    return one._replace(described="") == other._replace(described="")


def _may_uncover(job: TransferJob) -> bool:
    """May a version have been deleted for good? Then an older one may be the current one now, or
    the object be back whose delete marker it was. Source: Amazon S3 User Guide, "Deleting object
    versions from a versioning-enabled bucket".
    """
    return not job.event_name.endswith("DeleteMarkerCreated")
