"""A world in memory: a source, a destination, a queue, and workers that can be killed.

A killed worker does nothing any more, not even clean up; a write that it had sent in full may
still land, late.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote_plus

from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryObserver, MemoryQueue, MemoryStore
from sync.checksums import BytesStream, joined
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.options import CopyOptions, RunnerOptions
from sync.engine.runner import Runner
from sync.engine.settling import RunReport
from sync.engine.transfer import Context
from sync.messages import DestinationRule, decode
from sync.model import Dialect, ObjectRef
from sync.ports import ByteStream, JobLedger

SOURCE, TARGET = "source-bucket", "target-bucket"
RULE = DestinationRule(TARGET, "")


def event(name: str, key: str, **fields: Any) -> str:
    """An S3 event notification as AWS shapes it."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": SOURCE, "arn": f"arn:aws:s3:::{SOURCE}"},
            "object": {"key": quote_plus(key, safe="/"), **fields},
        },
    }
    return json.dumps({"Records": [record]})


def source(key: str) -> ObjectRef:
    return ObjectRef(SOURCE, key)


def target(key: str) -> ObjectRef:
    return ObjectRef(TARGET, key)


_WRITES = frozenset({"put", "complete", "delete"})
_PLAIN = frozenset({"open", "dialect"})


class Mortal:
    """A port as a worker sees it: after its death every call ends as if it were cancelled.

    ``late`` gives the seconds that a write takes, which goes on by itself once sent; None where
    writes end with their sender.
    """

    def __init__(self, inner: Any, worker: Worker, late: Callable[[], float] | None = None) -> None:
        self._inner = inner
        self._worker = worker
        self._late = late

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if callable(found) and name not in _PLAIN:
            outlives = name in _WRITES and self._late
            found = self._outliving(found) if outlives else self._guarded(found)
        self.__dict__[name] = found  # so that the next call costs less
        return found

    def _guarded(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        worker = self._worker

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if worker.dead:
                raise asyncio.CancelledError
            answer = await call(*args, **kwargs)
            if worker.dead:
                raise asyncio.CancelledError
            return answer

        return guarded

    def _outliving(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """A write that goes on by itself once sent, and may land long after its sender died."""
        worker, late = self._worker, self._late
        assert late is not None

        async def send(*args: Any, **kwargs: Any) -> Any:
            if worker.dead:
                raise asyncio.CancelledError
            args = tuple([await _whole(a) if hasattr(a, "length") else a for a in args])
            write = asyncio.ensure_future(_later(late(), call, args, kwargs))
            worker.world.began(write, args)
            answer = await asyncio.shield(write)
            if worker.dead:
                raise asyncio.CancelledError
            return answer

        return send


async def _later(delay: float, call: Callable[..., Awaitable[Any]], args: Any, kwargs: Any) -> Any:
    await asyncio.sleep(delay)
    return await call(*args, **kwargs)


async def _whole(body: ByteStream) -> Any:
    read = getattr(body, "read", None)
    return BytesStream(await (joined(body) if read is None else read()))


@dataclass
class World:
    """Everything there is."""

    options: CopyOptions = field(default_factory=CopyOptions)
    runner_options: RunnerOptions = field(default_factory=RunnerOptions)
    versioned: bool = False
    ledger: JobLedger | None = None
    dialect: Dialect | None = None
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    writes: set[asyncio.Future[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        clock = VirtualClock()
        self.source = MemoryStore(SOURCE, versioned=self.versioned, clock=clock.time)
        dialect = self.dialect or MEMORY_DIALECT
        self.target = MemoryStore(TARGET, clock=clock.time, dialect=dialect)
        self.queue = MemoryQueue(monotonic=clock.monotonic)
        self.observer = MemoryObserver()
        self.workers: list[Worker] = []

    def began(self, write: asyncio.Future[Any], _sent: tuple[Any, ...]) -> None:
        """A write is under way. Its sender may die: then nobody else asks how it ended."""
        self.writes.add(write)
        write.add_done_callback(self._ended)

    def _ended(self, write: asyncio.Future[Any]) -> None:
        self.writes.discard(write)
        if not write.cancelled():
            write.exception()

    def ledger_of(self, worker: Worker) -> JobLedger | None:
        """The ledger as this worker sees it."""
        return cast("JobLedger", Mortal(self.ledger, worker)) if self.ledger else None

    def worker(self, *, late: Callable[[], float] | None = None) -> Worker:
        """Start one more worker."""
        worker = Worker(self, late)
        self.workers.append(worker)
        return worker

    def differences(self) -> list[str]:
        """Keys whose destination is not the source's current state."""
        keys = set(self.source.keys(SOURCE)) | set(self.target.keys(TARGET))
        return sorted(
            k for k in keys if self.source.content(source(k)) != self.target.content(target(k))
        )


class Worker:
    """A runner on mortal ports."""

    def __init__(self, world: World, late: Callable[[], float] | None) -> None:
        self.world = world
        self.dead = False
        clock = VirtualClock()
        ledger = world.ledger_of(self)
        self.slots = Budget(16)
        context = Context(
            source=Mortal(world.source, self),
            destination=Mortal(world.target, self, late),
            ledger=ledger,
            options=world.options,
            observer=world.observer,
            clock=clock,
            slots=self.slots,
        )
        self.runner = Runner(
            queue=Mortal(world.queue, self),
            copier=Copier(context),
            ledger=ledger,
            decode=lambda body: decode(body, RULE),
            ignored=lambda ref: "secret/*" if ref.key.startswith("secret/") else None,
            options=world.runner_options,
            write_interval=world.target.dialect.write_interval,
            late_write_grace=world.options.late_write_grace,
            clock=clock,
            observer=world.observer,
        )
        self.task = asyncio.create_task(self.runner.run())

    def kill(self) -> None:
        """SIGKILL: from now on none of its calls does anything."""
        self.dead = True
        self.task.cancel()

    async def drain(self) -> RunReport:
        """SIGTERM, and wait for the end."""
        self.runner.stop("SIGTERM")
        return await self.task
