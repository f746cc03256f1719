"""A small object: one GET and one PUT, no HEAD before."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

from sync.checksums import DigestingStream
from sync.engine.integrity import Expected, digests_for, whole_object
from sync.engine.transfer import Context, JobState, Written, proven, send_buffered
from sync.errors import (
    NoSuchBucket,
    NotFound,
    SourceChanged,
    SyncError,
)
from sync.model import Digest, ObjectMeta, ObjectRef, TransferJob
from sync.ports import SourceRead


class SourceGone(SyncError):
    """There is no current object under this key at the source."""


def copy_single(
    context: Context, job: TransferJob, state: JobState, first: ObjectRef
) -> Awaitable[Written | ObjectMeta]:
    """Copy in one relay; gives the object's description instead where it must be cut.

    SourceGone where there is no such object, SourceChanged where ``first`` names a version
    that is gone.
    """

    async def attempt(last: SyncError | None) -> Written | ObjectMeta:
        buffered = context.must_buffer(last)
        read: SourceRead | None = None
        async with context.slots:
            try:
                async with context.source.open(first) as read:
                    if context.window is not None:
                        context.window.check(first, read.meta)
                    if read.meta.size > context.most_at_once:
                        return read.meta
                    return await _relay(context, job, state, read, buffered=buffered)
            except NotFound as error:
                if read is not None or isinstance(error, NoSuchBucket):
                    raise
                raise _missing(first) from error

    return context.retry.run(job.source, attempt)


def _missing(first: ObjectRef) -> SyncError:
    if first.version_id:
        return SourceChanged(f"{first}: the message's version is gone")
    return SourceGone(f"{first} is not there any more")


async def _relay(
    context: Context, job: TransferJob, state: JobState, read: SourceRead, *, buffered: bool
) -> Written:
    meta, destination, target = read.meta, context.destination, job.destination
    size = meta.size
    headers = await context.headers(job, meta)
    wanted = digests_for(meta.checksums, destination.dialect.digests)
    if buffered:
        wanted |= {Digest.MD5}
    stream = DigestingStream(read.body, wanted, expected=whole_object(meta.checksums))
    try:
        if buffered:
            send = partial(destination.put, target, headers=headers)
            receipt, sums = await send_buffered(context, stream, send, target)
        else:
            receipt = await destination.put(target, stream, headers)
            sums = proven(context, stream, receipt, target)
    except BaseException as error:
        state.write_failed(error, in_full=stream.complete)
        raise
    state.bytes_moved += size
    context.slots.moved(size)
    return Written(meta.identity, Expected(size, sums, "", receipt.etag))
