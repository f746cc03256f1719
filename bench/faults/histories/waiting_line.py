"""A queue that wakes one receiver for one message, hands messages out twice, and loses replies."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import NamedTuple

from faults.histories.trouble import Trouble
from support.virtual import VirtualClock
from sync.adapters.memory import MemoryQueue
from sync.adapters.memory.queue import _Message
from sync.errors import OutcomeUnknown, TransientStoreError
from sync.ports import Delivery

_MOMENT = 0.01


class Due(NamedTuple):
    """A message may be handed out from ``when`` on; ``twice``: although somebody has it."""

    when: float
    number: int
    name: str
    twice: bool


def _fails(what: str) -> TransientStoreError:
    return TransientStoreError(f"{what}: 503 ServiceUnavailable", status=503)


class WaitingLine(MemoryQueue):
    """SQS's promises, and no more than these. ``left`` is told of each message that goes, with
    whether it had been handed over to the dead-letter queue ``dead``.
    """

    def __init__(self, trouble: Trouble, *, dead: WaitingLine | None = None) -> None:
        super().__init__(monotonic=VirtualClock().monotonic)
        self.came: Callable[[str, str], None] = lambda _name, _body: None
        self.left: Callable[[str, bool], None] = lambda _name, _buried: None
        self.answered: set[str] = set()
        self.answered_twice = 0
        self.in_hand_twice = 0
        self._trouble = trouble
        self._dead = dead
        self._again: dict[str, float] = {}
        self._handed_over: set[str] = set()
        self._due: list[Due] = []
        self._numbers = itertools.count()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._armed: tuple[float, asyncio.TimerHandle] | None = None

    @property
    def max_message_size(self) -> int:
        """As SQS's."""
        return 262_144

    # --- sending ----------------------------------------------------------------------

    def send_one(self, body: str, *, delay: float = 0.0, again: float = 0.0) -> str:
        """Add a message, to be handed out a second time ``again`` seconds after the first."""
        name = f"m{next(self._ids)}"
        clock = VirtualClock()
        self.messages[name] = _Message(name, body, 0.0, clock.time())
        self.came(name, body)
        if again:
            self._again[name] = again
        self._show(self.messages[name], clock.monotonic() + delay)
        return name

    def _show(self, message: _Message, when: float) -> None:
        message.visible_at = when
        self._note(when, message.message_id, twice=False)

    def _note(self, when: float, name: str, *, twice: bool) -> None:
        heapq.heappush(self._due, Due(when, next(self._numbers), name, twice))
        self._arm()

    def expire(self, age: float) -> list[str]:
        """Drop what was sent longer ago; the names of what went."""
        before = VirtualClock().time() - age
        gone = [name for name, message in self.messages.items() if message.sent_at < before]
        for name in gone:
            del self.messages[name]
        return gone

    def only_once(self, names: Iterable[str]) -> None:
        """These are not handed out a second time while somebody has them."""
        gone = set(names)
        self._due = [due for due in self._due if not (due.twice and due.name in gone)]
        heapq.heapify(self._due)

    # --- receiving --------------------------------------------------------------------

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        """As the fake's, without waking all for one."""
        if self._trouble.fires("receive-fails"):
            raise _fails("ReceiveMessage")
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait
        while True:
            taken = self._take_due(limit, loop.time(), lease)
            if taken or loop.time() >= ends:
                return taken
            await self._until_woken(loop, ends)

    async def _until_woken(self, loop: asyncio.AbstractEventLoop, ends: float) -> None:
        place = loop.create_future()
        timer = loop.call_at(ends, _wake, place)
        self._waiting.append(place)
        self._arm()
        try:
            await place
        finally:
            timer.cancel()

    def _take_due(self, limit: int, now: float, lease: float) -> list[Delivery]:
        taken: list[Delivery] = []
        while len(taken) < limit and self._next() <= now:
            due = heapq.heappop(self._due)
            message = self.messages[due.name]
            self.in_hand_twice += due.twice and message.visible_at > now
            taken.append(self._take(message, lease))
            self._note(message.visible_at, due.name, twice=False)
            again = self._again.pop(due.name, 0.0)
            if again:
                self._note(now + again, due.name, twice=True)
        self._arm()
        return taken

    def _next(self) -> float:
        """When the next message is due; what is out of date is thrown away."""
        due = self._due
        while due:
            when, _number, name, twice = due[0]
            message = self.messages.get(name)
            if message is not None and (twice or message.visible_at == when):
                return when
            heapq.heappop(due)
        return inf

    def _arm(self) -> None:
        """See to it that a receiver wakes when the next message is due."""
        waiting = self._waiting
        while waiting and waiting[0].done():
            waiting.popleft()
        when = self._next() if waiting else inf
        if when == inf:
            return
        if self._armed is not None:
            if self._armed[0] <= when:
                return
            self._armed[1].cancel()
        self._armed = when, asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._armed = None
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    # --- answering --------------------------------------------------------------------

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Delete messages by their latest receipt; what was answered before is counted."""
        trouble = self._trouble
        if trouble.fires("acknowledge-fails"):
            raise _fails("DeleteMessageBatch")
        refused = []
        for delivery in deliveries:
            self.answered_twice += delivery.receipt in self.answered
            if trouble.fires("receipt-expired"):
                refused.append(delivery)
                message = self._held(delivery)
                if message is not None:
                    self._show(message, self._monotonic())
            elif self._held(delivery):
                del self.messages[delivery.message_id]
                self.left(delivery.message_id, delivery.message_id in self._handed_over)
            else:
                refused.append(delivery)
        if trouble.fires("acknowledge-reply-lost"):
            raise OutcomeUnknown("DeleteMessageBatch: no reply")
        lost = {one.receipt for one in refused}
        self.answered.update(d.receipt for d in deliveries if d.receipt not in lost)
        return refused

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Hold on, or give back."""
        if self._trouble.fires("extend-fails"):
            raise _fails("ChangeMessageVisibilityBatch")
        refused = []
        for delivery in deliveries:
            message = self._held(delivery)
            if message is None:
                refused.append(delivery)
            else:
                self._show(message, self._monotonic() + lease)
        return refused

    async def dead_letter(self, delivery: Delivery, reason: str, code: str) -> bool:
        """Copy to the dead-letter queue."""
        if self._trouble.fires("burial-fails"):
            raise _fails("SendMessage")
        if self._dead is None or self._trouble.fires("no-dead-letter-queue"):
            return False
        assert reason, "a message was buried without a reason"
        assert code, "a message was buried without a code"
        self._dead.send_one(delivery.body)
        self._handed_over.add(delivery.message_id)
        return True


def _wake(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)


class Sink:
    """The queue as whoever sends jobs sees it."""

    def __init__(self, line: WaitingLine) -> None:
        self._line = line
        self.max_message_size = line.max_message_size

    async def send(self, bodies: Iterable[str]) -> list[str]:
        """All of them are taken, and it takes a moment."""
        await asyncio.sleep(_MOMENT)
        for body in bodies:
            self._line.send_one(body)
        return []
