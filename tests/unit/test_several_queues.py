"""Several queues as one, on fakes and virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from support import virtual
from support.simulation import World, event, source
from support.virtual import VirtualClock
from sync.adapters.memory import MemoryObserver, MemoryQueue
from sync.engine.options import RunnerOptions
from sync.engine.several_queues import SeveralQueues
from sync.errors import AccessDenied, TransientStoreError
from sync.ports import Delivery

NAMES = ("a", "b", "c")


class Watched(MemoryQueue):
    """A queue that counts receives, and fails while it is told to."""

    def __init__(self) -> None:
        super().__init__(monotonic=VirtualClock().monotonic)
        self.receives: list[tuple[int, float]] = []
        self.fails = False
        self.open = self.most_open = 0

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        self.receives.append((limit, wait))
        if self.fails:
            raise TransientStoreError("the queue is down")
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await super().receive(limit, wait=wait, lease=lease)
        finally:
            self.open -= 1

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        if self.fails:
            raise TransientStoreError("the queue is down")
        return await super().extend(deliveries, lease)


class Bench:
    """Three queues as one."""

    def __init__(self, **how: Any) -> None:
        self.inner = {name: Watched() for name in NAMES}
        self.observer = MemoryObserver()
        self.all = SeveralQueues(self.inner, clock=VirtualClock(), observer=self.observer, **how)

    def __getitem__(self, name: str) -> Watched:
        return self.inner[name]

    async def receive(self, limit: int = 10, wait: float = 20.0) -> list[str]:
        return [d.body for d in await self.all.receive(limit, wait=wait, lease=60.0)]


def test_a_message_of_any_queue_ends_the_waiting_of_all() -> None:
    async def main() -> None:
        bench, began = Bench(), asyncio.get_running_loop().time()
        waiting = asyncio.create_task(bench.receive())
        await asyncio.sleep(7)
        bench["c"].send("late")
        assert await waiting == ["late"]
        assert asyncio.get_running_loop().time() == began + 7
        await bench.all.close()

    virtual.run(main())


def test_an_idle_hour_is_one_long_poll_at_each_queue_however_many_receive() -> None:
    async def main() -> None:
        bench = Bench()

        async def receiver() -> None:
            async with asyncio.timeout(3600):
                while True:
                    assert await bench.receive() == []

        await asyncio.gather(*(receiver() for _ in range(8)), return_exceptions=True)
        for name in NAMES:
            assert bench[name].most_open == 1
            assert len(bench[name].receives) <= 3600 / 20 + 1
        await bench.all.close()

    virtual.run(main())


def test_full_queues_are_taken_from_in_turn() -> None:
    async def main() -> None:
        bench = Bench()
        for name in NAMES:
            for _ in range(200):
                bench[name].send(name)
        came: list[str] = []
        while len(came) < 300:
            came += await bench.receive()
        counts = Counter(came)
        assert set(counts) == set(NAMES)
        assert max(counts.values()) - min(counts.values()) <= 20
        await bench.all.close()

    virtual.run(main())


def test_a_queue_that_comes_to_life_is_not_starved_by_a_full_one() -> None:
    async def main() -> None:
        bench = Bench()
        for _ in range(500):
            bench["a"].send("a")
        came: list[str] = []
        for turn in range(40):
            await asyncio.sleep(1)
            if turn == 25:  # the first long poll at it has ended by then
                bench["b"].send("b")
            came += await bench.receive()
            if "b" in came:
                break
        assert "b" in came
        assert turn <= 27
        await bench.all.close()

    virtual.run(main())


def test_a_queue_that_fails_does_not_stop_the_others_and_is_tried_again() -> None:
    async def main() -> None:
        bench = Bench()
        bench["a"].fails = True
        came: list[str] = []
        for number in range(30):
            bench["b"].send(str(number))
            came += await bench.receive()
        assert came == [str(number) for number in range(30)]
        assert await bench.receive() == []
        assert 2 <= len(bench["a"].receives) < 8
        assert bench.observer.named("queue-unavailable")[0]["queue"] == "a"
        bench["a"].fails = False
        bench["a"].send("back")
        for _ in range(5):
            came += await bench.receive()
        assert "back" in came
        await bench.all.close()

    virtual.run(main())


def test_where_no_queue_answers_the_receive_fails_each_time_and_asks_each_time() -> None:
    async def main() -> None:
        bench = Bench()
        for name in NAMES:
            bench[name].fails = True
        for _ in range(3):
            with pytest.raises(TransientStoreError):
                await bench.receive()
        assert {len(bench[name].receives) for name in NAMES} == {3}

    virtual.run(main())


def test_who_waits_for_empty_queues_hears_of_one_that_does_not_answer() -> None:
    async def main() -> None:
        bench = Bench(insist=True)
        bench["b"].fails = True
        bench["a"].send("one")
        assert await bench.receive(wait=2.0) == ["one"]
        with pytest.raises(TransientStoreError):
            await bench.receive(wait=2.0)
        assert await Bench(insist=True).receive(wait=2.0) == []

    virtual.run(main())


@pytest.mark.parametrize(
    ("pause", "came", "extended"), [(1, ["kept"], False), (50, ["kept"], True), (61, [], False)]
)
def test_what_came_while_nobody_received_is_handed_out_while_it_is_held(
    pause: float, came: list[str], extended: bool
) -> None:
    async def main() -> None:
        bench = Bench()
        waiting = asyncio.create_task(bench.receive())
        await asyncio.sleep(0.1)
        bench["a"].send("now")
        assert await waiting == ["now"]
        bench["b"].send("kept")
        arrived = asyncio.get_running_loop().time()
        await asyncio.sleep(pause)
        bench["a"].messages.clear()
        held = next(iter(bench["b"].messages.values()))
        if not came:  # the lease ran out and somebody else has it: it is nobody's here
            held.receipt, held.visible_at = "another's", arrived + 1000
        assert await bench.receive(wait=0.0) == came
        if came:
            assert held.visible_at == arrived + 60 + (pause if extended else 0)
        await bench.all.close()

    virtual.run(main())


def test_leaving_waits_for_open_polls_and_hands_out_what_nobody_received() -> None:
    async def main() -> None:
        bench = Bench()
        waiting = asyncio.create_task(bench.receive())
        await asyncio.sleep(1)
        bench["a"].send("now")
        assert await waiting == ["now"]
        leaving = asyncio.create_task(bench.all.leave())
        await asyncio.sleep(1)
        assert not leaving.done()
        bench["c"].send("late")
        left = await leaving
        assert [delivery.body for delivery in left] == ["late"]
        assert await bench.all.extend(left, 0) == []
        assert await bench["c"].depth() == 1
        assert await bench.receive(wait=20.0) == []  # nothing is asked any more
        assert bench["c"].open == 0

    virtual.run(main())


def test_each_message_is_answered_at_its_own_queue() -> None:
    async def main() -> None:
        bench = Bench()
        for name in NAMES:
            bench[name].send(name)
        held: list[Delivery] = []
        while len(held) < 3:
            held += await bench.all.receive(10, wait=1, lease=60)
        by_body = {delivery.body: delivery for delivery in held}
        assert (await bench.all.depth(), await bench.all.outstanding()) == (0, 3)
        assert await bench.all.dead_letter(by_body["b"], "why", "Code")
        assert bench["b"].buried == [("b", "why", "Code")]
        assert await bench.all.acknowledge([by_body["b"], by_body["c"]]) == []
        assert [len(bench[name].messages) for name in NAMES] == [1, 0, 0]
        bench["a"].fails = True
        bench["c"].send("more")
        (more,) = await bench.all.receive(10, wait=1, lease=60)
        assert await bench.all.extend([by_body["a"], more], 0) == [by_body["a"]]
        assert await bench["c"].depth() == 1
        with pytest.raises(TransientStoreError):
            await bench.all.extend([by_body["a"]], 0)
        await bench.all.close()

    virtual.run(main())


@pytest.mark.parametrize("receipt", ["", "7 m1:1", "-1 m1:1", "nonsense"])
def test_a_receipt_of_no_queue_is_refused(receipt: str) -> None:
    async def main() -> None:
        bench = Bench()
        stray = Delivery("m1", receipt, "x")
        assert await bench.all.acknowledge([stray]) == [stray]
        assert not await bench.all.dead_letter(stray, "why", "Code")

    virtual.run(main())


def test_a_count_that_one_queue_refuses_is_not_made_up() -> None:
    async def main() -> None:
        bench = Bench()

        async def refuse() -> int:
            raise AccessDenied("not allowed")

        bench["b"].outstanding = refuse  # type: ignore[method-assign]
        with pytest.raises(AccessDenied):
            await bench.all.outstanding()

    virtual.run(main())


def test_a_worker_serves_them_all_to_the_end_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        options = RunnerOptions(in_flight=20, receivers=4, lease=60.0, until_empty=True)
        world, bench = World(runner_options=options), Bench(insist=True)
        world.queue = bench.all  # type: ignore[assignment]
        for number in range(120):
            world.source.store(source(f"k/{number}"), b"x")
            bench[NAMES[number % 3]].send(event("ObjectCreated:Put", f"k/{number}", size=1))
        for number, queue in enumerate(bench.inner.values()):
            for message in queue.messages.values():
                message.message_id = f"{number}-{message.message_id}"
            queue.messages = {m.message_id: m for m in queue.messages.values()}
        worker = world.worker()
        async with asyncio.timeout(10_000):
            report = await worker.task
        assert report.well
        assert world.differences() == []
        assert [len(queue.messages) for queue in bench.inner.values()] == [0, 0, 0]
        await bench.all.close()

    virtual.run(main())


def test_receives_that_do_not_wait_let_the_polls_under_way_go_on() -> None:
    async def main() -> None:
        bench = Bench()

        async def slow(limit: int, *, wait: float, lease: float) -> list[Delivery]:
            await asyncio.sleep(3)
            return await MemoryQueue.receive(bench["b"], limit, wait=wait, lease=lease)

        bench["b"].receive = slow  # type: ignore[method-assign]
        bench["b"].send("there")
        came = await asyncio.gather(*(bench.receive(wait=0.0) for _ in range(4)))
        assert sorted(came) == [[], [], [], ["there"]]
        await bench.all.close()

    virtual.run(main())


def test_a_receive_that_does_not_wait_leaves_long_polls_alone_and_others_their_turn() -> None:
    async def main() -> None:
        bench, loop, turns = Bench(), asyncio.get_running_loop(), list[str]()
        waiting = asyncio.create_task(bench.receive())
        await asyncio.sleep(1)
        began = loop.time()
        loop.call_soon(turns.append, "mine")
        assert await bench.receive(wait=0.0) == []
        assert (loop.time(), turns) == (began, ["mine"])
        assert await waiting == []
        await bench.all.close()

    virtual.run(main())


def test_a_drained_worker_gives_back_what_a_poll_brought_too_late() -> None:
    async def main() -> None:
        options = RunnerOptions(in_flight=20, receivers=4, lease=600.0, drain=25.0)
        world, bench = World(runner_options=options), Bench()
        world.queue = bench.all  # type: ignore[assignment]
        worker = world.worker()
        await asyncio.sleep(5)
        draining = asyncio.create_task(worker.drain())
        await asyncio.sleep(1)
        bench["c"].send(event("ObjectCreated:Put", "k", size=1))
        await draining
        assert await bench["c"].depth() == 1
        assert {bench[name].open for name in NAMES} == {0}

    virtual.run(main())
