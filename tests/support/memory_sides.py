"""Two memory stores as the modes beside relaying need them."""

from __future__ import annotations

import hashlib

from sync.adapters.memory import MemoryStore
from sync.engine.transfer import Sides
from sync.errors import PreconditionFailed
from sync.model import (
    Checksums,
    Identity,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    Upload,
    UploadedPart,
    WriteReceipt,
)


class Described(MemoryStore):
    """Tells the MD5 of its ETags; ``mute`` makes it tell no checksum at all."""

    mute = False

    async def described(self, ref: ObjectRef) -> ObjectMeta:
        meta = await self.head(ref)
        if self.mute:
            return meta._replace(checksums=Checksums())
        etag = meta.identity.etag
        md5 = bytes.fromhex(etag) if len(etag) == 32 else None
        return meta._replace(checksums=meta.checksums._replace(md5=md5))

    async def head(self, ref: ObjectRef) -> ObjectMeta:
        meta = await super().head(ref)
        return meta._replace(checksums=Checksums()) if self.mute else meta


class MemoryCopies:
    """The destination's own work. Operations go through its ``interfere``."""

    def __init__(self, source: MemoryStore, target: MemoryStore) -> None:
        self._source, self._target = source, target
        self.asked: list[tuple[ObjectRef, str, tuple[int, int] | None]] = []

    async def copy(
        self, source: ObjectRef, ref: ObjectRef, headers: ObjectHeaders, *, if_match: str
    ) -> WriteReceipt:
        await self._target._before("copy", ref)
        data = self._read(source, if_match, None)
        identity = self._target.store(ref, data, headers)
        await self._target.interfere("copy-done", ref)
        return WriteReceipt(identity.etag)

    async def copy_part(
        self,
        source: ObjectRef,
        upload: Upload,
        number: int,
        *,
        if_match: str,
        byte_range: tuple[int, int],
    ) -> WriteReceipt:
        await self._target._before("copy-part", upload.ref)
        data = self._read(source, if_match, byte_range)
        found = self._target._open(upload)
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        found.parts[number] = (data, UploadedPart(number, len(data), etag))
        await self._target.interfere("part-done", upload.ref)
        return WriteReceipt(etag)

    async def put_tagging(self, ref: ObjectRef, tagging: str) -> None:
        await self._target._before("tag", ref)
        stored = self._target._find(ref)
        headers = stored.meta.headers._replace(tagging=tagging)
        object.__setattr__(stored, "meta", stored.meta._replace(headers=headers))

    def _read(self, ref: ObjectRef, if_match: str, cut: tuple[int, int] | None) -> bytes:
        self.asked.append((ref, if_match, cut))
        stored = self._source._find(ref)
        if stored.meta.identity.etag != if_match:
            raise PreconditionFailed(f"{ref} has changed", status=412)
        data = stored.data or b""
        return data[cut[0] : cut[1] + 1] if cut else data


def sides(source: Described, target: Described) -> tuple[Sides, MemoryCopies]:
    copies = MemoryCopies(source, target)
    return Sides(source, target, copies), copies


def with_etag(store: MemoryStore, ref: ObjectRef, etag: str) -> Identity:
    """Give the current object another ETag, as encryption with KMS does."""
    stored = store._find(ref)
    identity = stored.meta.identity._replace(etag=etag)
    object.__setattr__(stored, "meta", stored.meta._replace(identity=identity))
    return identity
