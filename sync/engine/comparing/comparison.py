"""Two buckets compared over several connections, in memory that does not grow with them.

Each task compares one range of keys, both sides of it page by page. A task without a range
cuts one that is being compared (`keyspace.cuts`) and takes the rest, so the key space is divided
where the keys turn out to be. Any failure ends the comparison: what it has found until then is
true, but what it has not found says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sync.engine.comparing.compare import Comparing, Finding, Pair, Tally, Window, examine
from sync.engine.comparing.keyspace import KeyRange, cuts
from sync.engine.comparing.reading import Side, SideReader
from sync.engine.comparing.together import together
from sync.model import ListedObject

# A range is worth cutting once it has shown that it has more than this many pages.
_PAGES_BEFORE_CUT: Final = 2

Refine = Callable[[Sequence[Pair]], Awaitable[Window]]
Take = Callable[[Window], Awaitable[None]]


class Comparison:
    """Compares ``source`` with ``destination``.

    ``take`` is given each window's outcome before its keys count as done; ``refine``, where
    given, has a closer look at pairs that look equal first. ``ranges`` are what is left of an
    earlier run. ``connections`` ranges are listed at once, two requests each.
    """

    def __init__(
        self,
        source: Side,
        destination: Side,
        *,
        how: Comparing,
        take: Take,
        refine: Refine | None = None,
        ranges: Sequence[KeyRange] = (),
        connections: int = 8,
    ) -> None:
        self._source = source
        self._destination = destination
        self._how = how
        self._take = take
        self._refine = refine
        self._tasks = connections
        self._pending = list(ranges) or [KeyRange()]
        self._active: list[KeyRange] = []
        self._news = asyncio.Condition()
        self._cutting = False
        self.tally = Tally()
        self.pages = 0

    @property
    def left(self) -> list[tuple[str, str | None]]:
        """The ranges that are not done, as (after, until)."""
        return [(one.after, one.until) for one in (*self._active, *self._pending)]

    async def run(self) -> Tally:
        """Compare all of it. The first failure ends it and is raised as it is."""
        await together(*(self._work() for _ in range(self._tasks)))
        return self.tally

    async def _work(self) -> None:
        while (within := await self._next()) is not None:
            await self._compare(within)
            async with self._news:
                self._active.remove(within)
                self._news.notify_all()

    async def _next(self) -> KeyRange | None:
        """A range to compare, or None once there will be no more."""
        while True:
            async with self._news:
                if self._pending:
                    within = self._pending.pop()
                    self._active.append(within)
                    return within
                if not self._active:
                    return None
                candidate = None if self._cutting else self._broadest()
                if candidate is None:
                    await self._news.wait()
                    continue
                self._cutting = True
            try:
                await self._cut(candidate)
            finally:
                async with self._news:
                    self._cutting = False
                    self._news.notify_all()

    def _broadest(self) -> KeyRange | None:
        worth = [one for one in self._active if one.pages >= _PAGES_BEFORE_CUT and not one.ended]
        return min(worth, key=lambda one: one.breadth, default=None)

    async def _cut(self, within: KeyRange) -> None:
        """Cut the range if there is anything to be had above where it is."""
        first: dict[str, str] = {}
        places = cuts(within.seen, within.ceiling)
        within.pages = 0  # whatever comes of it, not again at once
        try:
            place = next(places)
            while True:
                key = await self._source.first_above(place)
                there = key is not None and (within.until is None or key <= within.until)
                if there:
                    first[place] = str(key)
                elif not within.ended and place > within.seen:
                    within.ceiling = place
                place = places.send(there)
        except StopIteration as end:
            found: str | None = end.value
        if found is not None and (rest := within.cut(found, first[found])) is not None:
            self._pending.append(rest)

    async def _compare(self, within: KeyRange) -> None:
        source = SideReader(self._source, within)
        destination = SideReader(self._destination, within)
        while not (source.ended and destination.ended and source.empty and destination.empty):
            await self._fill(source, destination)
            within.ended = source.ended
            within.seen = max(within.seen, source.last)
            bounds = [side.last for side in (source, destination) if not side.ended]
            bound = min(bounds, default=None)
            await self._window(source.take(bound), destination.take(bound))
            within.after = bound if bound is not None else within.after
            within.pages += 1
            if within.pages == _PAGES_BEFORE_CUT:
                async with self._news:
                    self._news.notify_all()

    async def _fill(self, source: SideReader, destination: SideReader) -> None:
        wanting = [one for one in (source, destination) if one.empty and not one.ended]
        self.pages += len(wanting)
        await asyncio.gather(*(one.more() for one in wanting))

    async def _window(self, source: list[ListedObject], destination: list[ListedObject]) -> None:
        self._count(source, destination)
        window = examine(source, destination, self._how)
        if self._refine is not None and window.equal:
            closer = await self._refine(window.equal)
            window = Window(window.findings + closer.findings, closer.equal)
        self.tally.equal += len(window.equal)
        for finding in window.findings:
            self.tally.count(finding)
        await self._take(window)

    def _count(self, source: list[ListedObject], destination: list[ListedObject]) -> None:
        tally = self.tally
        tally.source_objects += len(source)
        tally.source_bytes += sum([entry.size for entry in source])
        tally.destination_objects += len(destination)
        tally.destination_bytes += sum([entry.size for entry in destination])


def in_turn(looks: Sequence[Refine]) -> Refine:
    """Several closer looks as one: each looks at what the ones before found equal."""

    async def refine(pairs: Sequence[Pair]) -> Window:
        findings: list[Finding] = []
        for look in looks:
            window = await look(pairs)
            findings += window.findings
            pairs = window.equal
        return Window(findings, pairs)

    return refine
