"""Which requests are struck, and by what."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property

from faults.proxy.exchange import Exchange

Play = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True)
class Fault:
    """What can happen to a request: ``play`` sees to the whole exchange."""

    name: str
    play: Play


@dataclass
class Rule:
    """``what`` strikes ``times`` (0: all) of the requests that ``match`` is found in.

    ``match`` is a regular expression over method, target, AWS operation, range and ``by KEY``.
    The first ``after`` that fit pass. ``fired`` counts what was really done, and ``kind`` says
    under which name.
    """

    match: str
    what: Fault
    after: int = 0
    times: int = 1
    kind: str = ""
    seen: int = 0
    taken: int = 0
    fired: int = 0
    on: bool = True

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.match)

    def takes(self, line: str) -> bool:
        """Count the request in; True where it is struck."""
        if not self.on or (self.times and self.taken >= self.times):
            return False
        if not self._pattern.search(line):
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        self.taken += 1
        return True
