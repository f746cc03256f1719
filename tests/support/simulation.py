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
from typing import Any
from urllib.parse import quote_plus

from support.virtual import VirtualClock
from sync.adapters.memory import MEMORY_DIALECT, MemoryObserver, MemoryQueue, MemoryStore
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


class Mortal:
    """A port as a worker sees it: after its death every call hangs for ever."""

    def __init__(self, inner: Any, worker: Worker, late: Callable[[], float] | None = None) -> None:
        self._inner = inner
        self._worker = worker
        self._late = late

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name in {"open", "dialect"}:
            return found
        if name in {"put", "complete", "delete"} and self._late:
            return self._outliving(found)
        return self._guarded(found)

    def _guarded(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            await self._worker.alive()
            answer = await call(*args, **kwargs)
            await self._worker.alive()
            return answer

        return guarded

    def _outliving(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """A write that goes on by itself once sent, and may land long after its sender died."""

        async def send(*args: Any, **kwargs: Any) -> Any:
            await self._worker.alive()
            args = tuple([await _whole(a) if hasattr(a, "length") else a for a in args])
            write = asyncio.ensure_future(self._later(call, args, kwargs))
            self._worker.world.writes.add(write)
            write.add_done_callback(self._landed)
            answer = await asyncio.shield(write)
            await self._worker.alive()
            return answer

        return send

    async def _later(self, call: Callable[..., Awaitable[Any]], args: Any, kwargs: Any) -> Any:
        assert self._late is not None
        await asyncio.sleep(self._late())
        return await call(*args, **kwargs)

    def _landed(self, write: asyncio.Future[Any]) -> None:
        """Its sender may be dead: then nobody else asks how the write ended."""
        self._worker.world.writes.discard(write)
        if not write.cancelled():
            write.exception()


async def _whole(body: ByteStream) -> Any:
    from sync.checksums import BytesStream

    data = bytearray()
    async for chunk in body:
        data += chunk
    return BytesStream(bytes(data))


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
        ledger = Mortal(world.ledger, self) if world.ledger else None
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

    async def alive(self) -> None:
        """Hang for ever once dead."""
        if self.dead:
            await asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        """SIGKILL: from now on none of its calls does anything or returns."""
        self.dead = True
        self.task.cancel()

    async def drain(self) -> RunReport:
        """SIGTERM, and wait for the end."""
        self.runner.stop("SIGTERM")
        return await self.task
