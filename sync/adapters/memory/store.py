"""An object store in memory."""

from __future__ import annotations

import hashlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sync.checksums import BytesStream, Digester, fingerprint
from sync.errors import (
    IntegrityError,
    NoSuchBucket,
    NoSuchUpload,
    NoSuchVersion,
    NotFound,
    PreconditionFailed,
    RequestRefused,
)
from sync.model import (
    Checksums,
    Dialect,
    Digest,
    Identity,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    Upload,
    UploadedPart,
    WriteReceipt,
)
from sync.ports import ByteStream

_MD5 = re.compile(r"[0-9a-f]{32}").fullmatch

MEMORY_DIALECT = Dialect(
    name="memory",
    digests=frozenset({Digest.CRC32C}),
    etag_is_md5=True,
    drops_unused_parts=True,
    storage_classes=frozenset({"STANDARD"}),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object; ``data`` None is a delete marker."""

    data: bytes | None
    meta: ObjectMeta


@dataclass(slots=True)
class _OpenUpload:
    upload: Upload
    headers: ObjectHeaders
    parts: dict[int, tuple[bytes, UploadedPart]] = field(default_factory=dict)


async def _nothing(_operation: str, _ref: ObjectRef) -> None:
    return


@dataclass(frozen=True, slots=True)
class _Read:
    meta: ObjectMeta
    body: ByteStream


def _sums(data: bytes) -> Checksums:
    digester = Digester((Digest.MD5, Digest.CRC64NVME))
    digester.update(data)
    return digester.checksums()


class MemoryStore:
    """Buckets of versions. Source and destination in one."""

    def __init__(
        self,
        *buckets: str,
        dialect: Dialect = MEMORY_DIALECT,
        versioned: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.buckets: dict[str, dict[str, list[Stored]]] = {name: {} for name in buckets}
        self.interfere: Callable[[str, ObjectRef], Awaitable[None]] = _nothing
        self.requests: list[tuple[str, ObjectRef]] = []
        self.open_uploads: dict[str, _OpenUpload] = {}
        self._dialect = dialect
        self._versioned = versioned
        self._clock = clock
        self._ids = itertools.count(1)

    @property
    def dialect(self) -> Dialect:
        """The facts about this store."""
        return self._dialect

    # --- for tests: at once, without interference --------------------------------------

    def store(
        self, ref: ObjectRef, data: bytes, headers: ObjectHeaders | None = None, *, etag: str = ""
    ) -> Identity:
        """Put an object in place."""
        sums = _sums(data)
        version = f"v{next(self._ids)}" if self._versioned else None
        headers = headers or ObjectHeaders()
        told = "" if version else fingerprint(headers.content, headers.metadata)
        identity = Identity(etag or (sums.md5 or b"").hex(), len(data), version, told)
        shown = Checksums(crc32c=sums.crc32c) if Digest.CRC32C in self._dialect.digests else sums
        meta = ObjectMeta(identity, headers, shown, self._clock())
        self._versions(ref).append(Stored(data, meta))
        return identity

    def remove(self, ref: ObjectRef) -> None:
        """Delete, leaving a marker where the store is versioned."""
        versions = self._versions(ref)
        if self._versioned and versions:
            identity = Identity("", 0, f"v{next(self._ids)}")
            versions.append(Stored(None, ObjectMeta(identity)))
        else:
            versions.clear()

    def content(self, ref: ObjectRef) -> bytes | None:
        """The current bytes, or None."""
        versions = self._versions(ref)
        return versions[-1].data if versions else None

    def keys(self, bucket: str) -> list[str]:
        """Keys that have a current object, in UTF-8 order."""
        held = self.buckets[bucket]
        live = [key for key, versions in held.items() if versions and versions[-1].data is not None]
        return sorted(live, key=str.encode)

    def _versions(self, ref: ObjectRef) -> list[Stored]:
        bucket = self.buckets.get(ref.bucket)
        if bucket is None:
            raise NoSuchBucket(f"no bucket {ref.bucket}", status=404, code="NoSuchBucket")
        versions = bucket.setdefault(ref.key, [])
        if not self._versioned:
            del versions[:-1]
        return versions

    def _find(self, ref: ObjectRef) -> Stored:
        versions = self._versions(ref)
        if ref.version_id is not None:
            for stored in versions:
                if stored.meta.identity.version_id == ref.version_id and stored.data is not None:
                    return stored
            raise NoSuchVersion(f"no version {ref.version_id} of {ref}", status=404)
        if not versions or versions[-1].data is None:
            raise NotFound(f"no object {ref}", status=404, code="NoSuchKey")
        return versions[-1]

    async def _before(self, operation: str, ref: ObjectRef) -> None:
        self.requests.append((operation, ref))
        await self.interfere(operation, ref)

    # --- SourceStore ------------------------------------------------------------------

    async def head(self, ref: ObjectRef) -> ObjectMeta:
        """Describe the current version, or ``ref.version_id``."""
        await self._before("head", ref)
        return self._find(ref).meta

    async def described(self, ref: ObjectRef) -> ObjectMeta:
        """As ``head``, with the MD5 also where only the ETag tells it."""
        meta = await self.head(ref)
        etag = meta.identity.etag
        if not self._dialect.etag_is_md5 or not _MD5(etag):
            return meta
        return meta._replace(checksums=meta.checksums._replace(md5=bytes.fromhex(etag)))

    async def current(self, ref: ObjectRef) -> Identity:
        """A HEAD, but only what makes the version itself."""
        await self._before("head", ref)
        return self._find(ref).meta.identity

    @asynccontextmanager
    async def open(
        self,
        ref: ObjectRef,
        *,
        if_match: str | None = None,
        byte_range: tuple[int, int] | None = None,
    ) -> AsyncIterator[_Read]:
        """Read an object or a range of it."""
        await self._before("get", ref)
        stored = self._find(ref)
        if if_match is not None and stored.meta.identity.etag != if_match:
            raise PreconditionFailed(f"{ref} has changed", status=412)
        data = stored.data or b""
        if byte_range is not None:
            if byte_range[0] >= len(data):
                raise RequestRefused(f"no such range in {ref}", status=416, code="InvalidRange")
            data = data[byte_range[0] : byte_range[1] + 1]
        yield _Read(stored.meta, BytesStream(data))

    async def tagging(self, ref: ObjectRef) -> str:
        """The tag set, URL-encoded."""
        await self._before("tagging", ref)
        return self._find(ref).meta.headers.tagging

    # --- DestinationStore -------------------------------------------------------------

    async def put(
        self,
        ref: ObjectRef,
        body: ByteStream,
        headers: ObjectHeaders,
        *,
        content_md5: bytes | None = None,
    ) -> WriteReceipt:
        """Write a whole object."""
        await self._before("put", ref)
        data = await _gather(body, content_md5)
        await self.interfere("put-sent", ref)
        identity = self.store(ref, data, headers)
        receipt = self._receipt(data, identity)
        await self.interfere("put-done", ref)
        return receipt

    def _receipt(self, data: bytes, identity: Identity) -> WriteReceipt:
        sums = _sums(data)
        shown = {d.value: getattr(sums, d.value) for d in self._dialect.digests}
        return WriteReceipt(identity.etag, Checksums(**shown), identity.version_id)

    async def delete(self, ref: ObjectRef) -> None:
        """Remove the object."""
        await self._before("delete", ref)
        self.remove(ref)
        await self.interfere("delete-done", ref)

    async def create_upload(self, ref: ObjectRef, headers: ObjectHeaders) -> Upload:
        """Begin a multipart upload."""
        await self._before("create", ref)
        self._versions(ref)
        upload = Upload(ref, f"u{next(self._ids)}", self._clock())
        self.open_uploads[upload.upload_id] = _OpenUpload(upload, headers)
        await self.interfere("create-done", ref)
        return upload

    def _open(self, upload: Upload) -> _OpenUpload:
        found = self.open_uploads.get(upload.upload_id)
        if found is None:
            raise NoSuchUpload(f"no upload {upload.upload_id}", status=404, code="NoSuchUpload")
        return found

    async def put_part(
        self, upload: Upload, number: int, body: ByteStream, *, content_md5: bytes | None = None
    ) -> WriteReceipt:
        """Write a part."""
        await self._before("part", upload.ref)
        found = self._open(upload)
        data = await _gather(body, content_md5)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        found.parts[number] = (data, UploadedPart(number, len(data), etag, self._clock()))
        await self.interfere("part-done", upload.ref)
        return self._receipt(data, Identity(etag, len(data)))

    async def complete(self, upload: Upload, parts: Sequence[UploadedPart]) -> WriteReceipt:
        """Make the object of these parts."""
        await self._before("complete", upload.ref)
        found = self._open(upload)
        if [p.number for p in parts] != sorted({p.number for p in parts}) or not parts:
            raise RequestRefused("parts out of order", status=400, code="InvalidPartOrder")
        chosen = [found.parts.get(part.number) for part in parts]
        if any(c is None or c[1].etag != p.etag for c, p in zip(chosen, parts, strict=True)):
            raise RequestRefused("a part is not there", status=400, code="InvalidPart")
        if not self._dialect.drops_unused_parts and len(parts) != len(found.parts):
            raise RequestRefused("parts left out", status=400, code="InvalidPart")
        data = b"".join(c[0] for c in chosen if c)
        md5s = b"".join(bytes.fromhex(p.etag) for p in parts)
        etag = f"{hashlib.md5(md5s, usedforsecurity=False).hexdigest()}-{len(parts)}"
        del self.open_uploads[upload.upload_id]
        identity = self.store(upload.ref, data, found.headers, etag=etag)
        await self.interfere("complete-done", upload.ref)
        return self._receipt(data, identity)

    async def abort(self, upload: Upload) -> None:
        """Drop the upload."""
        await self._before("abort", upload.ref)
        self.open_uploads.pop(upload.upload_id, None)

    async def uploads(self, ref: ObjectRef) -> list[Upload]:
        """Open uploads of this key, the latest first."""
        await self._before("uploads", ref)
        plain = ref._replace(version_id=None)
        found = [o.upload for o in self.open_uploads.values() if o.upload.ref == plain]
        return found[::-1]

    async def parts(self, upload: Upload) -> list[UploadedPart]:
        """Parts of an open upload."""
        await self._before("parts", upload.ref)
        found = self._open(upload)
        return [found.parts[number][1] for number in sorted(found.parts)]


async def _gather(body: ByteStream, content_md5: bytes | None) -> bytes:
    data = bytearray()
    async for chunk in body:
        data += chunk
    if content_md5 is not None and hashlib.md5(data, usedforsecurity=False).digest() != content_md5:
        raise IntegrityError("Content-MD5 does not fit")
    return bytes(data)
