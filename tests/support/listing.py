"""A lister over keys in memory: pages of any size, faults on request, requests counted."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sync.model import ListedObject
from sync.ports import ListingPage


@dataclass
class ListedBucket:
    """One bucket. ``order`` is how it sorts its keys; ``page`` how many entries it sends.

    ``fail`` is asked before each request with its number from 1, and may raise.
    """

    entries: Iterable[ListedObject]
    page: int = 1000
    order: Callable[[str], Any] = str
    fail: Callable[[int], None] = lambda _number: None
    requests: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sorted = sorted(self.entries, key=lambda entry: self.order(entry.key))

    async def list_page(
        self, bucket: str, *, prefix: str = "", after: str = "", token: str = "", limit: int = 1000
    ) -> ListingPage:
        self.requests.append((after or f"token {token}", limit))
        self.fail(len(self.requests))
        await asyncio.sleep(0)
        if token:
            start = int(token)
        else:
            start = bisect_right(
                self._sorted, self.order(after), key=lambda entry: self.order(entry.key)
            )
        most = min(limit, self.page)
        found: list[ListedObject] = []
        for index in range(start if (after or token) else 0, len(self._sorted)):
            if self._sorted[index].key.startswith(prefix):
                if len(found) == most:
                    return ListingPage(found, str(index))
                found.append(self._sorted[index])
        return ListingPage(found, "")
