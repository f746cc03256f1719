from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.checksums import (
    BytesStream,
    Digester,
    DigestingStream,
    agreement,
    combine_crc32c,
    combine_crc64nvme,
    decode_crc,
    disagreement,
    encode_crc32c,
    encode_crc64nvme,
)
from sync.engine.integrity import (
    Expected,
    PartSum,
    combined,
    composite_etag,
    confirm,
    matches,
    md5_of,
)
from sync.errors import IntegrityError
from sync.model import Checksums, Digest, Identity, ObjectMeta, WriteReceipt

EVERY = tuple(Digest)
Drink = Callable[[DigestingStream], Coroutine[Any, Any, bytes]]


def sums(data: bytes) -> Checksums:
    digester = Digester(EVERY)
    digester.update(data)
    return digester.checksums()


def test_known_values() -> None:
    # The check values of the catalogue of CRC algorithms for "123456789".
    known = sums(b"123456789")
    assert known.crc32c == 0xE3069283
    assert known.crc64nvme == 0xAE8B14860A799888
    assert known.md5 == hashlib.md5(b"123456789").digest()


@given(st.lists(st.binary(max_size=300), max_size=12))
def test_parts_combine_to_the_whole(parts: list[bytes]) -> None:
    whole = sums(b"".join(parts))
    each = [(sums(part), len(part)) for part in parts]
    assert combine_crc32c((s.crc32c or 0, n) for s, n in each) == whole.crc32c
    assert combine_crc64nvme((s.crc64nvme or 0, n) for s, n in each) == whole.crc64nvme
    listed = [PartSum(i, n, "", s) for i, (s, n) in enumerate(each)]
    assert combined(listed).crc32c == whole.crc32c


def test_one_unknown_part_makes_the_whole_unknown() -> None:
    known = PartSum(1, 3, "", sums(b"abc"))
    unknown = PartSum(2, 3, "", Checksums())
    assert combined([known, unknown]).crc32c is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_header_values_round_trip(crc32c: int, crc64: int) -> None:
    assert decode_crc(encode_crc32c(crc32c)) == crc32c
    assert decode_crc(encode_crc64nvme(crc64)) == crc64


def test_a_reply_that_contradicts_is_an_error_whatever_else_agrees() -> None:
    sent = sums(b"right")
    other = Checksums(crc32c=sums(b"wrong").crc32c, md5=sent.md5)
    with pytest.raises(IntegrityError, match="crc32c differs"):
        confirm(sent, WriteReceipt(checksums=other), "bucket/key")


def test_a_reply_without_a_shared_checksum_proves_nothing() -> None:
    sent = Checksums(crc32c=1)
    assert confirm(sent, WriteReceipt(checksums=Checksums(md5=b"x" * 16)), "k") is False
    assert confirm(sent, WriteReceipt(checksums=Checksums(crc32c=1)), "k") is True


def test_agreement_needs_something_in_common() -> None:
    assert not agreement(Checksums(crc32c=1), Checksums(crc64nvme=1))
    assert disagreement(Checksums(crc32c=1), Checksums(crc32c=2)) == "crc32c"


def test_composite_etag_is_s3s() -> None:
    parts = [b"a" * 5, b"b" * 3]
    etags = [hashlib.md5(part).hexdigest() for part in parts]
    listed = [
        PartSum(i, len(p), e, Checksums())
        for i, (p, e) in enumerate(zip(parts, etags, strict=True))
    ]
    joined = b"".join(hashlib.md5(part).digest() for part in parts)
    assert composite_etag(listed) == hashlib.md5(joined).hexdigest() + "-2"
    assert composite_etag([*listed, PartSum(3, 1, "not-md5", Checksums())]) == ""


@pytest.mark.parametrize("etag", ["", "abc", "z" * 32, "0" * 32 + "-2"])
def test_other_etags_are_no_md5(etag: str) -> None:
    assert md5_of(etag) is None


def found(size: int, etag: str = "", crc32c: int | None = None) -> ObjectMeta:
    return ObjectMeta(Identity(etag, size), checksums=Checksums(crc32c=crc32c))


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        (found(4, "whole", 7), False),
        (found(5, "whole", 8), False),
        (found(5, "other", 7), True),
        (found(5, "whole"), True),
        (found(5, "abc-2"), True),
        (found(5, "abd-2"), False),
        (found(5, "other"), None),
    ],
)
def test_what_the_destination_shows_is_judged(held: ObjectMeta, verdict: bool | None) -> None:
    expected = Expected(5, Checksums(crc32c=7), composite_etag="abc-2", etag="whole")
    assert matches(held, expected) is verdict


class Torn:
    """Announces more than it has, or less."""

    def __init__(self, length: int, *chunks: bytes) -> None:
        self.length = length
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for chunk in self._chunks:
            yield memoryview(chunk)


class TornWhole(Torn):
    """The same, at once."""

    async def read(self) -> bytes:
        return b"".join(self._chunks)


async def drink(stream: DigestingStream) -> bytes:
    return b"".join([bytes(chunk) async for chunk in stream])


WAYS = pytest.mark.parametrize("way", [drink, DigestingStream.read])


@WAYS
@pytest.mark.parametrize("torn", [Torn, TornWhole])
@pytest.mark.parametrize("chunks", [(b"abc",), (b"abc", b"defg"), ()])
def test_a_stream_of_another_length_is_an_error(
    chunks: tuple[bytes, ...], torn: type[Torn], way: Drink
) -> None:
    stream = DigestingStream(torn(5, *chunks))
    with pytest.raises(IntegrityError):
        asyncio.run(way(stream))
    assert not stream.complete


@pytest.mark.parametrize("torn", [Torn, TornWhole])
def test_what_is_read_at_once_is_held_back_where_the_source_says_otherwise(
    torn: type[Torn],
) -> None:
    stream = DigestingStream(torn(6, b"abc", b"def"), expected=sums(b"abcdeX"))
    with pytest.raises(IntegrityError):
        asyncio.run(stream.read())
    assert not stream.complete


def test_the_last_chunk_is_held_back_where_the_source_says_otherwise() -> None:
    async def main() -> list[bytes]:
        stream = DigestingStream(Torn(6, b"abc", b"def"), expected=sums(b"abcdeX"))
        passed = []
        with pytest.raises(IntegrityError):
            async for chunk in stream:
                passed.append(bytes(chunk))  # noqa: PERF401  what passed before the error counts
        assert not stream.complete
        return passed

    assert asyncio.run(main()) == [b"abc"]


@WAYS
@given(data=st.binary(max_size=1000))
def test_what_passes_is_what_came(data: bytes, way: Drink) -> None:
    stream = DigestingStream(BytesStream(data), EVERY, expected=sums(data))
    assert asyncio.run(way(stream)) == data
    assert stream.digester.checksums() == sums(data)
    assert stream.complete
