"""The ledger's rows: DynamoDB attributes to values and back. Pure. See docs/ledger.md.

Attribute names and types of the original table are kept as they were; what 3GSync adds are
``uploadId``, ``partSize``, ``etag``, ``versioned``, ``partCRC32C``, ``crc32c``, ``outcome``,
``reason`` and ``expireAt``. Rows of earlier systems are read without complaint.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from sync.checksums import decode_crc, encode_crc32c
from sync.errors import shortened
from sync.model import Identity, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import UploadRecord

Attribute = Mapping[str, Any]
Item = dict[str, Attribute]

NULL_VERSION: Final = "null"
_PACKED_FORMAT: Final = 1
_CRC_BYTES: Final = 4
_MOST_PARTS: Final = 10_000
_REASON_LENGTH: Final = 300
_MOST_DIGITS: Final = 131
_STATUS: Final[Mapping[Outcome, str]] = {
    Outcome.COPIED: "DONE",
    Outcome.SKIPPED: "DONE",
    Outcome.DELETED: "DONE",
    Outcome.GONE: "QUIT",
    Outcome.DEAD_LETTERED: "QUIT",
}
UNFINISHED: Final = ("uploadId", "partSize", "partCRC32C", "described")
_IDENTITY: Final = ("Size", "etag", "versionId", "versioned")
UPLOAD_ATTRIBUTES: Final = (*UNFINISHED, *_IDENTITY)
VERSION_ATTRIBUTES: Final = (*_IDENTITY, "crc32c")
OF_THE_LAST_END: Final = ("crc32c", "outcome", "reason", "expireAt")


def row_key(ref: ObjectRef) -> str:
    """The partition key: ``bucket/key`` of the source, byte for byte."""
    return f"{ref.bucket}/{ref.key}"


def text(value: str) -> Attribute:
    """A string."""
    return {"S": value}


def number(value: float) -> Attribute:
    """A number, with at most three decimals."""
    return {"N": decimal(value)}


def decimal(value: float) -> str:
    """A number as DynamoDB reads it, with at most three decimals."""
    return str(value if isinstance(value, int) else round(value, 3))


def text_set(*values: str) -> Attribute:
    """A string set."""
    return {"SS": list(values)}


def clock_text(at: float) -> str:
    """A time as the original wrote it, in UTC: ``Sat Nov 21 13:34:26 2026``."""
    return _clock_text(math.floor(at))


@lru_cache(maxsize=256)  # many rows end in the same second
def _clock_text(second: int) -> str:
    return time.asctime(time.gmtime(second))


def job_status(result: TransferResult) -> str:
    """The original's word for how a job ended: DONE, QUIT, TIMEOUT or ERR."""
    if result.outcome is Outcome.FAILED and "JobTimedOut" in result.error:
        return "TIMEOUT"
    return _STATUS.get(result.outcome, "ERR")


def pack_parts(crcs: Mapping[int, int]) -> bytes:
    """Part number -> CRC32C in at most 4 bytes and a bit each (41 KB for 10,000 parts).

    One byte of format, two of the highest number, a bit for each number from 1 (set where
    its CRC follows), then the CRCs in order; all big-endian.
    """
    highest = max(crcs, default=0)
    present = bytearray((highest + 7) // 8)
    for part in crcs:
        present[(part - 1) // 8] |= 0x80 >> (part - 1) % 8
    values = b"".join(crcs[part].to_bytes(_CRC_BYTES, "big") for part in sorted(crcs))
    return bytes([_PACKED_FORMAT]) + highest.to_bytes(2, "big") + bytes(present) + values


def unpack_parts(packed: bytes) -> dict[int, int]:
    """What ``pack_parts`` packed; ValueError where it did not pack this."""
    highest = int.from_bytes(packed[1:3], "big")
    start = 3 + (highest + 7) // 8
    if packed[:1] != bytes([_PACKED_FORMAT]) or len(packed) < start or highest > _MOST_PARTS:
        raise ValueError("not a packed list of part checksums")
    present, values = packed[3:start], packed[start:]
    parts = [n for n in range(1, highest + 1) if present[(n - 1) // 8] & 0x80 >> (n - 1) % 8]
    if len(values) != _CRC_BYTES * len(parts):
        raise ValueError("a packed list of part checksums was cut short")
    words = (values[at : at + _CRC_BYTES] for at in range(0, len(values), _CRC_BYTES))
    return {part: int.from_bytes(word, "big") for part, word in zip(parts, words, strict=True)}


def destination_values(job: TransferJob) -> Item:
    """Where the object goes; the index ``desBucket-index`` is over these."""
    return {"desBucket": text(job.destination.bucket), "desKey": text(job.destination.key)}


def upload_values(record: UploadRecord) -> Item:
    """What resuming needs, and how far it is (``lastTimeProgress``, percent)."""
    return {
        "uploadId": text(record.upload_id),
        "partSize": number(record.part_size),
        "partCRC32C": {"B": base64.b64encode(pack_parts(record.part_crc32c)).decode("ascii")},
        "lastTimeProgress": number(progress(record)),
        "described": text(record.identity.described),
        **identity_values(record.identity),
    }


def identity_values(identity: Identity) -> Item:
    """Which version it is. ``versioned`` tells S3's own version "null" from no version."""
    return {
        "Size": number(identity.size),
        "etag": text(identity.etag),
        "versionId": text(identity.version_id or NULL_VERSION),
        "versioned": {"BOOL": identity.version_id is not None},
    }


def progress(record: UploadRecord) -> int:
    """Percent of the parts that are verified; never 100, which means done."""
    count = max(1, -(-record.identity.size // max(1, record.part_size)))
    return min(99, 100 * len(record.part_crc32c) // count)


def end_values(result: TransferResult) -> Item:
    """How and when a job ended."""
    values = {
        "totalSpentTime": number(result.seconds),
        "endTime": number(int(result.finished_at)),
        "endTime_f": text(clock_text(result.finished_at)),
        "outcome": text(result.outcome.value),
    }
    if why := reason_of(result):
        values["reason"] = text(why)
    return values


def reason_of(result: TransferResult) -> str:
    """Why a job ended as it did, short enough for a row; "" where nothing is to be said."""
    why = shortened(result.reason or result.error, _REASON_LENGTH)
    return why if why.isascii() else why.encode("utf-8", "replace").decode("utf-8")


def version_values(result: TransferResult) -> Item:
    """The version that is now at the destination; nothing after a delete."""
    if result.identity is None or result.outcome is Outcome.DELETED:
        return {}
    values = identity_values(result.identity)
    if result.crc32c is not None:
        values["crc32c"] = text(encode_crc32c(result.crc32c))
    return values


def read_upload(item: Mapping[str, Attribute]) -> UploadRecord | None:
    """The unfinished upload in a row; None where there is none, or not all of it."""
    upload_id, part_size = _text(item, "uploadId"), _number(item, "partSize")
    identity = read_identity(item)
    if not upload_id or identity is None or not part_size or part_size < 1:
        return None
    identity = identity._replace(described=_text(item, "described"))
    return UploadRecord(upload_id, identity, int(part_size), _part_crcs(item))


def read_identity(item: Mapping[str, Attribute]) -> Identity | None:
    """Which version a row tells of; None in a row without what 3GSync adds."""
    etag, size = _text(item, "etag"), _number(item, "Size")
    if not etag or size is None:
        return None
    version = _text(item, "versionId") or NULL_VERSION
    versioned = _attribute(item, "versioned").get("BOOL") is True or version != NULL_VERSION
    return Identity(etag=etag, size=int(size), version_id=version if versioned else None)


def read_crc32c(item: Mapping[str, Attribute]) -> int | None:
    """The CRC32C of the whole object, where the row has a readable one."""
    try:
        value = decode_crc(_text(item, "crc32c"))
    except ValueError:
        return None
    return value if value < 1 << 8 * _CRC_BYTES else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """A row as people ask for it; also rows of earlier systems, whose names are read too.

    Times are POSIX timestamps (0.0 unknown), ``progress`` percent, ``size`` bytes.
    ``version_id`` is the one last begun: it is at the destination only where ``unfinished``
    is False and ``statuses`` hold DONE.
    """

    key: str
    destination: ObjectRef
    size: int
    version_id: str
    statuses: frozenset[str]
    instances: frozenset[str]
    tries: int
    progress: int
    first_time: float
    end_time: float
    seconds: float
    outcome: str
    reason: str
    unfinished: bool

    @property
    def copied(self) -> bool:
        """True where ``version_id`` is at the destination, as far as the table knows.

        Rows of earlier systems have no ``outcome``; their DONE means a copy.
        """
        gone = self.outcome not in {"", Outcome.COPIED, Outcome.SKIPPED}
        return "DONE" in self.statuses and not self.unfinished and not gone


def read_row(item: Mapping[str, Attribute]) -> LedgerRow:
    """A whole row. Missing and odd attributes become empty values, never errors."""

    def count(name: str) -> float:
        return float(_number(item, name) or 0)

    return LedgerRow(
        key=_text(item, "Key"),
        destination=ObjectRef(_text(item, "desBucket"), _text(item, "desKey")),
        size=int(count("Size")),
        version_id=_text(item, "versionId") or NULL_VERSION,
        statuses=_texts(item, "jobStatus"),
        instances=_texts(item, "instanceID"),
        tries=int(count("tryTimes")),
        progress=int(count("lastTimeProgress")),
        # Version 0.96 of the cluster wrote thisRoundStart where firstTime is now.
        first_time=count("firstTime") or count("thisRoundStart"),
        end_time=count("endTime"),
        seconds=count("totalSpentTime"),
        outcome=_text(item, "outcome"),
        reason=_text(item, "reason"),
        unfinished=bool(_text(item, "uploadId")),
    )


def _attribute(item: Mapping[str, Attribute], name: str) -> Attribute:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: Mapping[str, Attribute], name: str) -> str:
    value = _attribute(item, name).get("S", "")
    return value if isinstance(value, str) else ""


def _texts(item: Mapping[str, Attribute], name: str) -> frozenset[str]:
    single = _text(item, name)
    several = _attribute(item, name).get("SS")
    texts = filter(lambda one: isinstance(one, str), several if isinstance(several, list) else ())
    return frozenset(texts) | ({single} if single else frozenset())


def _number(item: Mapping[str, Attribute], name: str) -> Decimal | None:
    attribute = _attribute(item, name)
    said = attribute.get("N", attribute.get("S", ""))
    try:
        value = Decimal(said if isinstance(said, str) else "")
    except ArithmeticError:
        return None
    # Larger ones DynamoDB cannot hold; as text they may stand there all the same.
    return value if value.is_finite() and abs(value.adjusted()) < _MOST_DIGITS else None


def _part_crcs(item: Mapping[str, Attribute]) -> dict[int, int]:
    # Without readable checksums the upload is still known, but no part of it is proven.
    try:
        packed = base64.b64decode(_attribute(item, "partCRC32C").get("B", ""), validate=True)
        return unpack_parts(packed)
    except (ValueError, TypeError):
        return {}
