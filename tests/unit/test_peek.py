from __future__ import annotations

import pytest

from support.virtual import VirtualClock, run
from sync.adapters.memory import MemoryQueue
from sync.engine.tools.peek import Peeked, peek
from sync.errors import ConfigError, TransientStoreError
from sync.ports import Delivery


class Queue(MemoryQueue):
    def __init__(self, count: int, *, breaks_after: int = 100) -> None:
        super().__init__(monotonic=VirtualClock().monotonic)
        self.left = breaks_after
        for number in range(count):
            self.send(f"body {number}")

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        self.left -= 1
        if self.left < 0:
            raise TransientStoreError("down")
        return await super().receive(limit, wait=wait, lease=lease)

    @property
    def receives(self) -> list[int]:
        return [message.receives for message in self.messages.values()]

    @property
    def all_visible(self) -> bool:
        return len(self._visible()) == len(self.messages)


def look(queued: int, count: int, *, times: int = 1, limit: int = 0) -> tuple[Peeked, list[int]]:
    async def body() -> tuple[Peeked, list[int]]:
        queue = Queue(queued)
        for _ in range(times):
            seen = await peek(queue, count, max_receive_count=limit)
            assert queue.all_visible
        return seen, queue.receives

    return run(body())


def test_each_message_is_received_once() -> None:
    seen, receives = look(25, 23)
    assert len({delivery.body for delivery in seen.messages}) == 23
    assert sorted(receives) == [0, 0] + [1] * 23
    assert not seen.stopped


def test_an_empty_end_is_the_end() -> None:
    seen, _ = look(3, 10)
    assert (len(seen.messages), seen.stopped) == (3, False)


def test_it_stops_at_a_message_with_hardly_a_receipt_left() -> None:
    seen, receives = look(25, 25, times=3, limit=4)
    assert (len(seen.messages), seen.stopped) == (10, True)
    assert sorted(receives) == [2] * 15 + [3] * 10


def test_too_many_or_too_few_receipts_are_refused_before_anything_is_received() -> None:
    async def body() -> None:
        queue = Queue(3)
        with pytest.raises(ConfigError, match="100 at the most"):
            await peek(queue, 101)
        with pytest.raises(ConfigError, match="raise maxReceiveCount"):
            await peek(queue, 1, max_receive_count=2)
        assert queue.receives == [0, 0, 0]
        assert len((await peek(queue, 101, max_receive_count=1, force=True)).messages) == 3

    run(body())


def test_a_failure_on_the_way_gives_back_what_was_taken() -> None:
    async def body() -> None:
        queue = Queue(30, breaks_after=2)
        with pytest.raises(TransientStoreError):
            await peek(queue, 30)
        assert queue.all_visible
        assert sum(queue.receives) == 20

    run(body())
