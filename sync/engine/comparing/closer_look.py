"""One object on both sides, looked at closer than a listing does: by HEAD, by stored checksums,
by reading it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from sync.engine.budget import Budget
from sync.engine.comparing import evidence
from sync.engine.comparing.compare import Comparing, Difference, Finding, Pair, examine
from sync.engine.comparing.evidence import Copied, Evidence, Proof
from sync.engine.comparing.together import both
from sync.engine.comparing.whole_read import RANGE, DamagedRead, WholeRead, WholeReader
from sync.engine.retry import Retry
from sync.errors import NoSuchBucket, NotFound, NotRestored, PreconditionFailed, SourceChanged
from sync.messages import destination_key
from sync.model import BucketPair, Digest, ListedObject, ObjectMeta, ObjectRef
from sync.ports import SourceStore

_NOTHING_MORE: Final = frozenset[Digest]()
_NOT_THERE: Final = (Difference.MISSING, Difference.ARCHIVED, Difference.EXTRANEOUS)
_CHANGED: Final = (SourceChanged, PreconditionFailed)
KnownCopy = Callable[[ObjectRef], Awaitable[Copied | None]]


class Reading(StrEnum):
    """Which sides are read whole."""

    NONE = ""
    SOURCE = "source"
    BOTH = "both"


class Open(StrEnum):
    """Why an object of equal size was not proven equal, though that was asked for."""

    UNVERIFIED = "unverified"
    NOT_RESTORED = "not-restored"


class Look(NamedTuple):
    """What came of it: a difference; or what it is equal by (``size``, a `Proof`, or ``gone``
    from both sides); or why that is not known; or that it changed meanwhile. ``pair`` as it was
    seen, where both sides were.
    """

    finding: Finding | None = None
    equal_by: str = ""
    open: Open | None = None
    changed: bool = False
    pair: Pair | None = None


class ComparableStore(SourceStore, Protocol):
    """A store whose objects can be compared. Fulfilled by the adapters of both sides."""

    async def described(self, ref: ObjectRef) -> ObjectMeta:
        """As ``head``, with the MD5 among the checksums also where only the ETag tells it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How far the look goes. Stored checksums first; what they leave open is read, if reading
    is asked for too.
    """

    checksum: bool = False
    reading: Reading = Reading.NONE

    @property
    def closer(self) -> bool:
        """True where listings are not enough."""
        return self.checksum or bool(self.reading)


class CloserLook:
    """Looks at objects of one pair of buckets. ``known`` gives the ledger's word on a copy.

    Errors of a store are raised as they are, after retries; the object's key is in their text.
    """

    def __init__(
        self,
        pair: BucketPair,
        source: ComparableStore,
        destination: ComparableStore,
        *,
        how: Comparing,
        depth: Depth,
        slots: Budget,
        retry: Retry,
        known: KnownCopy | None = None,
        range_size: int = RANGE,
    ) -> None:
        self._pair = pair
        self._stores = source, destination
        self._how = how
        self._depth = depth
        self._slots = slots
        self._retry = retry
        self._known = known
        self._readers = tuple(
            WholeReader(store, slots=slots, retry=retry, range_size=range_size)
            for store in self._stores
        )

    @property
    def bytes_read(self) -> int:
        """How many bytes of bodies both stores have sent."""
        return sum(reader.bytes_read for reader in self._readers)

    async def at(self, listed: Pair) -> Look:
        """A first closer look at a pair that looks equal in the listings."""
        size, depth = listed[0].size, self._depth
        only_reading = depth.reading is Reading.BOTH and not depth.checksum
        try:
            if only_reading and all(reader.at_once(size) for reader in self._readers):
                return await self._read_unseen(listed)
            return await self._anew(listed[0].key, closely=True)
        except _CHANGED:
            return Look(changed=True)

    async def again(self, before: Finding, *, closely: bool) -> Look:
        """Look at a difference once more. Where neither side has changed, it stands as it is."""
        try:
            metas = await self._described(before.key)
            if metas != (None, None) and _unchanged(before, metas):
                return Look(before)
            return await self._judged(before.key, metas, closely=closely)
        except _CHANGED:
            return Look(changed=True)

    async def _anew(self, key: str, *, closely: bool) -> Look:
        return await self._judged(key, await self._described(key), closely=closely)

    # --- what the stores say -----------------------------------------------------------

    async def _described(self, key: str) -> tuple[ObjectMeta | None, ObjectMeta | None]:
        source, destination = self._refs(key)
        return (
            await self._head(self._stores[0], source),
            await self._head(self._stores[1], destination),
        )

    async def _head(self, store: ComparableStore, ref: ObjectRef) -> ObjectMeta | None:
        async def attempt(_last: object) -> ObjectMeta | None:
            async with self._slots:
                try:
                    return await store.described(ref)
                except NoSuchBucket:
                    raise
                except NotFound:
                    return None

        return await self._retry.run(ref, attempt, doing="look at ")

    async def _judged(
        self, key: str, metas: tuple[ObjectMeta | None, ObjectMeta | None], *, closely: bool
    ) -> Look:
        sides = [[] if meta is None else [as_listed(key, meta)] for meta in metas]
        window = examine(sides[0], sides[1], self._how)
        if window.findings:
            return Look(window.findings[0])
        source, destination = metas
        if source is None or destination is None:
            return Look(equal_by="gone")
        pair = window.equal[0]
        if not (closely and self._depth.closer):
            return Look(equal_by="size", pair=pair)
        return await self._proven(pair, source, destination)

    async def _proven(self, pair: Pair, source: ObjectMeta, destination: ObjectMeta) -> Look:
        if self._depth.checksum:
            said = await self._evidence(pair[0].key, source, destination)
            if said.same is not None:
                return _told(said, pair)
        if not self._depth.reading:
            return Look(open=Open.UNVERIFIED, pair=pair)
        return await self._read(pair, source, destination)

    async def _evidence(self, key: str, source: ObjectMeta, destination: ObjectMeta) -> Evidence:
        said = evidence.stored(source, destination)
        if said.same is None and self._known is not None:
            ours, theirs = self._refs(key)
            copied = await self._known(ours)
            said = evidence.recorded(source, destination, theirs, copied)
        return said if said.same is not None else evidence.provenance(source, destination)

    # --- reading -----------------------------------------------------------------------

    async def _read_unseen(self, listed: Pair) -> Look:
        """Both sides whole, one request each, whatever version is there."""
        refs = self._refs(listed[0].key)
        try:
            one, other = await both(
                self._readers[0].whole(refs[0]), self._readers[1].whole(refs[1])
            )
        except NoSuchBucket:
            raise
        except NotFound:  # which of the two, a look at both tells
            return await self._anew(listed[0].key, closely=True)
        except NotRestored:
            return Look(open=Open.NOT_RESTORED, pair=listed)
        except DamagedRead as error:
            return Look(_content(listed, str(error)))
        pair = _listed(listed[0].key, one.meta, other.meta)
        if one.meta.size != other.meta.size:
            return Look(Finding(Difference.SIZE, listed[0].key, *pair))
        return _compared(pair, one, other)

    async def _read(self, pair: Pair, source: ObjectMeta, destination: ObjectMeta) -> Look:
        """As much as is needed of exactly these versions."""
        key = pair[0].key
        ours, theirs = self._refs(key)
        wanted = self._wanted(destination)
        try:
            if wanted is not None:
                one = await self._readers[0].pinned(ours, source, wanted)
                stated = evidence.of_bytes(destination.checksums)
                return _compared(pair, one, WholeRead(destination, stated))
            one, other = await both(
                self._readers[0].pinned(ours, source), self._readers[1].pinned(theirs, destination)
            )
        except NoSuchBucket:
            raise
        except NotFound:
            return Look(changed=True)
        except NotRestored:
            return Look(open=Open.NOT_RESTORED, pair=pair)
        except DamagedRead as error:
            return Look(_content(pair, str(error)))
        return _compared(pair, one, other)

    def _wanted(self, destination: ObjectMeta) -> frozenset[Digest] | None:
        """What to compute of the source's bytes so that the destination's need not be read;
        None where they must be.
        """
        if self._depth.reading is not Reading.SOURCE:
            return None
        stated = evidence.of_bytes(destination.checksums)
        if stated.crc32c is not None:
            return _NOTHING_MORE
        if stated.crc64nvme is not None:
            return frozenset({Digest.CRC64NVME})
        if stated.md5 is not None and self._readers[0].at_once(destination.size):
            return frozenset({Digest.MD5})
        return None

    def _refs(self, key: str) -> tuple[ObjectRef, ObjectRef]:
        pair = self._pair
        target = destination_key(pair.destination_prefix, key)
        return ObjectRef(pair.source_bucket, key), ObjectRef(pair.destination_bucket, target)


def as_listed(key: str, meta: ObjectMeta) -> ListedObject:
    """An object as a listing would show it, under the source's key."""
    identity = meta.identity
    return ListedObject(
        key,
        identity.size,
        identity.etag,
        meta.last_modified,
        meta.headers.storage_class or "STANDARD",
        identity.version_id,
    )


def same_difference(one: Finding, other: Finding) -> bool:
    """Two looks found the same: nothing was done about it between them."""
    if one.kind is not other.kind:
        return False
    return one.kind in _NOT_THERE or _identities(one) == _identities(other)


def _identities(finding: Finding) -> list[tuple[int, str] | None]:
    sides = (finding.source, finding.destination)
    return [None if one is None else (one.size, one.etag) for one in sides]


def _unchanged(before: Finding, metas: tuple[ObjectMeta | None, ObjectMeta | None]) -> bool:
    found = [None if one is None else (one.size, one.identity.etag) for one in metas]
    return _identities(before) == found


def _listed(key: str, source: ObjectMeta, destination: ObjectMeta) -> Pair:
    return as_listed(key, source), as_listed(key, destination)


def _told(said: Evidence, pair: Pair) -> Look:
    if said.same:
        return Look(equal_by=str(said.proof), pair=pair)
    kind = Difference.VERSION if said.copy else Difference.CHECKSUM
    return Look(Finding(kind, pair[0].key, *pair, said.detail))


def _compared(pair: Pair, source: WholeRead, destination: WholeRead) -> Look:
    detail = evidence.difference(source.sums, destination.sums)
    return Look(_content(pair, detail)) if detail else Look(equal_by=Proof.READ, pair=pair)


def _content(pair: Pair, detail: str) -> Finding:
    return Finding(Difference.CONTENT, pair[0].key, *pair, detail)
