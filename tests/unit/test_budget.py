"""The budget of transfers, and the search for its size: on simulated servers, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import virtual
from support.simulation import SOURCE, TARGET, World, event, source, target
from sync.adapters.memory import MEMORY_DIALECT, MemoryObserver, MemoryQueue, MemoryStore
from sync.engine.budget import AutoBudget, Budget
from sync.engine.copier import Copier
from sync.engine.options import CopyOptions, RunnerOptions
from sync.engine.pacing import Bounds, Pace, Window, decide, start
from sync.engine.transfer import Context, JobState
from sync.errors import Throttled, TransientStoreError
from sync.model import JobKind, ObjectRef, TransferJob

BOUNDS = Bounds(4, 416)


# --- the semaphore --------------------------------------------------------------------


async def hold(budget: Budget, name: int, order: list[int], until: asyncio.Event) -> None:
    async with budget:
        order.append(name)
        await until.wait()


def test_places_are_given_in_the_order_they_were_asked_for() -> None:
    async def main() -> None:
        budget, until = Budget(2), asyncio.Event()
        order: list[int] = []
        tasks = [asyncio.create_task(hold(budget, n, order, until)) for n in range(5)]
        await asyncio.sleep(0)
        assert order == [0, 1]
        until.set()
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]
        assert budget.used == 0

    asyncio.run(main())


def test_a_raised_limit_lets_waiters_in_and_a_lowered_one_waits_for_places() -> None:
    async def main() -> None:
        budget, until = Budget(1), asyncio.Event()
        order: list[int] = []
        tasks = [asyncio.create_task(hold(budget, n, order, until)) for n in range(6)]
        await asyncio.sleep(0)
        budget.limit = 3
        await asyncio.sleep(0)
        assert (order, budget.used) == ([0, 1, 2], 3)
        budget.limit = 1
        tasks[0].cancel()
        await asyncio.sleep(0.001)
        assert (order, budget.used) == ([0, 1, 2], 2)
        until.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.used == 0

    asyncio.run(main())


def test_a_place_given_to_a_waiter_that_is_cancelled_goes_to_the_next() -> None:
    async def main() -> None:
        budget, until = Budget(1), asyncio.Event()
        order: list[int] = []
        tasks = [asyncio.create_task(hold(budget, n, order, until)) for n in range(4)]
        await asyncio.sleep(0)
        tasks[2].cancel()  # while it waits
        until.set()
        await asyncio.sleep(0)  # 0 has left: the place is 1's, which has not run yet
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [0, 3]
        assert budget.used == 0

    asyncio.run(main())


def test_parts_and_whole_objects_do_not_stand_in_one_row() -> None:
    """Eight places, long rows of both: parts get three quarters of them."""

    async def main() -> None:
        budget = Budget(8)
        inside: list[tuple[str, asyncio.Event]] = []

        async def visit(name: str) -> None:
            async with budget.parts if name == "part" else budget:
                inside.append((name, asyncio.Event()))
                await inside[-1][1].wait()

        async def let_one_go(name: str) -> None:
            at = next(at for at, (other, _) in enumerate(inside) if other == name)
            inside.pop(at)[1].set()
            for _ in range(3):
                await asyncio.sleep(0)

        names = ["part"] * 30 + ["object"] * 30
        rows = [asyncio.create_task(visit(name)) for name in names]
        await asyncio.sleep(0)
        assert [name for name, _ in inside] == ["part"] * 8  # nobody else was there
        for _ in range(2):
            await let_one_go("part")
        assert sorted(name for name, _ in inside) == ["object"] * 2 + ["part"] * 6
        for name in ("object", "part", "part", "object"):
            await let_one_go(name)
            assert sorted(name for name, _ in inside) == ["object"] * 2 + ["part"] * 6
        while inside:
            await let_one_go(inside[0][0])
        await asyncio.gather(*rows)
        assert budget.used == 0

    asyncio.run(main())


def test_a_budget_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="one place"):
        Budget(0)


moves = st.lists(
    st.tuples(
        st.sampled_from(["enter", "part", "leave", "cancel", "limit", "run"]), st.integers(1, 9)
    ),
    max_size=60,
)


@given(moves, st.booleans())
def test_never_more_than_the_limit_and_nobody_waits_while_a_place_is_free(
    steps: list[tuple[str, int]], auto: bool
) -> None:
    async def main() -> None:
        budget = AutoBudget(Bounds(1, 9), clock=lambda: 0.0) if auto else Budget(2)
        crowd = Crowd(budget)
        for step, number in steps:
            await crowd.take(step, number)
        await crowd.go()
        assert budget.used == 0

    asyncio.run(main())


class Crowd:
    """Tasks that come, stay until they are let go, and are cancelled anywhere."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.inside: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.peak = budget.limit

    async def visit(self, *, part: bool = False) -> None:
        async with self.budget.parts if part else self.budget:
            let_go = asyncio.Event()
            self.inside.append(let_go)
            try:
                await let_go.wait()
            finally:
                self.inside.remove(let_go)

    async def take(self, step: str, number: int) -> None:
        if step == "enter":
            self.tasks += [asyncio.create_task(self.visit()) for _ in range(number)]
        elif step == "part":
            self.tasks += [asyncio.create_task(self.visit(part=True)) for _ in range(number)]
        elif step == "leave":
            for let_go in self.inside[:number]:
                let_go.set()
        elif step == "cancel" and self.tasks:
            self.tasks[number % len(self.tasks)].cancel()
        elif step == "limit":
            self.budget.limit = number
            self.peak = max(self.peak, number)
        elif step == "run":
            await self.look()

    async def look(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        waiting = sum(not task.done() for task in self.tasks) - len(self.inside)
        assert len(self.inside) == self.budget.used <= self.peak
        assert self.budget.used >= self.budget.limit or not waiting

    async def go(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


# --- the decision ---------------------------------------------------------------------


def seen(rate: float, **fields: Any) -> Window:
    fields.setdefault("done", 1000)
    return Window(now=fields.pop("now", 100.0), rate=rate, **fields)


BASE = Pace(limit=64, base=64, rate=1000.0, hold=3)
ABOVE = replace(BASE, limit=96, hold=0, step=1.5)
BELOW = replace(BASE, limit=42, hold=0, up=False, step=1.5)


@pytest.mark.parametrize(
    ("pace", "window", "limit", "base"),
    [
        (start(BOUNDS), seen(1000), 128, 64),  # learns its rate and leaps
        (BASE, seen(1010), 64, 64),  # as known: waits
        (replace(BASE, hold=0, step=1.5), seen(1010), 96, 64),  # time to try upwards
        (replace(BASE, hold=0, up=False), seen(1010), 42, 64),  # or downwards
        (BASE, seen(400), 128, 64),  # the world has changed
        (BASE, seen(400, full=0.4), 64, 64),  # nothing to do is no evidence
        (ABOVE, seen(1500, full=0.4), 96, 64),
        (ABOVE, seen(1400), 144, 96),  # worth it: on
        (ABOVE, seen(1100), 64, 64),  # may be chance: the base once more
        (replace(BASE, hold=0, doubted=True, step=1.5), seen(1000), 96, 64),  # and again
        (replace(ABOVE, doubted=True), seen(1100), 144, 96),  # it was no chance
        (ABOVE, seen(1030), 64, 64),  # latency grew, not the rate: back
        (ABOVE, seen(700), 64, 64),  # worse: back
        (replace(ABOVE, limit=128, step=2.0), seen(1010), 96, 64),  # too far a leap
        (BELOW, seen(990), 28, 42),  # as good with less
        (BELOW, seen(900), 64, 64),  # not as good
        (BASE, seen(500, throttled=1000), 32, 32),  # half at the least
        (BASE, seen(500, throttled=250), 48, 48),  # what was let through
        (BASE, seen(500, throttled=9000, done=10), 32, 32),
        (BASE, seen(500, throttled=1000, used=20, full=0.0), 10, 10),  # of what was in use
        (ABOVE, seen(900, throttled=1000), 64, 64),  # not below a good base
        (BASE, seen(1000, throttled=20), 64, 64),  # a stray few are left to the retries
        (BASE, seen(1000, throttled=2, done=20), 64, 64),
        (Pace(5, 5, 10.0), seen(10, throttled=1000), 4, 4),  # never below the floor
        (Pace(300, 300, 10.0), seen(10), 416, 300),  # never above the ceiling
    ],
)
def test_the_table_of_decisions(pace: Pace, window: Window, limit: int, base: int) -> None:
    after = decide(pace, window, BOUNDS)
    assert (after.limit, after.base) == (limit, base)


def test_after_throttling_only_limits_half_way_back_are_tried_for_a_while() -> None:
    pace = decide(BASE, seen(500, throttled=250), BOUNDS)
    assert (pace.limit, pace.bad, pace.wary_until) == (48, 64, 102.0)
    early = decide(replace(pace, rate=900.0, hold=0), seen(900, now=101.0), BOUNDS)
    late = decide(replace(pace, rate=900.0, hold=0), seen(900, now=103.0), BOUNDS)
    assert (early.limit, late.limit) == (56, 72)
    again = decide(late, seen(500, throttled=500, now=103.0), BOUNDS)
    assert again.wary_until == 107.0


def test_tries_that_lead_nowhere_become_rare() -> None:
    pace, tried = replace(BASE, hold=0), []
    for number in range(400):
        tried += [number] if pace.limit != pace.base else []
        worse = pace.limit < pace.base
        pace = decide(pace, seen(700 if worse else 1000), BOUNDS)
    assert pace.base == 64
    assert len(tried) < 15


def test_where_more_brings_nothing_chance_does_not_drive_it_up() -> None:
    rng, bases = random.Random(3), []
    for _ in range(30):
        pace = start(BOUNDS)
        for _ in range(200):
            pace = decide(pace, seen(1000 * rng.uniform(0.75, 1.25)), BOUNDS)
            bases.append(pace.base)
    bases.sort()
    assert bases[len(bases) // 2] <= 64
    assert bases[len(bases) * 9 // 10] <= 200


@given(
    st.lists(
        st.tuples(st.floats(0.01, 1e6), st.integers(0, 500), st.floats(0, 1), st.integers(1, 600)),
        max_size=80,
    ),
    st.integers(4, 500),
)
def test_whatever_is_seen_the_limit_stays_within_its_bounds(
    windows: list[tuple[float, int, float, int]], ceiling: int
) -> None:
    bounds = Bounds(4, ceiling)
    pace = start(bounds)
    for number, (rate, throttled, full, used) in enumerate(windows):
        window = seen(rate, throttled=throttled, full=full, used=used, now=float(number))
        pace = decide(pace, window, bounds)
        assert 4 <= pace.limit <= ceiling
        assert 4 <= pace.base <= ceiling


# --- the search, on simulated servers -------------------------------------------------


@dataclass
class Server:
    """Answers a relay's two requests after ``delay`` seconds each, with one core that needs
    ``cpu`` seconds for a relay; refuses what exceeds ``allowed`` in a second of its clock.
    """

    delay: float
    cpu: float = 0.002
    allowed: int = 1_000_000
    size: int = 0
    served: int = 0
    refused: int = 0
    free_at: float = 0.0
    second: int = 0
    counted: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    async def relay(self) -> bool:
        now = asyncio.get_running_loop().time
        await asyncio.sleep(2 * self.delay * self.rng.uniform(0.8, 1.2))
        if int(now()) != self.second:
            self.second, self.counted = int(now()), 0
        self.counted += 1
        if self.counted > self.allowed:
            self.refused += 1
            return False
        self.free_at = max(self.free_at, now()) + self.cpu * self.rng.uniform(0.7, 1.3)
        await asyncio.sleep(self.free_at - now())
        self.served += 1
        return True


class Load:
    """As many jobs as a worker would hold, each tried until it is served."""

    def __init__(self, budget: Budget, server: Server) -> None:
        self.budget, self.server = budget, server
        self.jobs: set[asyncio.Task[None]] = set()
        self.open = True
        self.rng = random.Random(11)

    def fill(self, ended: asyncio.Task[None] | None = None) -> None:
        if ended is not None:
            self.jobs.discard(ended)
        while self.open and len(self.jobs) < 3 * self.budget.limit:
            job = asyncio.get_running_loop().create_task(self._job())
            self.jobs.add(job)
            job.add_done_callback(self.fill)

    async def _job(self) -> None:
        for attempt in range(6):
            async with self.budget:
                served = await self.server.relay()
                if served:
                    self.budget.moved(self.server.size)
                    return
            self.budget.throttled()
            await asyncio.sleep(self.rng.uniform(0.0, 0.2 * 2.0**attempt))

    async def rate(self, seconds: float) -> float:
        before = self.server.served
        await asyncio.sleep(seconds)
        return (self.server.served - before) / seconds

    async def close(self) -> None:
        self.open = False
        jobs = set(self.jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


def auto_budget(told: Callable[[Pace], None] | None = None, bounds: Bounds = BOUNDS) -> AutoBudget:
    return AutoBudget(bounds, clock=asyncio.get_running_loop().time, changed=told)


def best_fixed(make: Callable[[], Server]) -> float:
    async def one(limit: int) -> float:
        load = Load(Budget(limit), make())
        load.fill()
        await asyncio.sleep(1.0)
        rate = await load.rate(3.0)
        await load.close()
        return rate

    return max(virtual.run(one(limit)) for limit in (8, 32, 128, 416))


SERVERS: dict[str, Callable[[], Server]] = {
    "near": lambda: Server(0.001),
    "40 ms": lambda: Server(0.040),
    "150 ms": lambda: Server(0.150, cpu=0.0012),
    "near, throttling": lambda: Server(0.001, allowed=300),
    "40 ms, throttling": lambda: Server(0.040, allowed=300),
    "150 ms, throttling": lambda: Server(0.150, allowed=300),
    "parts of 8 MiB": lambda: Server(0.150, cpu=0.01, size=8 * 1024 * 1024),
}


@pytest.mark.parametrize("name", SERVERS)
def test_it_comes_within_a_tenth_of_the_best_fixed_setting(name: str) -> None:
    async def main() -> tuple[float, float]:
        limits: list[int] = []
        load = Load(auto_budget(lambda pace: limits.append(pace.limit)), server := make())
        load.fill()
        await asyncio.sleep(20.0)
        refused = server.refused
        rate = await load.rate(20.0)
        await load.close()
        assert all(limit <= BOUNDS.ceiling for limit in limits)
        return rate, (server.refused - refused) / 20.0

    make = SERVERS[name]
    rate, refused = virtual.run(main())
    assert rate >= 0.9 * best_fixed(make)
    assert refused < 0.15 * rate


def test_it_follows_a_store_that_moves_away_and_comes_back() -> None:
    async def main() -> None:
        server = Server(0.001, cpu=0.004)
        load = Load(auto_budget(), server)
        load.fill()
        await asyncio.sleep(20.0)
        near = load.budget.limit
        server.delay = 0.150
        await asyncio.sleep(20.0)
        assert await load.rate(5.0) >= 0.9 * 250
        assert load.budget.limit > 2 * near
        server.delay = 0.001
        await asyncio.sleep(60.0)
        assert await load.rate(5.0) >= 0.9 * 250
        await load.close()

    virtual.run(main())


def test_idle_times_change_nothing_and_bursts_go_on_from_there() -> None:
    async def main() -> None:
        load = Load(budget := auto_budget(), Server(0.040))
        load.fill()
        await asyncio.sleep(20.0)
        found = budget.limit
        for _ in range(10):
            load.open = False
            await asyncio.sleep(300.0)
            assert budget.limit >= found // 1.5  # it may be trying the next lower limit
            load.open = True
            load.fill()
            await asyncio.sleep(0.3)
            assert await load.rate(1.0) >= 0.9 * 500 / 1.5
        await load.close()

    virtual.run(main())


def test_a_trickle_of_work_is_no_evidence() -> None:
    async def main() -> None:
        budget, server = auto_budget(), Server(0.040)
        for _ in range(2000):
            async with budget:
                await server.relay()
        assert budget.limit == 64

    virtual.run(main())


def test_transfers_that_fail_are_not_counted_as_work() -> None:
    async def main() -> None:
        budget = auto_budget(bounds=Bounds(4, 8))

        async def fail() -> None:
            for _ in range(500):
                with pytest.raises(OSError, match="reset"):
                    async with budget:
                        await asyncio.sleep(0.01)
                        raise OSError("reset")

        await asyncio.gather(*(fail() for _ in range(20)))
        assert (budget.limit, budget.used) == (8, 0)

    virtual.run(main())


# --- what follows the budget ----------------------------------------------------------


def worker_world(**options: Any) -> World:
    runner = RunnerOptions(until_empty=True, **options)
    copying = CopyOptions(threshold=2_000, chunk=1_000, parts_per_object=None)
    dialect = replace(MEMORY_DIALECT, min_part=1)
    return World(options=copying, runner_options=runner, dialect=dialect)


class Slow:
    """Makes one kind of request take a second, and counts those under way."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.now = self.most = 0

    async def __call__(self, operation: str, _ref: ObjectRef) -> None:
        if operation == self.operation:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(1.0)
            self.now -= 1

    async def most_within(self, seconds: float) -> int:
        self.most = 0
        await asyncio.sleep(seconds)
        return self.most


def test_parts_of_one_object_follow_a_budget_that_moves() -> None:
    async def main() -> None:
        w = worker_world()
        w.target.interfere = slow = Slow("part")
        w.source.store(source("k"), b"x" * 200_000)
        w.queue.send(event("ObjectCreated:Put", "k", size=200_000))
        worker = w.worker()
        assert await slow.most_within(3.5) == 12  # three quarters of 16
        worker.slots.limit = 40
        await asyncio.sleep(2.0)
        assert await slow.most_within(2.5) == 30
        worker.slots.limit = 4
        await asyncio.sleep(2.0)
        assert await slow.most_within(3.5) == 3
        await worker.task
        assert w.differences() == []

    virtual.run(main())


def test_messages_in_hand_and_receives_follow_a_budget_that_moves() -> None:
    async def main() -> None:
        held, receivers = 20, 1
        w = worker_world(in_flight=lambda: held, receivers=lambda: receivers)
        w.target.interfere = Slow("put")
        for number in range(1500):
            w.source.store(source(f"k/{number}"), b"x")
            w.queue.send(event("ObjectCreated:Put", f"k/{number}", size=1))
        polls = Polls(w.queue)
        worker = w.worker()
        worker.slots.limit = 1000
        await asyncio.sleep(2.5)
        assert (worker.runner.in_flight, polls.most) == (20, 1)
        held, receivers = 300, 6
        await asyncio.sleep(2.5)
        assert (worker.runner.in_flight, polls.most) == (300, 6)
        held, receivers = 40, 2
        await asyncio.sleep(2.5)
        polls.most = 0
        await asyncio.sleep(2.5)
        assert worker.runner.in_flight <= 40
        assert polls.most <= 2
        report = await worker.task
        assert report.messages == 1500
        assert w.differences() == []

    virtual.run(main())


class Polls:
    """Receives of a queue, which take some time, that are open at once."""

    def __init__(self, queue: MemoryQueue) -> None:
        self.now = self.most = 0
        self.receive, queue.receive = queue.receive, self.counted  # type: ignore[method-assign]

    async def counted(self, *args: Any, **kwargs: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.04)
            return await self.receive(*args, **kwargs)
        finally:
            self.now -= 1


def test_the_budget_is_told_of_every_answer_that_asks_for_less_and_of_the_bytes() -> None:
    class Told(Budget):
        asked_for_less = 0
        size = 0

        def throttled(self) -> None:
            self.asked_for_less += 1

        def moved(self, size: int) -> None:
            self.size += size

    async def main() -> None:
        clock = virtual.VirtualClock()
        stores = (
            MemoryStore(SOURCE),
            MemoryStore(TARGET, dialect=replace(MEMORY_DIALECT, min_part=1)),
        )
        answers = iter([Throttled("slow down"), TransientStoreError("reset"), Throttled("again")])

        async def refuse(operation: str, _ref: ObjectRef) -> None:
            if operation in {"put", "part", "head"} and (error := next(answers, None)):
                raise error

        stores[0].interfere = stores[1].interfere = refuse
        budget, options = Told(4), CopyOptions(threshold=2_000, chunk=1_000, parts_per_object=None)
        context = Context(*stores, None, options, MemoryObserver(), clock, budget)
        for key, size in (("small", 100), ("large", 5_500)):
            stores[0].store(source(key), b"x" * size)
            job = TransferJob(JobKind.COPY, source(key), target(key), size=size)
            await Copier(context).run(job, JobState())
        assert (budget.asked_for_less, budget.size) == (2, 5_600)

    virtual.run(main())
