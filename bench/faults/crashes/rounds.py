"""Rounds of deaths: a victim for each step, side by side, and one worker that ends their work."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from faults.crashes.scene import LARGE, Scene, content, nursed, open_scene
from faults.crashes.steps import RECEIVING, STEPS, Step, Way
from faults.stage import Stage
from faults.tally import Tally
from support.gate import Gate, Unreached
from support.worker_process import WorkerProcess

_SIDE_BY_SIDE: Final = 12
_ROUNDS_A_SCENE: Final = 10
_SMALL: Final = 200_000
_DWELL: Final = 0.4
"""Seconds before the kill, in which an acknowledgement that comes too early would be sent."""
_PATIENCE: Final = 120.0
_FIELDS: Final = {"ContentType": "image/png", "Metadata": {"a": "b"}}
_HELD: Final = {"content-type": "image/png", "x-amz-meta-a": "b"}
OPTIONS: Final = {"MaxThread": 1, "MaxParallelFile": 8, "SyncDeletes": True}
"""One part of an object at a time: so at most one may have to be sent twice."""


@dataclass(frozen=True)
class Death:
    """One worker's: at which step, the how manieth there, and with which object."""

    step: Step
    number: int
    ledger: bool

    @property
    def key(self) -> str:
        name = re.sub(r"[^a-z]+", "-", self.step.title)
        return f"{name}-{self.number:04}"

    @property
    def where(self) -> str:
        options = "" if self.ledger else " --no-ledger"
        again = f'python -m faults.crashes --step "{self.step.title}"{options} --times 50'
        return f"crashes: {self.step.title} #{self.number}; again: {again}"


def run_steps(
    tally: Tally,
    stage: Stage,
    *,
    times: int,
    ledger: bool,
    wanted: Callable[[Step], bool] = lambda _step: True,
) -> None:
    """Kill workers ``times`` times at each wanted step; a row for each."""
    steps = [s for s in (RECEIVING, *STEPS) if s.ledger in {None, ledger} and wanted(s)]
    survived: Counter[Step] = Counter()
    for first in range(0, times, _ROUNDS_A_SCENE):
        with open_scene(stage, tally, ledger=ledger, **OPTIONS) as scene, nursed(scene):
            for number in range(first, min(first + _ROUNDS_A_SCENE, times)):
                survived.update(_round(scene, [Death(s, number, ledger) for s in steps]))
            if scene.open_uploads():
                scene.uploads_end(f"crashes: open uploads after rounds {first} and up")
    for step in steps:
        note = "with a ledger" if ledger else "without a ledger"
        tally.row("crashes", f"SIGKILL, {step.title}", times, survived[step], note)


def _round(scene: Scene, deaths: Sequence[Death]) -> Iterator[Step]:
    """All of these deaths, and the rescue; gives the steps where all was well."""
    _begin(scene)
    orphans = scene.open_uploads()
    alone = [death for death in deaths if death.step is RECEIVING]
    others = [death for death in deaths if death.step is not RECEIVING]
    for group in [alone, *_batched(others)]:
        try:
            _die_together(scene, group)
        except Unreached as error:
            scene.tally.failures.append(str(error))
    worker = scene.rescue()
    well = scene.judge(f"{deaths[0].where} (or another of its round)")
    orphans = scene.open_uploads() - orphans
    for death in deaths:
        if _judge(scene, death, worker, orphans[death.key]) and well:
            yield death.step


def _batched(deaths: Sequence[Death]) -> Iterator[Sequence[Death]]:
    return (deaths[n : n + _SIDE_BY_SIDE] for n in range(0, len(deaths), _SIDE_BY_SIDE))


def _begin(scene: Scene) -> None:
    for key in list(scene.versions):
        scene.delete(key)
    for key in sorted(scene.rig.target.keys()):
        scene.rig.target.delete(key)
    scene.poison.clear()
    scene.rig.target.proxy.journal.clear()


def _die_together(scene: Scene, deaths: Sequence[Death]) -> None:
    """A victim for each message, all killed once each stands at the gate of its step."""
    gates = [_prepare(scene, death) for death in deaths]
    workers = [scene.rig.start("--max-jobs", "1", doomed=True) for _death in deaths]
    try:
        for gate, death in zip(gates, deaths, strict=True):
            try:
                gate.wait(_PATIENCE)
            except Unreached as error:
                tails = "\n".join(worker.tail[-600:] for worker in workers)
                raise Unreached(f"{death.where}: {error}\n{tails}") from None
        time.sleep(_DWELL)
    finally:
        for worker in workers:
            scene.kill(worker)
        for gate in gates:
            gate.cut()


def _prepare(scene: Scene, death: Death) -> Gate:
    """The object, its message, and the gate at which the worker is to die."""
    step, key = death.step, death.key
    size = LARGE if step.way is Way.LARGE else _SMALL
    old = content(f"old {key}", _SMALL)
    if step.way is Way.POISON:
        scene.send_poison(f"no event at all: {key}")
    elif step.way is Way.DELETE:
        scene.rig.target.put(key, old)
        scene.tell(key, "ObjectRemoved:Delete")
    else:
        if death.number % 2:  # there is an older copy already
            scene.put(key, old)
            scene.rig.target.put(key, old)
        scene.put(key, content(key, size), **_FIELDS)
        scene.tell(key, size=size)
    pattern = step.line.replace("KEY", re.escape(key))
    proxy = scene.ledger if step.server == "ledger" else getattr(scene.rig, step.server).proxy
    gate: Gate = proxy.gate(pattern, step.stage, after=step.after, body_bytes=step.body_bytes)
    return gate


def _judge(scene: Scene, death: Death, worker: WorkerProcess, orphans: int) -> bool:
    """What this death may leave behind, and what the next worker has to make of it."""
    step, key, faults = death.step, death.key, []
    if orphans != int(step.orphan):
        faults.append(f"{orphans} open uploads, not {int(step.orphan)}")
    ends = worker.seen("object", source=f"{scene.rig.source.bucket}/{key}")
    if step.way in {Way.SMALL, Way.LARGE}:
        faults += _misdone(scene, death, ends)
    if step.way is Way.POISON and scene.dead.count(f"no event at all: {key}") != step.dead:
        faults.append(f"{scene.dead.count(key)} times in the dead-letter queue, not {step.dead}")
    scene.tally.failures += [f"{death.where}: {fault}" for fault in faults]
    return not faults


def _misdone(scene: Scene, death: Death, ends: Sequence[dict[str, Any]]) -> Iterator[str]:
    step = death.step
    copied = [end for end in ends if end["outcome"] == "copied"]
    if step.reused is None:
        if ends:
            yield f"worked on again after its acknowledgement: {ends}"
        return
    if [end["parts_reused"] for end in copied] != [step.reused]:
        yield f"not gone on with {step.reused} parts: {ends}"
    again = scene.sent_again(death.key)
    if again > int(step.way is Way.LARGE):
        yield f"{again} parts sent twice by one connection"
    held = scene.rig.target.get(death.key)
    if held is None or not _HELD.items() <= held.headers.items():
        yield f"other headers: {held and held.headers}"
