"""Where the jobs go: into queues, into a file, or nowhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, TextIO

from sync.engine.comparing.sending import JobSender
from sync.errors import ConfigError
from sync.messages import encode_job
from sync.model import TransferJob
from sync.ports import JobSink

STDOUT: Final = "-"


class Sink(Protocol):
    """Takes jobs."""

    @property
    def sent(self) -> int:
        """Jobs that are certainly where they belong."""
        ...

    @property
    def messages(self) -> int:
        """Messages that they are in."""
        ...

    async def add(self, job: TransferJob) -> None:
        """Send it, now or with the next ones."""
        ...

    async def flush(self) -> None:
        """Return when all that was added is where it belongs."""
        ...

    def close(self, *, finished: bool) -> None:
        """Nothing more comes. ``finished`` False: what was begun is not whole."""
        ...


class QueueSink:
    """Sends to queues."""

    def __init__(self, queues: Sequence[JobSink], *, keys_per_message: int = 1) -> None:
        self._sender = JobSender(queues, keys_per_message=keys_per_message)
        self.add = self._sender.add
        self.flush = self._sender.flush

    @property
    def sent(self) -> int:
        """Jobs that are in a queue."""
        return self._sender.sent

    @property
    def messages(self) -> int:
        """Messages that they are in."""
        return self._sender.messages

    def close(self, *, finished: bool) -> None:
        """Nothing is open."""


class Nowhere:
    """Only counts."""

    def __init__(self) -> None:
        self.sent = self.messages = 0

    async def add(self, job: TransferJob) -> None:  # noqa: ARG002  the Sink's signature
        """Count it."""
        self.sent += 1

    async def flush(self) -> None:
        """Nothing waits."""

    def close(self, *, finished: bool) -> None:
        """Nothing is open."""


class LinesSink:
    """Writes job bodies, one a line. A file gets its name when it is whole; until then it is
    ``FILE.part``. ``-`` is the standard output.
    """

    def __init__(self, name: str) -> None:
        self._path = None if name == STDOUT else Path(name)
        self.sent = self.messages = 0
        self._file: TextIO = sys.stdout
        if self._path is not None:
            self._part = self._path.with_name(f"{self._path.name}.part")
            try:
                self._file = self._part.open("w", encoding="ascii")
            except OSError as error:
                raise ConfigError(f"--output {name}: {error.strerror}") from None

    async def add(self, job: TransferJob) -> None:
        """Write it."""
        self._file.write(f"{encode_job(job)}\n")
        self.sent += 1

    async def flush(self) -> None:
        """Write what is buffered."""
        self._file.flush()

    def close(self, *, finished: bool) -> None:
        """Give the file its name."""
        if self._path is not None:
            self._file.close()
            if finished:
                self._part.replace(self._path)
