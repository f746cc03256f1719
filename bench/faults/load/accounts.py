"""What a run must come to: the counts of the queue, of both stores and of the worker agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from faults.tally import Tally

MIB = 1024 * 1024
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Load:
    """One run. ``objects`` of 0 to 8,191 bytes, every ``large_every``th of 12 MiB (0: none).

    ``refuse``: so many of a thousand requests to both stores are answered 503 SlowDown.
    ``duplicates``: one message more after every so many objects tells of one of them again, and
    one message in so many is delivered twice (0: none).
    """

    objects: int
    refuse: int = 0
    duplicates: int = 0
    large_every: int = 0
    processes: int = 1
    connections: int = 32
    ledger: bool = False

    @property
    def bucket(self) -> str:
        large = f"-{12 * MIB}-{self.large_every}" if self.large_every else ""
        return f"vary-8192-{self.objects}{large}"

    @property
    def queue(self) -> str:
        return f"events_{self.bucket}_load"

    @property
    def messages(self) -> int:
        return self.objects + (self.objects // self.duplicates if self.duplicates else 0)

    @property
    def command(self) -> str:
        """Does this run again, alone."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        words = [
            f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            for name, value in own.items()
            if value
        ]
        return f"PYTHONPATH=bench:tests python -m faults.load {' '.join(words)}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What everybody says at the end. ``source``, ``destination``: the servers' counters;
    ``summary``: the worker's; ``noise``: lines it wrote that tell of a bug.
    """

    code: int
    source: Mapping[str, Any]
    destination: Mapping[str, Any]
    summary: Mapping[str, Any]
    noise: list[str]


class Objects(NamedTuple):
    """How many objects are there and right, their bytes, and what is wrong."""

    right: int
    amount: int
    faults: list[str]


def judge_counts(tally: Tally, load: Load, end: Ending) -> list[str]:
    """Everything that does not agree; the tally's own counts are kept too."""
    queue, summary = end.source["queues"][load.queue], end.summary
    tally.events += queue["deliveries"]
    tally.duplicated_acks += queue["acks_twice"]
    tally.unhandled += len(end.noise)
    tally.lost += load.messages - queue["given"]
    wanted: list[tuple[str, Any, Any]] = [
        ("the worker's exit code", end.code, 0),
        ("messages that were there", queue["count"], load.messages),
        ("messages given out", queue["given"], load.messages),
        ("messages deleted", queue["deleted"], load.messages),
        ("messages still held", queue["held"], 0),
        ("deliveries deleted twice", queue["acks_twice"], 0),
        ("deletes of what was never given", queue["strange"], 0),
        ("messages the worker counted", summary.get("messages"), queue["deliveries"]),
        ("messages dead-lettered", summary.get("dead_lettered"), []),
        ("jobs still failing", summary.get("failing"), []),
        ("uploads left open", end.destination["uploads"], 0),
        ("objects deleted", end.destination["deletes"], 0),
        ("throttles were met", _refused(end) > 0, load.refuse > 0),
        ("duplicates were met", queue["deleted_again"] > 0, load.duplicates > 0),
    ]
    return [f"{what}: {got!r}, not {want!r}" for what, got, want in wanted if got != want] + [
        f"the worker said: {line}" for line in end.noise[:_SHOWN]
    ]


def judge_objects(
    tally: Tally,
    load: Load,
    offered: Iterable[tuple[str, str, str]],
    held: Iterable[tuple[str, str, str, int]],
    written: int,
) -> Objects:
    """Compare object by object.

    ``offered`` is what the source would send, ``held`` what the destination's server made of what
    arrived, ``written`` the writes that server counted.
    """
    found = {name: (size, crc) for name, size, crc, _ in held}
    right = amount = 0
    faults = []
    for key, size, crc in offered:
        arrived = found.pop(f"target/{load.queue}/{key}", None)
        if arrived == (size, crc):
            right, amount = right + 1, amount + int(size)
            continue
        kind = "lost" if arrived is None else "mixed"
        setattr(tally, kind, getattr(tally, kind) + 1)
        faults.append(f"{key} is {kind}: {arrived}, not {(size, crc)}")
    faults += [f"{name} was never to be written" for name in found]
    if right != load.objects:
        faults.append(f"{right} of {load.objects} objects are right")
    fewest, most = load.objects, load.objects if not (load.refuse or load.duplicates) else None
    if written < fewest or (most is not None and written > most):
        faults.append(f"{written} writes of {load.objects} objects")
    return Objects(right, amount, faults)


def _refused(end: Ending) -> int:
    return int(end.source["refused"] + end.destination["refused"])
