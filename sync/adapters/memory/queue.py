"""A queue in memory."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sync.ports import Delivery


@dataclass(slots=True)
class _Message:
    message_id: str
    body: str
    visible_at: float
    sent_at: float
    receives: int = 0
    receipt: str = ""


class MemoryQueue:
    """A queue with leases on a given clock."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.messages: dict[str, _Message] = {}
        self.buried: list[tuple[str, str, str]] = []
        self.has_dead_letter_queue = True
        self.acknowledged: list[str] = []
        self._monotonic = monotonic
        self._ids = itertools.count(1)
        self._arrived = asyncio.Event()

    def send(self, body: str, *, delay: float = 0.0) -> str:
        """Add a message; visible after ``delay`` seconds."""
        name = f"m{next(self._ids)}"
        self.messages[name] = _Message(name, body, self._monotonic() + delay, time.time())
        self._arrived.set()
        return name

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        """Take visible messages, waiting for one."""
        ends = self._monotonic() + wait
        while True:
            taken = [self._take(m, lease) for m in self._visible()[:limit]]
            left = ends - self._monotonic()
            if taken or left <= 0:
                return taken
            await self._until_visible(left)

    async def _until_visible(self, left: float) -> None:
        now = self._monotonic()
        soon = min((m.visible_at - now for m in self.messages.values()), default=left)
        self._arrived.clear()
        try:
            async with asyncio.timeout(max(0.001, min(left, soon))):
                await self._arrived.wait()
        except TimeoutError:
            return

    def _visible(self) -> list[_Message]:
        now = self._monotonic()
        return [m for m in self.messages.values() if m.visible_at <= now]

    def _take(self, message: _Message, lease: float) -> Delivery:
        message.receives += 1
        message.visible_at = self._monotonic() + lease
        message.receipt = f"{message.message_id}:{message.receives}"
        return Delivery(
            message.message_id, message.receipt, message.body, message.receives, message.sent_at
        )

    def _held(self, delivery: Delivery) -> _Message | None:
        message = self.messages.get(delivery.message_id)
        return message if message and message.receipt == delivery.receipt else None

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Delete messages by their latest receipt."""
        refused = []
        for delivery in deliveries:
            if self._held(delivery):
                del self.messages[delivery.message_id]
                self.acknowledged.append(delivery.message_id)
            else:
                refused.append(delivery)
        return refused

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Hold on, or give back."""
        refused = []
        for delivery in deliveries:
            message = self._held(delivery)
            if message is None:
                refused.append(delivery)
            else:
                message.visible_at = self._monotonic() + lease
        self._arrived.set()
        return refused

    async def dead_letter(self, delivery: Delivery, reason: str, code: str) -> bool:
        """Keep a copy aside."""
        if self.has_dead_letter_queue:
            self.buried.append((delivery.body, reason, code))
        return self.has_dead_letter_queue

    async def depth(self) -> int:
        """Visible messages."""
        return len(self._visible())

    async def outstanding(self) -> int:
        """All messages."""
        return len(self.messages)
