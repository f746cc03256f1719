"""Objects written in parts: all that resuming and verifying them rests on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import Final

from sync.checksums import BytesStream
from sync.engine.integrity import Expected, PartSum, combined, composite_etag, matches
from sync.errors import AccessDenied, IntegrityError, NoSuchUpload, RequestRefused, SyncError
from sync.model import (
    MIB,
    Digest,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    Upload,
    UploadedPart,
    WriteReceipt,
)
from sync.probes.attempts import retried
from sync.probes.bench import CARRIERS, Bench, sums_of
from sync.probes.permissions import explained

_MARK: Final = b"3gsync-probe: a part that is not used"
_LISTING: Final = "parts: listing"
_UNUSED: Final = "parts: an unused part"
_SENDING: Final = "parts: sending"
_NO_UNUSED: Final = (
    "every object written in parts would fail; set DestDialect = generic, and a "
    "table_queue_name to resume uploads with"
)


class _End(Enum):
    """How completing ended."""

    DONE = auto()
    REFUSED_UNUSED = auto()
    FAILED = auto()


async def probe_parts(bench: Bench) -> None:
    """An upload that is dropped, one with parts too small, and one that becomes an object."""
    if await _dropped(bench):
        await _too_small(bench)
        await _whole(bench, marked=bench.dialect.drops_unused_parts)


async def _send(bench: Bench, upload: Upload, number: int, data: bytes) -> WriteReceipt:
    return await bench.store.put_part(upload, number, BytesStream(data))


# --- an upload that is dropped --------------------------------------------------------


async def _dropped(bench: Bench) -> bool:
    """Whether uploads can be begun and parts sent at all."""
    report, step = bench.report, bench.attempts.step
    headers = ObjectHeaders(storage_class=bench.settings.destination_class("STANDARD"))
    ref = bench.litter.ref("upload-dropped")
    upload = await step("parts: beginning an upload", lambda: bench.litter.begin(ref, headers))
    if upload is None:
        return False
    report.ok("parts: beginning an upload")
    what = f"parts: part number {bench.dialect.max_parts:,}"
    number = bench.dialect.max_parts
    if await step(what, lambda: _send(bench, upload, number, _MARK)) is not None:
        report.ok(what, "accepted")
    await _wrong_md5(bench, upload)
    await _listed(bench, upload)
    await _abort(bench, upload)
    return what not in bench.attempts.failed


async def _wrong_md5(bench: Bench, upload: Upload) -> None:
    what = "parts: wrong Content-MD5"
    wrong = hashlib.md5(b"other bytes", usedforsecurity=False).digest()
    try:
        await bench.store.put_part(upload, 1, BytesStream(_MARK), content_md5=wrong)
    except (IntegrityError, RequestRefused):
        bench.report.ok(what, "refused")
    except AccessDenied:
        return  # told already
    except SyncError as error:
        bench.report.fail(what, str(error))
    else:
        bench.report.differs(what, "accepted: the store does not look at it")


async def _listed(bench: Bench, upload: Upload) -> None:
    what = "parts: listing uploads"
    found = await bench.attempts.step(what, lambda: bench.store.uploads(upload.ref))
    if found is None:
        return
    if any(one.upload_id == upload.upload_id for one in found):
        bench.report.ok(what, "an upload is listed as soon as it is begun")
    else:
        bench.report.differs(what, "an open upload is not listed: nothing can be resumed")


async def _abort(bench: Bench, upload: Upload) -> None:
    what = "parts: dropping an upload"

    async def drop() -> bool:
        await bench.litter.abort(upload)
        return True

    if not await bench.attempts.step(what, drop):
        return
    try:
        left = await bench.store.parts(upload)
    except NoSuchUpload:
        bench.report.ok(what)
    except SyncError:
        bench.report.ok(what, "not looked at afterwards: parts may not be listed")
    else:
        bench.report.warn(what, f"{len(left)} parts are still listed after it")


# --- an upload whose parts are too small ----------------------------------------------


async def _too_small(bench: Bench) -> None:
    """Only told: 3GSync never sends such parts."""
    what = "parts: least size"
    try:
        upload = await bench.litter.begin(bench.litter.ref("upload-small"))
        parts = [UploadedPart(n, 1024, await _small(bench, upload, n)) for n in (1, 2)]
        await bench.litter.complete(upload, parts)
    except (RequestRefused, IntegrityError):
        bench.report.ok(what, f"parts below {bench.dialect.min_part // MIB} MiB are refused")
    except SyncError as error:
        if not isinstance(error, AccessDenied):
            bench.report.warn(what, f"not found out: {error}")
    else:
        bench.report.ok(what, "none is enforced")


async def _small(bench: Bench, upload: Upload, number: int) -> str:
    return (await _send(bench, upload, number, os.urandom(1024))).etag


# --- an upload that becomes an object -------------------------------------------------


async def _whole(bench: Bench, *, marked: bool, again: bool = False) -> None:
    """``marked``: with a part that is not used. ``again``: that was refused, so without it."""
    datas = (os.urandom(bench.dialect.min_part), os.urandom(MIB))
    ref = bench.litter.ref("upload-whole")
    upload = await bench.attempts.step(_SENDING, lambda: bench.litter.begin(ref))
    if upload is None:
        return
    replies = await _send_all(bench, upload, datas)
    if not replies:
        return
    if marked:
        await _mark(bench, upload)
    if not again:
        bench.judge_reply("parts: checksum in the reply", datas[0], replies[0], "part")
        await _judge_listing(bench, upload, datas)
    sums = [_part_sum(n, *pair) for n, pair in enumerate(zip(datas, replies, strict=True), 1)]
    end = await _complete(bench, upload, sums, marked=marked)
    if end is _End.DONE:
        await _judge_object(bench, upload, sums, b"".join(datas), marked=marked)
    elif end is _End.REFUSED_UNUSED:
        await bench.litter.abort(upload)
        await _whole(bench, marked=False, again=True)


async def _send_all(bench: Bench, upload: Upload, datas: Sequence[bytes]) -> list[WriteReceipt]:
    """The replies to all parts, or an empty list where one failed."""
    replies = []
    for number, data in enumerate(datas, 1):
        make = partial(_send, bench, upload, number, data)
        reply = await bench.attempts.step(_SENDING, make)
        if reply is None:
            return []
        replies.append(reply)
    return replies


def _part_sum(number: int, data: bytes, reply: WriteReceipt) -> PartSum:
    return PartSum(number, len(data), reply.etag, sums_of(data))


async def _mark(bench: Bench, upload: Upload) -> None:
    number = bench.dialect.max_parts
    await bench.attempts.step(_UNUSED, lambda: _send(bench, upload, number, _MARK))


async def _judge_listing(bench: Bench, upload: Upload, datas: Sequence[bytes]) -> None:
    found = await bench.attempts.step(_LISTING, lambda: bench.store.parts(upload))
    if found is None:
        return
    shown = {part.number: part for part in found}
    if [shown[n].size if n in shown else -1 for n in (1, 2)] != [len(data) for data in datas]:
        bench.report.differs(_LISTING, "parts that were sent are not listed: resuming sends all")
        return
    sent = {1: datas[0], bench.dialect.max_parts: _MARK}
    spelled = all(shown[n].etag == _md5(data) for n, data in sent.items() if n in shown)
    if spelled:
        bench.report.ok(_LISTING, "numbers and sizes, the parts' MD5 as ETag")
    elif bench.dialect.drops_unused_parts:
        text = "a part's ETag is not its MD5: uploads are resumed only with a table_queue_name"
        bench.report.differs(_LISTING, text)
    else:
        bench.report.ok(_LISTING, "numbers and sizes")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def _complete(bench: Bench, upload: Upload, sums: Sequence[PartSum], *, marked: bool) -> _End:
    what = "parts: completing"
    parts = [one.uploaded for one in sums]
    try:
        await retried(lambda: bench.litter.complete(upload, parts), bench.clock)
    except (IntegrityError, RequestRefused) as error:
        if not marked:
            bench.report.fail(what, str(error))
            return _End.FAILED
        text = f"refused at completion ({error}): {_NO_UNUSED}"
        bench.report.differs(_UNUSED, text)
        return _End.REFUSED_UNUSED
    except SyncError as error:
        bench.report.fail(what, explained(error, bench.dialect, bucket=upload.ref.bucket))
        return _End.FAILED
    bench.report.ok(what, f"{len(parts)} parts")
    return _End.DONE


async def _judge_object(
    bench: Bench, upload: Upload, sums: Sequence[PartSum], whole: bytes, *, marked: bool
) -> None:
    what = "parts: the finished object"
    meta = await bench.attempts.step(what, lambda: bench.store.head(upload.ref))
    if meta is None:
        return
    if meta.size != len(whole):
        text = f"the object has {meta.size} bytes where it should have {len(whole)}"
        bench.report.fail(_UNUSED if marked else what, f"{text}: {_NO_UNUSED}" if marked else text)
        return
    if marked:
        bench.report.ok(_UNUSED, "dropped at completion")
    _judge_as_worker(bench, meta, sums)
    _judge_checksum(bench, meta, sums)
    _judge_etag(bench, meta, sums, whole)
    await _read_back(bench, upload.ref, whole)


async def _read_back(bench: Bench, ref: ObjectRef, whole: bytes) -> None:
    what = "parts: reading back"
    found = await bench.attempts.step(what, lambda: bench.read_back(ref))
    if found is None:
        return
    if found == sums_of(whole):
        bench.report.ok(what, "the bytes that were written")
    else:
        bench.report.fail(what, "the store hands out other bytes than were written")


def _judge_as_worker(bench: Bench, meta: ObjectMeta, sums: Sequence[PartSum]) -> None:
    """The worker's own judgement: where it is no, no large object would ever be done."""
    expected = Expected(meta.size, combined(sums), composite_etag(sums))
    if matches(meta, expected) is False:
        bench.report.fail(
            "parts: the finished object",
            "a worker would take it for damaged: its checksum or ETag is not that of its parts, "
            "so every object written in parts would fail; set DestDialect to what the store is",
        )


def _judge_checksum(bench: Bench, meta: ObjectMeta, sums: Sequence[PartSum]) -> None:
    """The whole's checksum against that of its parts combined; stores with MD5 have none."""
    what, whole = "parts: checksum of the whole", combined(sums)
    for digest in sorted(bench.dialect.digests - {Digest.MD5}):
        found, wanted = getattr(meta.checksums, digest), getattr(whole, digest)
        if found is None:
            text = f"no {CARRIERS[digest]} in the description: such objects are proven part by part"
            bench.report.differs(what, f"{text} only; ifVerifyMD5Twice = True reads them back")
        elif found != wanted:
            bench.report.fail(what, f"its {CARRIERS[digest]} is not that of its parts combined")
        else:
            bench.report.ok(what, f"{CARRIERS[digest]}, that of its parts combined")


def _judge_etag(bench: Bench, meta: ObjectMeta, sums: Sequence[PartSum], whole: bytes) -> None:
    what, etag = "parts: ETag of the whole", meta.identity.etag
    if bench.dialect.etag_is_md5:
        md5s = [
            PartSum(s.number, s.length, (s.checksums.md5 or b"").hex(), s.checksums) for s in sums
        ]
        if etag == composite_etag(md5s):
            bench.report.ok(what, "the MD5 of its parts' MD5s")
        else:
            bench.report.differs(what, "is not the MD5 of its parts' MD5s, as S3 makes it")
    elif etag == _md5(whole):
        bench.report.warn(what, "is its MD5, which 3GSync does not rely on")
    else:
        bench.report.ok(what, "not the MD5 of the object, as expected")


def _with_md5(part: PartSum) -> PartSum:
    """With the ETag that S3 would give the part, whatever the store gave it."""
    return replace(part, etag=(part.checksums.md5 or b"").hex())
