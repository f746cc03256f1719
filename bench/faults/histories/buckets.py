"""The two buckets: one whose versions come and go, one whose every change is judged."""

from __future__ import annotations

from collections.abc import Callable

from sync.adapters.memory import MemoryStore, Stored
from sync.checksums import fingerprint
from sync.model import (
    REPLACED_IN_PLACE,
    Checksums,
    Identity,
    ObjectHeaders,
    ObjectMeta,
    ObjectRef,
    Upload,
)

_NULL = "null"

Held = tuple[bytes, tuple[tuple[str, str], ...]]
"""What is compared of an object: its bytes and its metadata."""


def held(stored: Stored | None) -> Held | None:
    """Of a stored version; None where there is none, or a delete marker."""
    if stored is None or stored.data is None:
        return None
    return stored.data, stored.meta.headers.metadata


class SourceBucket(MemoryStore):
    """A bucket that was never versioned, is versioned, or whose versioning is suspended."""

    mode = "never"
    changed: Callable[[str], None]

    def latest(self, ref: ObjectRef) -> Stored | None:
        """The current version or delete marker."""
        versions = self._versions(ref)
        return versions[-1] if versions else None

    def write(
        self, ref: ObjectRef, data: bytes, mark: str, *, parts: int = 0
    ) -> tuple[Identity, Stored]:
        """A put; ``mark`` is its metadata, ``parts`` above zero makes it a multipart object."""
        known = super().store(ref, data)
        stored = self._versions(ref).pop()
        version = self._next_version(known)
        etag, sums = known.etag, stored.meta.checksums
        if parts:
            etag, sums = f"{etag}-{parts}", Checksums(crc32c=sums.crc32c, full_object=False)
        headers = ObjectHeaders(metadata=(("mark", mark),), storage_class="STANDARD")
        told = fingerprint((), headers.metadata) if version in REPLACED_IN_PLACE else ""
        identity = Identity(etag, len(data), version, told)
        stored = Stored(data, ObjectMeta(identity, headers, sums, self._clock()))
        return identity, self._append(ref, stored)

    def _next_version(self, known: Identity) -> str | None:
        if self.mode == "never":
            return None
        return known.version_id if self.mode == "enabled" else _NULL

    def _append(self, ref: ObjectRef, stored: Stored) -> Stored:
        versions = self._versions(ref)
        if self.mode == "never":
            versions.clear()
        elif self.mode == "suspended":
            versions[:] = [v for v in versions if v.meta.identity.version_id != _NULL]
        versions.append(stored)
        self.changed(ref.key)
        return stored

    def take_away(self, ref: ObjectRef) -> str | None:
        """A delete; the delete marker's version id where it leaves one."""
        versions = self._versions(ref)
        if self.mode == "never":
            versions.clear()
            self.changed(ref.key)
            return None
        version = f"v{next(self._ids)}" if self.mode == "enabled" else _NULL
        self._append(ref, Stored(None, ObjectMeta(Identity("", 0, version))))
        return version

    def undo(self, ref: ObjectRef) -> str | None:
        """The current version is deleted for good, so that the one before is current again."""
        versions = self._versions(ref)
        if self.mode == "never" or len(versions) < 2:  # noqa: PLR2004  one and one before
            return None
        gone = versions.pop()
        self.changed(ref.key)
        return gone.meta.identity.version_id


class TargetBucket(MemoryStore):
    """Tells of every object that becomes visible or goes, and of every upload that begins."""

    changed: Callable[[str], None]
    begun: Callable[[Upload], None]

    def latest(self, ref: ObjectRef) -> Stored | None:
        """What is visible."""
        versions = self._versions(ref)
        return versions[-1] if versions else None

    def store(
        self, ref: ObjectRef, data: bytes, headers: ObjectHeaders | None = None, *, etag: str = ""
    ) -> Identity:
        """As the fake's."""
        identity = super().store(ref, data, headers, etag=etag)
        self.changed(ref.key)
        return identity

    def remove(self, ref: ObjectRef) -> None:
        """As the fake's."""
        super().remove(ref)
        self.changed(ref.key)

    async def create_upload(self, ref: ObjectRef, headers: ObjectHeaders) -> Upload:
        """As the fake's."""
        upload = await super().create_upload(ref, headers)
        self.begun(upload)
        return upload
