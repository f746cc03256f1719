"""How far a run over an inventory has come, on disk: the next run goes on there.

A file of JSON lines: a head that says for what it holds, then one line for each time that
everything up to a row had been sent. The last line of each file holds. Only what is in the
queue is ever written down, so a crash costs duplicates, which do no harm, and never an object.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sync.errors import ConfigError
from sync.inventories.tally import Tally
from sync.json_text import loads


@dataclass(slots=True)
class Progress:
    """How far a data file has come: ``rows`` of it are done with, and are counted in ``tally``.
    ``md5`` is the file's (hex): another file is another matter.
    """

    rows: int = 0
    done: bool = False
    md5: str = ""
    tally: Tally = field(default_factory=Tally)

    def as_json(self) -> dict[str, Any]:
        """For a line of the state file."""
        counts = {each.name: getattr(self.tally, each.name) for each in fields(self.tally)}
        return {"rows": self.rows, "done": self.done, "md5": self.md5, "tally": counts}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Progress:
        """What ``as_json`` gave. KeyError, TypeError or ValueError for anything else."""
        counts = dict(value["tally"])
        skipped = Counter(dict(counts["skipped"]))
        numbers = [value["rows"], *(counts[name] for name in counts.keys() - {"skipped"})]
        if not all(type(each) is int and each >= 0 for each in [*numbers, *skipped.values()]):
            raise ValueError("a count is none")
        tally = Tally(**{**counts, "skipped": skipped})
        return cls(value["rows"], bool(value["done"]), str(value["md5"]), tally)


class StateFile:
    """The state of one run at a time. ``head`` is what must be the same to go on: the
    inventory and the options.

    ConfigError where the file cannot be written, belongs to something else, or to a run that
    is still going on.
    """

    def __init__(self, path: Path, head: Mapping[str, str]) -> None:
        self.path = path
        self._files: dict[str, Progress] = {}
        try:
            self._file = path.open("a+b")
        except OSError as error:
            raise ConfigError(
                f"state file {path} cannot be written: {error.strerror}; name another one with "
                "--state FILE, or do without: --no-state"
            ) from None
        self._lock()
        self.resumed = self._load(dict(head))

    def progress(self, name: str) -> Progress:
        """How far the data file of that name had come."""
        return self._files.get(name) or Progress()

    def save(self, name: str, progress: Progress) -> None:
        """All rows of the file up to there are sent, or need not be."""
        self._write({"file": name, **progress.as_json()})

    def close(self, *, finished: bool) -> None:
        """The run ends; one that is finished leaves no file behind."""
        if finished:
            self.path.unlink(missing_ok=True)
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ConfigError(
                f"state file {self.path}: another run over this inventory is going on"
            ) from None

    def _load(self, head: dict[str, str]) -> bool:
        self._file.seek(0)
        data = self._file.read()
        if not data:
            self._write(head)
            return False
        lines = data.splitlines(keepends=True)
        self._require_same(lines[0], head)
        if not lines[-1].endswith(b"\n"):
            # A line that a crash cut off says nothing, and nothing may be written behind it.
            self._file.truncate(len(data) - len(lines.pop()))
        if not lines:
            self._write(head)
        for line in lines[1:]:
            self._take(line)
        return bool(self._files)

    def _require_same(self, line: bytes, head: dict[str, str]) -> None:
        said = self._parsed(line)
        other = sorted(name for name in head if said.get(name) != head[name])
        if other:
            self._file.close()
            raise ConfigError(
                f"state file {self.path} is of a run with another {' and other '.join(other)}: "
                "remove it to begin anew, or name another one with --state FILE"
            )

    def _take(self, line: bytes) -> None:
        value = self._parsed(line)
        try:
            self._files[str(value["file"])] = Progress.from_json(value)
        except (KeyError, TypeError, ValueError):
            raise self._not_ours() from None

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            value = loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._not_ours()
        return value

    def _not_ours(self) -> ConfigError:
        self._file.close()
        return ConfigError(f"{self.path} is no state file of an inventory: name another one")

    def _write(self, value: Mapping[str, object]) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
