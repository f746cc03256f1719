"""A mixed load: small and large objects, overwrites, deletes, duplicates and disorder of events,
messages of many keys, poison, keys that are ignored. All choices come from one seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Final

from faults.crashes.scene import LARGE, Scene, content

IGNORED: Final = "ignored/"
_KEYS: Final = tuple(f"small/{n}" for n in range(10)) + tuple(f"either/{n}" for n in range(4))
_LARGE: Final = tuple(f"either/{n}" for n in range(4)) + tuple(f"large/{n}" for n in range(3))
_REMEMBERED: Final = 40


class Mixture:
    """Changes a scene's source and tells of it."""

    def __init__(self, scene: Scene, rng: random.Random) -> None:
        self._scene = scene
        self._rng = rng
        self._numbers = 0
        self._told: list[str] = []
        self.ignored: set[str] = set()
        self._deeds: tuple[tuple[int, Callable[[], None]], ...] = (
            (44, self._small),
            (8, self._large),
            (14, self._delete),
            (12, self._again),
            (6, self._misleading),
            (6, self._many),
            (5, self._poison),
            (5, self._ignored),
        )

    def act(self) -> None:
        """One change, or one message more."""
        weights = [weight for weight, _deed in self._deeds]
        (chosen,) = self._rng.choices(self._deeds, weights)
        chosen[1]()

    def _next(self) -> str:
        self._numbers += 1
        return f"{self._numbers:06}"

    def _tell(self, key: str, name: str = "ObjectCreated:Put", size: int | None = None) -> None:
        more = {} if size is None or not self._rng.randrange(5) else {"size": size}
        body = self._scene.rig.event(key, name, **more)
        self._scene.send(body)
        self._told = [*self._told[-_REMEMBERED:], body]

    def _put(self, key: str, size: int) -> None:
        self._scene.put(key, content(f"{key} {self._next()}", size))
        self._tell(key, size=size)

    def _small(self) -> None:
        self._put(self._rng.choice(_KEYS), self._rng.choice((100, 5_000, 200_000, 900_000)))

    def _large(self) -> None:
        self._put(self._rng.choice(_LARGE), LARGE)

    def _delete(self) -> None:
        there = sorted(self._scene.versions.keys() - self.ignored)
        if there:
            key = self._rng.choice(there)
            self._scene.delete(key)
            self._tell(key, "ObjectRemoved:Delete")

    def _again(self) -> None:
        """An event of some time ago comes again."""
        if self._told:
            self._scene.send(self._rng.choice(self._told))

    def _misleading(self) -> None:
        """A delete's event of what is there, a creation's of what is not."""
        key = self._rng.choice(_KEYS)
        there = key in self._scene.versions
        self._tell(key, "ObjectRemoved:Delete" if there else "ObjectCreated:Copy")

    def _many(self) -> None:
        """New versions of several objects, told by one message."""
        keys = self._rng.sample(_KEYS, 4)
        for key in keys:
            self._scene.put(key, content(f"{key} {self._next()}", 3_000))
        events = [json.loads(self._scene.rig.event(key))["Records"][0] for key in keys]
        self._scene.send(json.dumps({"Records": events}))

    def _poison(self) -> None:
        self._scene.send_poison(f"no event at all: {self._next()}")

    def _ignored(self) -> None:
        key = f"{IGNORED}{self._rng.randint(0, 3)}"
        self.ignored.add(key)
        self._put(key, 1_000)
