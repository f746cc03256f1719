"""Stored bytes: small ones in memory, large ones in files that vanish with their last user."""

from __future__ import annotations

import contextlib
import hashlib
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from awscrt import checksums as crt

_STEP: Final = 256 * 1024


class MemorySegment:
    """A run of bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """The bytes asked for, in one piece."""
        yield self._data[offset : offset + length]

    def flip(self, offset: int) -> None:
        """Damage one byte."""
        data = bytearray(self._data)
        data[offset] ^= 0xFF
        self._data = bytes(data)


class FileSegment:
    """A run of bytes in a file, which is removed when nobody refers to it any more."""

    def __init__(self, path: Path, length: int) -> None:
        self._path = path
        self.length = length
        weakref.finalize(self, _remove, path)

    def read(self, offset: int, length: int) -> Iterator[bytes]:
        """The bytes asked for, in steps."""
        with self._path.open("rb") as file:
            file.seek(offset)
            while length > 0:
                piece = file.read(min(_STEP, length))
                if not piece:
                    return
                length -= len(piece)
                yield piece

    def flip(self, offset: int) -> None:
        """Damage one byte."""
        with self._path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0xFF]))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


@dataclass(frozen=True, slots=True)
class Blob:
    """Segments laid end to end: completing an upload copies no byte."""

    segments: tuple[MemorySegment | FileSegment, ...] = ()

    @property
    def length(self) -> int:
        """Number of bytes."""
        return sum(segment.length for segment in self.segments)

    def read(self, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from ``offset`` on, ``length`` of them or all."""
        left = self.length - offset if length is None else length
        for segment in self.segments:
            if offset >= segment.length:
                offset -= segment.length
                continue
            take = min(left, segment.length - offset)
            if take <= 0:
                return
            yield from segment.read(offset, take)
            left -= take
            offset = 0

    def flip(self, offset: int) -> None:
        """Damage one byte where it lies, so that no stored checksum changes."""
        for segment in self.segments:
            if offset < segment.length:
                segment.flip(offset)
                return
            offset -= segment.length


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that were written, and what they hash to. ``sha256`` is "" where nobody asked."""

    blob: Blob
    crc32c: int
    md5: bytes
    sha256: str


class BlobWriter:
    """Takes bytes in as they come and hashes them on the way."""

    def __init__(self, folder: Path, *, memory_limit: int, want_sha256: bool) -> None:
        self._folder = folder
        self._limit = memory_limit
        self._pieces: list[bytes] = []
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._crc = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha = hashlib.sha256() if want_sha256 else None
        self.length = 0

    def write(self, piece: bytes) -> None:
        """Take the next bytes in."""
        self._crc = crt.crc32c(piece, self._crc)
        self._md5.update(piece)
        if self._sha:
            self._sha.update(piece)
        self.length += len(piece)
        if self._file:
            self._file.write(piece)
            return
        self._pieces.append(piece)
        if self.length > self._limit:
            self._spill()

    def _spill(self) -> None:
        self._path = self._folder / uuid4().hex
        self._file = self._path.open("wb", buffering=1024 * 1024)
        self._file.writelines(self._pieces)
        self._pieces.clear()

    def finish(self) -> Stored:
        """What was written."""
        sha = self._sha.hexdigest() if self._sha else ""
        return Stored(Blob((self._segment(),)), self._crc, self._md5.digest(), sha)

    def _segment(self) -> MemorySegment | FileSegment:
        if self._file is None or self._path is None:
            return MemorySegment(b"".join(self._pieces))
        self._file.close()
        return FileSegment(self._path, self.length)

    def discard(self) -> None:
        """Throw away what was written."""
        if self._file and self._path:
            self._file.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108  the path may be gone with its folder


def crc32c_of(pieces: Iterator[bytes]) -> int:
    """CRC32C over all pieces, read again: nothing here relies on combining checksums."""
    crc = 0
    for piece in pieces:
        crc = crt.crc32c(piece, crc)
    return crc
