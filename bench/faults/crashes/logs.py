"""Logs that nobody takes: a full disk, a reader that has died. Logs may be lost, objects not."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from faults.crashes.scene import LARGE, Scene, content, open_scene
from faults.stage import Stage
from faults.tally import Tally
from support.worker_process import WorkerProcess, eventually

_FULL: Final = "/dev/full"
_COPIES: Final = 13
_REDIRECTED: Final = """
import os, sys
for number, path in enumerate(sys.argv[1:3], 1):
    if path == "closed":
        reader, writer = os.pipe()
        os.dup2(writer, number)
        os.close(reader)
    elif path:
        os.dup2(os.open(path, os.O_WRONLY), number)
os.execv(sys.executable, [sys.executable, "-m", "sync.worker", *sys.argv[3:]])
"""


def start(
    scene: Scene, *arguments: str, out: str = "", err: str = "", processes: int = 1
) -> WorkerProcess:
    """A worker whose stdout and stderr are these files; ``closed`` is a pipe without a reader."""
    command = ("-S", "-c", _REDIRECTED, out, err)
    return scene.rig.start(*arguments, command=command, processes=processes)


def run_logs(tally: Tally, stage: Stage, *, times: int, short: bool) -> None:
    """Each kind of loss ``times`` times, a row for each."""
    for name in IN_SHORT if short else CASES:
        case = CASES[name]
        survived, note = 0, ""
        for number in range(times):
            where = f"crashes: logs, {name} #{number}; again: python -m faults.crashes --part logs"
            with open_scene(stage, tally) as scene:
                faults = list(case(scene))
                survived += scene.judge(where) and not faults
                tally.failures += [f"{where}: {fault}" for fault in faults]
                tally.faults[f"logs: {name}"] += 1
        tally.row("crashes", f"logs: {name}", times, survived, note)


def work(scene: Scene, name: str, *, poison: bool = True) -> None:
    """Something of every kind to do; with poison the worker ends with 1, without with 0."""
    for number in range(_COPIES - 1):
        key = f"{name}/{number}"
        scene.put(key, content(key, 3_000))
        scene.tell(key)
    scene.put(f"{name}/large", content(name, LARGE))
    scene.tell(f"{name}/large", size=LARGE)
    if poison:
        scene.send_poison(f"no event at all: {name}")


def _batch(scene: Scene, *, poison: bool, code: int, out: str = "", err: str = "") -> Iterator[str]:
    work(scene, "batch", poison=poison)
    worker = start(scene, "--until-empty", out=out, err=err)
    found = worker.ended()
    if found != code:
        yield f"exit code {found}, not {code}: {worker.tail}"
    if "Traceback" in worker.tail:
        yield f"a traceback: {worker.tail}"
    if not out and worker.summary["outcomes"]["copied"] != _COPIES:
        yield f"another summary: {worker.summary}"
    if out and not err and "summary" not in worker.tail:
        yield f"not said that the summary is lost: {worker.tail}"


def _stderr_full(scene: Scene) -> Iterator[str]:
    return _batch(scene, poison=False, code=0, err=_FULL)


def _stdout_full(scene: Scene) -> Iterator[str]:
    return _batch(scene, poison=False, code=1, out=_FULL)


def _stdout_closed(scene: Scene) -> Iterator[str]:
    return _batch(scene, poison=True, code=1, out="closed", err="closed")


def _served(scene: Scene, worker: WorkerProcess, name: str) -> Iterator[str]:
    """It goes on copying, and ends well when it is told to."""
    work(scene, name)
    scene.rig.wait_empty(60)
    worker.terminate()
    code = worker.ended()
    if code != 1:  # there was a poison message
        yield f"exit code {code}, not 1: {worker.tail}"


def _both_full(scene: Scene) -> Iterator[str]:
    work(scene, "before")
    return _served(scene, start(scene, out=_FULL, err=_FULL), "after")


def _reader_dies(scene: Scene) -> Iterator[str]:
    """The pipe's reader goes away in the middle; a SIGPIPE comes on top."""
    fifo = scene.rig.folder / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    worker = start(scene, err=str(fifo))
    seen = bytearray()

    def ready() -> bool:
        with contextlib.suppress(BlockingIOError):
            seen.extend(os.read(reader, 65_536))
        return b'"ready"' in seen

    eventually("it is ready", ready, within=90)
    os.close(reader)
    worker.process.send_signal(signal.SIGPIPE)
    yield from _served(scene, worker, "after")


def _folder_full(scene: Scene) -> Iterator[str]:
    with _no_room(scene) as (folder, fill):
        scene.rig.options["LogFolder"] = str(folder)
        worker = scene.rig.start()
        worker.wait_for("ready")
        fill(worker)
        work(scene, "full")
        scene.rig.wait_empty(60)
        worker.terminate()
        if (code := worker.ended()) != 1:
            yield f"exit code {code}, not 1: {worker.tail}"
        if "Traceback" in worker.err.read_text():
            yield f"a traceback: {worker.tail}"
        if not worker.seen("log-lost", error="No space left on device"):
            yield f"not said that lines of the file are lost: {worker.tail}"
        if len(worker.seen("object", outcome="copied")) != _COPIES:
            yield "lines of stderr are lost too"


@contextlib.contextmanager
def _no_room(scene: Scene) -> Iterator[tuple[Path, Callable[[WorkerProcess], None]]]:
    """A folder and how to fill it up: a file system of 64 KiB; or a limit to a file's size."""
    folder = scene.rig.folder / "small-disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield folder, _limit_files
        return
    try:
        yield folder, lambda _worker: _fill(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(512))


def _limit_files(worker: WorkerProcess) -> None:
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (1, 1))


CASES: Final[dict[str, Callable[[Scene], Iterator[str]]]] = {
    "no room for stderr": _stderr_full,
    "no room for the summary": _stdout_full,
    "a service without room for any": _both_full,
    "no reader from the beginning": _stdout_closed,
    "the reader dies, SIGPIPE": _reader_dies,
    "LogFolder's disk is full": _folder_full,
}
IN_SHORT: Final = (
    "a service without room for any",
    "the reader dies, SIGPIPE",
    "LogFolder's disk is full",
)
