"""Beginning a multipart upload, or going on with one that an earlier attempt left."""

from __future__ import annotations

from typing import Final

from sync.checksums import BytesStream
from sync.engine import resume
from sync.engine.integrity import digests_for
from sync.engine.parts import PartMover, Work
from sync.engine.planner import plan
from sync.engine.resume import Resumable, Standing
from sync.engine.transfer import Context, JobState, abort
from sync.errors import SyncError
from sync.model import (
    Checksums,
    Identity,
    ObjectMeta,
    TransferJob,
    TransferPlan,
    Upload,
    UploadedPart,
    WriteReceipt,
)
from sync.ports import UploadRecord

_SETTLED_AFTER: Final = 60.0
"""Seconds. Without a ledger, parts that landed this shortly before the newest one may have
been under way when their sender died, unchecked; they are read again."""


class UploadOpener:
    """Finds the upload to fill."""

    def __init__(self, context: Context, mover: PartMover) -> None:
        self._context = context
        self._mover = mover

    async def begin(
        self, job: TransferJob, state: JobState, meta: ObjectMeta, *, fresh: bool
    ) -> Work:
        """An upload for this version with the parts that can be kept; ``fresh`` keeps none."""
        context, options = self._context, self._context.options
        dialect = context.destination.dialect
        cut = plan(meta.size, threshold=options.threshold, chunk=options.chunk, dialect=dialect)
        record = await context.ledger.unfinished(job) if context.ledger else None
        found = await self._resumable(job, meta.identity, cut, record, fresh=fresh)
        upload = found.upload if found else await self._create(job, meta, cut)
        if found:
            cut = TransferPlan(meta.size, found.part_size)
        digests = digests_for(meta.checksums, dialect.digests)
        pin = context.policy.pin(job.source, meta.identity)
        work = Work(job, state, meta.identity, pin, cut, upload, digests)
        if found:
            await self._keep_parts(work, found)
        else:
            detail = {"object": str(job.destination), "parts": cut.part_count}
            context.observer.event("upload-begun", detail)
        if context.ledger:
            await context.ledger.started(job, work.record)
        state.got_on_at = context.clock.monotonic()
        return work

    async def _create(self, job: TransferJob, meta: ObjectMeta, cut: TransferPlan) -> Upload:
        context = self._context
        headers = await context.headers(job, meta)

        async def create(_last: SyncError | None) -> Upload:
            return await context.destination.create_upload(job.destination, headers)

        upload = await context.retry.run(f"create upload {job.destination}", create)
        if context.ledger is None and context.destination.dialect.drops_unused_parts:
            await self._set_mark(upload, meta.identity, cut.part_size)
        return upload

    async def _set_mark(self, upload: Upload, identity: Identity, part_size: int) -> None:
        destination = self._context.destination
        body = resume.mark(identity, part_size)

        async def put(_last: SyncError | None) -> WriteReceipt:
            number = destination.dialect.max_parts
            return await destination.put_part(upload, number, BytesStream(body))

        await self._context.retry.run(f"mark {upload.ref}", put)

    async def _resumable(
        self,
        job: TransferJob,
        identity: Identity,
        cut: TransferPlan,
        record: UploadRecord | None,
        *,
        fresh: bool,
    ) -> Resumable | None:
        chosen: Resumable | None = None
        for upload in await self._open_uploads(job):
            parts = await self._parts(upload)
            if parts is None:
                continue
            standing, part_size = resume.standing(
                identity,
                upload=upload,
                parts=parts,
                record=record,
                default_part_size=cut.part_size,
                dialect=self._context.destination.dialect,
            )
            wanted = standing is Standing.OURS and not fresh and not self._cleaning
            if wanted and chosen is None:
                kept = resume.keep(parts, identity, part_size)
                crcs = dict(record.part_crc32c) if _knows(record, upload) and record else {}
                chosen = Resumable(upload, part_size, kept, crcs)
            elif self._may_abort(standing, upload, fresh=fresh):
                await self._abort(upload, standing)
        return chosen

    @property
    def _cleaning(self) -> bool:
        return self._context.options.clean_unfinished

    async def _open_uploads(self, job: TransferJob) -> list[Upload]:
        async def attempt(_last: SyncError | None) -> list[Upload]:
            return await self._context.destination.uploads(job.destination)

        return await self._context.retry.run(f"list uploads of {job.destination}", attempt)

    async def _parts(self, upload: Upload) -> list[UploadedPart] | None:
        async def attempt(_last: SyncError | None) -> list[UploadedPart] | None:
            return await resume.parts_or_none(self._context.destination, upload)

        return await self._context.retry.run(f"list parts of {upload.ref}", attempt)

    def _may_abort(self, standing: Standing, upload: Upload, *, fresh: bool) -> bool:
        if self._cleaning or standing is Standing.OTHER_VERSION:
            return True
        if fresh and standing is Standing.OURS:
            return True
        age = self._context.clock.time() - upload.initiated
        return bool(upload.initiated) and age > self._context.options.job_timeout

    async def _abort(self, upload: Upload, standing: Standing) -> None:
        await abort(self._context, upload)
        detail = {"object": str(upload.ref), "standing": standing.value}
        self._context.observer.event("upload-aborted", detail)

    # --- parts that were there --------------------------------------------------------

    async def _keep_parts(self, work: Work, found: Resumable) -> None:
        newest = max((part.last_modified for part in found.parts), default=0.0)
        doubtful = []
        for part in found.parts:
            crc = found.crc32c.get(part.number)
            if crc is None and self._must_reread(part, newest):
                doubtful.append(part)
            else:
                work.keep(part, Checksums(crc32c=crc))
        await self._mover.reread(work, doubtful)
        detail = {"object": str(work.job.destination), "parts": work.state.parts_reused}
        self._context.observer.event("resumed", detail)

    def _must_reread(self, part: UploadedPart, newest: float) -> bool:
        if self._context.ledger is not None or self._context.options.verify_twice:
            return True
        return part.last_modified >= newest - _SETTLED_AFTER


def _knows(record: UploadRecord | None, upload: Upload) -> bool:
    return record is not None and record.upload_id == upload.upload_id
