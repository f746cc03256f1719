"""What stored checksums and recorded facts say of two objects of equal size. Pure."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple

from sync.checksums import compare, encode_crc32c
from sync.model import Checksums, Identity, ObjectMeta, ObjectRef

_SOURCE_ETAG: Final = "3gsync-source-etag"
# An MD5, or the MD5 of the parts' MD5s and their number.
_OF_CONTENT: Final = re.compile(r"[0-9a-f]{32}(?:-[0-9]{1,5})?").fullmatch


class Proof(StrEnum):
    """What two objects were found equal by."""

    CRC32C = "crc32c"
    CRC64NVME = "crc64nvme"
    MD5 = "md5"
    ETAG = "etag"
    LEDGER = "ledger"
    PROVENANCE = "provenance"
    READ = "read"


class Evidence(NamedTuple):
    """``same`` None: the two have nothing in common that could be compared. ``copy``: what
    differs is which version was copied, not a checksum.
    """

    same: bool | None
    proof: Proof | None = None
    detail: str = ""
    copy: bool = False


class Copied(NamedTuple):
    """What the ledger knows of an object's last copy."""

    identity: Identity
    destination: ObjectRef
    crc32c: int | None = None


NOTHING: Final = Evidence(None)


def stored(source: ObjectMeta, destination: ObjectMeta) -> Evidence:
    """What both stores say of the bytes.

    ==========================  =====  ================================================
    known of both               equal  different
    ==========================  =====  ================================================
    CRC32C, CRC64NVME or MD5    same   other bytes
    ETags made of MD5s          same   says nothing: other parts, or encrypted with KMS
    ==========================  =====  ================================================

    The first that says something holds. A ``md5`` in the checksums is taken for one.
    """
    ours, theirs = of_bytes(source.checksums), of_bytes(destination.checksums)
    proof = _shared(ours, theirs)
    if proof is not None:
        differing = compare(ours, theirs)[1]
        if differing:
            return Evidence(False, Proof(differing), _unequal(Proof(differing), ours, theirs))
        return Evidence(True, proof)
    etag = source.identity.etag
    if etag == destination.identity.etag and _OF_CONTENT(etag):
        return Evidence(True, Proof.ETAG)
    return NOTHING


def recorded(
    source: ObjectMeta, destination: ObjectMeta, target: ObjectRef, copied: Copied | None
) -> Evidence:
    """What the ledger's CRC32C of the copy says, where it is of this version and of this copy."""
    theirs = of_bytes(destination.checksums).crc32c
    if copied is None or copied.crc32c is None or theirs is None:
        return NOTHING
    ours = source.identity
    if copied.destination != target or (copied.identity.etag, copied.identity.size) != (
        ours.etag,
        ours.size,
    ):
        return NOTHING
    if copied.crc32c == theirs:
        return Evidence(True, Proof.LEDGER)
    detail = (
        f"the ledger has CRC32C {encode_crc32c(copied.crc32c)} of the copy, "
        f"the destination {encode_crc32c(theirs)}"
    )
    return Evidence(False, Proof.LEDGER, detail)


def provenance(source: ObjectMeta, destination: ObjectMeta) -> Evidence:
    """What the copy says of itself: which version of the source it was made from. 3GSync wrote
    that with the bytes, whose checksum it had compared.
    """
    copied = dict(destination.headers.metadata).get(_SOURCE_ETAG)
    if not copied:
        return NOTHING
    if copied == source.identity.etag:
        return Evidence(True, Proof.PROVENANCE)
    detail = f"a copy of the version with ETag {copied}; the source has {source.identity.etag}"
    return Evidence(False, Proof.PROVENANCE, detail, copy=True)


def of_bytes(sums: Checksums) -> Checksums:
    """Without those that are checksums of checksums."""
    return sums if sums.full_object else Checksums(md5=sums.md5)


def difference(ours: Checksums, theirs: Checksums) -> str:
    """How two checksums of whole objects differ, for people; "" where they do not."""
    algorithm = compare(ours, theirs)[1]
    return _unequal(Proof(algorithm), ours, theirs) if algorithm else ""


def _shared(ours: Checksums, theirs: Checksums) -> Proof | None:
    for proof in (Proof.CRC32C, Proof.CRC64NVME, Proof.MD5):
        if getattr(ours, proof) is not None and getattr(theirs, proof) is not None:
            return proof
    return None


def _unequal(proof: Proof, ours: Checksums, theirs: Checksums) -> str:
    one, other = _text(proof, ours), _text(proof, theirs)
    return f"{proof.name} {one} at the source, {other} at the destination"


def _text(proof: Proof, sums: Checksums) -> str:
    value = getattr(sums, proof)
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:0{16 if proof is Proof.CRC64NVME else 8}x}"
