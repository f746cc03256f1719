"""How many transfers at a time, where nobody said: a pure decision, one window at a time.

The search goes by what is finished in a second at one limit and at the next. Latency needs no
clock of its own: while the budget is full, seconds per transfer = limit / finished per second
(Little's law), so latency that grows without gain is the same as a rate that does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

START: Final = 64
FLOOR: Final = 4
CEILING: Final = 512

_WORTH: Final = 0.1
"""A limit k times as high has to bring k**0.1 times the rate: 4 % for half as much again."""
_SURE: Final = 0.6
"""A gain under k**0.6 may be chance: the base is measured again, and the limit tried again."""
_LEAP: Final = 2.0
_STEP: Final = 1.5
_NEAR: Final = 1.05
_CHANGED: Final = 1.7
_FULL: Final = 0.75
_HOLD: Final = 4
_LONGEST_HOLD: Final = 64
_THROTTLED: Final = 0.05
_FEW: Final = 3
_WARY: Final = 2.0
_LONGEST_WARY: Final = 120.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the limit may move."""

    floor: int = FLOOR
    ceiling: int = CEILING

    def within(self, limit: float) -> int:
        """The nearest limit that is allowed."""
        return max(self.floor, min(self.ceiling, int(limit)))


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen. ``now``: its end, in seconds of some clock; ``rate``: work a second (see
    `sync.engine.budget`); ``done`` and ``throttled``: answers; ``full``: share of the time in
    which every place was taken; ``used``: the most places that were taken at once.
    """

    now: float
    rate: float
    done: int
    throttled: int = 0
    full: float = 1.0
    used: int = CEILING

    @property
    def refused(self) -> float:
        """The share of the answers that asked for less; 0 where it is a stray few, which one
        object written too often can cause.
        """
        if self.throttled < _FEW:
            return 0.0
        share = self.throttled / (self.done + self.throttled)
        return share if share > _THROTTLED else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Where the search stands.

    ``base`` is the best limit known and ``rate`` what it brings (0: not known). ``limit`` is
    the one to use now: another than ``base`` while that is tried. ``hold``: windows until the
    next try, ``patience``: how many the next time; ``up``: which way; ``step``: how far;
    ``doubted``: its gain was seen once and may have been chance.
    ``bad``: the limit that drew throttling last, or 0; until ``wary_until`` only limits half
    way to it are tried. ``wary``: for how many seconds the next time.
    """

    limit: int = START
    base: int = START
    rate: float = 0.0
    hold: int = 0
    patience: int = _HOLD
    up: bool = True
    step: float = _LEAP
    doubted: bool = False
    bad: int = 0
    wary_until: float = 0.0
    wary: float = _WARY


def start(bounds: Bounds, limit: int = START) -> Pace:
    """The first pace."""
    first = bounds.within(limit)
    return Pace(first, first)


def decide(pace: Pace, seen: Window, bounds: Bounds) -> Pace:
    """The pace for the next window.

    =============  ==================  ===================================================
    limit is       the window shows    then
    =============  ==================  ===================================================
    any            throttling          what was let through, or half; not below a good base;
                                       for 2 s, doubled each time, only half way back up
    any            not filled          as before: no work is no evidence
    the base       rate as known       wait; then try the next limit, up and down in turn
    the base       another rate        learn it, and leap upwards: the world has changed
    above          barely worth it     the base once more, then this once more
    above, below   worth it            it is the base now; go on the same way
    above, leap    not worth it        a shorter step upwards
    above, below   not worth it        back to the base; wait twice as long as before
    =============  ==================  ===================================================
    """
    if seen.refused:
        return _yield(pace, seen, bounds)
    if seen.full < _FULL:
        return pace
    if pace.limit == pace.base:
        return _stay(pace, seen, bounds)
    return _weigh(pace, seen, bounds)


def _yield(pace: Pace, seen: Window, bounds: Bounds) -> Pace:
    let_through = min(pace.limit, seen.used) * max(0.5, 0.95 * (1.0 - seen.refused))
    if pace.base < pace.limit and pace.rate:
        let_through = max(let_through, pace.base)
    limit = bounds.within(let_through)
    return replace(
        pace,
        limit=limit,
        base=limit,
        rate=0.0,
        hold=_HOLD,
        up=True,
        step=_STEP,
        doubted=False,
        bad=min(pace.limit, seen.used),
        wary_until=seen.now + pace.wary,
        wary=min(2.0 * pace.wary, _LONGEST_WARY),
    )


def _stay(pace: Pace, seen: Window, bounds: Bounds) -> Pace:
    if not pace.rate:
        return _try(replace(pace, rate=seen.rate), seen, bounds)
    if not pace.rate / _CHANGED < seen.rate < pace.rate * _CHANGED:
        pace = replace(pace, rate=seen.rate, hold=0, patience=_HOLD, up=True, step=_LEAP)
    else:
        new = 0.5 if pace.doubted else 0.3
        pace = replace(pace, rate=(1.0 - new) * pace.rate + new * seen.rate)
    return _try(pace, seen, bounds)


def _try(pace: Pace, seen: Window, bounds: Bounds) -> Pace:
    """Try another limit where it is time to, else wait."""
    if pace.hold > 0:
        return replace(pace, hold=pace.hold - 1)
    if pace.bad and seen.now >= pace.wary_until:
        pace = replace(pace, bad=0)
    above, below = _above(pace, bounds), bounds.within(pace.base / _STEP)
    up = above > pace.base and (pace.up or below == pace.base)
    return replace(pace, limit=above if up else below, up=up)


def _above(pace: Pace, bounds: Bounds) -> int:
    """The next higher limit to try; the base where none is worth it."""
    limit = pace.base * pace.step + 0.5
    if pace.bad:
        limit = min(limit, (pace.base + pace.bad) / 2)
    return bounds.within(limit) if limit >= _NEAR * pace.base else pace.base


def _weigh(pace: Pace, seen: Window, bounds: Bounds) -> Pace:
    gain, ratio = seen.rate / pace.rate, pace.limit / pace.base
    if gain >= ratio**_WORTH:
        if pace.up and not pace.doubted and gain < ratio**_SURE:
            return replace(pace, limit=pace.base, hold=0, doubted=True)
        won = replace(pace, base=pace.limit, rate=seen.rate, hold=0, patience=_HOLD, doubted=False)
        won = replace(won, wary=_WARY) if pace.up and not pace.bad else won
        at_end = won.limit in (bounds.floor, bounds.ceiling)
        return _rest(won) if at_end else _try(won, seen, bounds)
    if pace.up and pace.step > _STEP:
        pace = replace(pace, limit=pace.base, step=_STEP, doubted=False)
        return _try(pace, seen, bounds)
    return _rest(pace)


def _rest(pace: Pace) -> Pace:
    """Back to the base for a while; then the other way."""
    longer = min(2 * pace.patience, _LONGEST_HOLD)
    return replace(
        pace,
        limit=pace.base,
        hold=pace.patience,
        patience=longer,
        up=not pace.up,
        step=_STEP,
        doubted=False,
    )
