"""What is fuzzed: a function of bytes, and which exceptions its contract names."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_LOOP: Final[list[asyncio.AbstractEventLoop]] = []


class Disagreement(AssertionError):
    """Two readers of one input, or an input and what it becomes, do not say the same."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """``probe`` is given one input; only ``allowed`` may leave it. ``seeds`` are valid or nearly
    valid inputs that mutation begins with; ``words`` are put into them. ``longest`` bounds an
    input's bytes, ``patience`` the CPU seconds one input may take, ``memory`` the MiB by which
    the process may grow over all of them.
    """

    name: str
    probe: Callable[[bytes], object]
    allowed: tuple[type[BaseException], ...]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()
    longest: int = 16 * 1024
    patience: float = 2.0
    memory: int = 256


def agree(one: object, other: object, about: str) -> None:
    """Disagreement unless both are equal."""
    if one != other:
        raise Disagreement(f"{about}: {ascii(one)[:200]} is not {ascii(other)[:200]}")


def outcome(function: Callable[..., _T], *given: Any, fails: type[Exception]) -> _T | None:
    """What the function gives, or None where it fails as it may."""
    try:
        return function(*given)
    except fails:
        return None


def wait_for(work: Awaitable[_T]) -> _T:
    """Run a coroutine on the one loop of this process."""
    if not _LOOP:
        _LOOP.append(asyncio.new_event_loop())
        atexit.register(_LOOP[0].close)
    return _LOOP[0].run_until_complete(work)
