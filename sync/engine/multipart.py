"""A large object: a multipart upload whose parts stream side by side, resumed where it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from sync.checksums import BytesStream, DigestingStream
from sync.engine import resume
from sync.engine.integrity import (
    Expected,
    PartSum,
    combined,
    composite_etag,
    digests_for,
    matches,
    md5_of,
    whole_object,
)
from sync.engine.planner import plan
from sync.engine.resume import Resumable, Standing
from sync.engine.transfer import (
    Context,
    JobState,
    Written,
    mark_unanswered,
    send_buffered,
    send_verified,
)
from sync.engine.versioning import Pin
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
    Checksums,
    Digest,
    Identity,
    ObjectMeta,
    PartSpec,
    TransferJob,
    TransferPlan,
    Upload,
    UploadedPart,
    WriteReceipt,
)
from sync.ports import ByteStream, UploadRecord

_SETTLED_AFTER = 60.0
"""Seconds. Without a ledger, parts that landed this shortly before the newest one may have
been under way when their sender died, unchecked; they are read again."""

_NOTE_EVERY = 5.0
"""Seconds between two notes of progress in the ledger."""


@dataclass(slots=True)
class _Work:
    """One multipart transfer under way."""

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
        crcs = {n: s.checksums.crc32c for n, s in self.sums.items()}
        known = {n: crc for n, crc in crcs.items() if crc is not None}
        return UploadRecord(self.upload.upload_id, self.identity, self.cut.part_size, known)

    @property
    def ordered(self) -> list[PartSum]:
        return [self.sums[number] for number in sorted(self.sums)]


class MultipartCopy:
    """Copies one version of one object in parts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(
        self, job: TransferJob, state: JobState, meta: ObjectMeta, *, fresh: bool = False
    ) -> Written:
        """Bring ``meta``'s version to the destination and verify it whole.

        ``fresh`` goes on with nothing. SourceChanged where the version is replaced meanwhile.
        Parts that were sent stay in place when this fails.
        """
        work = await self._begin(job, state, meta, fresh=fresh)
        try:
            await self._send_missing(work)
        except NoSuchUpload as error:
            raise SourceChanged(f"{job.destination}: the upload was taken away") from error
        except BaseException:
            await self._note_progress(work)  # so that the next worker keeps what was sent
            raise
        return await self._finish(work, meta)

    # --- beginning, or going on -------------------------------------------------------

    async def _begin(
        self, job: TransferJob, state: JobState, meta: ObjectMeta, *, fresh: bool
    ) -> _Work:
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
        work = _Work(job, state, meta.identity, pin, cut, upload, digests)
        if found:
            await self._keep_parts(work, found)
        else:
            detail = {"object": str(job.destination), "parts": cut.part_count}
            context.observer.event("upload-begun", detail)
        if context.ledger:
            await context.ledger.started(job, work.record)
        state.touch()
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
        for upload in await self._context.destination.uploads(job.destination):
            parts = await resume.parts_or_none(self._context.destination, upload)
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
            if standing is Standing.OURS and chosen is None and not fresh and not self._cleaning:
                kept = resume.keep(parts, identity, part_size)
                crcs = dict(record.part_crc32c) if _knows(record, upload) and record else {}
                chosen = Resumable(upload, part_size, kept, crcs)
            elif self._may_abort(standing, upload):
                await self._abort(upload, standing)
        return chosen

    @property
    def _cleaning(self) -> bool:
        return self._context.options.clean_unfinished

    def _may_abort(self, standing: Standing, upload: Upload) -> bool:
        if self._cleaning or standing is Standing.OTHER_VERSION:
            return True
        age = self._context.clock.time() - upload.initiated
        return bool(upload.initiated) and age > self._context.options.job_timeout

    async def _abort(self, upload: Upload, standing: Standing) -> None:
        await self._context.destination.abort(upload)
        detail = {"object": str(upload.ref), "standing": standing.value}
        self._context.observer.event("upload-aborted", detail)

    # --- parts that were there --------------------------------------------------------

    async def _keep_parts(self, work: _Work, found: Resumable) -> None:
        newest = max((part.last_modified for part in found.parts), default=0.0)
        doubtful = []
        for part in found.parts:
            crc = found.crc32c.get(part.number)
            if crc is None and self._must_reread(part, newest):
                doubtful.append(part)
            else:
                self._keep(work, part, Checksums(crc32c=crc))
        await self._each(iter(doubtful), lambda part: self._reread(work, part))
        detail = {"object": str(work.job.destination), "parts": work.state.parts_reused}
        self._context.observer.event("resumed", detail)

    def _must_reread(self, part: UploadedPart, newest: float) -> bool:
        if self._context.ledger is not None or self._context.options.verify_twice:
            return True
        return part.last_modified >= newest - _SETTLED_AFTER

    @staticmethod
    def _keep(work: _Work, part: UploadedPart, sums: Checksums) -> None:
        work.sums[part.number] = PartSum(part.number, part.size, part.etag, sums)
        work.state.parts_reused += 1

    async def _reread(self, work: _Work, part: UploadedPart) -> None:
        """Compute a kept part's CRC32C from the source; drop the part where its MD5 differs."""
        listed = md5_of(part.etag)
        if listed is None:
            return

        async def attempt(_last: SyncError | None) -> Checksums:
            spec = work.cut.part(part.number)
            async with self._context.slots:
                return await self._digest(work, spec)

        sums = await self._context.retry.run(f"re-read {work.job.source}", attempt)
        if sums.md5 == listed:
            self._keep(work, part, sums)

    async def _digest(self, work: _Work, spec: PartSpec) -> Checksums:
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

    # --- sending ----------------------------------------------------------------------

    async def _send_missing(self, work: _Work) -> None:
        missing = (spec for spec in work.cut.parts() if spec.number not in work.sums)
        await self._each(missing, lambda spec: self._send_part(work, spec))

    async def _each(self, items: Iterator[object], do: object) -> None:
        """Run ``do`` over the items, as many at a time as one object may take."""
        assert callable(do)

        async def take() -> None:
            for item in items:
                await do(item)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._context.options.parts_per_object):
                    group.create_task(take())
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures

    async def _send_part(self, work: _Work, spec: PartSpec) -> None:
        async def attempt(last: SyncError | None) -> PartSum:
            buffered = self._context.proof.missing or isinstance(last, IntegrityError)
            async with self._context.slots:
                return await self._relay(work, spec, buffered=buffered)

        what = f"{work.job.destination} part {spec.number}"
        work.sums[spec.number] = await self._context.retry.run(what, attempt)
        work.state.parts_sent += 1
        work.state.bytes_moved += spec.length
        work.state.touch()
        if self._context.clock.monotonic() - work.noted_at >= _NOTE_EVERY:
            await self._note_progress(work)

    async def _relay(self, work: _Work, spec: PartSpec, *, buffered: bool) -> PartSum:
        context = self._context
        wanted = work.digests | {Digest.MD5} if buffered else work.digests

        async def send(body: ByteStream, md5: bytes | None) -> WriteReceipt:
            put = context.destination.put_part
            return await put(work.upload, spec.number, body, content_md5=md5)

        try:
            opened = context.source.open(
                work.pin.ref, if_match=work.pin.if_match, byte_range=(spec.offset, spec.last)
            )
            async with opened as read:
                _same_version(read.meta.identity, work.identity)
                stream = DigestingStream(read.body, wanted)
                way = send_buffered if buffered else send_verified
                what = f"{work.job.destination} part {spec.number}"
                receipt, sums = await way(context, stream, send, what)
        except NoSuchUpload:
            raise
        except NoSuchBucket:
            raise
        except (PreconditionFailed, NotFound) as error:
            raise SourceChanged(f"{work.job.source} changed during the copy") from error
        return PartSum(spec.number, spec.length, receipt.etag, sums)

    async def _note_progress(self, work: _Work) -> None:
        work.noted_at = self._context.clock.monotonic()
        if self._context.ledger is not None:
            await self._context.ledger.progressed(work.job, work.record)

    # --- completing -------------------------------------------------------------------

    async def _finish(self, work: _Work, meta: ObjectMeta) -> Written:
        expected = Expected(
            size=work.cut.size,
            checksums=combined(work.ordered),
            composite_etag=composite_etag(work.ordered),
        )
        self._compare_with_source(meta, expected)
        try:
            await self._complete(work)
        except NoSuchUpload as error:
            if not await self._stands(work, expected, proof_needed=True):
                message = f"{work.job.destination}: the upload was taken away"
                raise SourceChanged(message) from error
        else:
            if not await self._stands(work, expected, proof_needed=False):
                message = f"{work.job.destination}: the finished object is not what was sent"
                raise IntegrityError(message)
        return Written(work.identity, expected)

    @staticmethod
    def _compare_with_source(meta: ObjectMeta, expected: Expected) -> None:
        own = whole_object(meta.checksums)
        if own is not None:
            found = ObjectMeta(Identity("", expected.size), checksums=expected.checksums)
            if matches(found, Expected(meta.size, own)) is False:
                raise IntegrityError("the parts read do not make up the source's object")

    async def _complete(self, work: _Work) -> WriteReceipt:
        destination = self._context.destination
        parts = [part.uploaded for part in work.ordered]

        async def attempt(_last: SyncError | None) -> WriteReceipt:
            write = destination.complete(work.upload, parts)
            return await mark_unanswered(work.state, None, write)

        return await self._context.retry.run(f"complete {work.job.destination}", attempt)

    async def _stands(self, work: _Work, expected: Expected, *, proof_needed: bool) -> bool:
        """Does the destination show what was sent? Every part has been proven already, so a
        store that shows no checksum of the whole is believed unless ``proof_needed``.
        """

        async def attempt(_last: SyncError | None) -> ObjectMeta:
            return await self._context.destination.head(work.job.destination)

        try:
            found = await self._context.retry.run(f"verify {work.job.destination}", attempt)
        except NoSuchBucket:
            raise
        except NotFound:
            return False
        verdict = matches(found, expected)
        return verdict is True or (verdict is None and not proof_needed)


def _knows(record: UploadRecord | None, upload: Upload) -> bool:
    return record is not None and record.upload_id == upload.upload_id


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
