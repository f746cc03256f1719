"""A large object: a multipart upload whose parts stream side by side, resumed where it can be."""

from __future__ import annotations

from sync.engine.integrity import Expected, combined, composite_etag, matches, whole_object
from sync.engine.opening import UploadOpener
from sync.engine.parts import PartMover, Work
from sync.engine.transfer import Context, JobState, Written, alike, held, shown
from sync.errors import (
    IntegrityError,
    NoSuchUpload,
    SourceChanged,
    SyncError,
)
from sync.model import Identity, ObjectMeta, TransferJob, WriteReceipt


class MultipartCopy:
    """Copies one version of one object in parts."""

    def __init__(self, context: Context, mover: PartMover | None = None) -> None:
        self._context = context
        self._mover = mover or PartMover(context)
        self._opener = UploadOpener(context, self._mover)

    async def run(
        self, job: TransferJob, state: JobState, meta: ObjectMeta, *, fresh: bool = False
    ) -> Written:
        """Bring ``meta``'s version to the destination and verify it whole.

        ``fresh`` goes on with nothing. SourceChanged where the version is replaced meanwhile.
        Parts that were sent stay in place when this fails.
        """
        work = await self._opener.begin(job, state, meta, fresh=fresh)
        state.upload = work.upload
        try:
            await self._mover.send_missing(work)
        except NoSuchUpload as error:
            raise SourceChanged(f"{job.destination}: the upload was taken away") from error
        except BaseException:
            await self._mover.note_progress(work)  # so that the next worker keeps what was sent
            raise
        return await self._finish(work, meta)

    async def _finish(self, work: Work, meta: ObjectMeta) -> Written:
        sums = combined(work.ordered)
        if sums.crc32c is None and sums.crc64nvme is None:  # parts that nobody here has read
            sums = whole_object(meta.checksums) or sums
        expected = Expected(
            size=work.cut.size,
            checksums=sums,
            composite_etag=composite_etag(work.ordered),
        )
        self._compare_with_source(meta, expected)
        try:
            await self._complete(work)
        except NoSuchUpload as error:
            if not await self._is_finished(work, expected, meta):
                message = f"{work.job.destination}: the upload was taken away"
                raise SourceChanged(message) from error
        else:
            # Every part has been proven: a store that shows no checksum of the whole is believed.
            if await shown(self._context, work.job.destination, expected) is False:
                message = f"{work.job.destination}: the finished object is not what was sent"
                raise IntegrityError(message)
        work.state.upload = None
        return Written(work.identity, expected)

    @staticmethod
    def _compare_with_source(meta: ObjectMeta, expected: Expected) -> None:
        own = whole_object(meta.checksums)
        if own is not None:
            found = ObjectMeta(Identity("", expected.size), checksums=expected.checksums)
            if matches(found, Expected(meta.size, own)) is False:
                raise IntegrityError("the parts read do not make up the source's object")

    async def _complete(self, work: Work) -> WriteReceipt:
        destination = self._context.destination
        parts = [part.uploaded for part in work.ordered]

        async def attempt(_last: SyncError | None) -> WriteReceipt:
            try:
                return await destination.complete(work.upload, parts)
            except BaseException as error:
                work.state.write_failed(error)
                raise

        return await self._context.retry.run(work.job.destination, attempt, doing="complete ")

    async def _is_finished(self, work: Work, expected: Expected, meta: ObjectMeta) -> bool:
        """The upload is gone: is that because it was completed? An older copy may have the same
        bytes, and other metadata.
        """
        found = await held(self._context, work.job.destination, doing="verify ")
        if found is None or not matches(found, expected):
            return False
        like = await alike(self._context, work.job, meta, found)
        return like is not None and not like.differs
