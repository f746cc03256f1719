"""Random histories over two workers with accidents end with destination equal to source.

Puts, overwrites and deletes; events delayed, duplicated and out of order; workers killed at any
moment, their writes landing late. Whatever happens, once the queue is empty the destination is
what the source is, and no message is lost on the way.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from support import virtual
from support.simulation import Worker, World, event, source
from sync.adapters.memory import MEMORY_DIALECT, MemoryLedger
from sync.engine.options import CopyOptions, RunnerOptions

KEYS = ("a", "b", "large")
HISTORIES = 150


def make_world(rng: random.Random) -> World:
    with_ledger = rng.random() < 0.5
    return World(
        options=CopyOptions(
            threshold=50,
            chunk=20,
            sync_deletes=True,
            late_write_grace=30.0,
            parts_per_object=3,
            read_by_version=rng.random() < 0.5,
        ),
        runner_options=RunnerOptions(
            in_flight=8, receivers=2, lease=120.0, max_receives=10_000, drain=10.0
        ),
        versioned=rng.random() < 0.5,
        ledger=MemoryLedger() if with_ledger else None,
        dialect=replace(MEMORY_DIALECT, min_part=1, drops_unused_parts=rng.random() < 0.7),
        rng=rng,
    )


def latency(rng: random.Random, *, late: bool) -> float:
    return rng.choice((0.0, 0.01, 0.5, 3.0, 20.0 if late else 1.0))


async def change(world: World, rng: random.Random, number: int) -> None:
    """One change at the source, and its events, late and perhaps twice."""
    key = rng.choice(KEYS)
    if rng.random() < 0.25:
        world.source.remove(source(key))
        body = event("ObjectRemoved:Delete", key)
    else:
        size = rng.randint(60, 130) if key == "large" else rng.randint(0, 40)
        data = (f"{number}:".encode() * 40)[:size]
        identity = world.source.store(source(key), data)
        extra = {"versionId": identity.version_id} if identity.version_id else {}
        body = event("ObjectCreated:Put", key, size=size, eTag=identity.etag, **extra)
    for _ in range(2 if rng.random() < 0.1 else 1):
        world.queue.send(body, delay=rng.choice((0.0, 0.0, 1.0, 30.0)))


async def accidents(world: World, rng: random.Random, workers: list[Worker]) -> None:
    """Kill a worker now and then and start another."""
    while True:
        await asyncio.sleep(rng.uniform(1, 40))
        place = rng.randrange(len(workers))
        if rng.random() < 0.7:
            workers[place].kill()
        else:
            workers[place].runner.stop("SIGTERM")
        workers[place] = world.worker(late=lambda: latency(rng, late=True))


async def history(seed: int) -> None:
    rng = random.Random(seed)
    world = make_world(rng)

    async def jitter(_operation: str, _ref: object) -> None:
        await asyncio.sleep(latency(rng, late=False))

    world.source.interfere = world.target.interfere = jitter
    workers = [world.worker(late=lambda: latency(rng, late=True)) for _ in range(2)]
    chaos = asyncio.create_task(accidents(world, rng, workers))
    for number in range(25):
        await change(world, rng, number)
        await asyncio.sleep(rng.choice((0.0, 0.3, 5.0, 20.0)))
    chaos.cancel()
    await settle(world, workers)
    assert world.differences() == [], f"seed {seed}: the destination is not the source"
    assert not world.queue.buried, f"seed {seed}: {world.queue.buried}"


async def settle(world: World, workers: list[Worker]) -> None:
    async with asyncio.timeout(500_000):
        while world.queue.messages or world.writes:
            await asyncio.sleep(60)
    for worker in workers:
        await worker.drain()
    for worker in world.workers:
        worker.task.cancel()


@pytest.mark.parametrize("block", range(5))
def test_any_history_ends_with_destination_equal_to_source(block: int) -> None:
    for seed in range(block * HISTORIES // 5, (block + 1) * HISTORIES // 5):
        virtual.run(history(seed))
