"""A worker process under test: started, watched through its log lines, ended by its id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from support.nursery import Child, Nursery

T = TypeVar("T")
_TICK = 0.02


def eventually(what: str, ask: Callable[[], T], *, within: float = 30.0) -> T:
    """Poll until ``ask`` gives something true; AssertionError with its last answer else."""
    end = time.monotonic() + within
    while not (found := ask()):
        assert time.monotonic() < end, f"{what}: not within {within:.0f} s (last: {found!r})"
        time.sleep(_TICK)
    return found


class WorkerProcess:
    """``python -m sync.worker`` with these arguments; its output goes to files in ``folder``.

    ``nursery``: where it is forked instead of started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str],
        name: str,
        command: Sequence[str] = ("-m", "sync.worker"),
        cwd: Path | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        self.process: subprocess.Popen[bytes] | Child
        with self.out.open("wb") as out, self.err.open("wb") as err:
            if nursery is not None:
                self.process = nursery.start(
                    arguments, stdout=out, stderr=err, cwd=cwd or folder, env=environ
                )
                return
            self.process = subprocess.Popen(
                [sys.executable, *command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd or folder,
                env=dict(environ),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self, within: float = 60.0) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within:.0f} s:\n{self.tail}") from None

    @property
    def summary(self) -> dict[str, Any]:
        """The JSON line that ``--json`` promises as the last of stdout."""
        found: dict[str, Any] = json.loads(self.out.read_text().splitlines()[-1])
        return found

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log lines so far; the last may be half written."""
        return list(self._parsed())

    def _parsed(self) -> Iterator[dict[str, Any]]:
        for line in self.err.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)

    @property
    def stray(self) -> list[str]:
        """Lines of stderr that are no JSON."""
        return [line for line in self.err.read_text().splitlines() if not line.startswith("{")]

    @property
    def tail(self) -> str:
        return self.err.read_text(errors="replace")[-3000:]

    def seen(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Log lines of this event with these fields."""
        wanted = {"event": event, **fields}
        return [line for line in self.lines if wanted.items() <= line.items()]

    def wait_for(self, event: str, *, within: float = 30.0, **fields: Any) -> dict[str, Any]:
        """The first such log line."""

        def look() -> list[dict[str, Any]]:
            found = self.seen(event, **fields)
            assert found or self.process.poll() is None, f"it ended first:\n{self.tail}"
            return found

        return eventually(f"log line {event} {fields}", look, within=within)[0]

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


def base_environment(home: Path) -> dict[str, str]:
    """An environment that knows nothing of whoever runs the tests, but where the code lies."""
    return {
        **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "NO_GCE_CHECK": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "*",
    }
