"""What stored checksums prove, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from sync.adapters.dialects import AWS, GCS, GENERIC
from sync.adapters.ledger_rows import read_crc32c
from sync.adapters.s3_headers import object_meta, with_md5
from sync.engine.comparing.evidence import Copied, Proof, provenance, recorded, stored
from sync.model import Checksums, Identity, ObjectHeaders, ObjectMeta, ObjectRef

ONE, TWO = "0" * 31 + "1", "0" * 31 + "2"
TARGET = ObjectRef("d", "k")


def meta(etag: str = "opaque", *, metadata: Any = (), **sums: Any) -> ObjectMeta:
    headers = ObjectHeaders(metadata=metadata)
    return ObjectMeta(Identity(etag, 5), headers, Checksums(**sums))


@pytest.mark.parametrize(
    ("source", "destination", "same", "proof"),
    [
        (meta(crc32c=1), meta(crc32c=1), True, Proof.CRC32C),
        (meta(crc32c=1), meta(crc32c=2), False, Proof.CRC32C),
        (meta(crc64nvme=1), meta(crc32c=1, crc64nvme=1), True, Proof.CRC64NVME),
        (meta(crc64nvme=1), meta(crc64nvme=2), False, Proof.CRC64NVME),
        (meta(md5=b"1" * 16), meta(md5=b"1" * 16, crc32c=7), True, Proof.MD5),
        (meta(md5=b"1" * 16), meta(md5=b"2" * 16), False, Proof.MD5),
        # One that differs counts, also where another is equal.
        (meta(crc32c=1, md5=b"1" * 16), meta(crc32c=1, md5=b"2" * 16), False, Proof.MD5),
        # A checksum of checksums is none of the bytes.
        (meta(crc32c=1, full_object=False), meta(crc32c=2), None, None),
        (meta(crc64nvme=1), meta(crc32c=2), None, None),
        # Equal ETags of MD5s prove; different ones do not: KMS, or other parts.
        (meta(ONE), meta(ONE), True, Proof.ETAG),
        (meta(ONE + "-7"), meta(ONE + "-7"), True, Proof.ETAG),
        (meta(ONE), meta(TWO), None, None),
        (meta("opaque"), meta("opaque"), None, None),
        (meta(""), meta(""), None, None),
        (meta(), meta(), None, None),
    ],
)
def test_what_two_heads_prove(
    source: ObjectMeta, destination: ObjectMeta, same: bool | None, proof: Proof | None
) -> None:
    said = stored(source, destination)
    assert (said.same, said.proof) == (same, proof)
    assert bool(said.detail) == (same is False)


def test_a_difference_is_told_with_both_values() -> None:
    assert stored(meta(crc32c=0x1F), meta(crc32c=0xAB)).detail == (
        "CRC32C 0000001f at the source, 000000ab at the destination"
    )


@pytest.mark.parametrize(
    ("metadata", "same"),
    [
        ((("3gsync-source-etag", "opaque"),), True),
        ((("3gsync-source-etag", "older"), ("colour", "blue")), False),
        ((("colour", "blue"),), None),
        ((("3gsync-source-etag", ""),), None),
    ],
)
def test_what_the_copys_metadata_proves(metadata: Any, same: bool | None) -> None:
    said = provenance(meta("opaque"), meta("other", metadata=metadata))
    assert said.same is same
    assert said.copy == (same is False)


@pytest.mark.parametrize(
    ("copied", "same"),
    [
        (Copied(Identity("opaque", 5, "v1"), TARGET, 7), True),
        (Copied(Identity("opaque", 5), TARGET, 8), False),
        (Copied(Identity("opaque", 5), TARGET, None), None),
        (Copied(Identity("older", 5), TARGET, 7), None),
        (Copied(Identity("opaque", 4), TARGET, 7), None),
        (Copied(Identity("opaque", 5), ObjectRef("d", "another"), 7), None),
        (None, None),
    ],
)
def test_what_the_ledger_proves(copied: Copied | None, same: bool | None) -> None:
    assert recorded(meta(), meta(crc32c=7), TARGET, copied).same is same
    assert recorded(meta(), meta(), TARGET, copied).same is None


# --- the adapters: where an ETag is an MD5 ----------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "headers", "md5"),
    [
        (AWS, {"etag": f'"{ONE}"'}, ONE),
        (AWS, {"etag": f'"{ONE}"', "x-amz-server-side-encryption": "AES256"}, ONE),
        (AWS, {"etag": f'"{ONE}"', "x-amz-server-side-encryption": "aws:kms"}, None),
        (AWS, {"etag": f'"{ONE}"', "x-amz-server-side-encryption": "aws:kms:dsse"}, None),
        (
            AWS,
            {"etag": f'"{ONE}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"},
            None,
        ),
        (AWS, {"etag": f'"{ONE}-3"'}, None),
        (GENERIC, {"etag": f'"{TWO}"'}, TWO),
        (GCS, {"etag": f'"{ONE}"'}, None),
        (GCS, {"etag": '"x"', "x-goog-hash": "md5=AAAAAAAAAAAAAAAAAAAAAQ=="}, ONE),
    ],
)
def test_the_md5_of_a_head(dialect: Any, headers: dict[str, str], md5: str | None) -> None:
    described = with_md5(object_meta(headers, size=5, dialect=dialect), headers, dialect)
    assert described.checksums.md5 == (None if md5 is None else bytes.fromhex(md5))


@pytest.mark.parametrize(
    ("text", "value"),
    [("AAAABw==", 7), ("", None), ("!", None), ("//////////8=", None)],
)
def test_only_a_crc32c_is_read_as_one(text: str, value: int | None) -> None:
    assert read_crc32c({"crc32c": {"S": text}}) == value
