"""The world of a history: buckets, queue with dead letters, ledger, workers, and the trouble."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from faults.histories.buckets import SourceBucket, TargetBucket
from faults.histories.judge import Judge
from faults.histories.script import Setting
from faults.histories.trouble import HIDDEN, LEDGER, SOURCE, TARGET, UNANSWERED, Trouble, hidden
from faults.histories.waiting_line import WaitingLine
from support.simulation import RULE, Mortal, Worker, World, source, target
from support.simulation import SOURCE as SOURCE_BUCKET
from support.simulation import TARGET as TARGET_BUCKET
from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryLedger
from sync.engine.options import CopyOptions, RunnerOptions
from sync.engine.soft_ledger import SoftLedger
from sync.errors import MessageError, OutcomeUnknown, TransientStoreError
from sync.messages import decode
from sync.model import ObjectRef, TransferJob
from sync.ports import JobLedger, UploadRecord

THRESHOLD: Final = 50
CHUNK: Final = 32
JOB_TIMEOUT: Final = 600.0
_TABLE: Final = 997
_WAYS: Final = ((0.0, 0.01, 0.3, 1.5, 8.0), (70, 10, 12, 6, 2))
_LANDINGS: Final = ((0.0, 0.1, 1.0, 4.0, 20.0), (60, 15, 10, 10, 5))
_LATE: Final = (4.0, 9.0, 20.0)


class Luck:
    """Latencies, in a row that ``seed`` and ``luck`` decide."""

    def __init__(self, setting: Setting) -> None:
        rng = random.Random(f"{setting.seed} {setting.luck}")
        self._ways = rng.choices(*_WAYS, k=_TABLE)
        self._landings = rng.choices(*_LANDINGS, k=_TABLE)
        self._late = rng.choices(_LATE, k=_TABLE)
        self._at = 0

    def _turn(self) -> int:
        self._at = (self._at + 1) % _TABLE
        return self._at

    def way(self) -> float:
        """How long a request or its reply is on its way."""
        return self._ways[self._turn()]

    def landing(self) -> float:
        """How long a write takes to take effect after it was sent."""
        return self._landings[self._turn()]

    def late(self) -> float:
        """The same where its reply is lost."""
        return self._late[self._turn()]


class ShakyLedger(MemoryLedger):
    """A ledger that is down now and then, and whose table may be lost."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    async def unfinished(self, job: TransferJob) -> UploadRecord | None:
        """As the fake's."""
        self._check()
        return await super().unfinished(job)

    async def started(self, job: TransferJob, record: UploadRecord) -> None:
        """As the fake's."""
        self._check()
        await super().started(job, record)

    async def progressed(self, job: TransferJob, record: UploadRecord) -> None:
        """As the fake's."""
        self._check()
        await super().progressed(job, record)

    def _check(self) -> None:
        if self._trouble.fires(LEDGER):
            raise TransientStoreError("ProvisionedThroughputExceededException", status=400)


class ChaosWorld(World):
    """`support.simulation.World` with judged buckets, its own queue, and faults."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        super().__init__(
            options=_copy_options(setting),
            runner_options=_runner_options(setting),
            versioned=setting.versions != "never",
            dialect=replace(
                MEMORY_DIALECT,
                min_part=1,
                drops_unused_parts=setting.drops_parts,
                write_interval=setting.interval,
            ),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        clock = VirtualClock()
        self.luck = Luck(self.setting)
        self.trouble = Trouble()
        self.source: SourceBucket = SourceBucket(
            SOURCE_BUCKET, versioned=self.versioned, clock=clock.time
        )
        self.source.mode = self.setting.versions
        self.target: TargetBucket = TargetBucket(
            TARGET_BUCKET, clock=clock.time, dialect=self.target.dialect
        )
        self.dead = WaitingLine(self.trouble)
        self.queue: WaitingLine = WaitingLine(self.trouble, dead=self.dead)
        if self.setting.ledger:
            self.ledger = ShakyLedger(self.trouble)
        self.judge = Judge(
            source=lambda key: self.source.latest(source(key)),
            target=lambda key: self.target.latest(target(key)),
            deletes=self.setting.deletes,
            now=clock.monotonic,
        )
        self.observer = cast("Any", self.judge)
        self.chores: set[asyncio.Future[Any]] = set()
        self._keys_of: dict[str, tuple[str, ...]] = {}
        self._connect()

    def _connect(self) -> None:
        judge = self.judge
        self.source.changed, self.target.changed = judge.source_changed, judge.target_changed
        self.target.begun = judge.upload_begun
        self.source.interfere, self.target.interfere = self._at_source, self._at_target
        judge.under_way = self._under_way
        self.queue.came = lambda name, body: judge.came(name, self.keys_of(body))
        self.dead.came = lambda name, body: judge.came(f"dead {name}", self.keys_of(body))
        self.queue.left = self._left
        self.dead.left = lambda name, _buried: judge.left(f"dead {name}", excuse="redriven")

    def _left(self, name: str, buried: bool) -> None:  # noqa: FBT001  as the queue calls it
        self.judge.left(name, excuse="buried" if buried else "")

    def keys_of(self, body: str) -> tuple[str, ...]:
        """The keys a message stands for."""
        known = self._keys_of.get(body)
        if known is None:
            try:
                known = tuple(job.source.key for job in decode(body, RULE).jobs)
            except MessageError:
                known = ()
            self._keys_of[body] = known
        return known

    def send(self, body: str, keys: Sequence[str], *, delay: float = 0, again: float = 0) -> None:
        """Queue a message that stands for these keys."""
        self._keys_of[body] = tuple(keys)
        self.queue.send_one(body, delay=delay, again=again)

    # --- what happens on the way ------------------------------------------------------

    async def _at_source(self, operation: str, _ref: ObjectRef) -> None:
        if self.trouble.pending:
            self.trouble.at(SOURCE, operation)
            if self.trouble.fires(HIDDEN):
                raise hidden(operation)
        delay = self.luck.way()
        if delay:
            await asyncio.sleep(delay)

    async def _at_target(self, operation: str, _ref: ObjectRef) -> None:
        if self.trouble.pending:
            self.trouble.at(TARGET, operation)
        delay = self.luck.way()
        if delay:
            await asyncio.sleep(delay)

    def began(self, write: asyncio.Future[Any], sent: tuple[Any, ...]) -> None:
        """A write is under way. OutcomeUnknown where its reply will not come."""
        where = sent[0]
        key = where.key if isinstance(where, ObjectRef) else where.ref.key
        self.judge.took_off(key)
        super().began(write, sent)
        write.add_done_callback(lambda _write: self.judge.landed(key))
        if self.trouble.fires(UNANSWERED):
            raise OutcomeUnknown("the connection broke after the request was sent")

    def _landing(self) -> float:
        if self.trouble.pending.get(UNANSWERED):
            return self.luck.late()
        return self.luck.landing()

    # --- the players ------------------------------------------------------------------

    def ledger_of(self, worker: Worker) -> JobLedger | None:
        """As wired: one that is down stops nothing."""
        if self.ledger is None:
            return None
        return SoftLedger(cast("JobLedger", Mortal(self.ledger, worker)), self.judge)

    def start_worker(self) -> Worker:
        """One more, whose writes go on by themselves once sent."""
        return self.worker(late=self._landing)

    def _under_way(self, key: str) -> bool:
        turn = (SOURCE_BUCKET, key, TARGET_BUCKET, key)
        return bool(self.chores) or any(
            worker.runner._turns.busy(turn) or self._stays(worker, key)  # noqa: SLF001  nobody else needs to ask
            for worker in self.workers
            if not worker.dead
        )

    def _stays(self, worker: Worker, key: str) -> bool:
        """Is it to do a job of this key again, after a write that may land late?"""
        return any(
            (state.may_land_late or state.stays) and key in self.keys_of(delivery.body)
            for delivery, states in worker.runner._tasks.values()  # noqa: SLF001  nobody else needs to ask
            for state in states
        )

    def superseded(self, worker: Worker) -> bool:
        """Does it hold a message that is gone, or that somebody else has been given too?"""
        for delivery in self.held_by(worker):
            message = self.queue.messages.get(delivery.message_id)
            if message is None or message.receipt != delivery.receipt:
                return True
        return False

    @staticmethod
    def held_by(worker: Worker) -> Iterator[Any]:
        """The deliveries in its hands."""
        tasks = worker.runner._tasks  # noqa: SLF001  nobody else needs to ask
        return (delivery for delivery, _states in tasks.values())


def _copy_options(setting: Setting) -> CopyOptions:
    return CopyOptions(
        threshold=THRESHOLD,
        chunk=CHUNK,
        job_timeout=JOB_TIMEOUT,
        sync_deletes=setting.deletes,
        late_write_grace=30.0,
        parts_per_object=3,
        read_by_version=setting.by_version,
        update_version=setting.update_version,
    )


def _runner_options(setting: Setting) -> RunnerOptions:
    return RunnerOptions(
        in_flight=8,
        receivers=2,
        lease=120.0,
        max_receives=setting.max_receives,
        drain=10.0,
        breaker_failures=3,
        breaker_pause=20.0,
    )
