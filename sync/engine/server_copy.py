"""An object that the store copies by itself: nothing of it passes through the worker.

Pinned by the ETag, and by the version where reads are; verified by what the destination then
shows: the size, and the source's own checksums as far as both tell them. Above the store's
limit for one request it is copied in parts, side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sync.engine.integrity import Expected, PartSum, whole_object
from sync.engine.multipart import MultipartCopy
from sync.engine.parts import PartMover, Work
from sync.engine.transfer import Context, JobState, Written, shown
from sync.errors import (
    IntegrityError,
    NoSuchBucket,
    NoSuchUpload,
    NotFound,
    PreconditionFailed,
    SourceChanged,
    SyncError,
)
from sync.model import (
    MIB,
    Checksums,
    ObjectMeta,
    PartSpec,
    TransferJob,
    UploadedPart,
    WriteReceipt,
)
from sync.ports import CopyingStore

_PART: Final = 256 * MIB
"""Least size of a part: a store copies it in the time of a few requests."""


class ServerCopy:
    """Has one version of one object copied."""

    def __init__(self, context: Context, copies: CopyingStore) -> None:
        self._context = context
        self._copies = copies
        dialect = context.destination.dialect
        self._most = dialect.max_copy
        chunk = max(context.options.chunk, min(_PART, self._most))
        options = replace(context.options, threshold=self._most, chunk=chunk)
        in_parts = replace(context, options=options)
        self._in_parts = MultipartCopy(in_parts, _PartCopier(in_parts, copies))

    def can(self, meta: ObjectMeta) -> bool:
        """False where the object is too large for this store to copy."""
        return meta.size <= self._most or self._context.destination.dialect.copies_parts

    async def run(
        self, job: TransferJob, state: JobState, meta: ObjectMeta, *, fresh: bool
    ) -> Written:
        """Copy ``meta``'s version and verify it. SourceChanged where it is replaced meanwhile."""
        if meta.size > self._most:
            return await self._in_parts.run(job, state, meta, fresh=fresh)
        receipt = await self._whole(job, state, meta)
        state.bytes_moved += meta.size
        sums = whole_object(meta.checksums) or Checksums()
        expected = Expected(meta.size, sums, etag=receipt.etag)
        if await shown(self._context, job.destination, expected) is False:
            raise IntegrityError(f"{job.destination}: the copy is not what the source has")
        return Written(meta.identity, expected)

    async def _whole(self, job: TransferJob, state: JobState, meta: ObjectMeta) -> WriteReceipt:
        context, etag = self._context, meta.identity.etag
        ref = context.policy.pin(job.source, meta.identity).ref
        headers = await context.headers(job, meta)

        async def attempt(_last: SyncError | None) -> WriteReceipt:
            async with context.slots:
                try:
                    receipt = await self._copies.copy(ref, job.destination, headers, if_match=etag)
                except NoSuchBucket:
                    raise
                except (PreconditionFailed, NotFound) as error:
                    raise SourceChanged(f"{job.source} changed before it was copied") from error
                except BaseException as error:
                    state.write_failed(error)
                    raise
                context.slots.moved(0)
                return receipt

        return await context.retry.run(job.destination, attempt, doing="copy ")


class _PartCopier(PartMover):
    """Has parts copied."""

    def __init__(self, context: Context, copies: CopyingStore) -> None:
        super().__init__(context)
        self._copies = copies

    async def reread(self, work: Work, parts: Iterable[UploadedPart]) -> None:
        """Parts that are not proven are copied anew: that is cheaper than to read them."""

    async def _relay(self, work: Work, spec: PartSpec, what: str, *, buffered: bool) -> PartSum:  # noqa: ARG002  a relay's
        try:
            receipt = await self._copies.copy_part(
                work.pin.ref,
                work.upload,
                spec.number,
                if_match=work.identity.etag,
                byte_range=(spec.offset, spec.last),
            )
        except (NoSuchUpload, NoSuchBucket):
            raise
        except (PreconditionFailed, NotFound) as error:
            raise SourceChanged(f"{work.job.source} changed during the copy") from error
        return PartSum(spec.number, spec.length, receipt.etag, Checksums())
