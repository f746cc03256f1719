"""A history as data: what happens, in which order, with which delays; and its text form.

    setting seed=7 luck=0 versions=suspended workers=3 ledger=yes ...
    +0.3 put key=a number=17 size=24 sent=0,30 again=2
    +5 kill number=1

Each line begins with the seconds since the line before. A history can be cut, printed, read
again and played again; everything that is not in it (latencies) follows from seed and luck.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self


class Do(StrEnum):
    """What may happen."""

    PUT = "put"
    MULTIPART = "multipart"
    """A put in parts: an ETag that is no MD5, no checksum of the whole."""
    SAME = "same"
    """The same bytes and metadata once more."""
    META = "meta"
    """Other metadata on the same bytes."""
    DELETE = "delete"
    RESTORE = "restore"
    """An earlier version is the current one again."""
    VERSIONING = "versioning"
    """Versioning is suspended, or enabled again."""
    JOB = "job"
    """The jobsender queues the key, whatever is there."""
    BATCH = "batch"
    """The jobsender queues all keys in one message."""
    COMPARE = "compare"
    """The jobsender compares, queues what differs, and deletes what is gone."""
    KILL = "kill"
    DRAIN = "drain"
    FAULT = "fault"
    """The next ``number`` calls of a kind fail."""
    POISON = "poison"
    """A message nobody can read."""
    TEST_EVENT = "test-event"
    FORGET = "forget"
    """The ledger's table is lost."""
    REDRIVE = "redrive"
    """The dead letters go back to the queue."""
    EXPIRE = "expire"
    """The queue drops what is older than its retention."""


CHANGES = frozenset({Do.PUT, Do.MULTIPART, Do.SAME, Do.META, Do.DELETE, Do.RESTORE})


@dataclass(frozen=True, slots=True)
class Op:
    """One thing that happens, ``pause`` seconds after the one before.

    ``number`` names a content, a worker, or counts; ``sent``: the delays of its messages;
    ``again``: so long after its first receipt the message is handed out again, 0 for never;
    ``fault``: which kind (see ``faults.histories.trouble``).
    """

    pause: float
    do: Do
    key: str = ""
    number: int = 0
    size: int = 0
    sent: tuple[float, ...] = ()
    again: float = 0.0
    fault: str = ""

    def __str__(self) -> str:
        """Its line."""
        words = [f"+{self.pause:g}", self.do.value]
        for name in ("key", "number", "size", "sent", "again", "fault"):
            value = getattr(self, name)
            if value:
                text = ",".join(f"{v:g}" for v in value) if name == "sent" else f"{value}"
                words.append(f"{name}={text}")
        return " ".join(words)

    @classmethod
    def parse(cls, line: str) -> Self:
        """The reverse; ValueError or KeyError where it is no such line."""
        pause, do, *rest = line.split()
        given = dict(word.split("=", 1) for word in rest)
        return cls(
            float(pause),
            Do(do),
            given.get("key", ""),
            int(given.get("number", 0)),
            int(given.get("size", 0)),
            tuple(float(v) for v in given["sent"].split(",")) if "sent" in given else (),
            float(given.get("again", 0.0)),
            given.get("fault", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What holds for a whole history. ``versions``: never, enabled or suspended; ``luck`` picks
    other latencies for the same ``seed``.
    """

    seed: int = 0
    luck: int = 0
    versions: str = "never"
    workers: int = 2
    ledger: bool = False
    by_version: bool = False
    update_version: bool = False
    drops_parts: bool = True
    deletes: bool = True
    interval: float = 0.0
    max_receives: int = 10_000

    def __str__(self) -> str:
        """Its line."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return "setting " + " ".join(f"{name}={_shown(value)}" for name, value in values)

    @classmethod
    def parse(cls, line: str) -> Self:
        """The reverse; ValueError where it is no such line."""
        word, *rest = line.split()
        if word != "setting":
            raise ValueError(f"a history begins with its setting, not with {line!r}")
        given: dict[str, Any] = dict(pair.split("=", 1) for pair in rest)
        for field in fields(cls):
            if field.name in given:
                given[field.name] = _read(given[field.name], field.default)
        return cls(**given)


def _shown(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value}"


def _read(text: str, like: object) -> object:
    if isinstance(like, bool):
        return {"yes": True, "no": False}[text]
    return int(text) if isinstance(like, int) else float(text) if isinstance(like, float) else text


@dataclass(frozen=True, slots=True)
class History:
    """A setting and what happens in it."""

    setting: Setting
    ops: tuple[Op, ...]

    def __str__(self) -> str:
        """The script."""
        return "\n".join([str(self.setting), *map(str, self.ops)])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a script; empty lines and those that begin with # are left out."""
        first, *rest = _lines(text)
        return cls(Setting.parse(first), tuple(map(Op.parse, rest)))

    def with_luck(self, luck: int) -> History:
        """The same with other latencies."""
        return replace(self, setting=replace(self.setting, luck=luck))


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not line.strip().startswith("#"):
            yield line.strip()
