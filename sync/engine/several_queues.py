"""Several queues as one: taken from in turn, each message answered at its own queue.

A queue that brought messages is asked again at once, all such queues in their turn. At each of
the others one long poll is open, shared by all who wait: the first that brings something ends
the waiting, and what comes while nobody waits is kept for the next receive. A queue that fails
is left alone for a while, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sync.errors import SyncError
from sync.ports import Clock, Delivery, JobQueue, TransferObserver

_LONGEST_PAUSE: Final = 60.0
_SHORTEST_POLL: Final = 1.0
"""Seconds; SQS knows no shorter one."""
_YOUNG: Final = 2 / 3


@dataclass(slots=True, eq=False)
class _Place:
    """One queue. ``lively``: its last receive brought something. ``poll_ends`` and
    ``rests_until`` are on the monotonic clock; ``error`` is what it failed with last, None once
    it has answered.
    """

    number: int
    name: str
    queue: JobQueue
    lively: bool = False
    poll: asyncio.Task[None] | None = None
    poll_ends: float = 0.0
    failures: int = 0
    rests_until: float = 0.0
    error: SyncError | None = None


class _Kept(NamedTuple):
    """A message that came while nobody waited, and until when it is held."""

    delivery: Delivery
    until: float


class SeveralQueues:
    """A ``JobQueue`` over others, by their names. A receipt begins with its queue's number.

    ``insist``: a receive that found nothing raises where a queue does not answer, so that
    whoever waits for the queues to be empty is not told so.
    """

    def __init__(
        self,
        queues: Mapping[str, JobQueue],
        *,
        clock: Clock,
        observer: TransferObserver,
        insist: bool = False,
    ) -> None:
        self._places = [_Place(n, *pair) for n, pair in enumerate(queues.items())]
        self._turns = deque(self._places)
        self._clock = clock
        self._observer = observer
        self._insist = insist
        self._kept: deque[_Kept] = deque()
        self._leaving = False

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        """Take up to ``limit`` messages, waiting up to ``wait`` seconds for one.

        Raises where no queue answers.
        """
        ends = self._clock.monotonic() + wait
        self._open_polls(limit, ends=ends, lease=lease)
        await asyncio.sleep(0)  # whatever follows, others have their turn
        while True:
            taken = await self._take_kept(limit, lease) or await self._take_lively(limit, lease)
            if taken:
                return taken
            left = ends - self._clock.monotonic()
            polls = self._polls(ends if left <= 0 else None)
            if not polls and (left <= 0 or self._all_failed or self._leaving):
                return self._nothing()
            if left >= _SHORTEST_POLL:
                self._open_polls(limit, ends=ends, lease=lease)
            await self._until_news(self._polls() if left > 0 else polls, left)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Delete messages, each at its own queue; returns those that could not be deleted."""
        return await self._each(deliveries, lambda queue, batch: queue.acknowledge(batch))

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Hold messages, each at its own queue; returns the failed."""
        return await self._each(deliveries, lambda queue, batch: queue.extend(batch, lease))

    async def dead_letter(self, delivery: Delivery, reason: str, code: str) -> bool:
        """Copy the message to the dead-letter queue of its own queue."""
        place, own = self._own(delivery)
        return place is not None and await place.queue.dead_letter(own, reason, code)

    async def depth(self) -> int:
        """About how many messages wait in all of them."""
        return sum(await asyncio.gather(*(place.queue.depth() for place in self._places)))

    async def outstanding(self) -> int:
        """About how many messages there are in all of them."""
        return sum(await asyncio.gather(*(place.queue.outstanding() for place in self._places)))

    async def leave(self) -> list[Delivery]:
        """The end: opens no more polls, waits for those that are open, and hands out what
        nobody received.
        """
        self._leaving = True
        await asyncio.gather(*self._polls())
        now = self._clock.monotonic()
        kept, self._kept = self._kept, deque()
        return [one.delivery for one in kept if one.until > now]

    async def close(self) -> None:
        """Give up what polls are still open."""
        polls = self._polls()
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)

    # --- receiving --------------------------------------------------------------------

    def _polls(self, ends: float | None = None) -> set[asyncio.Task[None]]:
        """The open polls; only those that are to end by then."""
        places = (p for p in self._places if ends is None or p.poll_ends <= ends)
        return {place.poll for place in places if place.poll is not None}

    @property
    def _all_failed(self) -> bool:
        return all(place.error is not None for place in self._places)

    def _open_polls(self, limit: int, *, ends: float, lease: float) -> None:
        """Have a poll open at each queue that is not asked anyway."""
        if self._leaving:
            return
        now, all_failed = self._clock.monotonic(), self._all_failed
        share = max(1, limit // len(self._places))
        for place in self._places:
            # Where all have failed, all are asked again: the caller makes the pauses.
            if place.poll or place.lively or (place.rests_until > now and not all_failed):
                continue
            poll = self._poll(place, share, wait=max(0.0, ends - now), lease=lease)
            place.poll, place.poll_ends = asyncio.create_task(poll), ends

    async def _poll(self, place: _Place, limit: int, *, wait: float, lease: float) -> None:
        try:
            taken = await self._ask(place, limit, wait, lease)
            until = self._clock.monotonic() + lease
            self._kept.extend(_Kept(delivery, until) for delivery in taken)
        finally:
            place.poll = None

    async def _until_news(self, polls: set[asyncio.Task[None]], left: float) -> None:
        """Wait until a poll has ended or a queue that failed may be asked again; where time is
        up already, for as long as that takes.
        """
        now = self._clock.monotonic()
        rests = [p.rests_until - now for p in self._places if p.rests_until > now]
        timeout = min([left, *rests]) if left > 0 else None
        if not polls:
            await self._clock.sleep(timeout or 0.0)
            return
        done, _ = await asyncio.wait(polls, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for poll in done:
            poll.result()

    async def _ask(self, place: _Place, limit: int, wait: float, lease: float) -> list[Delivery]:
        try:
            taken = await place.queue.receive(limit, wait=wait, lease=lease)
        except SyncError as error:
            self._failed(place, error)
            return []
        place.failures, place.error, place.lively = 0, None, bool(taken)
        return [one._replace(receipt=f"{place.number} {one.receipt}") for one in taken]

    def _failed(self, place: _Place, error: SyncError) -> None:
        place.failures += 1
        place.lively, place.error = False, error
        pause = min(_LONGEST_PAUSE, 2.0 ** min(place.failures, 10))
        place.rests_until = self._clock.monotonic() + pause
        detail = {"queue": place.name, "error": str(error)}
        self._observer.event("queue-unavailable", detail)

    def _nothing(self) -> list[Delivery]:
        """The answer where no message came."""
        errors = [place.error for place in self._places if place.error is not None]
        if errors and (self._insist or len(errors) == len(self._places)):
            raise errors[0]
        return []

    async def _take_kept(self, limit: int, lease: float) -> list[Delivery]:
        """What came while nobody waited; what has been kept for long is extended first."""
        now = self._clock.monotonic()
        fresh: list[Delivery] = []
        old: list[Delivery] = []
        while self._kept and len(fresh) + len(old) < limit:
            delivery, until = self._kept.popleft()
            if until - now >= lease * _YOUNG:
                fresh.append(delivery)
            elif until > now:
                old.append(delivery)
        if old:
            lost = {one.receipt for one in await self.extend(old, lease)}
            fresh += [delivery for delivery in old if delivery.receipt not in lost]
        return fresh

    async def _take_lively(self, limit: int, lease: float) -> list[Delivery]:
        """From the next queue that has more, as far as is known."""
        for _ in self._places:
            place = self._turns[0]
            self._turns.rotate(-1)
            if place.lively and not self._leaving:
                taken = await self._ask(place, limit, 0.0, lease)
                if taken:
                    return taken
        return []

    # --- answering --------------------------------------------------------------------

    def _own(self, delivery: Delivery) -> tuple[_Place | None, Delivery]:
        """Whose message it is, and the message as that queue gave it."""
        number, _, receipt = delivery.receipt.partition(" ")
        if not number.isdecimal() or int(number) >= len(self._places):
            return None, delivery
        return self._places[int(number)], delivery._replace(receipt=receipt)

    async def _each(
        self,
        deliveries: Sequence[Delivery],
        do: Callable[[JobQueue, Sequence[Delivery]], Awaitable[list[Delivery]]],
    ) -> list[Delivery]:
        """Answer each queue for its own; where one does not answer, its messages have failed."""
        failed: list[Delivery] = []
        batches: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            place, _ = self._own(delivery)
            (failed if place is None else batches.setdefault(place.number, [])).append(delivery)
        answers = await asyncio.gather(
            *(self._one(self._places[n], batch, do) for n, batch in batches.items()),
            return_exceptions=True,
        )
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        for error in errors:
            if not isinstance(error, SyncError) or len(errors) == len(batches):
                raise error
        for batch, answer in zip(batches.values(), answers, strict=True):
            failed += batch if isinstance(answer, BaseException) else answer
        return failed

    async def _one(
        self,
        place: _Place,
        batch: Sequence[Delivery],
        do: Callable[[JobQueue, Sequence[Delivery]], Awaitable[list[Delivery]]],
    ) -> list[Delivery]:
        """Those of the batch that failed at their queue."""
        by_receipt = {own.receipt: one for one in batch for _, own in (self._own(one),)}
        refused = await do(place.queue, [self._own(one)[1] for one in batch])
        return [by_receipt[one.receipt] for one in refused]
