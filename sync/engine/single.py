"""A small object: one GET and one PUT, no HEAD before."""

from __future__ import annotations

from contextlib import AsyncExitStack

from sync.checksums import DigestingStream
from sync.engine.integrity import Expected, digests_for, whole_object
from sync.engine.planner import plan
from sync.engine.transfer import (
    Context,
    JobState,
    Written,
    mark_unanswered,
    send_buffered,
    send_verified,
)
from sync.errors import (
    NoSuchBucket,
    NotFound,
    SourceChanged,
    SyncError,
)
from sync.model import Digest, ObjectMeta, ObjectRef, TransferJob, WriteReceipt
from sync.ports import ByteStream, SourceRead


class SourceGone(SyncError):
    """There is no current object under this key at the source."""


async def copy_single(
    context: Context, job: TransferJob, state: JobState, first: ObjectRef
) -> Written | ObjectMeta:
    """Copy in one relay; returns the object's description instead where it must be cut.

    SourceGone where there is no such object, SourceChanged where ``first`` names a version
    that is gone.
    """

    async def attempt(last: SyncError | None) -> Written | ObjectMeta:
        buffered = context.must_buffer(last)
        async with context.slots, AsyncExitStack() as stack:
            read = await _open(context, stack, first)
            return await _write(context, job, state, read, buffered=buffered)

    return await context.retry.run(str(job.source), attempt)


async def _open(context: Context, stack: AsyncExitStack, first: ObjectRef) -> SourceRead:
    try:
        return await stack.enter_async_context(context.source.open(first))
    except NoSuchBucket:
        raise
    except NotFound as error:
        if first.version_id:
            raise SourceChanged(f"{first}: the message's version is gone") from error
        raise SourceGone(f"{first} is not there any more") from error


async def _write(
    context: Context, job: TransferJob, state: JobState, read: SourceRead, *, buffered: bool
) -> Written | ObjectMeta:
    meta, options, dialect = read.meta, context.options, context.destination.dialect
    cut = plan(meta.size, threshold=options.threshold, chunk=options.chunk, dialect=dialect)
    if cut.multipart:
        return meta
    headers = await context.headers(job, meta)
    wanted = digests_for(meta.checksums, dialect.digests)
    if buffered:
        wanted |= {Digest.MD5}
    stream = DigestingStream(read.body, wanted, expected=whole_object(meta.checksums))

    async def send(body: ByteStream, md5: bytes | None) -> WriteReceipt:
        put = context.destination.put(job.destination, body, headers, content_md5=md5)
        return await mark_unanswered(state, stream, put)

    way = send_buffered if buffered else send_verified
    receipt, sums = await way(context, stream, send, str(job.destination))
    state.bytes_moved += meta.size
    context.slots.moved(meta.size)
    return Written(meta.identity, Expected(meta.size, sums, etag=receipt.etag))
