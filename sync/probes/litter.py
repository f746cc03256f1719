"""What a probe writes at the destination, noted before it is written so that it is removed."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from sync.adapters.s3 import S3Store
from sync.checksums import BytesStream
from sync.errors import IntegrityError, NotFound, OutcomeUnknown, StoreError, SyncError
from sync.messages import DestinationRule
from sync.model import ObjectHeaders, ObjectRef, Upload, UploadedPart, WriteReceipt
from sync.ports import Clock
from sync.probes.attempts import hopeless, retried
from sync.probes.permissions import explained
from sync.probes.report import Report

_PLAIN: Final = ObjectHeaders(content=(("content-type", "application/octet-stream"),))
CLEANING: Final = "clean-up"
_SERVER_FAULT: Final = 500


class Litter:
    """Writes below one prefix of its own, and clears it away again."""

    def __init__(self, store: S3Store, rule: DestinationRule, token: str, *, clock: Clock) -> None:
        self._store = store
        self._rule = rule
        self._folder = f"3gsync-probe-{token}"
        self._clock = clock
        self._versions: dict[ObjectRef, list[str]] = {}
        self._uploads: list[Upload] = []
        self._begun: set[ObjectRef] = set()

    def ref(self, name: str) -> ObjectRef:
        """Where the probe's object of that name is."""
        return self._rule.destination(f"{self._folder}/{name}")

    @property
    def versioned(self) -> bool:
        """True where the bucket was seen to keep versions."""
        return any(self._versions.values())

    async def put(
        self,
        ref: ObjectRef,
        data: bytes,
        headers: ObjectHeaders = _PLAIN,
        *,
        content_md5: bytes | None = None,
    ) -> WriteReceipt:
        """Write an object."""
        new = ref not in self._versions
        versions = self._versions.setdefault(ref, [])
        try:
            body = BytesStream(data)
            receipt = await self._store.put(ref, body, headers, content_md5=content_md5)
        except SyncError as error:
            if new and not _may_be_there(error):
                del self._versions[ref]
            raise
        versions += [receipt.version_id] if receipt.version_id else []
        return receipt

    async def begin(self, ref: ObjectRef, headers: ObjectHeaders = _PLAIN) -> Upload:
        """Begin an upload."""
        self._begun.add(ref)
        upload = await self._store.create_upload(ref, headers)
        self._uploads.append(upload)
        return upload

    async def complete(self, upload: Upload, parts: Sequence[UploadedPart]) -> WriteReceipt:
        """Make the object of an upload."""
        versions = self._versions.setdefault(upload.ref, [])
        receipt = await self._store.complete(upload, parts)
        versions += [receipt.version_id] if receipt.version_id else []
        self._uploads.remove(upload)
        return receipt

    async def abort(self, upload: Upload) -> None:
        """Drop an upload."""
        await self._store.abort(upload)
        self._uploads.remove(upload)

    async def clear(self, report: Report) -> None:
        """Remove all of it and say so; what could not be removed is named."""
        errors: list[SyncError] = []
        for upload in [*self._uploads, *await self._forgotten()]:
            await self._try(partial(self._store.abort, upload), errors)
        for ref, versions in self._versions.items():
            if errors and hopeless(errors[-1]):
                break
            await self._remove(ref, versions, errors)
        if errors:
            first = explained(errors[0], self._store.dialect, bucket=self._rule.default_bucket)
            report.fail(CLEANING, f"left under {self.ref('')}: remove it by hand; {first}")
        elif self._versions:
            report.ok(CLEANING, f"{len(self._versions)} keys removed again")

    async def _forgotten(self) -> list[Upload]:
        """Uploads that were begun though no reply came."""
        known = {upload.upload_id for upload in self._uploads}
        found: list[Upload] = []
        for ref in self._begun:
            with contextlib.suppress(SyncError):
                found += await self._store.uploads(ref)
        return [upload for upload in found if upload.upload_id not in known]

    async def _remove(
        self, ref: ObjectRef, versions: Sequence[str], errors: list[SyncError]
    ) -> None:
        """Version by version where there are any: a plain delete would only hide them."""
        for version in versions:
            exact = ObjectRef(ref.bucket, ref.key, version)
            await self._try(partial(self._store.delete, exact), errors)
        if not versions:
            await self._try(partial(self._store.delete, ref), errors)

    async def _try(self, make: Callable[[], Awaitable[None]], errors: list[SyncError]) -> None:
        try:
            await retried(make, self._clock)
        except NotFound:
            return
        except SyncError as error:
            errors.append(error)


def _may_be_there(error: SyncError) -> bool:
    """Whether a write that failed so may have taken effect, or may still."""
    if isinstance(error, StoreError) and not isinstance(error, OutcomeUnknown):
        return error.status >= _SERVER_FAULT
    return isinstance(error, OutcomeUnknown | IntegrityError)
