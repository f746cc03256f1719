"""A lister that asks again: one page lost among a million must not end a comparison."""

from __future__ import annotations

from sync.engine.retry import Retry
from sync.errors import SyncError
from sync.ports import ListingPage, ObjectLister


class RetryingLister:
    """Repeats what passes by itself (5xx, throttling, resets), as often as ``retry`` allows."""

    def __init__(self, inner: ObjectLister, retry: Retry) -> None:
        self._inner = inner
        self._retry = retry

    async def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        after: str = "",
        token: str = "",
        limit: int = 1000,
    ) -> ListingPage:
        """As any lister."""

        async def attempt(_last: SyncError | None) -> ListingPage:
            return await self._inner.list_page(
                bucket, prefix=prefix, after=after, token=token, limit=limit
            )

        return await self._retry.run(bucket, attempt, doing="list ")
