"""What is measured while the soak lasts, from outside the worker."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Final

from faults.proxy import FaultProxy
from faults.soak.lean_queue import LeanQueue
from support.rig import Rig

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_CREATE: Final = re.compile(r"^POST \S+[?&]uploads")
_UNDER_WAY: Final = 200


@dataclass(frozen=True, kw_only=True)
class Sample:
    """At one moment. ``at``: seconds since 1970; ``memory``: resident bytes; ``servers``: seconds
    that a small request to each store took, around the proxies; ``depth`` of the queue, and the
    ``age`` of its oldest message in seconds.
    """

    at: float
    memory: float
    threads: float
    depth: float
    age: float
    servers: dict[str, float]


@dataclass
class Sampler:
    """Samples of one process, ``every`` so many seconds, from a thread of its own.

    ``creates_struck``: creations of uploads that met a fault. Where the reply was lost, nobody
    knows the upload, and it stays until somebody clears up.
    """

    rig: Rig
    queue: LeanQueue
    pid: int
    every: float
    proxies: Sequence[FaultProxy]
    samples: list[Sample] = field(default_factory=list)
    creates_struck: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        self._thread.join(60)
        self._forget(keep=0)

    def _run(self) -> None:
        while not self._stopped.wait(self.every):
            self._forget(keep=_UNDER_WAY)
            try:
                self.samples.append(self._look())
            except OSError:
                return  # the worker has ended

    def _forget(self, *, keep: int) -> None:
        """Journals of an hour would be most of this process."""
        for proxy in self.proxies:
            old = proxy.journal[: max(0, len(proxy.journal) - keep)]
            del proxy.journal[: len(old)]
            self.creates_struck += sum(bool(one.fault and _CREATE.search(one.line)) for one in old)

    def _look(self) -> Sample:
        folder = Path(f"/proc/{self.pid}")
        status = (folder / "status").read_text().split()
        servers = {
            "source": _timed(lambda: self.rig.source.get("probe")),
            "destination": _timed(lambda: self.rig.target.get("probe")),
        }
        return Sample(
            at=time.time(),
            memory=int((folder / "statm").read_text().split()[1]) * _PAGE,
            threads=int(status[status.index("Threads:") + 1]),
            depth=self.queue.depth(),
            age=self.queue.oldest(),
            servers=servers,
        )


@dataclass(frozen=True)
class Inside:
    """What the worker's own thread wrote: see ``watched_worker``."""

    at: float
    tasks: float
    blocks: float
    files: float
    sockets: float


def read_inside(file: Path) -> list[Inside]:
    """All whole lines."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    parsed = (json.loads(line) for line in lines if line.endswith("\n"))
    names = [field.name for field in fields(Inside)]
    return [Inside(*(one[name] for name in names)) for one in parsed]


@dataclass
class Told:
    """What the worker's log says. ``lags``: when a job ended, and how long after its change."""

    lags: list[tuple[float, float]] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    retries: int = 0
    parts: int = 0


def read_log(file: Path) -> Told:
    """Go through the log once."""
    told = Told()
    with file.open(errors="replace") as lines:
        for line in lines:
            _take(told, line)
    return told


def _take(told: Told, line: str) -> None:
    if not line.startswith("{"):
        told.bugs.append(line.rstrip())
        return
    found = json.loads(line)
    name = found.get("event")
    if name == "object" and found.get("lag") is not None and found["outcome"] != "failed":
        ended = datetime.fromisoformat(found["time"]).timestamp()
        told.lags.append((ended, found["lag"]))
        told.parts += found["parts_sent"]
    elif name == "bug" or "Traceback" in line or "never awaited" in line:
        told.bugs.append(line.rstrip())
    elif name == "retry":
        told.retries += 1


def _timed(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    try:
        ask()
    except Exception:  # noqa: BLE001  a probe that fails is a slow one
        return 30.0
    return time.monotonic() - began
