"""Worker processes under their supervisor: children that die, a supervisor that dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from faults.crashes.logs import start, work
from faults.crashes.scene import Scene, open_scene
from faults.stage import Stage
from faults.tally import Tally
from support.worker_process import WorkerProcess, eventually

PLACES: Final = 2
_FALLING: Final = """
import os, signal, sys
if "--processes 1" in " ".join(sys.orig_argv):
    with open(os.environ["FALLS"], "a") as falls:
        falls.write(f"{os.getpid()}\\n")
    if not os.path.exists(os.environ["FALLS"] + ".enough"):
        os.kill(os.getpid(), signal.SIGSEGV)
"""
"""A ``sitecustomize`` for workers that crash as soon as they run."""


def run_supervision(tally: Tally, stage: Stage, *, times: int, short: bool) -> None:
    """Each kind of fall ``times`` times, a row for each."""
    for name in IN_SHORT if short else CASES:
        case = CASES[name]
        survived = 0
        for number in range(times):
            again = "python -m faults.crashes --part supervision"
            where = f"crashes: supervisor, {name} #{number}; again: {again}"
            with open_scene(stage, tally) as scene:
                faults = list(case(scene))
                survived += scene.judge(where) and not faults
                tally.failures += [f"{where}: {fault}" for fault in faults]
        tally.row("crashes", f"supervisor: {name}", times, survived)


def children(worker: WorkerProcess) -> list[int]:
    """Ids of its child processes."""
    path = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    with suppress(OSError):
        return [int(pid) for pid in path.read_text().split()]
    return []


def _two(scene: Scene) -> tuple[WorkerProcess, list[int]]:
    supervisor = scene.rig.start(processes=PLACES)
    ready(supervisor, PLACES)
    return supervisor, children(supervisor)


def ready(supervisor: WorkerProcess, count: int) -> None:
    """Wait until so many of its children have become ready so far."""

    def look() -> bool:
        return len(supervisor.seen("ready")) == count

    eventually(f"{count} workers have become ready", look, within=90)


def _fell(scene: Scene, pid: int, number: int) -> None:
    os.kill(pid, number)
    scene.tally.crashes += 1


def _ended(scene: Scene, supervisor: WorkerProcess, code: int) -> Iterator[str]:
    """The leases of the fallen run out, the others do all there is, and end when they are told."""
    scene.rig.queue.expire_leases()
    scene.rig.wait_empty(90)
    supervisor.terminate()
    found = supervisor.ended()
    if found != code:
        yield f"exit code {found}, not {code}: {supervisor.tail}"


def _children_fall(scene: Scene) -> Iterator[str]:
    """One child is killed, the other breaks down, in the middle of their work."""
    supervisor, (first, second) = _two(scene)
    work(scene, "before", poison=False)
    _fell(scene, first, signal.SIGKILL)
    _fell(scene, second, signal.SIGSEGV)
    ready(supervisor, 2 * PLACES)
    work(scene, "after", poison=False)
    yield from _ended(scene, supervisor, 0)
    for name in ("SIGKILL", "SIGSEGV"):
        if not any(f"fell ({name})" in line for line in supervisor.stray):
            yield f"{name} is not told: {supervisor.stray}"


def _unheard(scene: Scene) -> Iterator[str]:
    """A child falls while the supervisor's own stderr takes nothing."""
    supervisor = start(scene, err="/dev/full", processes=PLACES)
    eventually("two workers are there", lambda: len(children(supervisor)) == PLACES, within=90)
    work(scene, "before", poison=False)
    scene.rig.wait_empty(90)
    victim, other = children(supervisor)
    _fell(scene, victim, signal.SIGKILL)
    eventually("another is there", lambda: _replaced(supervisor, victim), within=90)
    if other not in children(supervisor):
        yield "the other child has gone too"
    work(scene, "after", poison=False)
    yield from _ended(scene, supervisor, 0)
    if supervisor.summary["outcomes"].get("copied", 0) < 1:
        yield f"another summary: {supervisor.summary}"


def _replaced(supervisor: WorkerProcess, victim: int) -> bool:
    found = children(supervisor)
    return len(found) == PLACES and victim not in found


def _supervisor_falls(scene: Scene) -> Iterator[str]:
    """Its children are told by the kernel, and end in good order."""
    supervisor, pids = _two(scene)
    work(scene, "before", poison=False)
    scene.kill(supervisor)
    eventually("no child is left", lambda: not any(map(_runs, pids)), within=90)
    if len(supervisor.seen("draining", reason="SIGTERM")) != PLACES:
        yield f"they did not drain: {supervisor.tail}"
    if len(supervisor.seen("ended")) != PLACES:
        yield f"they did not end in good order: {supervisor.tail}"
    scene.rescue()


def _runs(pid: int) -> bool:
    """It is there, and no zombie that nobody waits for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _falls_again_and_again(scene: Scene) -> Iterator[str]:
    """The pauses grow; once it does not fall any more, it works."""
    falls = _make_fall(scene)
    supervisor = _falling(scene, falls)
    work(scene, "all", poison=False)
    eventually("three falls each", lambda: len(_pids(falls)) >= 3 * PLACES, within=90)
    pauses = [float(line.split()[-2]) for line in supervisor.stray if " again in " in line]
    if sorted(pauses)[:6] != [1, 1, 2, 2, 4, 4][: len(pauses)]:
        yield f"the pauses do not grow: {pauses}"
    scene.tally.crashes += len(_pids(falls))
    falls.with_name(f"{falls.name}.enough").touch()
    ready(supervisor, PLACES)
    yield from _ended(scene, supervisor, 0)


def _told_to_end_between_falls(scene: Scene) -> Iterator[str]:
    """SIGTERM in the pause after a fall: it ends at once and starts nobody."""
    falls = _make_fall(scene)
    supervisor = _falling(scene, falls)
    eventually("both fell twice", lambda: _told(supervisor, "again in 2.0 s") == PLACES, within=90)
    scene.tally.crashes += len(_pids(falls))
    before, began = len(_pids(falls)), time.monotonic()
    supervisor.terminate()
    code = supervisor.ended()
    if code != 1:
        yield f"exit code {code}, not 1: {supervisor.tail}"
    if len(_pids(falls)) > before and time.monotonic() - began < 1:
        yield "it started another after it was told to end"
    work(scene, "all", poison=False)
    falls.with_name(f"{falls.name}.enough").touch()
    scene.rescue()


def _told(supervisor: WorkerProcess, words: str) -> int:
    return sum(words in line for line in supervisor.stray)


def _make_fall(scene: Scene) -> Path:
    """Where those that fall leave their ids."""
    folder = scene.rig.folder / "falling"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_FALLING)
    return folder / "falls"


def _falling(scene: Scene, falls: Path) -> WorkerProcess:
    environ = {"PYTHONPATH": str(falls.parent), "FALLS": str(falls)}
    return scene.rig.start(processes=PLACES, environ=environ)


def _pids(falls: Path) -> list[str]:
    return falls.read_text().split() if falls.exists() else []


CASES: Final[dict[str, Callable[[Scene], Iterator[str]]]] = {
    "a child killed, a child broken down": _children_fall,
    "a child falls and stderr is full": _unheard,
    "the supervisor is killed": _supervisor_falls,
    "children that fall again and again": _falls_again_and_again,
    "told to end between two falls": _told_to_end_between_falls,
}
IN_SHORT: Final = (
    "a child falls and stderr is full",
    "the supervisor is killed",
)
