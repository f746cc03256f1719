"""Many histories, on all cores, and what they add up to."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from faults.histories.drawing import draw
from faults.histories.guards import GUARDS
from faults.histories.play import Played, play
from faults.histories.script import History
from faults.histories.shrinking import Shrinker, printed

_BLOCK: Final = 20
_PRINTED: Final = 5
"""Failing histories that are made small and printed; the others are named by their seed."""


@dataclass
class Sums:
    """What some histories add up to. ``kinds`` counts histories by the worst they showed."""

    histories: int = 0
    failed: int = 0
    operations: int = 0
    events: int = 0
    crashes: int = 0
    answered_twice: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    texts: list[str] = field(default_factory=list)

    def add(self, played: Played) -> None:
        """Take one in."""
        self.histories += 1
        self.operations += len(played.history.ops)
        self.events += played.events
        self.crashes += played.crashes
        self.answered_twice += played.answered_twice
        self.seen.update(played.seen)
        if failed(played):
            self.failed += 1
            self.kinds.update({one.kind for one in played.failures})
            text = reported(played) if self.failed <= _PRINTED else f"{command(played.history)}"
            self.texts.append(text)

    def join(self, other: Sums) -> None:
        """Take many in."""
        for name in ("histories", "failed", "operations", "events", "crashes", "answered_twice"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.kinds.update(other.kinds)
        self.seen.update(other.seen)
        self.texts += other.texts


def failed(played: Played) -> bool:
    """Was anything forbidden seen?"""
    return bool(played.failures) or played.answered_twice > 0


def fails(history: History) -> bool:
    """Play it: is anything forbidden seen?"""
    return failed(play(history))


def command(history: History, guard: str = "") -> str:
    """What plays a drawn history again."""
    without = f" --without {guard}" if guard else ""
    return (
        f"PYTHONPATH=bench:tests python -m faults.histories --seed {history.setting.seed}{without}"
    )


def reported(played: Played, guard: str = "", *, tries: int = 800) -> str:
    """A failing history, made small, as a script to be read and played again."""
    small = Shrinker(fails, tries=tries).shrink(played.history)
    last = play(small)
    said = [f"{f.kind} at {f.when:.2f}: {f.text}" for f in last.failures]
    if last.answered_twice:
        said.append(f"{last.answered_twice} acknowledgements of what had been answered")
    return printed(small, command(played.history, guard) + ", or save this and --script FILE", said)


def play_block(seeds: range) -> Sums:
    """Histories of these seeds, in this process."""
    sums = Sums()
    for seed in seeds:
        sums.add(play(draw(seed)))
    return sums


def blocks(first: int, count: int) -> Iterator[range]:
    """The seeds in pieces for the processes."""
    for start in range(first, first + count, _BLOCK):
        yield range(start, min(start + _BLOCK, first + count))


def play_many(first: int, count: int, *, processes: int | None = None) -> Sums:
    """Histories of ``count`` seeds, on all cores unless told otherwise."""
    processes = processes or os.cpu_count() or 1
    sums = Sums()
    if processes == 1:
        for seeds in blocks(first, count):
            sums.join(play_block(seeds))
        return sums
    with ProcessPoolExecutor(processes) as pool:
        for part in pool.map(play_block, blocks(first, count)):
            sums.join(part)
    return sums


@dataclass(frozen=True, slots=True)
class Caught:
    """A guard's absence was seen in the ``after``-th history; ``small`` is it made small."""

    guard: str
    after: int
    small: History | None = None


def catch(guard: str, *, first: int, most: int, shrink: bool) -> Caught | None:
    """Play histories with the engine that lacks a guard until one fails; None where none does.

    AssertionError where the small history, read back from its own print, does not fail.
    """
    with GUARDS[guard]() if guard else nullcontext():
        for seed in range(first, first + most):
            history = draw(seed)
            if not fails(history):
                continue
            if not shrink:
                return Caught(guard, seed - first + 1)
            small = Shrinker(fails).shrink(history)
            again = History.parse(str(small))
            assert again == small, "a printed history is read back as another one"
            assert fails(again), "a printed history does not fail again"
            return Caught(guard, seed - first + 1, small)
    return None
