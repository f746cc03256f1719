"""Several works at once, ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from sync.errors import SyncError

_A = TypeVar("_A")
_B = TypeVar("_B")


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run them at once. The first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


async def both(one: Coroutine[Any, Any, _A], other: Coroutine[Any, Any, _B]) -> tuple[_A, _B]:
    """The results of two works done at once; the first failure ends the other."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except BaseExceptionGroup as failures:
        raise _first(failures) from None
    return first.result(), second.result()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure to tell: the first one of ours, else the first."""
    flat = [
        _first(one) if isinstance(one, BaseExceptionGroup) else one for one in failures.exceptions
    ]
    return next((one for one in flat if isinstance(one, SyncError)), flat[0])
