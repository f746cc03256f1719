"""One object, from a job to a verified, current copy.

The converge rule: what is copied is the source's current version; after the write the source
is looked at once more, and what has changed meanwhile is copied again. So duplicates, disorder
and two workers on one key end in the right state: the last writer always looks after its
write, and whoever died before its look has left its message in the queue.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sync.checksums import DigestingStream, disagreement
from sync.engine.integrity import Expected, whole_object
from sync.engine.multipart import MultipartCopy
from sync.engine.single import SourceGone, copy_single
from sync.engine.transfer import Context, JobState, Written, mark_unanswered, shown
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
    JobKind,
    ObjectMeta,
    ObjectRef,
    Outcome,
    TransferJob,
    TransferResult,
)

MAX_ROUNDS: Final = 8
"""Copies of one object in one job before it is given back: somebody rewrites it all the time."""


class Copier:
    """Carries out jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._multipart = MultipartCopy(context)

    async def run(self, job: TransferJob, state: JobState) -> TransferResult:
        """Do the job; raises an error of ``sync.errors`` where it could not be done."""
        clock = self._context.clock
        started_at, begun = clock.time(), clock.monotonic()
        self._context.check_key(job.destination)
        outcome, written, reason = await self._within_time(job, state)
        return TransferResult(
            outcome=outcome,
            job=job,
            identity=written.identity if written else None,
            bytes_moved=state.bytes_moved,
            seconds=clock.monotonic() - begun,
            parts_sent=state.parts_sent,
            parts_reused=state.parts_reused,
            rounds=max(1, state.rounds),
            crc32c=written.expected.checksums.crc32c if written else None,
            started_at=started_at,
            finished_at=clock.time(),
            reason=reason,
        )

    async def _within_time(
        self, job: TransferJob, state: JobState
    ) -> tuple[Outcome, Written | None, str]:
        """``JobTimeout`` bounds the time without progress: every part that lands restarts it."""
        limit = self._context.options.job_timeout
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit) as timer:
                state.touch = lambda: timer.reschedule(loop.time() + limit)
                if job.kind is JobKind.DELETE:
                    return await self._remove(job, state)
                return await self._converge(job, state)
        except TimeoutError as error:
            raise JobTimedOut(f"{job.source}: no progress in {limit:.0f} s") from error

    # --- copying ----------------------------------------------------------------------

    async def _converge(
        self, job: TransferJob, state: JobState
    ) -> tuple[Outcome, Written | None, str]:
        first = self._context.policy.first_read(job.source)
        current, fresh = await self._first_look(job), False
        for state.rounds in range(1, MAX_ROUNDS + 1):
            try:
                written = await self._write(job, state, current, first, fresh=fresh)
                await self._read_back(job, written)
            except SourceGone:
                return await self._gone(job, state)
            except SourceChanged:
                first, current = self._current(job), None
                continue
            except IntegrityError:
                if fresh:
                    raise
                fresh = True
                continue
            current = await self._look(job)
            if current is None:
                return await self._gone(job, state)
            if current.identity == written.identity and await self._settled(job, state, written):
                return Outcome.COPIED, written, ""
            first = self._current(job)
        raise SourceChanged(f"{job.source} changed {MAX_ROUNDS} times while it was being copied")

    async def _first_look(self, job: TransferJob) -> ObjectMeta | None:
        """A HEAD before the first read, but only where the message promises a large object."""
        if job.size is None or job.size <= self._context.options.threshold:
            return None
        return await self._look(job)

    async def _write(
        self,
        job: TransferJob,
        state: JobState,
        current: ObjectMeta | None,
        first: ObjectRef,
        *,
        fresh: bool,
    ) -> Written:
        """One copy of the current version, small or large as it proves to be."""
        if current is None or current.size <= self._context.options.threshold:
            small = await copy_single(self._context, job, state, first)
            if isinstance(small, Written):
                return small
            current = await self._look(job)
            if current is None:
                raise SourceGone(f"{job.source} is not there any more")
        return await self._multipart.run(job, state, current, fresh=fresh)

    async def _read_back(self, job: TransferJob, written: Written) -> None:
        """ifVerifyMD5Twice: read the finished object from the destination and compare."""
        wanted = written.expected.checksums
        if not self._context.options.verify_twice or wanted.crc32c is None:
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

    async def _look(self, job: TransferJob) -> ObjectMeta | None:
        """The source's current version; None where there is none."""

        async def attempt(_last: SyncError | None) -> ObjectMeta | None:
            try:
                return await self._context.source.head(self._current(job))
            except NoSuchBucket:
                raise
            except NotFound:
                return None

        return await self._context.retry.run(f"look at {job.source}", attempt)

    @staticmethod
    def _current(job: TransferJob) -> ObjectRef:
        return ObjectRef(job.source.bucket, job.source.key)

    async def _settled(self, job: TransferJob, state: JobState, written: Written) -> bool:
        """A write without a reply may land late, on top of the good one: wait, look again."""
        if not state.unknown_write:
            return True
        await self._context.clock.sleep(self._context.options.late_write_grace)
        state.unknown_write = False
        return await self._holds(job, written)

    async def _holds(self, job: TransferJob, written: Written) -> bool:
        return await shown(self._context, job.destination, written.expected) is True

    # --- deleting ---------------------------------------------------------------------

    async def _gone(self, job: TransferJob, state: JobState) -> tuple[Outcome, Written | None, str]:
        if not self._context.options.sync_deletes:
            return Outcome.GONE, None, "the source object was deleted before it could be copied"
        return await self._remove(job, state)

    async def _remove(
        self, job: TransferJob, state: JobState
    ) -> tuple[Outcome, Written | None, str]:
        """Delete at the destination what is really gone at the source, and look afterwards."""
        if not self._context.options.sync_deletes:
            return Outcome.IGNORED, None, "SyncDeletes is off"
        if not await self._really_gone(job):
            return await self._exists_after_all(job, state)
        await self._delete(job, state)
        if await self._look(job) is not None:
            return await self._converge(job, state)
        if state.unknown_write:
            return await self._deleted_for_good(job, state)
        return Outcome.DELETED, None, ""

    async def _exists_after_all(
        self, job: TransferJob, state: JobState
    ) -> tuple[Outcome, Written | None, str]:
        """A delete event of an object that exists. An earlier attempt's delete may have landed
        late, on top of the newer object, so the destination is looked at before this is skipped.
        """
        current = await self._look(job)
        if current is not None:
            own = whole_object(current.checksums) or Checksums()
            expected = Expected(current.size, own, etag=current.identity.etag)
            if await self._holds(job, Written(current.identity, expected)):
                return Outcome.SKIPPED, None, "the source object exists, and so does its copy"
        return await self._converge(job, state)

    async def _deleted_for_good(
        self, job: TransferJob, state: JobState
    ) -> tuple[Outcome, Written | None, str]:
        """A write or delete of this job got no reply and may take effect late: look once more."""
        await self._context.clock.sleep(self._context.options.late_write_grace)
        state.unknown_write = False
        return await self._remove(job, state)

    async def _really_gone(self, job: TransferJob) -> bool:
        """Asked by a GET, whose error names what is missing: a HEAD's 404 could as well mean
        that the whole bucket is not there, and then nothing may be deleted.
        """

        async def attempt(_last: SyncError | None) -> bool:
            try:
                async with self._context.source.open(self._current(job)):
                    return False
            except NoSuchBucket:
                raise
            except NotFound:
                return True

        return await self._context.retry.run(f"look at {job.source}", attempt)

    async def _delete(self, job: TransferJob, state: JobState) -> None:
        async def attempt(_last: SyncError | None) -> None:
            delete = self._context.destination.delete(job.destination)
            await mark_unanswered(state, None, delete)

        await self._context.retry.run(f"delete {job.destination}", attempt)
