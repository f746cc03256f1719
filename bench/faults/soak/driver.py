"""The changes at the source: by schedule, whatever the worker does, so that a slow one lags."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from faults.soak.lean_queue import LeanQueue
from faults.soak.plan import Soak
from support.rig import MIB, Rig, noise, record

_HANDS: Final = 4
_SMALL: Final = 32 * 1024
_LARGE: Final = 6 * MIB
_PATIENCE: Final = 60.0
_TRIES: Final = 30


@dataclass
class Done:
    """What was done. ``versions``: digests of everything each key ever held, oldest first;
    ``gone``: keys that are deleted now. ``late``: seconds behind the schedule, at most.
    """

    versions: dict[str, list[bytes]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    told: int = 0
    late: float = 0.0
    again: int = 0
    errors: list[str] = field(default_factory=list)


def digest(content: bytes) -> bytes:
    """Stands for the content, in less memory."""
    return hashlib.sha256(content).digest()


class Driver:
    """Four hands, each with keys of its own, so that the changes of a key have an order."""

    def __init__(self, rig: Rig, queue: LeanQueue, soak: Soak) -> None:
        self._rig, self._queue, self._soak = rig, queue, soak
        self._noise = noise(8 * MIB)
        self._stopped = threading.Event()
        self.done = [Done() for _ in range(_HANDS)]
        self._threads = [
            threading.Thread(target=self._hand, args=(number,), daemon=True)
            for number in range(_HANDS)
        ]

    def start(self) -> None:
        """Begin."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No more changes; waits for those under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(2 * _PATIENCE)

    def _hand(self, number: int) -> None:
        step = 0
        pause = _HANDS / self._soak.rate
        own = _Hand(self._rig, self._queue, self._soak, self._noise, number)
        self.done[number] = own.done
        while not self._stopped.is_set():
            due = self._began + (step + number / _HANDS) * pause
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            own.done.late = max(own.done.late, time.monotonic() - due)
            try:
                own.change(step)
            except Exception as error:  # noqa: BLE001  told at the end; the others go on
                own.done.errors.append(f"hand {number}, step {step}: {error!r}")
                return
            step += 1


class _Hand:
    def __init__(self, rig: Rig, queue: LeanQueue, soak: Soak, stuff: bytes, number: int) -> None:
        self._rig, self._queue, self._soak, self._stuff = rig, queue, soak, stuff
        self.done = Done()
        self._chance = random.Random(f"{soak.seed}-{number}")
        self._keys = [f"soak/{number}/{n:03}" for n in range(max(1, soak.keys // _HANDS))]

    def change(self, step: int) -> None:
        """One change and its message; some keys are changed once more at once."""
        key = self._keys[self._chance.randrange(len(self._keys))]
        kind = self._kind(key, step)
        self.done.kinds[kind] += 1
        if kind == "delete":
            self._delete(key)
            return
        size = self._chance.randrange(_SMALL)
        if kind == "large":
            size = _LARGE + 1 + self._chance.randrange(MIB)
        self._put(key, size, step)
        if kind == "overwrite at once":
            self._put(key, self._chance.randrange(_SMALL), step)

    def _kind(self, key: str, step: int) -> str:
        if step % self._soak.large_every == self._soak.large_every // 2:
            return "large"
        lot = self._chance.random()
        there = key in self.done.versions and key not in self.done.gone
        if lot < 0.05:  # noqa: PLR2004  a share
            return "delete" if there else "put"
        return "overwrite at once" if lot < 0.08 else "put"  # noqa: PLR2004  a share

    def _put(self, key: str, size: int, step: int) -> None:
        at = self._chance.randrange(len(self._stuff) - size)
        content = (f"{key} {step} ".encode() + self._stuff[at : at + size])[:size]
        self.done.versions.setdefault(key, []).append(digest(content))
        self._insist(lambda: self._rig.source.put(key, content))
        self.done.gone.discard(key)
        self._tell(key, "ObjectCreated:Put", size=size)

    def _delete(self, key: str) -> None:
        self._insist(lambda: self._rig.source.delete(key))
        self.done.gone.add(key)
        self._tell(key, "ObjectRemoved:Delete")

    def _tell(self, key: str, name: str, **fields: int) -> None:
        told = record(self._rig.source.bucket, key, name, **fields)
        told["eventTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = json.dumps({"Records": [told]})
        for _ in range(2 if self._chance.random() < 0.02 else 1):  # noqa: PLR2004  a share
            self._insist(lambda: self._queue.send(body))
            self.done.told += 1

    def _insist(self, what: Callable[[], object]) -> None:
        """What is done is done again where a server failed: the same change, or message."""
        for turn in range(_TRIES):
            try:
                what()
            except Exception:
                if turn == _TRIES - 1:
                    raise
                self.done.again += 1
                time.sleep(1.0)
            else:
                return
