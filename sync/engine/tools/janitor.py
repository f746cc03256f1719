"""Unfinished uploads: what they hold, since when nothing happened to them, and their end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from sync.engine.retry import Retry
from sync.errors import NoSuchBucket, NoSuchUpload, SyncError
from sync.model import Upload, UploadedPart
from sync.paging import Onward
from sync.ports import Clock

_WIDTH: Final = 16

_Markers = tuple[str, str]
_T = TypeVar("_T")
_R = TypeVar("_R")


class Page(Protocol):
    """One page of uploads."""

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """The uploads."""
        ...

    @property
    def markers(self) -> _Markers | None:
        """What continues the listing; None at its end."""
        ...


class Lister(Protocol):
    """Lists a bucket's uploads."""

    async def page(self, bucket: str, *, prefix: str = "", after: _Markers = ...) -> Page:
        """The uploads behind the markers."""
        ...


class Store(Protocol):
    """Looks into uploads and ends them."""

    async def parts(self, upload: Upload) -> list[UploadedPart]:
        """All parts. NoSuchUpload where it is not open."""
        ...

    async def abort(self, upload: Upload) -> None:
        """Drop it; no error where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An open upload. ``parts`` and ``held`` (bytes) are None where they were not looked at.

    ``idle_since``: when it was begun or, where that is known, when its last part landed; 0.0
    where the store does not say.
    """

    upload: Upload
    parts: int | None
    held: int | None
    idle_since: float


@dataclass(frozen=True, slots=True)
class Aborted:
    """An upload that was to be aborted, and why it could not be, or ""."""

    found: Unfinished
    error: str


class _Silent:
    def job_finished(self, result: object) -> None:
        """Nothing to tell."""

    def event(self, name: str, detail: object) -> None:
        """Nothing to tell."""


class Janitor:
    """Goes through the uploads of one bucket. Sixteen are looked at or aborted at a time."""

    def __init__(
        self, *, lister: Lister, store: Store, clock: Clock, retries: int, sizes: bool = True
    ) -> None:
        self._lister = lister
        self._store = store
        self._clock = clock
        self._retry = Retry(retries=retries, clock=clock, observer=_Silent())
        self._sizes = sizes

    async def unfinished(
        self, bucket: str, *, prefix: str = "", older_than: float | None = None
    ) -> AsyncIterator[Unfinished]:
        """Uploads in the store's order; with ``older_than`` those to which nothing has happened
        for that many seconds. Errors are raised: it never ends short.
        """
        before = None if older_than is None else self._clock.time() - older_than

        async def look(upload: Upload) -> Unfinished | None:
            # Whatever was begun after that moment need not be looked into.
            found = await self._look(upload) if _before(upload.initiated, before) else None
            return found if found is not None and _before(found.idle_since, before) else None

        async for found in _in_order(self._listed(bucket, prefix), look):
            if found is not None:
                yield found

    async def abort(self, found: AsyncIterator[Unfinished]) -> AsyncIterator[Aborted]:
        """Abort these; what one store call refuses does not keep the others."""
        async for done in _in_order(found, self._abort):
            yield done

    async def _listed(self, bucket: str, prefix: str) -> AsyncIterator[Upload]:
        markers: _Markers | None = ("", "")
        onward = Onward(f"the uploads of {bucket}", start=markers)
        while markers is not None:
            after = markers

            async def attempt(_: SyncError | None, after: _Markers = after) -> Page:
                return await self._lister.page(bucket, prefix=prefix, after=after)

            page = await self._retry.run(bucket, attempt)
            for upload in page.uploads:
                yield upload
            markers = page.markers
            if markers is not None:
                onward.step(markers, empty=not page.uploads)

    async def _look(self, upload: Upload) -> Unfinished | None:
        if not self._sizes:
            return Unfinished(upload, None, None, upload.initiated)

        async def attempt(_: SyncError | None) -> list[UploadedPart]:
            return await self._store.parts(upload)

        try:
            parts = await self._retry.run(upload.ref, attempt)
        except NoSuchBucket:
            raise
        except NoSuchUpload:
            return None  # finished or aborted since it was listed
        idle_since = max([upload.initiated, *(part.last_modified for part in parts)])
        return Unfinished(upload, len(parts), sum(part.size for part in parts), idle_since)

    async def _abort(self, found: Unfinished) -> Aborted:
        async def attempt(_: SyncError | None) -> None:
            await self._store.abort(found.upload)

        try:
            await self._retry.run(found.upload.ref, attempt)
        except NoSuchBucket:
            raise
        except SyncError as error:
            return Aborted(found, str(error))
        return Aborted(found, "")


def _before(at: float, before: float | None) -> bool:
    """Whether something happened before that; an unknown time is never taken for an old one."""
    return before is None or 0.0 < at <= before


async def _in_order(
    items: AsyncIterator[_T], work: Callable[[_T], Awaitable[_R]]
) -> AsyncIterator[_R]:
    async def one(item: _T) -> _R:
        return await work(item)

    pending: deque[asyncio.Task[_R]] = deque()
    try:
        async for item in items:
            pending.append(asyncio.create_task(one(item)))
            if len(pending) >= _WIDTH:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
