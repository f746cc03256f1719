"""The queue loop: take messages, have their jobs done, and end in good order."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from sync.engine.batches import BATCH
from sync.engine.breaker import CircuitBreaker, State
from sync.engine.copier import Copier
from sync.engine.leases import Leases
from sync.engine.options import MOST_RECEIVERS, RunnerOptions
from sync.engine.retry import backoff
from sync.engine.settling import Ending, RunReport, Settler
from sync.engine.transfer import JobState
from sync.engine.turns import KeyTurns
from sync.errors import Draining, MessageError, StoreError, SyncError
from sync.messages import Decoded
from sync.model import JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import Clock, Delivery, JobLedger, JobQueue, TransferObserver

_QUEUE_FAILURES: Final = 5
_EMPTY_LOOKS: Final = 2
_MANY: Final = 4
_MOMENT: Final = 0.02
"""Seconds in which a few of many messages end."""


class Runner:
    """Serves one queue until it is drained."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        copier: Copier,
        ledger: JobLedger | None,
        decode: Callable[[str], Decoded],
        ignored: Callable[[ObjectRef], str | None],
        options: RunnerOptions,
        write_interval: float,
        late_write_grace: float,
        clock: Clock,
        observer: TransferObserver,
    ) -> None:
        self._queue = queue
        self._copier = copier
        self._ledger = ledger
        self._decode = decode
        self._ignored = ignored
        self._options = options
        self._clock = clock
        self._observer = observer
        self._turns: KeyTurns[TransferResult] = KeyTurns(interval=write_interval, clock=clock)
        self._leases = Leases(
            queue, lease=options.lease, cap=options.lease_cap, clock=clock, observer=observer
        )
        self.breaker = CircuitBreaker(
            failures=options.breaker_failures,
            pause=options.breaker_pause,
            clock=clock,
            observer=observer,
        )
        self.report = RunReport()
        self._settler = Settler(
            queue,
            options=options,
            late_write_grace=late_write_grace,
            breaker=self.breaker,
            report=self.report,
            clock=clock,
            observer=observer,
        )
        self._tasks: dict[asyncio.Task[None], tuple[Delivery, list[JobState]]] = {}
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._polling: set[asyncio.Task[None]] = set()
        self._too_late: list[Delivery] = []
        self._reserved = 0
        self._taken = 0
        self._queue_failures = 0
        self._empty_looks = 0
        self._plenty = False
        self._resting: dict[int, asyncio.Future[None]] = {}
        self._asking = asyncio.Lock()

    # --- the loop ---------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Messages in hand."""
        return len(self._tasks)

    def stop(self, reason: str) -> None:
        """Take no more messages; ``run`` ends when what is in hand is done or given back."""
        if not self._stopping.is_set():
            self._observer.event("draining", {"reason": reason, "in_flight": self.in_flight})
        self._stopping.set()
        self._changed.set()

    async def run(self) -> RunReport:
        """Serve the queue until ``stop`` is called, or by the options until it is empty."""
        heartbeat = asyncio.create_task(self._leases.beat_for_ever())
        most = self._options.receivers
        most = MOST_RECEIVERS if callable(most) else most
        receivers = [asyncio.create_task(self._receive(n)) for n in range(most)]
        try:
            await self._until_stopped(receivers)
            await self._drain(receivers)
        finally:
            heartbeat.cancel()
            for task in (*receivers, *self._tasks):
                task.cancel()
            await asyncio.gather(heartbeat, *receivers, *self._tasks, return_exceptions=True)
        return self.report

    async def _until_stopped(self, receivers: Sequence[asyncio.Task[None]]) -> None:
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({stopped, *receivers}, return_when=asyncio.FIRST_COMPLETED)
            for task in receivers:
                if task.done() and not self._stopping.is_set():
                    task.result()
        finally:
            stopped.cancel()

    async def _receive(self, number: int) -> None:
        """One long-polling receiver. All but the first rest while there is little to take."""
        while not self._stopping.is_set():
            if number and self._rests(number):
                await self._rest(number)
                continue
            if self._options.until_empty and self.breaker.state is State.OPEN:
                self.stop(self.breaker.reason)
                return
            async with self._asking:
                room = await self._room()
            if room and not await self._take(room, first=number == 0):
                self._plenty = False

    def _rests(self, number: int) -> bool:
        return not self._plenty or number >= _now(self._options.receivers)

    async def _rest(self, number: int) -> None:
        self._resting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._resting[number]
        finally:
            del self._resting[number]

    def _call(self, receivers: int) -> None:
        """Wake the first so many of them; to wake all who may not work costs more than they do."""
        for number in range(1, receivers):
            resting = self._resting.get(number)
            if resting is not None and not resting.done():
                resting.set_result(None)

    async def _room(self) -> int:
        """Reserve places for messages; 0 where the runner is stopping."""
        allowed = await self.breaker.allowed()
        waited = False
        while not self._stopping.is_set():
            most = _now(self._options.in_flight)
            free = most - len(self._tasks) - self._reserved
            if 0 < free < BATCH <= most // _MANY and not waited:
                # To receive one message costs as much as to receive ten.
                await self._clock.sleep(_MOMENT)
                waited = True
                continue
            if allowed is not None:
                free = min(free, allowed - len(self._tasks) - self._reserved)
            if self._options.max_jobs is not None:
                free = min(free, self._options.max_jobs - self._taken - self._reserved)
            if free > 0:
                take = min(free, BATCH)
                self._reserved += take
                return take
            self._changed.clear()
            await self._changed.wait()
            waited = False
        return 0

    async def _take(self, room: int, *, first: bool) -> bool:
        """Receive once. False where the queue had nothing."""
        options = self._options
        wait = options.wait if not options.until_empty else min(options.wait, 2.0)
        task = asyncio.current_task()
        assert task is not None
        self._polling.add(task)
        try:
            deliveries = await self._queue.receive(room, wait=wait, lease=options.lease)
        except SyncError as error:
            self._polling.discard(task)
            await self._queue_failed(error)
            return True
        finally:
            self._polling.discard(task)
            self._reserved -= room
            self._changed.set()
        self._queue_failures = 0
        if self._stopping.is_set():
            self._too_late += deliveries
            return True
        self._begin(deliveries)
        if len(deliveries) == room:
            self._plenty = True
            self._call(_now(options.receivers))
        if first and options.until_empty and not deliveries:
            # SQS's figures are approximate: what is empty looks so twice.
            self._empty_looks = self._empty_looks + 1 if await self._is_empty() else 0
            if self._empty_looks >= _EMPTY_LOOKS:
                self.stop("the queue is empty")
        return bool(deliveries)

    async def _queue_failed(self, error: SyncError) -> None:
        self._queue_failures += 1
        self._observer.event("queue-unavailable", {"error": str(error)})
        if self._options.until_empty and self._queue_failures >= _QUEUE_FAILURES:
            self.report.failing["queue"] = str(error)
            self.stop("the queue does not answer")
        await self._clock.sleep(1.0 + backoff(self._queue_failures, base=1.0, cap=30.0))

    async def _is_empty(self) -> bool:
        """Nothing in hand, nothing waiting, and nothing that may still come back: what another
        worker holds does when it dies. Those that nobody can carry out are not waited for.
        """
        if self._tasks or self._reserved or self._settler.awaits_returns:
            return False
        try:
            return await self._queue.outstanding() <= self._settler.parked
        except SyncError as error:
            self._observer.event("queue-unavailable", {"error": str(error)})
            return False

    def _begin(self, deliveries: Sequence[Delivery]) -> None:
        now, loop = self._clock.monotonic(), asyncio.get_running_loop()
        for delivery in deliveries:
            self._empty_looks = 0
            self._taken += 1
            self._settler.received(delivery)
            states: list[JobState] = []
            task = loop.create_task(self._process(delivery, states))
            self._tasks[task] = (delivery, states)
            self._leases.hold(delivery, task.cancel, now=now)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        delivery, _states = self._tasks.pop(task)
        self._leases.drop(delivery)
        self._changed.set()
        if not task.cancelled() and task.exception() is not None:
            self._observer.event("bug", {"error": repr(task.exception())})
        maximum = self._options.max_jobs
        if maximum is not None and self._taken >= maximum and not self._tasks:
            self.stop(f"{maximum} messages done")

    # --- one message ------------------------------------------------------------------

    async def _process(self, delivery: Delivery, states: list[JobState]) -> None:
        self.report.messages += 1
        try:
            decoded = self._decode(delivery.body)
        except MessageError as error:
            await self._settler.bury(delivery, error)
            return
        for note in decoded.notes:
            self._observer.event("nothing-to-do", {"kind": note.kind, "reason": note.reason})
        jobs, now = decoded.jobs, self._clock.monotonic()
        states += [JobState(now) for _ in jobs]
        try:
            if len(jobs) == 1:
                errors = [await self._do(jobs[0], states[0], delivery)]
            else:
                errors = await asyncio.gather(
                    *(self._do(*each, delivery) for each in zip(jobs, states, strict=True))
                )
        except asyncio.CancelledError:
            if not self._stopping.is_set():  # its lease cannot be held any longer
                await self._settler.give_back(delivery, 0.0)
            raise
        if any(errors):
            await self._settler.settle(delivery, list(map(Ending, errors, states, jobs)))
        else:
            self._settler.done(delivery)

    async def _do(self, job: TransferJob, state: JobState, delivery: Delivery) -> SyncError | None:
        """Do the job and tell of its end; the error where it failed.

        After a write without a reply it is done again here, and not left to whoever gets the
        message next: where the queue has handed it out twice, the other one may have ended it
        before that write took effect.
        """
        while True:
            error = await self._try(job, state)
            if error is None or not await self._settler.stays(delivery, error, state):
                return error

    async def _try(self, job: TransferJob, state: JobState) -> SyncError | None:
        try:
            result = await self._result(job, state)
        except SyncError as error:
            await self._failed(job, state, error)
            return error
        except Exception as error:  # noqa: BLE001  a bug must cost one message, not the worker
            self._observer.event(
                "bug", {"object": str(job.source), "trace": traceback.format_exc()}
            )
            fault = SyncError(f"unexpected {type(error).__name__}")
            await self._failed(job, state, fault)
            return fault
        self._observer.job_finished(result)
        report = self.report
        report.outcomes[result.outcome] += 1
        report.bytes_moved += result.bytes_moved
        report.parts_reused += result.parts_reused
        return None

    async def _result(self, job: TransferJob, state: JobState) -> TransferResult:
        pattern = self._ignored(job.source)
        if pattern is not None:
            now = self._clock.time()
            reason = f"ignore list: {pattern}"
            return TransferResult(
                Outcome.IGNORED, job, started_at=now, finished_at=now, reason=reason
            )
        key = (job.source.bucket, job.source.key, job.destination.bucket, job.destination.key)
        if job.kind is JobKind.DELETE and self._turns.busy(key):
            # Others may come to share this run; a copy serves them all, and deletes too.
            job = job._replace(kind=JobKind.COPY)
        result, shared = await self._turns.take(key, partial(self._copier.run, job, state))
        self.breaker.succeeded()
        if shared:
            reason = "served by one copy with other events of this key"
            return result._replace(job=job, bytes_moved=0, parts_reused=0, reason=reason)
        if self._ledger is not None:
            await self._ledger.finished(result)
        return result

    async def _failed(self, job: TransferJob, state: JobState, error: SyncError) -> None:
        self.breaker.failed(error, str(job.source))
        if isinstance(error, Draining):
            return
        result = TransferResult(
            Outcome.FAILED,
            job,
            bytes_moved=state.bytes_moved,
            parts_sent=state.parts_sent,
            parts_reused=state.parts_reused,
            seconds=self._clock.monotonic() - state.begun,
            finished_at=self._clock.time(),
            reason=str(error),
            error=type(error).__name__,
        )
        self._observer.job_finished(result)
        if self._ledger is not None:
            await self._ledger.finished(result)

    # --- the end ----------------------------------------------------------------------

    async def _drain(self, receivers: Sequence[asyncio.Task[None]]) -> None:
        """Let short work end, give the rest back, answer for all that is done.

        Polls that are under way are let end: one that is given up lives on in the queue, and
        takes what is given back with it for a whole lease.
        """
        ends = self._clock.monotonic() + self._options.drain
        self._call(len(receivers))
        await self._wait_for(self._tasks, until=ends - self._options.drain * 0.4)
        rest = await self._cut_short()
        if leave := getattr(self._queue, "leave", None):
            self._polling.add(asyncio.create_task(self._leave(leave)))
        await self._wait_for(self._polling, until=ends - self._options.drain * 0.15)
        for task in receivers:
            task.cancel()
        await self._give_back([*rest, *self._too_late])
        await self._settler.flush()
        if self._ledger is not None:
            await self._ledger.flush()

    async def _leave(self, leave: Callable[[], Awaitable[list[Delivery]]]) -> None:
        self._too_late += await leave()

    async def _wait_for(self, tasks: Iterable[asyncio.Task[None]], *, until: float) -> None:
        waiting = set(tasks)
        if waiting:
            left = until - self._clock.monotonic()
            await asyncio.wait(waiting, timeout=max(0.0, left))

    async def _cut_short(self) -> list[Delivery]:
        """Cancel what has not ended; returns the messages that may be given back early."""
        rest = dict(self._tasks)
        if not rest:
            return []
        for task in rest:
            task.cancel()
        await asyncio.wait(set(rest), timeout=self._options.drain * 0.2)
        free = [d for d, states in rest.values() if not any(s.may_land_late for s in states)]
        self._observer.event("given-back", {"count": len(free), "kept": len(rest) - len(free)})
        return free

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        for start in range(0, len(deliveries), BATCH):
            try:
                await self._queue.extend(deliveries[start : start + BATCH], 0.0)
            except StoreError as error:
                self._observer.event("not-given-back", {"error": str(error)})


def _now(number: int | Callable[[], int]) -> int:
    return number() if callable(number) else number
