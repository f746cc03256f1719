"""Messages of a dead-letter queue back into the queues they came from.

A message is deleted from the dead-letter queue only after a queue has confirmed its copy: what
breaks in between gives a duplicate, never a loss.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

from sync.errors import MessageError
from sync.ports import Clock, Delivery, JobQueue, JobSink

_BATCH: Final = 10
_LANES: Final = 8
_LEASE: Final = 900.0
# Long polling asks all of SQS's servers: an empty answer then means that nothing is visible.
_WAIT: Final = 1.0
# SQS lets 120,000 messages of a queue be held at a time.
MOST_HELD: Final = 100_000
_MOST_REFUSALS: Final = 3
UNKNOWN: Final = "maxReceiveCount"
_UNKNOWN_TEXT: Final = "moved by SQS itself after too many receipts, nobody wrote why"


@dataclass(slots=True)
class Reason:
    """How many messages failed for one reason (its code), and the text of the first."""

    example: str
    count: int = 0


@dataclass(slots=True)
class Redriven:
    """What became of the messages.

    ``moved``: copied and deleted; ``twice``: copied, but could not be deleted here, so they
    are now in both; ``failed``: not copied, by message id, with the reason; ``left``: not
    asked for; ``newer``: arrived after the start. ``complete`` is False where not all messages
    were looked at. In a dry run ``matched`` counts what would be moved.
    """

    looked_at: int = 0
    matched: int = 0
    moved: int = 0
    left: int = 0
    newer: int = 0
    twice: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, Reason] = field(default_factory=dict)
    complete: bool = True


def failure_of(delivery: Delivery) -> tuple[str, str]:
    """Code and reason that a worker wrote beside a dead letter."""
    told = dict(delivery.attributes)
    if "code" not in told and "reason" not in told:
        return UNKNOWN, _UNKNOWN_TEXT
    return told.get("code", "unknown"), told.get("reason", "")


class Redrive:
    """One run. ``dead`` is emptied into ``sources``, batch by batch in turn.

    ``wanted`` chooses messages; ``rate`` is messages a second (None for as fast as it goes),
    ``limit`` the most to move. What is not chosen is held until the end, so that it is looked
    at once, and given back then.
    """

    def __init__(
        self,
        *,
        dead: JobQueue,
        sources: Sequence[JobSink],
        clock: Clock,
        wanted: Callable[[Delivery], bool] = lambda _: True,
        rate: float | None = None,
        limit: int | None = None,
        dry_run: bool = False,
        most_held: int = MOST_HELD,
    ) -> None:
        self._dead = dead
        self._sources = cycle(sources)
        self._clock = clock
        self._wanted = wanted
        self._rate = rate
        self._limit = limit
        self._dry_run = dry_run
        self._most_held = most_held
        self._held: dict[str, Delivery] = {}
        self._started = self._next_at = 0.0
        self._refusals = 0
        self._ended = False
        self.result = Redriven()

    async def run(self) -> Redriven:
        """Go through the dead-letter queue once. Errors of the queues are raised, after what
        was held has been given back.
        """
        self._started, self._next_at = self._clock.time(), self._clock.monotonic()
        # What is counted exactly is counted by one alone.
        lanes = 1 if self._rate or self._limit else _LANES
        tasks = [asyncio.create_task(self._lane()) for _ in range(lanes)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._give_back()
        return self.result

    async def _lane(self) -> None:
        while not self._ended and self._room() > 0:
            await self._until_due()
            batch = await self._dead.receive(self._room(), wait=_WAIT, lease=_LEASE)
            if not batch:
                return
            chosen = self._choose_from(batch)
            await self._go_on(chosen)

    def _room(self) -> int:
        """How many messages to take next."""
        result, room = self.result, _BATCH
        if self._rate:
            room = min(room, max(1, int(self._rate)))
        if self._limit is not None:
            room = min(room, self._limit - result.matched)
        return room

    async def _until_due(self) -> None:
        if self._rate:
            await self._clock.sleep(max(0.0, self._next_at - self._clock.monotonic()))

    def _choose_from(self, batch: Iterable[Delivery]) -> list[Delivery]:
        chosen = []
        for delivery in batch:
            again = delivery.message_id in self._held
            # Where the lease of one that is held has run out its receipt is the new one.
            self._held[delivery.message_id] = delivery._replace(body="", attributes=())
            if not again and self._is_chosen(delivery):
                chosen.append(delivery)
        if len(self._held) - len(chosen) >= self._most_held:
            self._stop()
        return chosen

    def _is_chosen(self, delivery: Delivery) -> bool:
        result = self.result
        result.looked_at += 1
        # One that was moved and has failed again already must not go round for ever.
        if delivery.sent_at > self._started:
            result.newer += 1
            return False
        if not self._wanted(delivery):
            result.left += 1
            return False
        result.matched += 1
        code, text = failure_of(delivery)
        result.reasons.setdefault(code, Reason(text)).count += 1
        return True

    async def _go_on(self, chosen: Sequence[Delivery]) -> None:
        if self._dry_run or not chosen:
            return
        now = self._clock.monotonic()
        if self._rate:
            self._next_at = max(now, self._next_at) + len(chosen) / self._rate
        sent = await self._copied(chosen)
        undeleted = await self._dead.acknowledge(sent)
        self.result.twice += [delivery.message_id for delivery in undeleted]
        self.result.moved += len(sent) - len(undeleted)
        kept = {delivery.message_id for delivery in undeleted}
        for delivery in sent:
            if delivery.message_id not in kept:
                del self._held[delivery.message_id]

    async def _copied(self, chosen: Sequence[Delivery]) -> list[Delivery]:
        """Those whose copies a queue has confirmed."""
        try:
            unsent = await next(self._sources).send([delivery.body for delivery in chosen])
        except MessageError as error:  # raised before anything is sent
            if len(chosen) == 1:
                self.result.failed[chosen[0].message_id] = str(error)
                return []
            return [sent for one in chosen for sent in await self._copied([one])]
        self._refusals = self._refusals + 1 if len(unsent) == len(chosen) else 0
        if self._refusals >= _MOST_REFUSALS:
            self._stop()
        # Bodies may be equal: then it is all the same which of them was sent.
        missing = Counter(unsent)
        sent = []
        for delivery in chosen:
            if missing[delivery.body]:
                missing[delivery.body] -= 1
                self.result.failed[delivery.message_id] = "the queue did not take it"
            else:
                sent.append(delivery)
        return sent

    def _stop(self) -> None:
        self._ended = True
        self.result.complete = False

    async def _give_back(self) -> None:
        held = list(self._held.values())
        lanes = [held[lane::_LANES] for lane in range(_LANES)]
        # Whoever fails here only has to wait for the lease to run out.
        await asyncio.gather(
            *(self._dead.extend(lane, 0) for lane in lanes if lane), return_exceptions=True
        )
