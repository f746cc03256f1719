"""The ledger's word on single copies, asked for many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from sync.engine.comparing.evidence import Copied
from sync.errors import SyncError
from sync.model import ObjectRef
from sync.ports import Clock

_MOST: Final = 100
_LINGER: Final = 0.01

_Questions = dict[ObjectRef, "asyncio.Future[Copied | None]"]
Copies = Callable[[Sequence[ObjectRef]], Awaitable[Mapping[ObjectRef, Copied]]]


class KnownCopies:
    """Gathers what is asked within 10 ms, at most 100, into one question to the ledger.

    A ledger that fails is not asked again: it is one proof among several. ``failed`` is told
    why.
    """

    def __init__(
        self, copies: Copies, *, clock: Clock, failed: Callable[[SyncError], None]
    ) -> None:
        self._copies = copies
        self._clock = clock
        self._failed = failed
        self._waiting: _Questions = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._down = False

    async def get(self, ref: ObjectRef) -> Copied | None:
        """The last copy that the ledger knows as done, or None."""
        if self._down:
            return None
        answer = self._waiting.get(ref)
        if answer is None:
            answer = self._waiting[ref] = asyncio.get_running_loop().create_future()
            if len(self._waiting) >= _MOST:
                self._start(self._answer(self._taken()))
            elif len(self._waiting) == 1:
                self._start(self._answer_soon())
        return await asyncio.shield(answer)

    def _taken(self) -> _Questions:
        taken, self._waiting = self._waiting, {}
        return taken

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_soon(self) -> None:
        await self._clock.sleep(_LINGER)
        if self._waiting:
            await self._answer(self._taken())

    async def _answer(self, questions: _Questions) -> None:
        copies: Mapping[ObjectRef, Copied] = {}
        try:
            copies = await self._copies(list(questions))
        except SyncError as error:
            if not self._down:
                self._failed(error)
            self._down = True
        finally:
            for ref, answer in questions.items():
                if not answer.done():
                    answer.set_result(copies.get(ref))
