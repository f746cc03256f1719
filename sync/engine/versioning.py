"""The three versionId switches as one policy, the same for small and large objects. Pure.

What is copied is always the source's current version. The switches say how reads are pinned
to it and whether a message's own version id may be tried before looking.

| Update | Get   | message's versionId | first read         | pin of further reads |
|--------|-------|---------------------|--------------------|----------------------|
| any    | False | any                 | the current object | If-Match: ETag       |
| True   | True  | any                 | the current object | versionId            |
| False  | True  | none                | the current object | versionId            |
| False  | True  | given               | that version       | versionId            |

(Update = UpdateVersionId, Get = GetObjectWithVersionId.)

A whole-object GET is one reply of one version, so it needs no pin; its head names the version
that came. Where a message's version proves not to be the current one, the look after the write
finds out and the current one is copied. JobsenderCompareVersionId concerns the jobsender only.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync.model import REPLACED_IN_PLACE, Identity, ObjectRef


def current(ref: ObjectRef) -> ObjectRef:
    """The object's current version, whatever version ``ref`` names."""
    return ref if ref.version_id is None else ObjectRef(ref.bucket, ref.key)


@dataclass(frozen=True, slots=True)
class Pin:
    """Makes sure that further reads see the same version: a version id or an ETag."""

    ref: ObjectRef
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Decides which version is asked for first and how reads are pinned."""

    read_by_version: bool = False
    update_version: bool = False

    def first_read(self, hint: ObjectRef) -> ObjectRef:
        """What to ask for before anything is known: the hinted version, or the current one."""
        if self.read_by_version and not self.update_version and hint.version_id:
            return hint
        return current(hint)

    def pin(self, ref: ObjectRef, identity: Identity) -> Pin:
        """Pin further reads of ``ref`` to ``identity``."""
        if self.read_by_version and identity.version_id not in REPLACED_IN_PLACE:
            return Pin(ObjectRef(ref.bucket, ref.key, identity.version_id))
        return Pin(current(ref), if_match=identity.etag)
