"""The classes of what a check tells, in the order they are told, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sync.engine.comparing.closer_look import Open
from sync.engine.comparing.compare import Difference

CHANGING: Final = "changing"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Kind:
    """``means`` is a sentence; ``differs``: the destination does not equal the source."""

    name: str
    means: str
    differs: bool = True


_KINDS: Final = (
    Kind(Difference.MISSING, "at the source, not at the destination"),
    Kind(Difference.SIZE, "another size at the destination"),
    Kind(Difference.CHECKSUM, "same size, another checksum"),
    Kind(Difference.CONTENT, "same size, other bytes when read"),
    Kind(Difference.ETAG, "same size, another MD5 in the ETag"),
    Kind(Difference.VERSION, "a copy of another version than the source has"),
    Kind(Difference.NEWER, "changed at the source after it was copied"),
    Kind(Difference.ARCHIVED, "not copied; archived at the source: restore it first"),
    Kind(Difference.EXTRANEOUS, "at the destination, not at the source"),
    Kind(FAILED, "could not be compared", differs=False),
    Kind(
        Open.UNVERIFIED,
        "same size; not verifiable by checksum: use --read",
        differs=False,
    ),
    Kind(
        Open.NOT_RESTORED,
        "same size; archived at the source: restore it to have it read",
        differs=False,
    ),
    Kind(CHANGING, "changed again and again during the check", differs=False),
)
KINDS: Final[Mapping[str, Kind]] = {str(kind.name): kind for kind in _KINDS}
EQUAL_BY: Final[Mapping[str, str]] = {
    "size": "same size in the listings, not looked at closer",
    "read": "read whole",
    "crc32c": "CRC32C stored on both sides",
    "crc64nvme": "CRC64NVME stored on both sides",
    "md5": "MD5 on both sides",
    "etag": "equal ETags made of MD5s",
    "ledger": "CRC32C of the copy in the ledger",
    "provenance": "copied from this very version, verified when it was written",
}
