"""Ends jobs that do not get on. One timer for all of them: one for each costs too much."""

from __future__ import annotations

import asyncio
from typing import Any

from sync.engine.transfer import JobState
from sync.ports import Clock


class Deadlines:
    """Cancels the task of a job that has made no progress for ``limit`` seconds.

    ``enter`` and ``leave`` are called by the task that does the job. The timer is set for the
    job that would be the first to end, and set anew when it strikes: jobs only ever put their
    end off, so it never strikes late. It lives no longer than the jobs do.
    """

    def __init__(self, limit: float, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._running: dict[asyncio.Task[Any], tuple[JobState, int]] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, state: JobState, now: float) -> asyncio.Task[Any]:
        """A job begins; ``state.got_on_at`` is to say when it last got on."""
        task = asyncio.current_task()
        assert task is not None
        state.got_on_at = now
        self._running[task] = state, task.cancelling()
        if self._timer is None:
            self._set(self._limit)
        return task

    def leave(self, task: asyncio.Task[Any]) -> bool:
        """The job has ended; True where it was cancelled for its time, and for nothing else."""
        _state, cancelling = self._running.pop(task)
        if not self._running and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if task not in self._expired:
            return False
        self._expired.discard(task)
        return task.uncancel() <= cancelling

    def _set(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._strike)

    def _strike(self) -> None:
        now, first = self._clock.monotonic(), self._limit
        for task, (state, _cancelling) in self._running.items():
            left = state.got_on_at + self._limit - now
            if left > 0:
                first = min(first, left)
            elif task not in self._expired:
                self._expired.add(task)
                task.cancel()
        self._set(first)
