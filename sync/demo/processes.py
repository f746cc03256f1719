"""Programs the demonstration starts: each in a session of its own, ended by process id."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_STOP_SECONDS = 30.0
_TAIL = 2000


class DemoError(Exception):
    """The demonstration itself cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running program and the file its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def check(self) -> None:
        """DemoError with the end of its output, if it has ended."""
        if self.process.poll() is not None:
            tail = self.log.read_bytes()[-_TAIL:].decode(errors="replace")
            raise DemoError(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM, then SIGKILL where that takes too long. The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(_STOP_SECONDS)


class Children:
    """Starts programs, and ends all of them when its context is left."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = dict(environ)
        self._started: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._started:
            if child.process.poll() is None:
                child.process.kill()
        for child in self._started:
            child.process.wait(_STOP_SECONDS)
            if child.process.stdin is not None:
                child.process.stdin.close()

    def start(
        self, name: str, command: Sequence[str], *, more: Mapping[str, str] | None = None
    ) -> Child:
        """Run a command; its output goes to ``<name>.log``, more environment to it alone.

        A session of its own keeps the terminal's Ctrl-C for the demonstration, which then ends
        its programs in order. Call it from the main thread: their life hangs on the starter's.
        """
        log = self._folder / f"{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(  # nosec B603
                [*_tied(), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**self._environ, **(more or {})},
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._started.append(child)
        return child


def _tied() -> list[str]:
    """On Linux: the program dies with the demonstration even where that is killed."""
    tool = shutil.which("setpriv") if sys.platform == "linux" else None
    return [tool, "--pdeathsig", "KILL"] if tool else []


def wait_for(
    condition: Callable[[], object], *, what: str, limit: float, children: Sequence[Child] = ()
) -> None:
    """Poll until the condition is true. DemoError after ``limit`` seconds, or where one of the
    programs ends meanwhile.
    """
    end = time.monotonic() + limit
    while not condition():
        for child in children:
            child.check()
        if time.monotonic() > end:
            raise DemoError(f"{what}: nothing within {limit:.0f} s")
        time.sleep(0.02)
