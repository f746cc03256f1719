"""Workers that run out of memory: killed by the kernel for it, or refused more by it."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from faults.crashes.logs import work
from faults.crashes.scene import LARGE, Scene, content, open_scene
from faults.crashes.supervision import PLACES, children, ready
from faults.stage import Stage
from faults.tally import Tally
from support.rig import MIB
from support.worker_process import eventually
from sync.worker import FAILED, WELL

_V1: Final = Path("/sys/fs/cgroup/memory")
_V2: Final = Path("/sys/fs/cgroup")
_ROOM: Final = 512 * 1024
_PAGE: Final = resource.getpagesize()


class Killer(Protocol):
    """What kills a process that takes more memory."""

    how: str

    def watch(self, pid: int) -> None:
        """From now on it may have next to nothing more."""


class Group:
    """A memory cgroup: the kernel's own killer."""

    def __init__(self) -> None:
        v1 = (_V1 / "memory.limit_in_bytes").exists()
        self._path = (_V1 if v1 else _V2) / f"3gsync-faults-{uuid.uuid4().hex[:8]}"
        self._path.mkdir()
        self.how = f"by the kernel (cgroup v{1 if v1 else 2})"
        limit = "memory.limit_in_bytes" if v1 else "memory.max"
        (self._path / limit).write_text(str(_ROOM))

    def watch(self, pid: int) -> None:
        """Only what it asks for from now on counts."""
        (self._path / "cgroup.procs").write_text(str(pid))

    def close(self) -> None:
        eventually("the group is empty", lambda: not (self._path / "cgroup.procs").read_text())
        self._path.rmdir()


class Watcher:
    """Where no cgroup can be made: SIGKILL for whoever's resident memory grows."""

    how = "by a watcher of its resident memory (no memory cgroup here)"

    def watch(self, pid: int) -> None:
        most = _resident(pid) + _ROOM

        def look() -> None:
            with contextlib.suppress(OSError):
                while _resident(pid) <= most:
                    time.sleep(0.005)
                os.kill(pid, signal.SIGKILL)

        threading.Thread(target=look, daemon=True).start()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


@contextlib.contextmanager
def _killer() -> Iterator[Killer]:
    try:
        group = Group()
    except OSError:
        yield Watcher()
        return
    try:
        yield group
    finally:
        group.close()


def run_memory(tally: Tally, stage: Stage, *, times: int, short: bool) -> None:
    """Each way to run out ``times`` times, a row for each."""
    for name in IN_SHORT if short else CASES:
        case = CASES[name]
        survived, how = 0, ""
        for number in range(times):
            again = "python -m faults.crashes --part memory"
            where = f"crashes: memory, {name} #{number}; again: {again}"
            with open_scene(stage, tally, LeaseSeconds=10) as scene, _killer() as killer:
                faults = list(case(scene, killer))
                survived += scene.judge(where) and not faults
                tally.failures += [f"{where}: {fault}" for fault in faults]
                how = killer.how
        tally.row("crashes", f"memory: {name}", times, survived, how)


def _load(scene: Scene) -> None:
    """Enough to need memory for."""
    work(scene, "load", poison=False)
    for number in range(4):
        key = f"more/{number}"
        scene.put(key, content(key, LARGE))
        scene.tell(key, size=LARGE)


def _worker(scene: Scene, killer: Killer) -> Iterator[str]:
    """A worker under load is killed; another ends the work."""
    worker = scene.rig.start()
    worker.wait_for("ready", within=90)
    killer.watch(worker.pid)
    _load(scene)
    code = worker.ended(90)
    scene.tally.crashes += 1
    if code != -signal.SIGKILL:
        yield f"exit code {code}: {worker.tail}"
    scene.rescue()


def _child(scene: Scene, killer: Killer) -> Iterator[str]:
    """One of two processes under load is killed; its supervisor starts it anew."""
    supervisor = scene.rig.start(processes=PLACES)
    ready(supervisor, PLACES)
    victim, other = children(supervisor)
    killer.watch(victim)
    _load(scene)
    eventually("one more is ready", lambda: len(supervisor.seen("ready")) > PLACES, within=90)
    scene.tally.crashes += 1
    if other not in children(supervisor) or victim in children(supervisor):
        yield f"another one was killed: {children(supervisor)}, not {victim}"
    if not any("fell (SIGKILL)" in line for line in supervisor.stray):
        yield f"not told: {supervisor.stray}"
    scene.rig.queue.expire_leases()
    scene.rig.wait_empty(90)
    supervisor.terminate()
    if (code := supervisor.ended()) != 0:
        yield f"exit code {code}: {supervisor.tail}"


def _refused(scene: Scene, killer: Killer) -> Iterator[str]:
    """The system gives no more memory (RLIMIT_AS): allocations fail inside the worker, which
    breaks down with clear words, or goes on once there is memory again.
    """
    killer.how = "RLIMIT_AS"
    worker = scene.rig.start()
    worker.wait_for("ready", within=90)
    _forbid(worker.pid, _size(worker.pid) + MIB // 4)
    _load(scene)
    eventually("memory is short", lambda: "MemoryError" in worker.err.read_text(), within=90)
    _forbid(worker.pid, resource.RLIM_INFINITY)

    def over() -> bool:
        return worker.process.poll() is not None or scene.rig.queue.depth() == 0

    eventually("it has ended or goes on", over, within=150)
    worker.terminate()
    code = worker.ended()
    scene.tally.crashes += "3gsync: broke down" in worker.err.read_text()
    scene.rescue()
    if code not in {WELL, FAILED}:
        yield f"exit code {code}: {worker.tail}"


def _size(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * _PAGE


def _forbid(pid: int, size: int) -> None:
    """No more than this from now on."""
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (size, hard))


CASES: Final[dict[str, Callable[[Scene, Killer], Iterator[str]]]] = {
    "a worker under load is killed": _worker,
    "a child under load is killed": _child,
    "allocations fail": _refused,
}
IN_SHORT: Final = ("a child under load is killed", "allocations fail")
