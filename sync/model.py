"""The values that travel between the parts. Frozen, without behaviour that does I/O.

Those that are made for every job are named tuples: a frozen dataclass costs four times as much.
Units are bytes and seconds throughout; times are POSIX timestamps (UTC). Keys are text
and are never normalised: ``a//b``, ``/a`` and ``a/../b`` are three different keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MIB = 1024 * 1024
GIB = 1024 * MIB
TIB = 1024 * GIB


# Classes whose objects must be restored before a GET succeeds (S3: InvalidObjectState).
ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Digest(StrEnum):
    """A checksum algorithm that can be computed while bytes stream past."""

    CRC32C = "crc32c"
    CRC64NVME = "crc64nvme"
    MD5 = "md5"


class Checksums(NamedTuple):
    """Checksums of one run of bytes. None means not known.

    ``full_object`` is False where a store reports a checksum of checksums (S3's COMPOSITE).
    """

    crc32c: int | None = None
    crc64nvme: int | None = None
    md5: bytes | None = None
    full_object: bool = True


# Version ids that are none of an object's own. The null version is replaced in place where
# versioning is suspended, so that it names nothing for certain. Source: Amazon S3 User Guide,
# "Working with objects in a versioning-suspended bucket".
REPLACED_IN_PLACE = frozenset({None, "", "null"})


class ObjectRef(NamedTuple):
    """Where an object is: bucket, key and, where one is meant, a version id."""

    bucket: str
    key: str
    version_id: str | None = None

    def __str__(self) -> str:
        """``bucket/key``, the form used in logs and ignore lists."""
        return f"{self.bucket}/{self.key}"


class Identity(NamedTuple):
    """What makes one version of a source object itself. Two equal identities hold equal bytes,
    headers and metadata.

    ``etag`` is without quotes; ``version_id`` is None in a bucket that was never versioned.
    ``described`` is a fingerprint of headers and metadata (``checksums.fingerprint``) where no
    version id tells that only these have changed: the ETag does not. Else it is "".
    """

    etag: str
    size: int
    version_id: str | None = None
    described: str = ""


class ListedObject(NamedTuple):
    """One object as a listing or an inventory shows it.

    ``etag`` is without quotes, "" where it is not known; ``last_modified`` a POSIX timestamp
    or 0.0; ``version_id`` and ``checksums`` are None where the listing does not say.
    """

    key: str
    size: int
    etag: str = ""
    last_modified: float = 0.0
    storage_class: str = "STANDARD"
    version_id: str | None = None
    checksums: Checksums | None = None


class BucketPair(NamedTuple):
    """What is compared with what. The destination's key is the source's whole key (its own
    prefix included) behind ``destination_prefix``, see ``messages.destination_key``.
    """

    source_bucket: str
    source_prefix: str
    destination_bucket: str
    destination_prefix: str

    def __str__(self) -> str:
        """``source/prefix -> destination/prefix``."""
        source = f"{self.source_bucket}/{self.source_prefix}"
        return f"{source} -> {self.destination_bucket}/{self.destination_prefix}"


class ObjectHeaders(NamedTuple):
    """What is kept of an object beside its bytes, ready to be written.

    ``content`` and ``metadata`` are (name, value) pairs in lower case names; values are the
    header bytes read as latin-1, so that they pass unchanged whatever they hold.
    ``content`` holds Content-Type, -Encoding, -Language, -Disposition, Cache-Control, Expires.
    ``tagging`` is the URL-encoded tag set, or "".
    """

    content: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    storage_class: str = ""
    tagging: str = ""


class ObjectMeta(NamedTuple):
    """One version of an object as a store describes it in a HEAD or GET reply.

    ``size`` is the whole object's, also when only a range of it was asked for.
    ``last_modified`` is a POSIX timestamp, or 0.0 where the reply did not say.
    """

    identity: Identity
    headers: ObjectHeaders = ObjectHeaders()
    checksums: Checksums = Checksums()
    last_modified: float = 0.0

    @property
    def size(self) -> int:
        """Whole object's size in bytes."""
        return self.identity.size


class JobKind(StrEnum):
    """What an event asks for."""

    COPY = "copy"
    DELETE = "delete"


class TransferJob(NamedTuple):
    """One object to bring to the destination. What the message says is a hint, not truth.

    ``source.version_id``, ``size`` and ``etag`` come from the message and may be stale or
    missing (None). ``event_time`` is when the source changed, or None.
    """

    kind: JobKind
    source: ObjectRef
    destination: ObjectRef
    size: int | None = None
    etag: str | None = None
    event_time: float | None = None
    sequencer: str = ""
    event_name: str = ""


@dataclass(frozen=True, slots=True)
class PartSpec:
    """Part ``number`` (from 1) covers ``length`` bytes from ``offset``."""

    number: int
    offset: int
    length: int

    @property
    def last(self) -> int:
        """Offset of the last byte, as an HTTP Range wants it."""
        return self.offset + self.length - 1


class TransferPlan(NamedTuple):
    """How an object is cut. ``part_size`` 0 means one GET and one PUT."""

    size: int
    part_size: int

    @property
    def multipart(self) -> bool:
        """True where the object is written as a multipart upload."""
        return self.part_size > 0

    @property
    def part_count(self) -> int:
        """Number of parts; 1 for a single PUT."""
        return -(-self.size // self.part_size) if self.part_size else 1

    def part(self, number: int) -> PartSpec:
        """The part with that number, from 1."""
        offset = (number - 1) * self.part_size
        return PartSpec(number, offset, min(self.part_size, self.size - offset))

    def parts(self) -> Iterator[PartSpec]:
        """All parts in order, made as they are asked for."""
        return (self.part(number) for number in range(1, self.part_count + 1))


class Outcome(StrEnum):
    """How a job ended."""

    COPIED = "copied"
    DELETED = "deleted"
    GONE = "gone"
    IGNORED = "ignored"
    SKIPPED = "skipped"
    FAILED = "failed"
    DEAD_LETTERED = "dead-lettered"


class TransferResult(NamedTuple):
    """A finished job. ``seconds`` is the time spent; ``parts_reused`` were kept from an
    earlier attempt; ``finished_at`` is a POSIX timestamp; ``reason`` says why it was not
    simply copied. ``crc32c`` is the whole object's where it is known.
    """

    outcome: Outcome
    job: TransferJob
    identity: Identity | None = None
    bytes_moved: int = 0
    seconds: float = 0.0
    parts_sent: int = 0
    parts_reused: int = 0
    rounds: int = 1
    crc32c: int | None = None
    started_at: float = 0.0
    finished_at: float = 0.0
    reason: str = ""
    error: str = ""


class WriteReceipt(NamedTuple):
    """What the destination said of bytes it accepted. ``etag`` is without quotes."""

    etag: str = ""
    checksums: Checksums = Checksums()
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An open multipart upload. ``initiated`` is a POSIX timestamp."""

    ref: ObjectRef
    upload_id: str
    initiated: float = 0.0


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part as ListParts shows it. ``etag`` is without quotes."""

    number: int
    size: int
    etag: str
    last_modified: float = 0.0


def _any_key(_key: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Dialect:
    """The facts about one kind of destination. Code asks these, never the store's name.

    ``digests`` are computed while streaming because the store's replies carry them.
    ``etag_is_md5``: the ETag of a single PUT and of a part is the MD5 of its bytes.
    ``drops_unused_parts``: parts that Complete leaves out vanish without an error.
    ``key_fault`` says why a key cannot be held, or None. ``write_interval`` is the least
    number of seconds between two writes of one object. ``max_copy`` bytes are copied by the
    store itself in one request, larger objects in parts where it ``copies_parts``.
    ``keeps_expires``: an Expires header is stored.
    """

    name: str
    digests: frozenset[Digest]
    etag_is_md5: bool
    drops_unused_parts: bool
    storage_classes: frozenset[str]
    min_part: int = 5 * MIB
    max_part: int = 5 * GIB
    max_parts: int = 10_000
    max_object: int = 5 * TIB
    max_single_put: int = 5 * GIB
    write_interval: float = 0.0
    has_tags: bool = True
    max_copy: int = 5 * GIB
    copies_parts: bool = True
    keeps_expires: bool = True
    key_fault: Callable[[str], str | None] = _any_key
