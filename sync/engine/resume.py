"""Which open upload may be gone on with: only one that belongs to the same source version.

The proof is the ledger's record of the upload, or, without a ledger, the *identity mark*: a
small part under the highest part number whose content names the source version and the part
size. ListParts shows its MD5, Complete leaves it out, and the store drops it. A store that
refuses unused parts (``Dialect.drops_unused_parts`` is False) has no mark.

An upload that provably belongs to another version is aborted. One that proves nothing is
aborted only when nobody can be working on it any more (older than ``JobTimeout``), or when
``CleanUnfinishedUpload`` is on: a second worker may be filling it at this moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sync.engine.integrity import md5_of
from sync.engine.planner import fits
from sync.errors import NoSuchUpload
from sync.model import Dialect, Identity, Upload, UploadedPart
from sync.ports import DestinationStore, UploadRecord


class Standing(StrEnum):
    """How an open upload stands to the source version at hand."""

    OURS = "ours"
    OTHER_VERSION = "other-version"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Resumable:
    """An upload to go on with. ``parts`` fit the part size; ``crc32c`` by part number."""

    upload: Upload
    part_size: int
    parts: tuple[UploadedPart, ...]
    crc32c: dict[int, int]


def mark(identity: Identity, part_size: int) -> bytes:
    """The identity mark's content."""
    lines = ("3gsync", identity.etag, identity.version_id or "", str(identity.size), str(part_size))
    told = (identity.described,) if identity.described else ()
    return "\n".join((*lines, *told)).encode()


def standing(
    identity: Identity,
    *,
    upload: Upload,
    parts: Sequence[UploadedPart],
    record: UploadRecord | None,
    default_part_size: int,
    dialect: Dialect,
) -> tuple[Standing, int]:
    """Judge an upload; returns its part size with it. Pure.

    | ledger knows this upload | mark present | mark fits | standing      |
    |--------------------------|--------------|-----------|---------------|
    | yes, same version        | -            | -         | OURS          |
    | yes, other version       | -            | -         | OTHER_VERSION |
    | no                       | yes          | yes       | OURS          |
    | no                       | yes          | no        | OTHER_VERSION |
    | no                       | yes, no MD5  | -         | UNPROVEN      |
    | no                       | no           | -         | UNPROVEN      |

    (no MD5: the store's ETags of parts are of another kind, as under SSE-KMS.)
    """
    if record is not None and record.upload_id == upload.upload_id:
        same = record.identity == identity and fits(identity.size, record.part_size, dialect)
        return (Standing.OURS if same else Standing.OTHER_VERSION), record.part_size
    marked = next((part for part in parts if part.number == dialect.max_parts), None)
    if marked is None or md5_of(marked.etag) is None:
        return Standing.UNPROVEN, default_part_size
    for size in _part_sizes(parts, dialect, default_part_size):
        digest = hashlib.md5(mark(identity, size), usedforsecurity=False).hexdigest()
        if marked.etag == digest and fits(identity.size, size, dialect):
            return Standing.OURS, size
    return Standing.OTHER_VERSION, default_part_size


def _part_sizes(parts: Sequence[UploadedPart], dialect: Dialect, default: int) -> set[int]:
    found = {part.size for part in parts if part.number != dialect.max_parts}
    return found | {default}


def keep(
    parts: Sequence[UploadedPart], identity: Identity, part_size: int
) -> tuple[UploadedPart, ...]:
    """The listed parts whose number and size are what the plan wants there."""
    count = -(-identity.size // part_size)

    def wanted(number: int) -> int:
        return min(part_size, identity.size - (number - 1) * part_size)

    return tuple(p for p in parts if p.number <= count and p.size == wanted(p.number) and p.etag)


async def parts_or_none(store: DestinationStore, upload: Upload) -> list[UploadedPart] | None:
    """The parts of an open upload; None where it has been completed or aborted meanwhile."""
    try:
        return await store.parts(upload)
    except NoSuchUpload:
        return None
