"""Objects written in one request: what the destination says of them, and which keys it keeps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import Final

from sync.checksums import disagreement
from sync.errors import (
    AccessDenied,
    IntegrityError,
    KeyNotAllowed,
    NotFound,
    RequestRefused,
    SyncError,
)
from sync.model import MIB, ObjectHeaders, ObjectMeta, ObjectRef
from sync.probes.attempts import hopeless, retried
from sync.probes.bench import Bench, sums_of

_SIZE: Final = MIB // 16
_MAX_KEY_BYTES: Final = 1024
_HEADERS: Final = ObjectHeaders(
    content=(("content-type", "text/x-3gsync"), ("cache-control", "no-store")),
    metadata=(("probe", "3gsync keeps metadata"),),
)
_AWKWARD: Final = (
    *("a/b", "a//b", "./a", "a/../b", "folder/", "plus+and space", "percent%2Bsigns%20"),
    *("back\\slash", "ümläut-🐳", "'quote\"<&>"),
)


async def probe_objects(bench: Bench) -> None:
    """Write, describe, read back, replace; refusals; storage class; keys."""
    ref = bench.litter.ref("object")
    if await _write(bench, ref):
        await _replace(bench, ref)
    await _wrong_md5(bench)
    await _storage_class(bench)
    await _keys(bench)
    if bench.settings.sync_deletes:
        await _delete(bench)


async def _write(bench: Bench, ref: ObjectRef) -> bool:
    what, data = "object: writing", os.urandom(_SIZE)
    receipt = await bench.attempts.step(what, lambda: bench.litter.put(ref, data, _HEADERS))
    if receipt is None:
        return False
    bench.report.ok(what, f"{len(data)} bytes, the payload unsigned")
    bench.judge_reply("object: checksum in the reply", data, receipt, "object")
    meta = await bench.attempts.step("object: describing", lambda: bench.store.head(ref))
    if meta is not None:
        _judge_description(bench, meta, data)
    await _read_back(bench, ref, data)
    return True


def _judge_description(bench: Bench, meta: ObjectMeta, data: bytes) -> None:
    what = "object: describing"
    kept = set(meta.headers.content) >= set(_HEADERS.content)
    if meta.size != len(data) or disagreement(meta.checksums, sums_of(data)):
        bench.report.fail(what, "the store describes other bytes than were written")
    elif not kept or set(meta.headers.metadata) < set(_HEADERS.metadata):
        bench.report.differs(what, "content headers or user metadata do not come back as written")
    else:
        bench.report.ok(what, "size, content headers and metadata as written")


async def _read_back(bench: Bench, ref: ObjectRef, data: bytes) -> None:
    what = "object: reading back"
    found = await bench.attempts.step(what, lambda: bench.read_back(ref))
    if found is None:
        return
    if found == sums_of(data):
        bench.report.ok(what, "the bytes that were written")
    else:
        bench.report.fail(what, "the store hands out other bytes than were written")


async def _replace(bench: Bench, ref: ObjectRef) -> None:
    """Cloud Storage needs the permission to delete for this, and takes one write a second."""
    what, data = "object: replacing", os.urandom(_SIZE // 2)
    await bench.clock.sleep(bench.dialect.write_interval)
    done = await bench.attempts.step(
        what, lambda: bench.litter.put(ref, data), operation="ReplaceObject"
    )
    if done is None:
        return
    found = await bench.attempts.step(what, lambda: bench.store.head(ref))
    if found is not None and found.size == len(data):
        bench.report.ok(what, "seen at once")
    elif found is not None:
        bench.report.fail(what, "the store still describes the old object after the new one")


async def _wrong_md5(bench: Bench) -> None:
    """The fallback where replies prove nothing: it must be a check, not a decoration."""
    what = "object: wrong Content-MD5"
    ref = bench.litter.ref("wrong-md5")
    wrong = hashlib.md5(b"other bytes", usedforsecurity=False).digest()
    try:
        await retried(lambda: bench.litter.put(ref, b"bytes", content_md5=wrong), bench.clock)
    except (IntegrityError, RequestRefused):
        bench.report.ok(what, "refused")
    except AccessDenied:
        return  # writing was not allowed at all, which is told already
    except SyncError as error:
        bench.report.fail(what, str(error))
    else:
        bench.report.differs(
            what,
            "accepted: the store does not look at it; where its replies carry no checksum either, "
            "nothing proves what it holds",
        )


async def _storage_class(bench: Bench) -> None:
    wanted = bench.settings.destination_class("STANDARD")
    what, ref = f"object: storage class {wanted}", bench.litter.ref("class")
    headers = ObjectHeaders(storage_class=wanted)
    try:
        await retried(lambda: bench.litter.put(ref, b"", headers), bench.clock)
        found = await retried(lambda: bench.store.head(ref), bench.clock)
    except AccessDenied:
        return  # told already
    except SyncError as error:
        bench.report.fail(what, f"{error}; set StorageClass to one the bucket accepts")
        return
    if found.headers.storage_class == wanted:
        bench.report.ok(what, "accepted, for an object of zero bytes")
    else:
        bench.report.differs(what, f"became {found.headers.storage_class}")


async def _delete(bench: Bench) -> None:
    """As SyncDeletes does it: the object, not one version of it."""
    what, ref = "object: deleting", bench.litter.ref("deleted")
    if await bench.attempts.step(what, lambda: bench.litter.put(ref, b"")) is None:
        return

    async def gone() -> bool:
        await bench.store.delete(ref)
        try:
            await bench.store.head(ref)
        except NotFound:
            return True
        return False

    done = await bench.attempts.step(what, gone)
    if done and bench.litter.versioned and bench.dialect.name != "gcs":
        bench.report.warn(what, f"allowed; its delete marker stays in the versioned bucket: {ref}")
    elif done:
        bench.report.ok(what, "for SyncDeletes")
    elif done is not None:
        bench.report.fail(what, "the store still describes an object that was deleted")


async def _keys(bench: Bench) -> None:
    """All are written before any is read: a store that folds two keys into one is found out."""
    what = "object: keys"
    refs = [bench.litter.ref(name) for name in _AWKWARD]
    refs.append(_longest(bench))
    refs = [ref for ref in refs if bench.dialect.key_fault(ref.key) is None]
    try:
        lost = [ref for ref in refs if not await _written(bench, ref)]
        lost += [ref for ref in refs if ref not in lost and not await _kept(bench, ref)]
    except AccessDenied:
        return  # told already
    except SyncError as error:
        bench.report.fail(what, str(error))
        return
    if lost:
        shown = ", ".join(repr(_shown(ref, bench)) for ref in lost)
        bench.report.differs(what, f"not kept byte for byte, so cannot be copied: {shown}")
    else:
        bench.report.ok(what, f"{len(refs)} awkward ones kept byte for byte, up to 1,024 bytes")


def _longest(bench: Bench) -> ObjectRef:
    stem = bench.litter.ref("long-")
    return bench.litter.ref("long-" + "x" * max(0, _MAX_KEY_BYTES - len(stem.key.encode())))


def _shown(ref: ObjectRef, bench: Bench) -> str:
    name = ref.key.removeprefix(bench.litter.ref("").key)
    return "a key of 1,024 bytes" if name.startswith("long-") else name


async def _written(bench: Bench, ref: ObjectRef) -> bool:
    return await _holds(bench, lambda: bench.litter.put(ref, ref.key.encode()))


async def _kept(bench: Bench, ref: ObjectRef) -> bool:
    expected = sums_of(ref.key.encode())
    found = []

    async def read() -> None:
        found.append(await bench.read_back(ref))

    return await _holds(bench, read) and found[-1] == expected


async def _holds(bench: Bench, make: Callable[[], Awaitable[object]]) -> bool:
    """False where the store refuses this very key; what is wrong with more than it is raised."""
    try:
        await retried(make, bench.clock)
    except AccessDenied:
        raise
    except KeyNotAllowed:
        return False
    except (NotFound, RequestRefused, IntegrityError) as error:
        if hopeless(error):
            raise
        return False
    return True
