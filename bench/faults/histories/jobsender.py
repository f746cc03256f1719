"""The other players on the queue: the jobsender, and whoever drives dead letters back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from faults.histories.buckets import held
from faults.histories.judge import IGNORED
from faults.histories.waiting_line import Sink
from faults.histories.world import ChaosWorld
from support.simulation import SOURCE, TARGET, source, target
from support.virtual import VirtualClock
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.tools.redrive import Redrive
from sync.engine.transfer import Context, JobState
from sync.errors import SyncError
from sync.messages import encode_batch, encode_job
from sync.model import JobKind, ObjectRef, TransferJob


def _job(world: ChaosWorld, key: str) -> TransferJob:
    """As a listing would make it: size and version of what is there now, if anything is."""
    stored = world.source.latest(source(key))
    if stored is None or stored.data is None:
        return TransferJob(JobKind.COPY, source(key), target(key))
    identity = stored.meta.identity
    named = ObjectRef(SOURCE, key, identity.version_id)
    return TransferJob(JobKind.COPY, named, target(key), size=identity.size)


def queue_key(world: ChaosWorld, key: str) -> None:
    """One job."""
    world.send(encode_job(_job(world, key)), (key,))


def queue_all(world: ChaosWorld, keys: Sequence[str]) -> None:
    """One message for many keys."""
    if keys:
        world.send(encode_batch([_job(world, key) for key in keys]), keys)


async def compare(world: ChaosWorld) -> None:
    """List both sides, one after the other; queue what differs, delete what is gone."""
    theirs = {key: held(world.source.latest(source(key))) for key in world.source.keys(SOURCE)}
    await asyncio.sleep(world.luck.way())
    ours = {key: held(world.target.latest(target(key))) for key in world.target.keys(TARGET)}
    await asyncio.sleep(world.luck.way())
    for key, content in sorted(theirs.items()):
        if content != ours.get(key) and not key.startswith(IGNORED):
            queue_key(world, key)
    if world.setting.deletes:
        for key in sorted(ours.keys() - theirs.keys()):
            await _delete(world, key)


async def _delete(world: ChaosWorld, key: str) -> None:
    """By way of the engine's delete, as the jobsender does."""
    context = Context(
        source=world.source,
        destination=world.target,
        ledger=None,
        options=world.options,
        observer=world.judge,
        clock=VirtualClock(),
        slots=Budget(16),
    )
    job = TransferJob(JobKind.DELETE, source(key), target(key))
    try:
        await Copier(context).run(job, JobState())
        world.judge.seen["deleted by the jobsender"] += 1
    except SyncError:
        world.judge.seen["not deleted by the jobsender"] += 1


async def redrive(world: ChaosWorld) -> None:
    """All dead letters back to the queue."""
    run = Redrive(dead=world.dead, sources=[Sink(world.queue)], clock=VirtualClock())
    try:
        done = await run.run()
    except SyncError:
        world.judge.seen["redrives broken off"] += 1
    else:
        world.judge.seen["messages driven back"] += done.moved
