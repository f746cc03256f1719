"""One side of a comparison, read page by page within a range of keys."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, lt

from sync.engine.comparing.keyspace import KeyRange
from sync.errors import ListingOutOfOrder
from sync.model import ListedObject
from sync.paging import Onward
from sync.ports import ObjectLister

_KEY = attrgetter("key")


@dataclass(frozen=True, slots=True)
class Side:
    """What is listed: keys that begin with ``lead + prefix``, known without the ``lead``."""

    lister: ObjectLister
    bucket: str
    prefix: str = ""
    lead: str = ""

    async def first_above(self, key: str) -> str | None:
        """The first key above this one, or None: one request, for one key."""
        page = await self.lister.list_page(
            self.bucket, prefix=self.lead + self.prefix, after=self.lead + key, limit=1
        )
        return page.entries[0].key[len(self.lead) :] if page.entries else None


class SideReader:
    """The entries of one side in a range that have been read and not yet been taken."""

    def __init__(self, side: Side, within: KeyRange) -> None:
        self._side = side
        self._range = within
        self._token = ""
        self._onward = Onward(f"the listing of {side.bucket}")
        self._last = within.after
        self._waiting: list[ListedObject] = []
        self.ended = False

    @property
    def last(self) -> str:
        """The highest key read."""
        return self._last

    @property
    def empty(self) -> bool:
        """True where all that was read has been taken."""
        return not self._waiting

    async def more(self) -> None:
        """Read the next page. ListingOutOfOrder where its keys do not go up."""
        side = self._side
        page = await side.lister.list_page(
            side.bucket,
            prefix=side.lead + side.prefix,
            after=side.lead + self._last if self._last else "",
            token=self._token,
        )
        entries = _without(side.lead, page.entries)
        self._check(entries)
        if page.token:
            self._onward.step(page.token, empty=not page.entries)
        self._token = page.token
        self.ended = not page.token
        if entries:
            self._last = entries[-1].key
            self._waiting += entries
        self._cut()

    def take(self, bound: str | None) -> list[ListedObject]:
        """What was read up to and with ``bound`` (None: all of it)."""
        self._cut()
        if bound is None:
            taken, self._waiting = self._waiting, []
            return taken
        at = bisect_right(self._waiting, bound, key=_KEY)
        taken, self._waiting = self._waiting[:at], self._waiting[at:]
        return taken

    def _cut(self) -> None:
        """Forget what lies behind the range's end, which may have come nearer meanwhile."""
        until = self._range.until
        if until is None:
            return
        if self._last >= until:
            self.ended = True
        if self._waiting and self._waiting[-1].key > until:
            self._waiting = self._waiting[: bisect_right(self._waiting, until, key=_KEY)]

    def _check(self, entries: Sequence[ListedObject]) -> None:
        keys = [self._last, *(entry.key for entry in entries)]
        if not all(map(lt, keys, keys[1:])):
            at = next(n for n in range(1, len(keys)) if keys[n - 1] >= keys[n])
            raise ListingOutOfOrder(
                f"{self._side.bucket} does not list in key order: {keys[at]!r} comes after "
                f"{keys[at - 1]!r}, so nothing can be said of what is missing; "
                "let its listing be sorted first with --sort"
            )


def _without(lead: str, entries: Sequence[ListedObject]) -> Sequence[ListedObject]:
    """The entries under the source's keys. An object named like the lead itself (some tools put
    one there to show a folder) stands for no source key.
    """
    if not lead:
        return entries
    cut = len(lead)
    return [ListedObject(entry.key[cut:], *entry[1:]) for entry in entries if entry.key != lead]
