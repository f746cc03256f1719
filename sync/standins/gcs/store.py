"""What is stored: buckets, objects with generations, open uploads. No HTTP."""

from __future__ import annotations

import secrets
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from sync.standins.gcs.blobs import Blob, Stored
from sync.standins.gcs.refusals import Refusal

MIB: Final = 1024 * 1024
MIN_PART: Final = 5 * MIB
MAX_OBJECT: Final = 5 * MIB * MIB

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What an object is described by. ``content`` and ``metadata`` hold lower-case names."""

    content: Pairs = ()
    metadata: Pairs = ()
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object. ``md5`` is None for one made of parts. Times are POSIX."""

    key: str
    generation: int
    blob: Blob
    crc32c: int
    etag: str
    md5: bytes | None
    description: Description
    created: float
    metageneration: int = 1
    removed: float = 0.0

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self.blob.length

    @property
    def gzipped(self) -> bool:
        """True where the bytes are stored compressed and may be unpacked on the way out."""
        content = dict(self.description.content)
        return (
            content.get("content-encoding", "").strip().lower() == "gzip"
            and "no-transform" not in content.get("cache-control", "").lower()
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One uploaded part. ``etag`` is the MD5 in hex."""

    number: int
    stored: Stored
    modified: float

    @property
    def etag(self) -> str:
        """MD5 of the bytes, in hex."""
        return self.stored.md5.hex()

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stored.blob.length


@dataclass(slots=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted."""

    upload_id: str
    key: str
    description: Description
    initiated: float
    owner: str
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True)
class Bucket:
    """A bucket. ``names`` are the live objects' keys in the order of their UTF-8 bytes, which
    is the order of their code points.
    """

    name: str
    owner: str
    created: float
    versioned: bool = False
    live: dict[str, StoredObject] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    noncurrent: dict[str, list[StoredObject]] = field(default_factory=dict)
    uploads: dict[str, OpenUpload] = field(default_factory=dict)

    def put(self, item: StoredObject) -> None:
        """Make it the live generation of its key."""
        if item.key in self.live:
            self._retire(self.live[item.key], item.created)
        else:
            insort(self.names, item.key)
        self.live[item.key] = item

    def remove(self, key: str, now: float) -> None:
        """Take the live generation away; in a versioned bucket it stays as a noncurrent one."""
        self._retire(self.live.pop(key), now)
        self.names.pop(bisect_left(self.names, key))

    def _retire(self, item: StoredObject, now: float) -> None:
        if self.versioned:
            self.noncurrent.setdefault(item.key, []).append(replace(item, removed=now))

    def find(self, key: str, generation: int | None = None) -> StoredObject | None:
        """The live generation, or the one named."""
        live = self.live.get(key)
        if generation is None or (live and live.generation == generation):
            return live
        past = self.noncurrent.get(key, ())
        return next((item for item in past if item.generation == generation), None)

    def forget(self, key: str, generation: int, now: float) -> bool:
        """Delete one generation for good. True where there was one."""
        item = self.find(key, generation)
        if item is None:
            return False
        if item is self.live.get(key):
            self.remove(key, now)
        past = self.noncurrent.get(key, [])
        self.noncurrent[key] = [other for other in past if other.generation != generation]
        return True

    def generations(self) -> Iterator[tuple[StoredObject, bool]]:
        """All generations, newest first within a key, with True for the live ones."""
        for key in sorted({*self.live, *self.noncurrent}):
            if key in self.live:
                yield self.live[key], True
            for item in reversed(self.noncurrent.get(key, [])):
                yield item, False


class Store:
    """All buckets. ``clock`` gives POSIX seconds, ``pace`` a monotonic clock for rate limits."""

    def __init__(
        self,
        *,
        writes_per_second: float = 0.0,
        retry_after: int | None = None,
        clock: Callable[[], float] = time.time,
        pace: Callable[[], float] = time.monotonic,
    ) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.clock = clock
        self._pace = pace
        self._interval = 1.0 / writes_per_second if writes_per_second else 0.0
        self._retry_after = retry_after
        self._written: dict[tuple[str, str], float] = {}
        self._generation = 0

    def bucket(self, name: str) -> Bucket:
        """The bucket, or Refusal NoSuchBucket."""
        found = self.buckets.get(name)
        if found is None:
            raise Refusal("NoSuchBucket", extra=(("BucketName", name),))
        return found

    def create_bucket(self, name: str, owner: str = "", *, versioned: bool = False) -> Bucket:
        """A new bucket; Refusal where there is one of that name."""
        if name in self.buckets:
            raise Refusal("BucketAlreadyOwnedByYou", name)
        self.buckets[name] = Bucket(name, owner, self.clock(), versioned)
        return self.buckets[name]

    def upload(self, bucket: str, key: str, upload_id: str) -> OpenUpload:
        """The open upload of exactly that key, or Refusal NoSuchUpload."""
        found = self.bucket(bucket).uploads.get(upload_id)
        if found is None or found.key != key:
            raise Refusal("NoSuchUpload")
        return found

    def begin_upload(self, bucket: str, key: str, what: Description, owner: str) -> OpenUpload:
        """Open a multipart upload."""
        upload = OpenUpload(secrets.token_urlsafe(42), key, what, self.clock(), owner)
        self.bucket(bucket).uploads[upload.upload_id] = upload
        return upload

    def next_generation(self) -> int:
        """A number greater than all before: microseconds of the clock where they suffice."""
        self._generation = max(self._generation + 1, int(self.clock() * 1_000_000))
        return self._generation

    def check_pace(self, bucket: str, key: str) -> None:
        """Refusal SlowDown where the object was changed too short a while ago.

        Source: Cloud Storage documentation, "Quotas and limits": one write a second to the
        same object name.
        """
        since = self._pace() - self._written.get((bucket, key), float("-inf"))
        if since < self._interval:
            wait = self._retry_after
            headers = (("retry-after", str(wait)),) if wait is not None else ()
            raise Refusal("SlowDown", f"{bucket}/{key}", headers=headers)

    def admit_write(self, bucket: str, key: str) -> None:
        """`check_pace`, and from now on this write counts."""
        if self._interval:
            self.check_pace(bucket, key)
            self._written[bucket, key] = self._pace()
