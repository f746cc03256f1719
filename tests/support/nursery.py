"""Workers that are forked of a process which has loaded the worker already.

To start Python and load everything takes half a second of CPU, a fork some milliseconds: where
hundreds of workers only begin in order to be killed, that is nearly all there is to do.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import selectors
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

_PR_SET_PDEATHSIG: Final = 1
_KEPT: Final = 3
_MOST_FILES: Final = 4096


class Child:
    """A forked worker, with as much of ``subprocess.Popen`` as `WorkerProcess` needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = threading.Event()

    def ended(self, code: int) -> None:
        self.returncode = code
        self._over.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._over.wait(timeout):
            raise subprocess.TimeoutExpired(f"worker {self.pid}", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # its end is not told yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that they are forked of, as a context manager. They die with it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environ),
        )
        self._lock = threading.Lock()
        self._born: dict[int, Child] = {}
        self._pids: list[int] = []
        self._news = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for child in self._born.values():
            child.ended(-signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def start(
        self,
        arguments: Sequence[str],
        *,
        stdout: IO[bytes],
        stderr: IO[bytes],
        cwd: Path,
        env: Mapping[str, str],
    ) -> Child:
        """A worker with these arguments."""
        words = {
            "arguments": list(arguments),
            "out": str(stdout.name),
            "err": str(stderr.name),
            "cwd": str(cwd),
            "env": dict(env),
        }
        pipe = self._process.stdin
        assert pipe is not None
        with self._lock, self._news:
            pipe.write(json.dumps(words).encode() + b"\n")
            pipe.flush()
            assert self._news.wait_for(lambda: self._pids, timeout=60), (
                "the nursery does not answer"
            )
            return self._born[self._pids.pop()]

    def _listen(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        for line in pipe:
            pid, code = json.loads(line)
            with self._news:
                if code is None:
                    self._born[pid] = Child(pid)
                    self._pids.append(pid)
                else:
                    self._born.pop(pid).ended(code)
                self._news.notify_all()


# --- the process itself -------------------------------------------------------------------


def main() -> None:
    """Fork a worker for each line of standard input; tell of births and deaths."""
    from sync import worker

    news, orders = os.dup(1), b""
    os.dup2(2, 1)
    watched: dict[int, int] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(0, selectors.EVENT_READ)
        while True:
            for key, _events in ready.select():
                if key.fd == 0:
                    told = os.read(0, 1 << 20)
                    if not told:
                        return
                    *lines, orders = (orders + told).split(b"\n")
                    for line in lines:
                        pid = os.fork()
                        if not pid:
                            _live(worker.main, json.loads(line))
                        _tell(news, pid, None)
                        watched[handle := os.pidfd_open(pid)] = pid
                        ready.register(handle, selectors.EVENT_READ)
                else:
                    pid = watched.pop(key.fd)
                    ready.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(pid, 0)
                    _tell(news, pid, os.waitstatus_to_exitcode(status))


def _tell(news: int, pid: int, code: int | None) -> None:
    os.write(news, json.dumps([pid, code]).encode() + b"\n")


def _live(program: Any, words: dict[str, Any]) -> None:
    """Be a worker, and never come back."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for name, number in ((os.devnull, 0), (words["out"], 1), (words["err"], 2)):
            opened = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
            os.dup2(opened, number)
        os.closerange(_KEPT, _MOST_FILES)
        os.chdir(words["cwd"])
        os.environ.clear()
        os.environ.update(words["env"])
        random.seed()
        code = program(words["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  as an interpreter that ends by an error
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
