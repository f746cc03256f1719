"""Plays a history and tells what was seen."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from faults.histories.buckets import held
from faults.histories.jobsender import compare, queue_all, queue_key, redrive
from faults.histories.judge import Failure, merge_fired
from faults.histories.script import CHANGES, Do, History, Op
from faults.histories.world import JOB_TIMEOUT, ChaosWorld
from support import virtual
from support.simulation import SOURCE, event, source, target

_LONGEST: Final = 400_000.0
"""Virtual seconds in which a queue has to be empty once nothing happens any more."""
_AFTERMATHS: Final = 3
_REDRIVES_LEASE: Final = 1000.0
_MOST: Final = 400
"""Bytes of the largest object."""

_EVENTS: Final = {
    Do.PUT: "ObjectCreated:Put",
    Do.MULTIPART: "ObjectCreated:CompleteMultipartUpload",
    Do.SAME: "ObjectCreated:Put",
    Do.META: "ObjectCreated:Copy",
    Do.RESTORE: "ObjectCreated:Put",
}


@dataclass
class Played:
    """What became of a history. ``seen`` counts situations, ``events`` messages of the source."""

    history: History
    failures: list[Failure] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    events: int = 0
    crashes: int = 0
    answered_twice: int = 0


def play(history: History, *, orphans: bool = False) -> Played:
    """Play it on virtual time. With ``orphans`` workers are ended also while they hold a message
    that another one has been given too (see ``Player.end_worker``).
    """
    state = random.getstate()
    random.seed(history.setting.seed)  # the engine's backoff
    try:
        return virtual.run(_play(history, orphans=orphans))
    finally:
        random.setstate(state)


async def _play(history: History, *, orphans: bool) -> Played:
    player = Player(history, orphans=orphans)
    played = player.played
    try:
        await player.play()
    except Exception as error:  # noqa: BLE001  whatever it is, it belongs to this history
        player.world.judge.fail("unhandled", f"the history broke off: {error!r}")
    played.failures += player.world.judge.failures
    played.answered_twice = player.world.queue.answered_twice
    played.seen.update(player.world.judge.seen)
    played.seen["handed out although in hand"] += player.world.queue.in_hand_twice
    merge_fired(played.seen, player.world.trouble)
    return played


class Player:
    """Carries out the operations of one history."""

    def __init__(self, history: History, *, orphans: bool) -> None:
        self.played = Played(history)
        self.world = ChaosWorld(history.setting)
        self._ops = history.ops
        self._orphans = orphans
        self._workers = [self.world.start_worker() for _ in range(history.setting.workers)]
        self._contents: dict[str, list[tuple[bytes, str, int]]] = {}
        self._last_sent: dict[str, float] = {}

    async def play(self) -> None:
        """All operations, then the end."""
        for op in self._ops:
            if op.pause:
                await asyncio.sleep(op.pause)
            if op.do in CHANGES:
                self._change(op)
            else:
                self._happen(op)
        await self._settle()
        self._judge_end()

    # --- changes at the source --------------------------------------------------------

    def _change(self, op: Op) -> None:
        body = self._removal(op) if op.do is Do.DELETE else self._creation(op)
        if body is None:
            return
        self.played.seen[f"op {op.do}"] += 1
        now = asyncio.get_running_loop().time()
        for delay in op.sent:
            self.played.events += 1
            self.world.send(body, self._keys(op), delay=delay, again=op.again)
        if op.sent:
            due = now + op.sent[0]
            self.played.seen["events overtaken"] += self._last_sent.get(op.key, 0.0) > due
            self._last_sent[op.key] = max(due, self._last_sent.get(op.key, 0.0))
            self.played.seen["events sent twice"] += len(op.sent) > 1

    @staticmethod
    def _keys(op: Op) -> tuple[str, ...]:
        return (op.key,)

    def _removal(self, op: Op) -> str:
        version = self.world.source.take_away(source(op.key))
        if version is None:
            return event("ObjectRemoved:Delete", op.key)
        return event("ObjectRemoved:DeleteMarkerCreated", op.key, versionId=version)

    def _creation(self, op: Op) -> str | None:
        past = self._contents.setdefault(op.key, [])
        if op.do is Do.RESTORE and op.number % 2:
            version = self.world.source.undo(source(op.key))
            if version is not None:
                return event("ObjectRemoved:Delete", op.key, versionId=version)
        if op.do in {Do.PUT, Do.MULTIPART}:
            data = (f"{op.key}{op.number}:".encode() * _MOST)[: op.size]
            parts = max(2, op.size // 40) if op.do is Do.MULTIPART else 0
            return self._written(op, data, f"{op.number}", parts)
        if not past:
            return None
        data, mark, parts = past[-1 - op.number % len(past) if op.do is Do.RESTORE else -1]
        return self._written(op, data, f"{op.number}" if op.do is Do.META else mark, parts)

    def _written(self, op: Op, data: bytes, mark: str, parts: int) -> str:
        identity, _ = self.world.source.write(source(op.key), data, mark, parts=parts)
        self._contents[op.key].append((data, mark, parts))
        name = _EVENTS[op.do]
        extra = {"versionId": identity.version_id} if identity.version_id else {}
        return event(name, op.key, size=len(data), eTag=identity.etag, **extra)

    # --- everything else --------------------------------------------------------------

    def _happen(self, op: Op) -> None:
        does: dict[Do, Callable[[Op], None]] = {
            Do.VERSIONING: self._switch,
            Do.JOB: lambda op: queue_key(self.world, op.key),
            Do.BATCH: lambda _op: queue_all(self.world, sorted(self._contents)),
            Do.COMPARE: lambda _op: self._start(compare(self.world)),
            Do.KILL: self._end_worker,
            Do.DRAIN: self._end_worker,
            Do.FAULT: lambda op: self.world.trouble.add(op.fault, op.number),
            Do.POISON: lambda op: self.world.send(f'{{"what": {op.number}', ()),
            Do.TEST_EVENT: lambda _op: self.world.send('{"Event": "s3:TestEvent"}', ()),
            Do.FORGET: self._forget,
            Do.REDRIVE: lambda _op: self._start(redrive(self.world)),
            Do.EXPIRE: lambda op: self.world.judge.expired(self.world.queue.expire(op.number)),
        }
        self.played.seen[f"op {op.do}"] += 1
        does[op.do](op)

    def _switch(self, _op: Op) -> None:
        bucket = self.world.source
        if bucket.mode != "never":
            bucket.mode = "enabled" if bucket.mode == "suspended" else "suspended"

    def _forget(self, _op: Op) -> None:
        records = getattr(self.world.ledger, "records", None)
        if records is not None:
            records.clear()

    def _start(self, chore: Coroutine[Any, Any, None]) -> None:
        """Another player begins; what it ends with is nobody's business here."""
        task = asyncio.ensure_future(chore)
        self.world.chores.add(task)
        task.add_done_callback(self.world.chores.discard)

    def _end_worker(self, op: Op) -> None:
        """Kill or drain one, and start another.

        One that holds a message which is also in another's hands, or gone, is spared: nobody
        would look after what it writes last. That is the known limit of a queue without fencing,
        see docs; ``orphans`` plays it all the same.
        """
        place = op.number % len(self._workers)
        worker = self._workers[place]
        if not self._orphans:
            if self.world.superseded(worker):
                self.played.seen["workers spared: their message is in other hands"] += 1
                return
            self.world.queue.only_once(d.message_id for d in self.world.held_by(worker))
        self.played.seen["ended with work in hand"] += bool(worker.runner.in_flight)
        if op.do is Do.KILL:
            worker.kill()
            self.played.crashes += 1
        else:
            worker.runner.stop("SIGTERM")
        self._workers[place] = self.world.start_worker()

    # --- the end ----------------------------------------------------------------------

    async def _settle(self) -> None:
        """Nothing happens any more: the queue empties, what is buried is sent once more."""
        world = self.world
        world.trouble.calm()
        async with asyncio.timeout(_LONGEST):
            await self._until_empty()
            for _ in range(_AFTERMATHS):
                if not world.judge.excused and not self._buried():
                    break
                world.judge.excused.clear()
                await redrive(world)
                await compare(world)
                await self._until_empty()
                # What a redrive could not delete is held by it for a while.
                await asyncio.sleep(_REDRIVES_LEASE)
        for worker in self._workers:
            await worker.drain()
        for worker in world.workers:
            if not worker.dead:
                await worker.task
        await asyncio.sleep(1.0)

    def _buried(self) -> list[str]:
        """Dead letters that stand for something."""
        bodies = [message.body for message in self.world.dead.messages.values()]
        return [body for body in bodies if self.world.keys_of(body)]

    async def _until_empty(self) -> None:
        world = self.world
        while world.queue.messages or world.writes or world.chores:  # noqa: ASYNC110  virtual time
            await asyncio.sleep(20)

    def _judge_end(self) -> None:
        world, judge = self.world, self.world.judge
        for key in sorted({*world.source.keys(SOURCE), *self._contents}):
            if not judge.is_right(key):
                kind = "stale" if held(world.target.latest(target(key))) else "lost"
                judge.fail(kind, f"at the end: {key!r}: {judge.state(key)}")
        judge.judge_uploads([o.upload for o in world.target.open_uploads.values()], JOB_TIMEOUT)
        for body in self._buried():
            judge.fail("lost", f"still buried after all: {body[:400]}")
        self._judge_memory()

    def _judge_memory(self) -> None:
        """Nothing is left of all the workers: no task, no place taken, no key's turn, no lease."""
        judge, own = self.world.judge, asyncio.current_task()
        for task in asyncio.all_tasks() - {own}:
            judge.fail("unhandled", f"a task is left: {task!r:.300}")
        for worker in self.world.workers:
            runner = worker.runner
            turns, leases = len(runner._turns._turns), len(runner._leases)  # noqa: SLF001
            left = (turns, leases, runner.in_flight)
            if any(left) or (not worker.dead and worker.slots.used):
                judge.fail("unhandled", f"a worker ended with turns, leases, messages: {left}")
