"""Checksums of streams: computed chunk by chunk, combined over parts, encoded for headers.

The arithmetic is awscrt's and hashlib's. CRC values are unsigned integers; on the wire they
are big-endian, base64 (Google's ``x-goog-hash`` and S3's ``x-amz-checksum-*`` agree in this).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final

from awscrt import checksums as crt

from sync.errors import IntegrityError
from sync.model import Checksums, Digest
from sync.ports import ByteStream

_CRC32C_BYTES: Final = 4
_CRC64_BYTES: Final = 8


def encode_crc32c(value: int) -> str:
    """Base64 of the four bytes, big-endian."""
    return base64.b64encode(value.to_bytes(_CRC32C_BYTES, "big")).decode("ascii")


def encode_crc64nvme(value: int) -> str:
    """Base64 of the eight bytes, big-endian."""
    return base64.b64encode(value.to_bytes(_CRC64_BYTES, "big")).decode("ascii")


def decode_crc(text: str) -> int:
    """Value of a base64 CRC; ValueError where it is not one."""
    raw = binascii.a2b_base64(text, strict_mode=True)
    if len(raw) not in (_CRC32C_BYTES, _CRC64_BYTES):
        raise ValueError(f"not a CRC: {text!r}")
    return int.from_bytes(raw, "big")


def combine_crc32c(parts: Iterable[tuple[int, int]]) -> int:
    """CRC32C of runs of bytes laid end to end, from each run's (crc32c, length)."""
    total = 0
    for crc, length in parts:
        total = crt.combine_crc32c(total, crc, length)
    return total


def combine_crc64nvme(parts: Iterable[tuple[int, int]]) -> int:
    """CRC64NVME of runs of bytes laid end to end, from each run's (crc64nvme, length)."""
    total = 0
    for crc, length in parts:
        total = crt.combine_crc64nvme(total, crc, length)
    return total


def fingerprint(content: tuple[tuple[str, str], ...], metadata: tuple[tuple[str, str], ...]) -> str:
    """``Identity.described`` of an object with these headers, in the order of
    ``ObjectHeaders.content``, and this metadata, in any order.
    """
    some = metadata if len(metadata) < 2 else tuple(sorted(metadata))  # noqa: PLR2004  no order
    return hashlib.blake2b(repr((content, some)).encode(), digest_size=8).hexdigest()


def compare(one: Checksums, other: Checksums) -> tuple[bool, str | None]:
    """Whether some algorithm is known to both sides, and the name of one they differ in."""
    shared = False
    if one.crc32c is not None and other.crc32c is not None:
        if one.crc32c != other.crc32c:
            return True, Digest.CRC32C.value
        shared = True
    if one.crc64nvme is not None and other.crc64nvme is not None:
        if one.crc64nvme != other.crc64nvme:
            return True, Digest.CRC64NVME.value
        shared = True
    if one.md5 is not None and other.md5 is not None:
        if one.md5 != other.md5:
            return True, Digest.MD5.value
        shared = True
    return shared, None


def disagreement(one: Checksums, other: Checksums) -> str | None:
    """Name of an algorithm both sides know and differ in, or None."""
    return compare(one, other)[1]


def agreement(one: Checksums, other: Checksums) -> bool:
    """True where some algorithm is known to both sides and none differs."""
    return compare(one, other) == (True, None)


class Digester:
    """Feeds chunks to the wanted algorithms. CRC32C is always among them."""

    __slots__ = ("_crc32c", "_crc64", "_md5", "_sums", "_want_crc64", "length")

    def __init__(self, wanted: Iterable[Digest] = ()) -> None:
        names = wanted if isinstance(wanted, frozenset) else frozenset(wanted)
        self._crc32c = 0
        self._crc64 = 0
        self._want_crc64 = Digest.CRC64NVME in names
        self._md5 = hashlib.md5(usedforsecurity=False) if Digest.MD5 in names else None
        self._sums: Checksums | None = None
        self.length = 0

    def update(self, chunk: memoryview | bytes) -> None:
        """Take the next bytes in."""
        self._sums = None
        self._crc32c = crt.crc32c(chunk, self._crc32c)
        if self._want_crc64:
            self._crc64 = crt.crc64nvme(chunk, self._crc64)
        if self._md5 is not None:
            self._md5.update(chunk)
        self.length += len(chunk)

    def checksums(self) -> Checksums:
        """The values over everything taken in so far."""
        if self._sums is None:
            self._sums = Checksums(
                self._crc32c,
                self._crc64 if self._want_crc64 else None,
                self._md5.digest() if self._md5 is not None else None,
            )
        return self._sums


class DigestingStream:
    """A ByteStream that computes checksums of what passes through it.

    With ``expected`` (the source's own checksums of these very bytes) the last chunk is let
    through only if they agree, so that a damaged read never becomes a finished write.
    """

    __slots__ = ("_expected", "_inner", "complete", "digester", "length")

    def __init__(
        self,
        inner: ByteStream,
        wanted: Iterable[Digest] = (),
        *,
        expected: Checksums | None = None,
    ) -> None:
        self._inner = inner
        self._expected = expected
        self.digester = Digester(wanted)
        self.length = inner.length
        """Number of bytes that will come."""
        self.complete = self.length == 0
        """True once the last byte has been handed on: the write may take effect from then."""

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        """Pass the chunks on; IntegrityError where length or expected checksums differ."""
        digester, length = self.digester, self.length
        async for chunk in self._inner:
            digester.update(chunk)
            if digester.length >= length:
                self._check_end()
                self.complete = True
            yield chunk
        if digester.length != length:
            raise self._short()

    async def read(self) -> bytes:
        """All of it at once, for short bodies; checked before any of it is handed on."""
        read = getattr(self._inner, "read", None)
        data: bytes = await (joined(self._inner) if read is None else read())
        self.digester.update(data)
        if self.digester.length < self.length:
            raise self._short()
        self._check_end()
        self.complete = True
        return data

    def _short(self) -> IntegrityError:
        return IntegrityError(
            f"{self.digester.length} bytes came where {self.length} were announced"
        )

    def _check_end(self) -> None:
        if self.digester.length > self.length:
            raise IntegrityError(f"more than the announced {self.length} bytes came")
        if self._expected is None:
            return
        algorithm = disagreement(self.digester.checksums(), self._expected)
        if algorithm:
            raise IntegrityError(f"the bytes read do not have the source's {algorithm}")


async def joined(chunks: AsyncIterable[memoryview]) -> bytes:
    """All chunks as one run of bytes."""
    # A chunk is valid only until the next one is asked for.
    return b"".join([bytes(chunk) async for chunk in chunks])


class BytesStream:
    """A ByteStream over bytes in memory."""

    __slots__ = ("_data", "length")

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self.length = len(data)
        """Number of bytes."""

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        """One chunk, or none where there are no bytes."""
        if self._data:
            yield self._data

    async def read(self) -> bytes:
        """All of it at once."""
        return bytes(self._data)
