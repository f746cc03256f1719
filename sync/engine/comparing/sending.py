"""Jobs into messages into queues: every message's fate is known before its job counts as sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from sync.errors import TransientStoreError
from sync.messages import encode_batch, encode_job
from sync.model import TransferJob
from sync.ports import JobSink

# A batch body stays far below any queue's limit, also where every character is escaped.
MOST_BODY: Final = 200 * 1024
_ENTRIES: Final = 10


class JobSender:
    """Sends copy jobs as messages, in batches, several at a time.

    ``keys_per_message`` 1 writes the job body that every version of the workers reads; more
    writes batch bodies of at most 200 KiB, or what the queues take. With several queues each
    batch of messages goes to one of them, chosen evenly. ``told`` is called with each job once
    it is in a queue.

    ``add`` and ``flush`` raise TransientStoreError where messages could not be sent after
    retries: nothing of what could not be sent counts as sent, and no more is taken.
    """

    def __init__(
        self,
        queues: Sequence[JobSink],
        *,
        keys_per_message: int = 1,
        told: Callable[[TransferJob], None] | None = None,
        choose: Callable[[Sequence[JobSink]], JobSink] = random.choice,
        at_once: int = 8,
    ) -> None:
        self._queues = queues
        self._keys = keys_per_message
        self._most = min([MOST_BODY, *(queue.max_message_size for queue in queues)])
        self._told = told
        self._choose = choose
        self._room = asyncio.Semaphore(at_once)
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting: list[TransferJob] = []
        self._failure: Exception | None = None
        self.sent = 0
        self.messages = 0

    async def add(self, job: TransferJob) -> None:
        """Send the job, now or together with the next ones."""
        self._raise()
        self._waiting.append(job)
        while len(self._waiting) >= self._keys * _ENTRIES:
            await self._begin(self._keys * _ENTRIES)

    async def flush(self) -> None:
        """Send what is waiting, and return when all that was added before is in a queue."""
        self._raise()
        await self._begin(len(self._waiting))
        if self._sending:
            await asyncio.wait(self._sending)  # whoever is cancelled here leaves the sends be
        self._raise()

    async def _begin(self, count: int) -> None:
        """Begin to send the first ``count`` jobs; cancelled before, none is lost."""
        await self._room.acquire()  # no more is taken than can be sent
        jobs, self._waiting = self._waiting[:count], self._waiting[count:]
        task = asyncio.create_task(self._send(jobs))
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._room.release()
        if task.cancelled():  # perhaps before it began
            self._failure = self._failure or TransientStoreError("the sending was broken off")

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _send(self, jobs: Sequence[TransferJob]) -> None:
        try:
            bodies = self._bodies(jobs)
            unsent = set(await self._choose(self._queues).send(bodies)) if bodies else set()
            for body, carried in bodies.items():
                if body not in unsent:
                    self._count(carried)
            if unsent:
                self._failure = self._failure or TransientStoreError(
                    f"{len(unsent)} of {len(bodies)} messages could not be sent to the queue: "
                    "run it again, what was sent already does no harm twice"
                )
        except Exception as error:  # noqa: BLE001  told by the next add or flush
            self._failure = self._failure or error

    def _count(self, jobs: Sequence[TransferJob]) -> None:
        self.messages += 1
        self.sent += len(jobs)
        if self._told is not None:
            for job in jobs:
                self._told(job)

    def _bodies(self, jobs: Sequence[TransferJob]) -> dict[str, list[TransferJob]]:
        """Body to the jobs in it; equal jobs share one."""
        bodies: dict[str, list[TransferJob]] = {}
        for group in self._groups(jobs):
            body = encode_job(group[0]) if self._keys == 1 else encode_batch(group)
            bodies.setdefault(body, []).extend(group)
        return bodies

    def _groups(self, jobs: Sequence[TransferJob]) -> list[list[TransferJob]]:
        """Jobs of one pair of buckets that fit one message together."""
        groups: list[list[TransferJob]] = []
        room: dict[tuple[str, str], tuple[list[TransferJob], int]] = {}
        for job in jobs:
            pair = job.source.bucket, job.destination.bucket
            group, size = room.get(pair, ([], self._most))
            weight = _weight(job)
            if size + weight > self._most or len(group) >= self._keys:
                group, size = [], 0
                groups.append(group)
            group.append(job)
            room[pair] = group, size + weight
        return groups


def _weight(job: TransferJob) -> int:
    """The most that a batch entry takes: every byte of both keys as %XX."""
    keys = (job.source.key, job.destination.key)
    return 200 + 3 * sum(len(key.encode("utf-8", "surrogatepass")) for key in keys)
