"""Reading an object whole for its checksums, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sync.checksums import Digester, combine_crc32c, combine_crc64nvme, joined
from sync.engine.budget import Budget
from sync.engine.comparing.evidence import difference, of_bytes
from sync.engine.comparing.together import together
from sync.engine.retry import Retry
from sync.errors import IntegrityError, SourceChanged, SyncError
from sync.model import MIB, Checksums, Digest, ObjectMeta, ObjectRef
from sync.ports import ByteStream, SourceStore

RANGE: Final = 64 * MIB
_MOST_RANGES: Final = 10_000
_AT_ONCE: Final = 4
_SHORT: Final = MIB


class DamagedRead(IntegrityError):
    """The bytes that came have not the checksum that the store itself states for them."""


class WholeRead(NamedTuple):
    """What was read, and the checksums of its bytes."""

    meta: ObjectMeta
    sums: Checksums


class WholeReader:
    """Reads objects of one store, each request within the budget and with retries.

    Objects above ``range_size`` bytes are read in ranges, four at a time, each pinned by
    If-Match to the version that was looked at first; a range that fails is read again alone.
    """

    def __init__(
        self, store: SourceStore, *, slots: Budget, retry: Retry, range_size: int = RANGE
    ) -> None:
        self._store = store
        self._slots = slots
        self._retry = retry
        self._range = range_size
        self.bytes_read = 0

    def at_once(self, size: int) -> bool:
        """True where one request reads it, so that it need not be looked at before."""
        return size <= self._range

    async def whole(self, ref: ObjectRef, wanted: frozenset[Digest] = frozenset()) -> WholeRead:
        """Read the current version in one request. NotFound where there is none."""

        async def attempt(_last: SyncError | None) -> WholeRead:
            async with self._slots, self._store.open(ref) as read:
                stated = of_bytes(read.meta.checksums)
                sums = await self._digest(read.body, wanted | _known(stated))
                _check(ref, sums, stated)
                return WholeRead(read.meta, sums)

        return await self._retry.run(ref, attempt, doing="read ")

    async def pinned(
        self, ref: ObjectRef, meta: ObjectMeta, wanted: frozenset[Digest] = frozenset()
    ) -> WholeRead:
        """Read exactly the version described. SourceChanged where it is not there any more.

        An MD5 is computed only of what one request reads.
        """
        if self.at_once(meta.size):
            read = await self.whole(ref, wanted)
            _same(ref, meta, read.meta)
            return read
        stated = of_bytes(meta.checksums)
        sums = await self._in_ranges(ref, meta, wanted | _known(stated))
        _check(ref, sums, stated)
        return WholeRead(meta, sums)

    async def _in_ranges(
        self, ref: ObjectRef, meta: ObjectMeta, wanted: frozenset[Digest]
    ) -> Checksums:
        cut = _spans(meta.size, self._range)
        found: dict[int, tuple[Checksums, int]] = {}

        async def work() -> None:
            for span in cut:
                sums = await self._span(ref, meta, span, wanted - {Digest.MD5})
                found[span[0]] = sums, span[1] - span[0] + 1

        await together(*(work() for _ in range(_AT_ONCE)))
        return _combined([found[first] for first in sorted(found)], wanted)

    async def _span(
        self, ref: ObjectRef, meta: ObjectMeta, span: tuple[int, int], wanted: frozenset[Digest]
    ) -> Checksums:
        pin = meta.identity.etag or None

        async def attempt(_last: SyncError | None) -> Checksums:
            async with (
                self._slots.parts,
                self._store.open(ref, if_match=pin, byte_range=span) as read,
            ):
                _same(ref, meta, read.meta)
                return await self._digest(read.body, wanted)

        return await self._retry.run(ref, attempt, doing="read ")

    async def _digest(self, body: ByteStream, wanted: frozenset[Digest]) -> Checksums:
        digester = Digester(wanted)
        if body.length <= _SHORT:
            at_once = getattr(body, "read", None)
            digester.update(await (joined(body) if at_once is None else at_once()))
        else:
            async for chunk in body:
                digester.update(chunk)
        if digester.length != body.length:
            raise IntegrityError(f"{digester.length} bytes came of {body.length}")
        self.bytes_read += body.length
        self._slots.moved(body.length)
        return digester.checksums()


def _known(stated: Checksums) -> frozenset[Digest]:
    return frozenset(digest for digest in Digest if getattr(stated, digest) is not None)


def _check(ref: ObjectRef, sums: Checksums, stated: Checksums) -> None:
    if difference(sums, stated):
        raise DamagedRead(f"{ref}: the bytes read have not the checksum that the store states")


def _same(ref: ObjectRef, meta: ObjectMeta, found: ObjectMeta) -> None:
    if found.identity != meta.identity:
        raise SourceChanged(f"{ref} changed while it was read")


def _spans(size: int, range_size: int) -> Iterator[tuple[int, int]]:
    step = max(range_size, -(-size // _MOST_RANGES))
    return ((first, min(first + step, size) - 1) for first in range(0, size, step))


def _combined(parts: list[tuple[Checksums, int]], wanted: frozenset[Digest]) -> Checksums:
    crc32c = combine_crc32c((sums.crc32c or 0, length) for sums, length in parts)
    if Digest.CRC64NVME not in wanted:
        return Checksums(crc32c)
    return Checksums(
        crc32c, combine_crc64nvme((sums.crc64nvme or 0, length) for sums, length in parts)
    )
