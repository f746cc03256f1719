"""SIGKILLs at random moments over a mixed load, several workers on one queue."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import Final

from faults.crashes.mixture import IGNORED, Mixture
from faults.crashes.scene import Scene, nursed, open_scene
from faults.stage import Stage
from faults.tally import Tally
from support.worker_process import WorkerProcess, eventually

CONNECTIONS: Final = 8
_BACKLOG: Final = 150


def run_moments(tally: Tally, stage: Stage, *, kills: int, seed: int) -> None:
    """``kills`` deaths by one seed, which decides about the ledger and the number of workers
    too; then the judgement. A row for the whole.
    """
    rng = random.Random(seed)
    ledger, workers = rng.randrange(5) > 1, rng.choice((2, 3))
    again = f"python -m faults.crashes --seed {seed} --kills {kills}"
    where = f"crashes: random moments, seed {seed}; again: {again}"
    options = {"LeaseSeconds": 10, "SyncDeletes": True, "Connections": CONNECTIONS}
    with open_scene(stage, tally, ledger=ledger, **options) as scene, nursed(scene):
        scene.rig.options["IgnoreList"] = _ignore_list(scene)
        mixture = Mixture(scene, rng)
        _kill_on(scene, mixture, rng, kills=kills, workers=workers)
        reused = _end(scene)
        well = scene.judge(where, ignored=frozenset(mixture.ignored))
        well &= _not_too_often(scene, where, kills)
        well &= scene.uploads_end(where)
    note = f"seed {seed}, {workers} workers, {'a' if ledger else 'no'} ledger, "
    note += f"{reused} parts reused at the end"
    tally.row("crashes", "SIGKILL at random moments", kills, kills if well else 0, note)


def _ignore_list(scene: Scene) -> str:
    path = scene.rig.folder / "ignored.txt"
    path.write_text(f"{scene.rig.source.bucket}/{IGNORED}*\n")
    return str(path)


def _kill_on(
    scene: Scene, mixture: Mixture, rng: random.Random, *, kills: int, workers: int
) -> None:
    """The source is changed without a pause; every while one worker falls and another comes."""
    alive = [_start(scene) for _ in range(workers)]
    for _ in range(kills):
        for _ in range(rng.randint(3, 12)):
            mixture.act()
        if scene.rig.queue.depth() > _BACKLOG:  # they are to work at the end too
            time.sleep(1.0)
        victim = alive.pop(rng.randrange(len(alive)))
        if rng.randrange(10):  # the others fall while they start
            eventually("it works", partial(victim.seen, "ready"), within=90)
        time.sleep(rng.random() * 0.4)
        scene.kill(victim)
        alive.append(_start(scene))
    for worker in alive:
        scene.kill(worker)


def _start(scene: Scene) -> WorkerProcess:
    return scene.rig.start(nursery=scene.rig.nursery)


def _end(scene: Scene) -> int:
    """One worker ends everything; the parts it found in place."""
    worker = scene.rescue()
    return sum(line["parts_reused"] for line in worker.seen("object", outcome="copied"))


def _not_too_often(scene: Scene, where: str, kills: int) -> bool:
    again, most = scene.sent_again(), kills * CONNECTIONS
    if again > most:
        scene.tally.failures.append(f"{where}: {again} parts sent twice, above {most}")
    return again <= most
