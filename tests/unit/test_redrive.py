"""Dead letters go back without a loss, whatever breaks; at the rate that was asked for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.virtual import VirtualClock, run
from sync.adapters.memory import MemoryQueue
from sync.engine.tools.redrive import Redrive, Redriven, failure_of
from sync.errors import AccessDenied, MessageError, TransientStoreError
from sync.ports import Delivery


class Dead(MemoryQueue):
    """A dead-letter queue on virtual time, which may refuse to delete."""

    def __init__(self, bodies: Iterable[str] = ()) -> None:
        super().__init__(monotonic=VirtualClock().monotonic)
        self.refuse: Callable[[Delivery], bool] = lambda _: False
        for body in bodies:
            self.put(body)

    def put(self, body: str) -> None:
        name = self.send(body)
        self.messages[name].sent_at = VirtualClock().time()

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        kept = [one for one in deliveries if self.refuse(one)]
        return kept + await super().acknowledge([d for d in deliveries if d not in kept])

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self.messages.values()]


class Sink:
    """Takes messages, but for the times it is told not to."""

    def __init__(self, *answers: Callable[[list[str]], list[str]]) -> None:
        self.max_message_size = 256 * 1024
        self.taken: list[str] = []
        self.times: list[float] = []
        self.answers = list(answers)

    async def send(self, bodies: Iterable[str]) -> list[str]:
        given = list(bodies)
        unsent = self.answers.pop(0)(given) if self.answers else []
        self.taken += (Counter(given) - Counter(unsent)).elements()
        self.times.append(VirtualClock().monotonic())
        return unsent


def go(
    dead: Callable[[], Dead], *sinks: Sink, ended: list[float] | None = None, **options: Any
) -> tuple[Redriven, Dead]:
    """One run, a second after the messages came; ``ended`` is told when it was over."""

    async def body() -> tuple[Redriven, Dead]:
        queue = dead()
        await asyncio.sleep(1)
        result = await Redrive(dead=queue, sources=sinks, clock=VirtualClock(), **options).run()
        if ended is not None:
            ended.append(VirtualClock().monotonic())
        return result, queue

    return run(body())


def texts(count: int) -> list[str]:
    return [f"body {number}" for number in range(count)]


def test_every_message_moves_once_and_queues_take_turns() -> None:
    first, second = Sink(), Sink()
    result, dead = go(lambda: Dead(texts(100)), first, second)
    assert (result.looked_at, result.matched, result.moved) == (100, 100, 100)
    assert sorted(first.taken + second.taken) == sorted(texts(100))
    assert len(first.taken) == len(second.taken) == 50
    assert (dead.bodies, result.complete) == ([], True)


def test_the_rate_holds_over_the_whole_run() -> None:
    sink = Sink()

    async def body() -> float:
        dead = Dead(texts(50))
        await asyncio.sleep(1)
        began = VirtualClock().monotonic()
        await Redrive(dead=dead, sources=[sink], clock=VirtualClock(), rate=5).run()
        assert sink.times[0] == began
        return sink.times[-1] - began

    assert run(body()) == pytest.approx(9.0)  # ten times five, the first at once
    assert len(sink.taken) == 50
    assert all(
        b - a == pytest.approx(1.0) for a, b in zip(sink.times, sink.times[1:], strict=False)
    )


def test_a_rate_below_one_sends_one_at_a_time() -> None:
    sink = Sink()
    go(lambda: Dead(texts(3)), sink, rate=0.25)
    assert [b - a for a, b in zip(sink.times, sink.times[1:], strict=False)] == [4.0, 4.0]


def test_a_rate_is_not_made_up_for_after_a_pause() -> None:
    sink = Sink()

    async def body() -> None:
        dead = Dead(texts(10))
        await asyncio.sleep(1)
        slow = SlowDead(dead, pause=30.0, before=2)
        await Redrive(dead=slow, sources=[sink], clock=VirtualClock(), rate=2).run()

    run(body())
    gaps = [b - a for a, b in zip(sink.times, sink.times[1:], strict=False)]
    assert gaps[1] == pytest.approx(31.0)
    assert gaps[2:] == pytest.approx([1.0, 1.0])


class SlowDead:
    """Answers one receive late."""

    def __init__(self, dead: Dead, *, pause: float, before: int) -> None:
        self._dead, self._pause, self._left = dead, pause, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dead, name)

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        if self._left == 0:
            await asyncio.sleep(self._pause)
        self._left -= 1
        return await self._dead.receive(limit, wait=wait, lease=lease)


def test_unchosen_messages_are_looked_at_once_and_given_back() -> None:
    sink = Sink()
    seen: list[str] = []

    def wanted(delivery: Delivery) -> bool:
        seen.append(delivery.body)
        return delivery.body.endswith("7")

    result, dead = go(lambda: Dead(texts(40)), sink, wanted=wanted)
    assert sorted(seen) == sorted(texts(40))
    assert (result.moved, result.left) == (4, 36)
    assert len(dead.bodies) == 36
    assert {message.visible_at for message in dead.messages.values()} <= {1002.0}


def test_a_long_run_looks_at_no_message_twice() -> None:
    """At one in ten seconds the leases of what is left run out on the way."""
    seen: list[str] = []

    def wanted(delivery: Delivery) -> bool:
        seen.append(delivery.body)
        return "9" not in delivery.body

    ended: list[float] = []
    result, dead = go(lambda: Dead(texts(200)), Sink(), wanted=wanted, rate=0.1, ended=ended)
    assert sorted(seen) == sorted(texts(200))
    assert (result.moved, result.left) == (162, 38)
    assert len(dead.bodies) == 38
    assert all(message.visible_at <= ended[0] for message in dead.messages.values())


def test_what_fails_again_does_not_go_round() -> None:
    class Failing(Sink):
        def __init__(self, dead: Dead) -> None:
            super().__init__()
            self.dead = dead

        async def send(self, bodies: Iterable[str]) -> list[str]:
            given = list(bodies)
            for body in given:  # the worker hands it over again at once
                await asyncio.sleep(0.01)
                self.dead.put(body)
            return await super().send(given)

    async def body() -> tuple[Redriven, Dead]:
        dead = Dead(texts(30))
        await asyncio.sleep(1)
        redrive = Redrive(dead=dead, sources=[Failing(dead)], clock=VirtualClock())
        return await redrive.run(), dead

    result, dead = run(body())
    assert (result.moved, result.newer) == (30, 30)
    assert len(dead.bodies) == 30


def test_a_message_is_deleted_only_after_its_copy_was_confirmed() -> None:
    sink = Sink(lambda given: given[3:5])
    result, dead = go(lambda: Dead(texts(10)), sink)
    assert (result.moved, len(result.failed), result.complete) == (8, 2, True)
    assert dead.bodies == ["body 3", "body 4"]
    assert sorted(sink.taken + dead.bodies) == sorted(texts(10))


def test_of_equal_bodies_as_many_are_deleted_as_were_copied() -> None:
    sink = Sink(lambda given: ["same"])
    result, dead = go(lambda: Dead(["same"] * 4), sink)
    assert (result.moved, len(result.failed)) == (3, 1)
    assert dead.bodies == ["same"]


def test_a_queue_that_takes_nothing_ends_the_run() -> None:
    sink = Sink(*[lambda given: given] * 100)
    result, dead = go(lambda: Dead(texts(200)), sink, rate=1000)
    assert not result.complete
    assert (result.moved, len(result.failed)) == (0, 30)
    assert len(dead.bodies) == 200
    assert all(message.visible_at <= 1002 for message in dead.messages.values())


def test_a_refusal_now_and_then_does_not_end_it() -> None:
    def all_of_it(given: list[str]) -> list[str]:
        return given

    def nothing(given: list[str]) -> list[str]:
        return []

    sink = Sink(*[all_of_it, all_of_it, nothing] * 4)
    result, _ = go(lambda: Dead(texts(12)), sink, rate=1)
    assert (result.moved, len(result.failed), result.complete) == (4, 8, True)


def test_one_message_too_large_keeps_no_other() -> None:
    def too_large(given: list[str]) -> list[str]:
        if "body 5" in given:
            raise MessageError("too large")
        return []

    sink = Sink(*[too_large] * 11)
    result, dead = go(lambda: Dead(texts(10)), sink)
    assert (result.moved, list(result.failed.values())) == (9, ["too large"])
    assert (dead.bodies, result.complete) == (["body 5"], True)


def test_what_cannot_be_deleted_is_in_both_and_said_so() -> None:
    def dead() -> Dead:
        made = Dead(texts(10))
        made.refuse = lambda delivery: delivery.body == "body 1"
        return made

    sink = Sink()
    result, left = go(dead, sink)
    assert (result.moved, len(result.twice)) == (9, 1)
    assert len(sink.taken) == 10
    assert left.bodies == ["body 1"]
    assert all(message.visible_at <= 1002 for message in left.messages.values())


@pytest.mark.parametrize("error", [AccessDenied("no"), TransientStoreError("down")])
def test_an_error_gives_everything_back_and_is_raised(error: Exception) -> None:
    def broken(_: list[str]) -> list[str]:
        raise error

    made: list[Dead] = []

    def dead() -> Dead:
        made.append(Dead(texts(60)))
        return made[0]

    with pytest.raises(type(error)):
        go(dead, Sink(lambda given: [], broken), rate=1000)
    assert len(made[0].messages) == 50
    assert all(message.visible_at <= 1002 for message in made[0].messages.values())


def test_it_stops_before_too_many_are_held() -> None:
    result, dead = go(lambda: Dead(texts(100)), Sink(), wanted=lambda _: False, most_held=40)
    assert not result.complete
    assert 40 <= result.looked_at <= 80  # lanes that had asked already
    assert len(dead.bodies) == 100
    assert all(message.visible_at <= 1002 for message in dead.messages.values())


def test_a_dry_run_touches_nothing() -> None:
    sink = Sink()
    result, dead = go(lambda: Dead(texts(25)), sink, dry_run=True)
    assert (result.matched, result.moved, sink.taken) == (25, 0, [])
    assert len(dead.bodies) == 25
    assert all(message.visible_at <= 1002 for message in dead.messages.values())


def test_reasons_are_what_workers_wrote() -> None:
    def told(**attributes: str) -> Delivery:
        return Delivery("m", "r", "b", attributes=tuple(attributes.items()))

    assert failure_of(told(code="AccessDenied", reason="403")) == ("AccessDenied", "403")
    assert failure_of(told(reason="403")) == ("unknown", "403")
    assert failure_of(told(who="sender"))[0] == "maxReceiveCount"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.sampled_from([None, 7.0]))
def test_nothing_is_lost_whatever_breaks(seed: int, count: int, rate: float | None) -> None:
    """Copies and what is left hold every body at least once; a clean run exactly once."""
    chance = random.Random(seed)
    broken = chance.random() < 0.7

    def answer(given: list[str]) -> list[str]:
        if not broken:
            return []
        if chance.random() < 0.05:
            raise AccessDenied("gone")
        return [body for body in given if chance.random() < 0.2]

    def dead() -> Dead:
        made = Dead(texts(count))
        made.refuse = lambda _: broken and chance.random() < 0.1
        held.append(made)
        return made

    held: list[Dead] = []
    sink = Sink(*[answer] * 500)
    try:
        go(dead, sink, rate=rate)
    except AccessDenied:
        assert broken
    everywhere = Counter(sink.taken + held[0].bodies)
    assert set(everywhere) == set(texts(count))
    if not broken:
        assert not held[0].bodies
        assert set(everywhere.values()) <= {1}
