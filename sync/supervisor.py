"""Several worker processes under one: starts them, passes signals on, replaces the fallen.

A child that ends by itself (the queue is empty, wrong configuration) is not replaced. One that
is killed or crashes is started again after a pause that grows with each fall in quick
succession, up to a minute; its messages come back to the queue when their leases run out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sync.telemetry.streams import promise, tell

_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG: Final = 1
_OWN_ENDS: Final = frozenset({0, 1, 2})
_NOT_STARTED: Final = 71
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LAST_LINE_LIMIT: Final = 16 * 1024 * 1024
LISTED: Final = 20
"""Failures of each kind that are told one by one when a worker ends."""


def supervise(arguments: Sequence[str], count: int, *, as_json: bool) -> int:
    """Run ``count`` workers with these arguments until all have ended.

    Returns 2 where one found the configuration wrong, 1 where one had failures, else 0.
    """
    return asyncio.run(_Supervisor(arguments, count, as_json=as_json).run())


class _Supervisor:
    def __init__(self, arguments: Sequence[str], count: int, *, as_json: bool) -> None:
        self._command = [sys.executable, "-m", "sync.worker", *arguments]
        self._count = count
        self._as_json = as_json
        self._children: dict[int, Process] = {}
        self._stopping = asyncio.Event()
        self._summaries: list[dict[str, Any]] = []

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._pass_on, number)
        codes = await asyncio.gather(*(self._keep_alive(place) for place in range(self._count)))
        whole = merged(self._summaries)
        for reason in whole["failing"][:LISTED]:
            tell(f"3gsync: still failing: {reason}")
        told = promise(json.dumps(whole)) if self._as_json else True
        return max(codes) if told and not whole["failing"] else max(1, *codes)

    def _pass_on(self, number: int) -> None:
        """A terminal's Ctrl-C reaches the children by itself; told twice they leave at once."""
        again = self._stopping.is_set()
        self._stopping.set()
        if number == signal.SIGINT and sys.stdin.isatty() and not again:
            return
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    async def _keep_alive(self, place: int) -> int:
        loop, falls = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            code = await self._run_child(place)
            if code in _OWN_ENDS:
                return code
            if self._stopping.is_set():  # SIGTERM may have come before it could hear it
                return 0 if code == -signal.SIGTERM else 1
            falls = 1 if loop.time() - began > _LONGEST_PAUSE else falls + 1
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(falls - 1, 6))
            tell(f"3gsync: worker {place} fell ({_cause(code)}); again in {pause} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                return 1

    async def _run_child(self, place: int) -> int:
        """The child's exit code; that of a breakdown where there is no room for one more."""
        try:
            return await self._child_of(place)
        except OSError as error:
            tell(f"3gsync: worker {place} could not be started: {error}")
            return _NOT_STARTED

    async def _child_of(self, place: int) -> int:
        child = await asyncio.create_subprocess_exec(
            *self._command, stdout=PIPE, limit=_LAST_LINE_LIMIT, preexec_fn=_drain_with_parent
        )
        self._children[place] = child
        if self._stopping.is_set():
            child.terminate()
        assert child.stdout is not None
        async for line in child.stdout:
            with contextlib.suppress(ValueError):
                self._summaries.append(json.loads(line))
        code = await child.wait()
        del self._children[place]
        return code


def _drain_with_parent() -> None:
    """Have the kernel send SIGTERM to the child when its supervisor dies (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _cause(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def merged(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One summary of several workers'. What failed with one and then ended with another has not
    failed.
    """
    outcomes: Counter[str] = Counter()
    failing: dict[str, str] = {}
    for one in summaries:
        outcomes.update(one["outcomes"])
        failing.update(one["failing"])
    for one in summaries:
        for message in one["taken_over"]:
            failing.pop(message, None)
    return {
        "messages": sum(one["messages"] for one in summaries),
        "outcomes": dict(outcomes),
        "bytes": sum(one["bytes"] for one in summaries),
        "parts_reused": sum(one["parts_reused"] for one in summaries),
        "dead_lettered": [reason for one in summaries for reason in one["dead_lettered"]],
        "failing": sorted(set(failing.values())),
    }
