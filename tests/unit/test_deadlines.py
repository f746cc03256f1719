"""Jobs that do not get on are ended, each at its own time, by one timer."""

from __future__ import annotations

import asyncio

import pytest

from support.simulation import SOURCE, TARGET, source, target
from support.virtual import VirtualClock, run
from sync.adapters.memory import MemoryObserver, MemoryStore
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.deadlines import Deadlines
from sync.engine.options import CopyOptions
from sync.engine.transfer import Context, JobState
from sync.errors import JobTimedOut
from sync.model import JobKind, ObjectRef, TransferJob, TransferResult

LIMIT = 100.0


class Bench:
    """A copier whose source does not answer."""

    def __init__(self) -> None:
        store = MemoryStore(SOURCE)
        store.interfere = self._never
        self.swallow = False
        self.copier = Copier(
            Context(
                source=store,
                destination=MemoryStore(TARGET),
                ledger=None,
                options=CopyOptions(job_timeout=LIMIT),
                observer=MemoryObserver(),
                clock=VirtualClock(),
                slots=Budget(8),
            )
        )

    async def _never(self, _operation: str, _ref: ObjectRef) -> None:
        try:
            await asyncio.sleep(1e9)
        except asyncio.CancelledError:
            if self.swallow:
                await asyncio.sleep(1.0)  # busy cleaning up
            raise

    def start(self) -> asyncio.Task[TransferResult]:
        job = TransferJob(JobKind.COPY, source("k"), target("k"))
        return asyncio.create_task(self.copier.run(job, JobState()))


def now() -> float:
    return asyncio.get_running_loop().time()


async def ended(task: asyncio.Task[TransferResult]) -> float:
    with pytest.raises(JobTimedOut):
        await task
    return now()


def test_each_job_ends_at_its_own_time() -> None:
    async def main() -> None:
        bench, begun = Bench(), now()
        jobs = []
        for _ in range(5):
            task = bench.start()
            jobs.append(asyncio.create_task(ended(task)))
            await asyncio.sleep(30)
        ends = [at - begun for at in await asyncio.gather(*jobs)]
        assert ends == pytest.approx([100.0, 130.0, 160.0, 190.0, 220.0])

    run(main())


def test_a_job_started_when_all_others_have_ended_is_timed_anew() -> None:
    async def main() -> None:
        bench = Bench()
        for _ in range(2):
            begun = now()
            with pytest.raises(JobTimedOut, match=r"source-bucket/k: no progress in 100 s"):
                await bench.start()
            assert now() - begun == pytest.approx(LIMIT)
            await asyncio.sleep(33)

    run(main())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def main() -> None:
        bench = Bench()
        task = bench.start()
        await asyncio.sleep(50)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main())


def test_a_cancellation_from_outside_beside_the_time_out_stays_one_too() -> None:
    async def main() -> None:
        bench = Bench()
        bench.swallow = True
        task = bench.start()
        await asyncio.sleep(LIMIT + 0.5)  # timed out, and still cleaning up
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_the_task_of_a_timed_out_job_can_go_on() -> None:
    async def main() -> int:
        bench = Bench()
        job = TransferJob(JobKind.COPY, source("k"), target("k"))
        with pytest.raises(JobTimedOut):
            await bench.copier.run(job, JobState())
        async with asyncio.timeout(5):  # cancels nothing that it should not
            await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run(main()) == 0


def test_no_timer_outlives_the_jobs() -> None:
    async def main() -> None:
        deadlines = Deadlines(LIMIT, VirtualClock())
        task = deadlines.enter(JobState(), now())
        assert not deadlines.leave(task)
        loop = asyncio.get_running_loop()
        assert all(handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]

    run(main())
