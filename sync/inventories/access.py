"""Stores and queues for a command that may need neither: each is opened when it is first used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from sync.adapters.clock import SystemClock
from sync.adapters.ignore_file import IgnoreFile
from sync.adapters.inventory import Files
from sync.adapters.s3 import S3Store
from sync.config import Settings
from sync.errors import ConfigError
from sync.ignore import IgnoreList
from sync.ports import JobSink
from sync.wiring import Stores, open_queues, open_stores

_GCS = "gcs"


class Access:
    """What an inventory command reaches. ``files`` reads ``s3://`` with the source's endpoint
    and keys, and ``gs://`` with those of the side that is Cloud Storage.
    """

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], stack: AsyncExitStack
    ) -> None:
        self._settings, self._environ, self._stack = settings, environ, stack
        self._opening = asyncio.Lock()
        self._stores: Stores | None = None
        self.files = Files(self._store)

    async def queues(self) -> Sequence[JobSink]:
        """The queues that ``sqs_queue_name`` names, looked up."""
        stores = await self._both()
        return await open_queues(self._settings, self._environ, stores.client, stores.keys.queue)

    async def _store(self, scheme: str) -> S3Store:
        stores = await self._both()
        if scheme == "s3":
            return stores.source
        for store in (stores.destination, stores.source):
            if store.dialect.name == _GCS:
                return store
        raise ConfigError(
            "gs:// places are read with the keys of the side that is Cloud Storage, and neither "
            "SrcEndPointURL nor DestEndPointURL is: copy the report here, or change one of them"
        )

    async def _both(self) -> Stores:
        async with self._opening:
            if self._stores is None:
                opened = open_stores(self._settings, self._environ)
                self._stores = await self._stack.enter_async_context(opened)
            return self._stores


@asynccontextmanager
async def open_access(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Access]:
    """Access with the configured keys; everything that was opened is closed at the end."""
    async with AsyncExitStack() as stack:
        yield Access(settings, environ, stack)


def ignore_list(settings: Settings, *, report: Callable[[str], None]) -> IgnoreList:
    """The configured list as it is now; ``report`` hears where its file is not there."""
    if settings.ignore_list is None:
        return IgnoreList()
    return IgnoreFile(settings.ignore_list, clock=SystemClock(), report=report).current()
