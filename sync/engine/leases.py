"""Keeps the messages in hand invisible to others while they are worked on.

Every third of a lease all held messages are extended. SQS counts at most 12 hours from the
first receipt; before that a message is given back, and its parts are found by the next
receipt. Source: Amazon SQS Developer Guide, "Amazon SQS visibility timeout".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sync.engine.batches import BATCH
from sync.errors import SyncError
from sync.ports import Clock, Delivery, JobQueue, TransferObserver


@dataclass(slots=True)
class Held:
    """A message in hand: when it was taken, and how to end its work."""

    delivery: Delivery
    taken_at: float
    extended_at: float
    cut: Callable[[], object]


class Leases:
    """The messages this worker holds, and the heartbeat that keeps them."""

    def __init__(
        self,
        queue: JobQueue,
        *,
        lease: float,
        cap: float,
        clock: Clock,
        observer: TransferObserver,
    ) -> None:
        self._queue = queue
        self._lease = lease
        self._cap = cap
        self._clock = clock
        self._observer = observer
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, delivery: Delivery, cut: Callable[[], object], *, now: float) -> None:
        """Begin to extend this message, taken ``now``; ``cut`` is called when it can be held no
        longer.
        """
        self._held[delivery.receipt] = Held(delivery, now, now, cut)

    def drop(self, delivery: Delivery) -> None:
        """Stop extending it."""
        self._held.pop(delivery.receipt, None)

    async def beat_for_ever(self) -> None:
        """The heartbeat; runs until cancelled."""
        while True:
            await self._clock.sleep(self._lease / 6)
            await self.beat()

    async def beat(self) -> None:
        """Extend whatever has not been extended for a third of a lease."""
        now = self._clock.monotonic()
        for held in [h for h in self._held.values() if now - h.taken_at > self._cap]:
            self.drop(held.delivery)
            held.cut()
        due = [h for h in self._held.values() if now - h.extended_at >= self._lease / 3]
        await asyncio.gather(*(self._extend(batch, now) for batch in _tens(due)))

    async def _extend(self, batch: list[Held], now: float) -> None:
        try:
            refused = await self._queue.extend([h.delivery for h in batch], self._lease)
        except SyncError as error:
            self._observer.event("lease-not-extended", {"error": str(error), "count": len(batch)})
            return
        lost = {delivery.receipt for delivery in refused}
        for held in batch:
            if held.delivery.receipt not in lost:
                held.extended_at = now
        if lost:
            self._observer.event("lease-lost", {"count": len(lost)})


def _tens(items: list[Held]) -> Iterator[list[Held]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
