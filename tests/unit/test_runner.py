"""The queue loop on fakes: what becomes of messages."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from support import virtual
from support.simulation import SOURCE, TARGET, Worker, World, event, source, target
from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryLedger, MemoryObserver, MemoryQueue
from sync.engine.breaker import CircuitBreaker, State
from sync.engine.options import CopyOptions, RunnerOptions
from sync.engine.settling import Ending, RunReport, Settler
from sync.engine.transfer import JobState
from sync.errors import (
    AccessDenied,
    Draining,
    NotRestored,
    OutcomeUnknown,
    SyncError,
    Throttled,
    TransientStoreError,
)
from sync.messages import DestinationRule, decode
from sync.model import JobKind, ObjectRef, Outcome, TransferJob
from sync.ports import Delivery

CREATED = "ObjectCreated:Put"


def small(**changes: Any) -> RunnerOptions:
    base = RunnerOptions(in_flight=20, receivers=2, lease=60.0, until_empty=True)
    return replace(base, **changes)


def world(**fields: Any) -> World:
    fields.setdefault("runner_options", small())
    options = CopyOptions(threshold=2_000, chunk=1_000)
    fields.setdefault("options", options)
    fields.setdefault("dialect", replace(MEMORY_DIALECT, min_part=1))
    return World(**fields)


async def finish(worker: Worker) -> RunReport:
    async with asyncio.timeout(100_000):
        return await worker.task


def test_every_event_becomes_a_verified_object_and_its_message_goes() -> None:
    async def main() -> None:
        w = world()
        for number in range(57):
            w.source.store(source(f"k/{number}"), b"x" * number)
            w.queue.send(event(CREATED, f"k/{number}", size=number))
        report = await finish(w.worker())
        assert not w.queue.messages
        assert w.differences() == []
        assert report.outcomes == {Outcome.COPIED: 57}
        assert report.well

    virtual.run(main())


def test_ignored_and_pointless_messages_go_without_a_request() -> None:
    async def main() -> None:
        w = world()
        w.queue.send(event(CREATED, "secret/a", size=1))
        w.queue.send('{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}')
        w.queue.send(event("ObjectTagging:Put", "k"))
        report = await finish(w.worker())
        assert not w.queue.messages
        assert not w.source.requests
        assert report.outcomes == {Outcome.IGNORED: 1}

    virtual.run(main())


def test_an_unreadable_message_is_dead_lettered_with_the_reason() -> None:
    async def main() -> None:
        w = world()
        w.queue.send("no json")
        report = await finish(w.worker())
        assert not w.queue.messages
        body, reason, code = w.queue.buried[0]
        assert (body, code) == ("no json", "MessageError")
        assert reason
        assert not report.well

    virtual.run(main())


def test_without_a_dead_letter_queue_nothing_is_deleted() -> None:
    async def main() -> None:
        w = world()
        w.queue.has_dead_letter_queue = False
        w.queue.send("no json")
        report = await finish(w.worker())
        assert len(w.queue.messages) == 1
        assert not report.well

    virtual.run(main())


def test_a_message_of_several_records_goes_only_when_all_are_done() -> None:
    async def main() -> None:
        w = world()
        from json import dumps, loads

        bodies = [loads(event(CREATED, key, size=1)) for key in ("a", "b")]
        w.source.store(source("a"), b"1")
        w.source.store(source("b"), b"2")
        failures = iter(range(5))

        async def refuse_b(operation: str, ref: ObjectRef) -> None:
            if operation == "put" and ref.key == "b" and next(failures, None) is not None:
                assert not w.queue.acknowledged
                raise TransientStoreError("reset")

        w.target.interfere = refuse_b
        w.queue.send(dumps({"Records": [b["Records"][0] for b in bodies]}))
        report = await finish(w.worker())
        assert w.differences() == []
        assert len(w.queue.acknowledged) == 1
        assert report.well

    virtual.run(main())


def always(error: SyncError, *, key: str | None = None, operation: str = "put") -> Any:
    async def fail(found: str, ref: ObjectRef) -> None:
        if found == operation and key in (None, ref.key):
            raise error

    return fail


def test_what_fails_time_and_again_is_dead_lettered_not_lost() -> None:
    async def main() -> None:
        w = world(runner_options=small(max_receives=3))
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        w.target.interfere = always(TransientStoreError("reset"))
        report = await finish(w.worker())
        assert not w.queue.messages
        assert [code for _b, _r, code in w.queue.buried] == ["TransientStoreError"]
        assert w.target.requests.count(("put", target("k"))) == 3 * 4
        assert report.outcomes[Outcome.DEAD_LETTERED] == 1

    virtual.run(main())


class Unanswered(World):
    """The first writes get no reply, and take effect after all."""

    unheard = 4  # one try of a job, with its retries

    def began(self, write: asyncio.Future[Any], sent: tuple[Any, ...]) -> None:
        super().began(write, sent)
        if self.unheard:
            self.unheard -= 1
            raise OutcomeUnknown("the connection broke after the request was sent")


def test_a_job_whose_write_may_land_late_stays_though_its_message_is_gone() -> None:
    """The queue had handed it out twice: the other one has ended it with the newer version."""

    async def main() -> None:
        w = Unanswered(runner_options=small(), options=CopyOptions(late_write_grace=30.0))
        w.source.store(source("k"), b"old")
        w.queue.send(event(CREATED, "k", size=3))
        worker = w.worker(late=lambda: 20.0)
        while w.unheard:
            await asyncio.sleep(0.1)
        assert w.target.content(target("k")) is None
        w.source.store(source("k"), b"newer")
        w.target.store(target("k"), b"newer")
        w.queue.messages.clear()
        report = await finish(worker)
        assert ("put", target("k")) in w.target.requests
        assert w.differences() == []
        assert report.outcomes == {Outcome.COPIED: 1}

    virtual.run(main())


@pytest.mark.parametrize(("attempts", "puts"), [(1, 4), (3, 12)])
def test_a_job_that_stays_is_dead_lettered_when_it_has_failed_as_often_as_a_message_may(
    attempts: int, puts: int
) -> None:
    grace = 500.0

    async def main() -> None:
        w = world(
            options=CopyOptions(late_write_grace=grace),
            runner_options=small(max_receives=attempts),
        )
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        w.target.interfere = always(OutcomeUnknown("no reply"))
        received = []
        receive = w.queue.receive

        async def spy(limit: int, *, wait: float, lease: float) -> list[Delivery]:
            found = await receive(limit, wait=wait, lease=lease)
            received.extend(found)
            return found

        w.queue.receive = spy  # type: ignore[method-assign]
        began = asyncio.get_running_loop().time()
        await finish(w.worker())
        assert [code for _b, _r, code in w.queue.buried] == ["OutcomeUnknown"]
        assert w.target.requests.count(("put", target("k"))) == puts
        assert asyncio.get_running_loop().time() - began >= grace * (attempts - 1)
        assert [m.attempt for m in received] == [1]  # others were kept from it all the time

    virtual.run(main())


def test_a_job_that_stays_is_given_up_where_it_can_never_be_done() -> None:
    async def main() -> None:
        w = world(options=CopyOptions(late_write_grace=500.0))
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        failures = [OutcomeUnknown("no reply")] * 4

        async def fail(found: str, _ref: ObjectRef) -> None:
            if found == "put":
                raise failures.pop() if failures else NotRestored("archived")

        w.target.interfere = fail
        await finish(w.worker())
        assert [code for _b, _r, code in w.queue.buried] == ["NotRestored"]

    virtual.run(main())


def test_a_message_of_several_jobs_is_not_given_back_before_a_write_of_one_must_have_landed() -> (
    None
):
    """One job was cut short by the drain, so the message goes back; another one's last write may
    land late.
    """

    async def main() -> None:
        clock, queue = VirtualClock(), MemoryQueue(monotonic=VirtualClock().monotonic)
        settler = Settler(
            queue,
            options=small(),
            late_write_grace=500.0,
            breaker=CircuitBreaker(failures=3, pause=1.0, clock=clock, observer=MemoryObserver()),
            report=RunReport(),
            clock=clock,
            observer=MemoryObserver(),
        )
        queue.send("two keys")
        (delivery,) = await queue.receive(1, wait=0.0, lease=60.0)
        job = TransferJob(JobKind.COPY, source("k"), target("k"))
        late = JobState(unknown_write=True)
        ends = [(Draining("cut short"), JobState()), (OutcomeUnknown("no reply"), late)]
        await settler.settle(delivery, [Ending(error, state, job) for error, state in ends])
        before = clock.monotonic()
        assert await queue.receive(1, wait=1_000.0, lease=60.0)
        assert clock.monotonic() - before >= 500.0

    virtual.run(main())


def test_a_worker_that_goes_on_for_ever_keeps_nothing_of_what_it_has_given_back() -> None:
    """Another worker may end it, and then nobody here hears of it again."""

    async def main() -> None:
        w = world(runner_options=small(until_empty=False))
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        w.target.interfere = always(TransientStoreError("reset"))
        worker = w.worker()
        while not w.target.requests or worker.runner.in_flight:
            await asyncio.sleep(0.1)
        w.queue.messages.clear()
        assert not worker.runner._settler.awaits_returns
        await worker.drain()

    virtual.run(main())


def test_a_message_handed_out_twice_is_not_failing_once_one_of_the_two_has_done_it() -> None:
    async def main() -> None:
        w = world()
        w.source.store(source("k"), b"1")
        body = event(CREATED, "k", size=1)
        receive, handed = w.queue.receive, iter([True])

        async def twice(limit: int, *, wait: float, lease: float) -> list[Delivery]:
            found = await receive(limit, wait=wait, lease=lease)
            return found + [d._replace(attempt=2) for d in found if next(handed, False)]

        async def fail(found: str, _ref: ObjectRef) -> None:
            if found == "get" and w.target.content(target("k")):
                await asyncio.sleep(5)
                raise TransientStoreError("reset")

        w.queue.receive = twice  # type: ignore[method-assign]
        w.source.interfere = fail
        w.queue.send(body)
        report = await finish(w.worker())
        assert report.messages == 2
        assert report.well

    virtual.run(main())


def test_failures_are_recorded_in_the_ledger_too() -> None:
    async def main() -> None:
        ledger = MemoryLedger()
        w = world(runner_options=small(max_receives=2), ledger=ledger)
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        w.target.interfere = always(TransientStoreError("reset"))
        await finish(w.worker())
        recorded = ledger.results[str(source("k"))]
        assert [r.outcome for r in recorded] == [Outcome.FAILED, Outcome.FAILED]

    virtual.run(main())


def test_a_failed_hand_over_keeps_the_message() -> None:
    async def main() -> None:
        w = world()
        w.queue.send("no json")

        async def refuse(*_args: Any) -> bool:
            raise Throttled("slow down")

        w.queue.dead_letter = refuse  # type: ignore[assignment, method-assign]
        report = await finish(w.worker())
        assert len(w.queue.messages) == 1
        assert not report.well

    virtual.run(main())


def test_the_lease_is_held_as_long_as_the_job_takes() -> None:
    async def main() -> None:
        w = world(options=CopyOptions(job_timeout=10_000.0))
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))

        async def slow(operation: str, _ref: ObjectRef) -> None:
            if operation == "put":
                await asyncio.sleep(3_000)

        w.target.interfere = slow
        first, second = w.worker(), w.worker()
        await asyncio.gather(finish(first), finish(second))
        assert w.target.requests.count(("put", target("k"))) == 1
        assert not w.queue.messages

    virtual.run(main())


def test_a_lease_is_given_back_before_the_queues_own_limit() -> None:
    async def main() -> None:
        w = world(options=CopyOptions(job_timeout=1e6), runner_options=small(lease_cap=1_000.0))
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        stalls = iter([5_000])

        async def stall(operation: str, _ref: ObjectRef) -> None:
            if operation == "put":
                await asyncio.sleep(next(stalls, 0))

        w.target.interfere = stall
        await finish(w.worker())
        assert w.differences() == []

    virtual.run(main())


class TestDraining:
    def test_short_work_ends_and_is_acknowledged(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(until_empty=False))
            w.source.store(source("k"), b"1")
            w.queue.send(event(CREATED, "k", size=1))
            worker = started = w.worker()
            reached = asyncio.Event()

            async def slow(operation: str, _ref: ObjectRef) -> None:
                if operation == "put":
                    reached.set()
                    await asyncio.sleep(5)

            w.target.interfere = slow
            await reached.wait()
            await worker.drain()
            assert started.task.done()
            assert not w.queue.messages

        virtual.run(main())

    def test_what_an_open_poll_still_brings_is_given_back_at_once(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(until_empty=False, wait=20.0))
            w.source.store(source("k"), b"1")
            worker = w.worker()
            await asyncio.sleep(10)
            draining = asyncio.create_task(worker.drain())
            await asyncio.sleep(5)
            w.queue.send(event(CREATED, "k", size=1))
            await draining
            assert await w.queue.depth() == 1
            assert not w.target.requests

        virtual.run(main())

    def test_the_rest_is_visible_again_at_once_and_its_parts_stay(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(until_empty=False), ledger=MemoryLedger())
            w.source.store(source("k"), b"1" * 10_000)
            w.queue.send(event(CREATED, "k", size=10_000))
            reached = asyncio.Event()

            async def stall(operation: str, _ref: ObjectRef) -> None:
                if operation == "part" and len(w.target.requests) > 5:
                    reached.set()
                    await asyncio.sleep(10_000)

            w.target.interfere = stall
            worker = w.worker()
            await reached.wait()
            begun = asyncio.get_running_loop().time()
            await worker.drain()
            assert asyncio.get_running_loop().time() - begun <= 25
            assert await w.queue.depth() == 1
            assert len(w.target.open_uploads) == 1

        virtual.run(main())

    def test_a_write_sent_in_full_but_unanswered_keeps_its_lease(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(until_empty=False))
            w.source.store(source("k"), b"1")
            w.queue.send(event(CREATED, "k", size=1))
            reached = asyncio.Event()

            async def stall(operation: str, _ref: ObjectRef) -> None:
                if operation == "put-sent":
                    reached.set()
                    await asyncio.sleep(10_000)

            w.target.interfere = stall
            worker = w.worker()
            await reached.wait()
            await worker.drain()
            assert await w.queue.depth() == 0
            assert len(w.queue.messages) == 1

        virtual.run(main())


class TestBreaker:
    def test_stops_taking_says_so_and_recovers_by_itself(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(until_empty=False, breaker_failures=5, in_flight=5))
            for number in range(100):
                w.source.store(source(f"k{number}"), b"1")
                w.queue.send(event(CREATED, f"k{number}", size=1))
            w.target.interfere = always(AccessDenied("no"))
            worker = w.worker()
            await asyncio.sleep(5)
            assert worker.runner.breaker.state is State.OPEN
            assert w.observer.named("breaker-open")
            taken = sum(1 for m in w.queue.messages.values() if m.receives)
            assert taken <= 20
            w.target.interfere = always(AccessDenied("no"), operation="never")
            async with asyncio.timeout(20_000):
                while w.queue.messages:
                    await asyncio.sleep(10)
            assert w.observer.named("breaker-closed")
            assert w.differences() == []
            assert not w.queue.buried
            await worker.drain()

        virtual.run(main())

    def test_one_forbidden_object_does_not_open_it(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(breaker_failures=3, max_receives=4))
            for number in range(100):
                w.source.store(source(f"k{number}"), b"1")
                w.queue.send(event(CREATED, f"k{number}", size=1))
            w.target.interfere = always(AccessDenied("no"), key="k7")
            await finish(w.worker())
            assert not w.observer.named("breaker-open")
            assert w.differences() == ["k7"]
            assert [code for _b, _r, code in w.queue.buried] == ["AccessDenied"]

        virtual.run(main())

    def test_batch_use_ends_instead_of_waiting_for_credentials(self) -> None:
        async def main() -> None:
            w = world(runner_options=small(breaker_failures=3))
            for number in range(10):
                w.source.store(source(f"k{number}"), b"1")
                w.queue.send(event(CREATED, f"k{number}", size=1))
            w.target.interfere = always(AccessDenied("no"))
            report = await finish(w.worker())
            assert not report.well
            assert len(w.queue.messages) == 10

        virtual.run(main())


def test_events_of_one_key_share_a_copy_and_never_run_side_by_side() -> None:
    async def main() -> None:
        w = world()
        running: list[str] = []

        async def watch(operation: str, _ref: ObjectRef) -> None:
            if operation == "put":
                running.append("in")
                assert running == ["in"]
                await asyncio.sleep(1)
                running.clear()

        w.target.interfere = watch
        for number in range(10):
            w.source.store(source("k"), str(number).encode())
            w.queue.send(event(CREATED, "k", size=1))
        report = await finish(w.worker())
        assert w.target.content(target("k")) == b"9"
        assert report.outcomes == {Outcome.COPIED: 10}
        assert len([r for r in w.target.requests if r[0] == "put"]) == 2

    virtual.run(main())


def test_writes_of_one_object_keep_the_destinations_interval() -> None:
    async def main() -> None:
        w = world(dialect=replace(MEMORY_DIALECT, write_interval=1.0))
        times: list[float] = []

        async def note(operation: str, _ref: ObjectRef) -> None:
            if operation == "put":
                times.append(asyncio.get_running_loop().time())

        w.target.interfere = note
        w.source.store(source("k"), b"1")
        for _ in range(3):
            w.queue.send(event(CREATED, "k", size=1))
            w.queue.send(event(CREATED, "k", size=1), delay=0.5)
        await finish(w.worker())
        assert len(times) > 1
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))

    virtual.run(main())


@pytest.mark.parametrize("maximum", [1, 7, 25])
def test_max_jobs_takes_no_more(maximum: int) -> None:
    async def main() -> None:
        w = world(runner_options=small(until_empty=False, max_jobs=maximum))
        for number in range(30):
            w.source.store(source(f"k{number}"), b"1")
            w.queue.send(event(CREATED, f"k{number}", size=1))
        report = await finish(w.worker())
        assert report.messages == maximum
        assert len(w.target.keys(TARGET)) == maximum

    virtual.run(main())


def test_a_ledger_that_is_down_stops_nothing() -> None:
    async def main() -> None:
        from sync.engine.soft_ledger import SoftLedger

        class Down(MemoryLedger):
            async def finished(self, result: Any) -> None:
                raise TransientStoreError("table is away")

        w = world()
        w.ledger = SoftLedger(Down(), w.observer)
        w.source.store(source("k"), b"1")
        w.queue.send(event(CREATED, "k", size=1))
        await finish(w.worker())
        assert w.differences() == []
        assert w.observer.named("ledger-unavailable")

    virtual.run(main())


def test_a_bug_costs_one_message_not_the_worker() -> None:
    async def main() -> None:
        w = world(runner_options=small(max_receives=2))
        for key in ("a", "b"):
            w.source.store(source(key), b"1")
            w.queue.send(event(CREATED, key, size=1))

        async def bug(operation: str, ref: ObjectRef) -> None:
            if operation == "put" and ref.key == "a":
                raise ZeroDivisionError

        w.target.interfere = bug
        await finish(w.worker())
        assert w.target.content(target("b")) == b"1"
        assert len(w.queue.buried) == 1
        assert "Traceback" in str(w.observer.named("bug")[0]["trace"])

    virtual.run(main())


def test_the_queue_is_not_empty_while_a_dead_worker_holds_messages() -> None:
    async def main() -> None:
        w = world()
        for number in range(3):
            w.source.store(source(f"k/{number}"), b"x")
            w.queue.send(event(CREATED, f"k/{number}", size=1))
        await w.queue.receive(2, wait=0.0, lease=60.0)
        report = await finish(w.worker())
        assert report.outcomes == {Outcome.COPIED: 3}
        assert not w.queue.messages

    virtual.run(main())


def test_messages_that_cannot_be_handed_over_keep_no_batch_from_ending() -> None:
    async def main() -> None:
        w = world()
        w.queue.has_dead_letter_queue = False
        w.queue.send("nonsense")
        for worker in (w.worker(), w.worker()):
            await finish(worker)
        assert len(w.queue.messages) == 1
        assert any(not worker.runner.report.well for worker in w.workers)

    virtual.run(main())


def test_nearly_full_hands_wait_a_moment_to_take_ten_at_once() -> None:
    async def main() -> None:
        w = world(runner_options=small(in_flight=40))
        for number in range(400):
            w.source.store(source(f"k/{number}"), b"x")
            w.queue.send(event(CREATED, f"k/{number}", size=1))

        async def slow(operation: str, _ref: ObjectRef) -> None:
            if operation == "put":  # ends come one by one, some milliseconds after each other
                await asyncio.sleep(0.01 + 0.002 * (len(w.target.requests) % 17))

        w.target.interfere = slow
        takes = spy_on_receives(w)
        await finish(w.worker())
        assert w.differences() == []
        assert sum(takes) == 400
        assert len([taken for taken in takes if taken]) <= 60

    virtual.run(main())


@pytest.mark.parametrize("stuck", [35, 39])
def test_hands_full_of_long_work_still_take_what_there_is_room_for(stuck: int) -> None:
    async def main() -> None:
        w = world(runner_options=small(in_flight=40), options=CopyOptions(job_timeout=1e6))
        for number in range(stuck + 20):
            w.source.store(source(f"k/{number}"), b"x")

        async def hold(operation: str, ref: ObjectRef) -> None:
            if operation == "delete":
                await asyncio.sleep(5_000)

        w.target.interfere = hold
        w.options = CopyOptions(job_timeout=1e6, sync_deletes=True)
        for number in range(stuck):
            w.source.remove(source(f"k/{number}"))
            w.queue.send(event("ObjectRemoved:Delete", f"k/{number}"))
        worker = w.worker()
        await asyncio.sleep(60)
        assert worker.runner.in_flight == stuck
        for number in range(stuck, stuck + 20):
            w.queue.send(event(CREATED, f"k/{number}", size=1))
        await asyncio.sleep(60)
        assert worker.runner.in_flight == stuck
        assert len(w.queue.acknowledged) == 20
        await worker.drain()

    virtual.run(main())


def spy_on_receives(w: World) -> list[int]:
    """How many messages each receive brings."""
    takes: list[int] = []
    receive = w.queue.receive

    async def spied(limit: int, **how: Any) -> Any:
        deliveries = await receive(limit, **how)
        takes.append(len(deliveries))
        return deliveries

    w.queue.receive = spied  # type: ignore[method-assign]
    return takes


def test_of_a_batch_of_keys_only_those_that_failed_go_to_the_dead_letter_queue() -> None:
    async def main() -> None:
        w = world()
        keys = ["good", "folder/%2E", "line%0Abreak", "cr%0Dreturn"]
        for key in ("good", "folder/."):
            w.source.store(source(key), b"x")
        w.target._dialect = replace(w.target.dialect, key_fault=_no_line_ends)
        entries = [{"source_key": key, "target_key": key, "size": 1} for key in keys]
        body = {"source_bucket": SOURCE, "target_bucket": TARGET, "keys": entries}
        w.queue.send(json.dumps(body))
        report = await finish(w.worker())
        ((rest, reason, code),) = w.queue.buried
        assert code == "KeyNotAllowed"
        assert reason.startswith("2 keys: ")
        assert "line" in reason
        assert "cr" in reason
        left = [job.source.key for job in decode(rest, DestinationRule("elsewhere")).jobs]
        assert left == ["line\nbreak", "cr\rreturn"]
        assert {job.destination.bucket for job in decode(rest, DestinationRule("")).jobs} == {
            TARGET
        }
        assert not w.queue.messages
        assert report.outcomes == {Outcome.COPIED: 2, Outcome.DEAD_LETTERED: 1}

    virtual.run(main())


def _no_line_ends(key: str) -> str | None:
    return "it breaks lines" if {"\n", "\r"} & set(key) else None


def test_an_event_with_several_records_is_handed_over_whole() -> None:
    async def main() -> None:
        w = world()
        w.target._dialect = replace(w.target.dialect, key_fault=_no_line_ends)
        w.source.store(source("good"), b"x")
        records = [
            json.loads(event(CREATED, key, size=1))["Records"][0]
            for key in ("good", "a\nb", "c\nd")
        ]
        body = json.dumps({"Records": records})
        w.queue.send(body)
        await finish(w.worker())
        ((rest, reason, _code),) = w.queue.buried
        assert rest == body
        assert "2 keys" in reason

    virtual.run(main())
