"""The ignore list as a file that is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from sync.errors import ConfigError
from sync.ignore import IgnoreList
from sync.ports import Clock

_Signature = tuple[int, int, int]


def _at_once(work: Callable[[], None]) -> None:
    work()


class IgnoreFile:
    """Keeps the list of a file, and looks at most once in ``every`` seconds for a new one.

    A file that cannot be read, is not UTF-8, or has vanished leaves the last good list in
    force; ``report`` is told so once for each new fault. A look and the reading go through
    ``run``: hand in an executor's submit to keep them, and ``report``, off the event loop's
    thread (50,000 lines take a second or two to read); ``current`` then gives the old list
    until the new one is ready. On start, no file is an empty list
    (and a report), and one that cannot be read is a ConfigError: nobody wants objects
    copied because the list of exceptions was not understood.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        report: Callable[[str], None],
        every: float = 5.0,
        run: Callable[[Callable[[], None]], object] = _at_once,
    ) -> None:
        self._path = Path(path)
        self._clock = clock
        self._report = report
        self._every = every
        self._run = run
        self._looking = Lock()
        self._list = IgnoreList()
        self._seen: _Signature | None = None
        self._fault = ""
        self._next_look = clock.monotonic() + every
        self._start()

    def current(self) -> IgnoreList:
        """The list in force, after a look at the file if it is time for one."""
        now = self._clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + self._every
            self._run(self._look)
        return self._list

    def _start(self) -> None:
        try:
            self._load()
        except FileNotFoundError:
            self._complain(f"ignore list {self._path} is not there; nothing is ignored")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"ignore list {self._path} cannot be read: {error}; make it readable UTF-8"
            ) from None

    def _look(self) -> None:
        """One look; none while an earlier one is still reading."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            if self._signature(self._path.stat()) != self._seen:
                self._load()
            self._fault = ""
        except (OSError, UnicodeDecodeError) as error:
            self._complain(f"ignore list {self._path}: {error}; the last good one stays in force")
        finally:
            self._looking.release()

    def _load(self) -> None:
        """Read and parse; the signature is of the very file read, from before reading it."""
        with self._path.open("rb") as file:
            signature = self._signature(os.fstat(file.fileno()))
            text = file.read().decode("utf-8")
        first = self._seen is None and not self._fault
        self._list = IgnoreList.parse(text)
        self._seen = signature
        if not first:
            self._report(f"ignore list {self._path} read again: {len(self._list)} lines")

    def _complain(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self._report(fault)

    @staticmethod
    def _signature(stat: os.stat_result) -> _Signature:
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
