"""Draws a history from a seed."""

from __future__ import annotations

import random
from typing import Final

from faults.histories.script import CHANGES, Do, History, Op, Setting
from faults.histories.trouble import HIDDEN, KINDS, UNANSWERED

SHORTEST: Final = 200
_KEYS: Final = ("a", "b", "c", "large", "huge", "secret/x")
_KEY_WEIGHTS: Final = (28, 22, 16, 18, 12, 4)
_SMALL: Final = (0, 7, 24, 24, 40)
_LARGE: Final = (64, 64, 64, 100, 150, 24)
_PAUSES: Final = ((0.0, 0.3, 1.5, 5.0, 20.0), (30, 28, 22, 14, 6))
_WEIGHTS: Final = {
    Do.PUT: 430,
    Do.MULTIPART: 80,
    Do.SAME: 60,
    Do.META: 70,
    Do.DELETE: 130,
    Do.RESTORE: 60,
    Do.VERSIONING: 8,
    Do.JOB: 30,
    Do.BATCH: 6,
    Do.COMPARE: 6,
    Do.KILL: 50,
    Do.DRAIN: 22,
    Do.FAULT: 60,
    Do.POISON: 3,
    Do.TEST_EVENT: 2,
    Do.FORGET: 3,
    Do.REDRIVE: 5,
    Do.EXPIRE: 2,
}

_KIND_WEIGHTS: Final = tuple({UNANSWERED: 6, HIDDEN: 4}.get(kind, 1) for kind in KINDS)


def draw(seed: int, length: int | None = None) -> History:
    """The history of this seed; 200 to 240 operations where no length is given."""
    rng = random.Random(seed)
    setting = Setting(
        seed=seed,
        versions=rng.choice(("never", "never", "enabled", "suspended")),
        workers=rng.choice((2, 2, 3, 4)),
        ledger=_likely(rng, 0.5),
        by_version=_likely(rng, 0.5),
        update_version=_likely(rng, 0.3),
        drops_parts=_likely(rng, 0.7),
        deletes=_likely(rng, 0.85),
        interval=rng.choice((0.0, 0.0, 1.0)),
        max_receives=rng.choice((10_000, 10_000, 4)),
    )
    many = length if length is not None else rng.randint(SHORTEST, SHORTEST + 40)
    kinds = rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=many)
    return History(setting, tuple(_op(rng, do, n) for n, do in enumerate(kinds, 1)))


def _op(rng: random.Random, do: Do, number: int) -> Op:
    pause = rng.choices(*_PAUSES)[0]
    if do in CHANGES:
        return _change(rng, do, number, pause)
    if do is Do.FAULT:
        return Op(
            pause, do, fault=rng.choices(KINDS, _KIND_WEIGHTS)[0], number=rng.choice((1, 1, 2, 5))
        )
    if do is Do.JOB:
        return Op(pause, do, key=_key(rng))
    if do is Do.EXPIRE:
        return Op(pause, do, number=rng.choice((5, 60)))
    return Op(pause, do, number=rng.randrange(4) if do in {Do.KILL, Do.DRAIN} else number)


def _likely(rng: random.Random, share: float) -> bool:
    return rng.random() < share


def _key(rng: random.Random) -> str:
    return rng.choices(_KEYS, _KEY_WEIGHTS)[0]


def _change(rng: random.Random, do: Do, number: int, pause: float) -> Op:
    key = _key(rng)
    sizes = _LARGE if key in {"large", "huge"} else _SMALL
    delays = [_delay(rng)]
    if _likely(rng, 0.1):
        delays.append(_delay(rng))
    again = rng.choice((0.1, 1.0, 10.0)) if _likely(rng, 0.05) else 0.0
    size = rng.choice(sizes) if do in {Do.PUT, Do.MULTIPART} else 0
    return Op(pause, do, key, number, size, tuple(delays), again)


def _delay(rng: random.Random) -> float:
    """One in five comes so late that others overtake it."""
    return round(rng.uniform(2.0, 60.0), 1) if _likely(rng, 0.2) else 0.0
