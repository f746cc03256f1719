"""Whether objects of a source bucket can be listed and read as the worker reads them."""

from __future__ import annotations

from typing import Final

from sync.adapters.s3 import S3Store
from sync.config import Settings
from sync.errors import AccessDenied, CredentialsRejected, SyncError
from sync.model import ARCHIVED, ListedObject, ObjectMeta, ObjectRef
from sync.ports import Clock
from sync.probes.attempts import Attempts, HopelessError, retried
from sync.probes.permissions import explained
from sync.probes.report import Report

_BYTES: Final = 1024


async def probe_source(
    settings: Settings, bucket: str, store: S3Store, report: Report, clock: Clock
) -> None:
    """List the bucket, then describe and read the beginning of one of its objects."""
    attempts = Attempts(report, store.dialect, bucket, clock)
    try:
        entry = await _first(store, bucket, attempts)
        if entry is not None:
            await _read(settings, store, ObjectRef(bucket, entry.key), attempts)
    except HopelessError:
        return


async def _first(store: S3Store, bucket: str, attempts: Attempts) -> ListedObject | None:
    """An object that can be read, smaller ones and archived ones last."""
    what, report = "source: listing", attempts.report
    page = await attempts.step(what, lambda: store.list_page(bucket))
    if page is None:
        return None
    readable = [e for e in page.entries if e.storage_class not in ARCHIVED]
    if not readable:
        seen = "the bucket is empty" if not page.entries else "only archived objects were seen"
        report.warn(what, f"{bucket}: {seen}; reading one was not tried")
        return None
    report.ok(what, bucket)
    return next((entry for entry in readable if entry.size), readable[0])


async def _read(settings: Settings, store: S3Store, ref: ObjectRef, attempts: Attempts) -> None:
    what, report = "source: reading", attempts.report
    meta = await attempts.step("source: describing", lambda: store.head(ref))
    if meta is None:
        return
    pinned = _pinned(settings, ref, meta)
    got = await attempts.step(what, lambda: _beginning(store, pinned, meta))
    if got is not None:
        how = "by its version" if pinned.version_id else "tied to its ETag"
        report.ok(what, f"{ref}, {got} bytes of it, {how}")
    if settings.get_with_version_id and not meta.identity.version_id:
        report.warn(what, "GetObjectWithVersionId has no effect: the bucket keeps no versions")
    if settings.copy_tags:
        await _tags(store, pinned, report, attempts.clock)


def _pinned(settings: Settings, ref: ObjectRef, meta: ObjectMeta) -> ObjectRef:
    version = meta.identity.version_id if settings.get_with_version_id else None
    return ref._replace(version_id=version)


async def _beginning(store: S3Store, ref: ObjectRef, meta: ObjectMeta) -> int:
    """Number of bytes read, at most 1 KiB, with the pin the worker would use."""
    pin = None if ref.version_id else meta.identity.etag
    part = (0, min(meta.size, _BYTES) - 1) if meta.size else None
    async with store.open(ref, if_match=pin, byte_range=part) as read:
        return sum([len(chunk) async for chunk in read.body])


async def _tags(store: S3Store, ref: ObjectRef, report: Report, clock: Clock) -> None:
    try:
        await retried(lambda: store.tagging(ref), clock)
    except CredentialsRejected as error:
        report.fail("source: tags", str(error))
    except AccessDenied as error:
        report.fail("source: tags", explained(error, store.dialect, bucket=ref.bucket))
    except SyncError as error:
        report.fail("source: tags", str(error))
    else:
        report.ok("source: tags", "allowed")
