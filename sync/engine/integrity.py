"""Is what the destination holds what was read? Comparisons only; no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sync.checksums import combine_crc32c, combine_crc64nvme, compare
from sync.errors import IntegrityError
from sync.model import Checksums, Digest, ObjectMeta, UploadedPart, WriteReceipt


@dataclass(frozen=True, slots=True)
class PartSum:
    """A part that lies at the destination, with what is known of its bytes."""

    number: int
    length: int
    etag: str
    checksums: Checksums

    @property
    def uploaded(self) -> UploadedPart:
        """As Complete wants it."""
        return UploadedPart(self.number, self.length, self.etag)


class Expected(NamedTuple):
    """What a written object must show. ``composite_etag`` is ``md5(part md5s)-count``, or ""."""

    size: int
    checksums: Checksums
    composite_etag: str = ""
    etag: str = ""


def confirm(sent: Checksums, receipt: WriteReceipt, what: object) -> bool:
    """True where the reply proves the bytes, False where it proves nothing.

    IntegrityError where it contradicts them, naming ``what``.
    """
    shared, algorithm = compare(sent, receipt.checksums)
    if algorithm:
        raise IntegrityError(f"{what}: the destination stored other bytes ({algorithm} differs)")
    return shared


def combined(parts: Sequence[PartSum]) -> Checksums:
    """Checksums of the whole from those of its parts; None where a part's is not known."""
    return Checksums(
        crc32c=_fold(combine_crc32c, [(p.checksums.crc32c, p.length) for p in parts]),
        crc64nvme=_fold(combine_crc64nvme, [(p.checksums.crc64nvme, p.length) for p in parts]),
    )


def _fold(combine: object, pairs: list[tuple[int | None, int]]) -> int | None:
    known = [(value, length) for value, length in pairs if value is not None]
    if len(known) != len(pairs) or not callable(combine):
        return None
    return int(combine(known))


def composite_etag(parts: Iterable[PartSum]) -> str:
    """S3's ETag of a multipart object, ``md5(md5 of each part)-count``; "" where unknown."""
    digests = [md5_of(part.etag) for part in parts]
    if not digests or any(digest is None for digest in digests):
        return ""
    whole = hashlib.md5(b"".join(d for d in digests if d), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(digests)}"


def md5_of(etag: str) -> bytes | None:
    """The MD5 an ETag spells, or None where it is of another kind."""
    if len(etag) != 32:  # noqa: PLR2004  an MD5 in hexadecimal
        return None
    try:
        return bytes.fromhex(etag)
    except ValueError:
        return None


def matches(found: ObjectMeta, expected: Expected) -> bool | None:
    """Does the destination's object equal what was written? None: no evidence either way."""
    shared, algorithm = compare(found.checksums, expected.checksums)
    if found.size != expected.size or algorithm:
        return False
    return True if shared else _same_etag(found.identity.etag, expected)


def _same_etag(etag: str, expected: Expected) -> bool | None:
    if expected.composite_etag and "-" in etag:
        return etag == expected.composite_etag
    if expected.etag and etag == expected.etag:
        return True
    return None


def digests_for(source: Checksums, wanted: frozenset[Digest]) -> frozenset[Digest]:
    """What to compute on the way: what the destination will tell, and what the source told."""
    if source.full_object and source.crc64nvme is not None:
        return wanted | {Digest.CRC64NVME}
    return wanted


def whole_object(checksums: Checksums) -> Checksums | None:
    """A source's checksums where some are known that are of the object's bytes, else None."""
    if not checksums.full_object:
        return None
    if checksums.crc32c is None and checksums.crc64nvme is None:
        return None
    if checksums.md5 is None:
        return checksums
    return Checksums(crc32c=checksums.crc32c, crc64nvme=checksums.crc64nvme)
