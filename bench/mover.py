"""The worker's data path without its queue: lists a bucket and copies every object of it.

    python bench/mover.py --config FILE --bucket NAME --prefix NAME [--path relay|job]

``relay``: each object's bytes from the source to the destination, checksums compared with the
destination's replies; of a large one the finished whole as well. This is what a bulk copier does.
``job``: the same as a worker does it, which looks at the source once more after the write, and
copies again what has changed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from sync.adapters.clock import SystemClock
from sync.adapters.s3 import S3Store
from sync.config import load
from sync.engine.budget import Budget
from sync.engine.copier import Copier
from sync.engine.multipart import MultipartCopy
from sync.engine.single import copy_single
from sync.engine.transfer import Context, JobState, Written
from sync.model import JobKind, ListedObject, ObjectRef, TransferJob
from sync.telemetry.observers import LogObserver
from sync.wiring import connections, copy_options, open_stores
from sync.worker import loop_factory, rest_the_collector


class Mover:
    """Copies what the listing gives, ``slots`` objects at a time."""

    def __init__(self, context: Context, *, path: str) -> None:
        self._context = context
        self._copier = Copier(context)
        self._multipart = MultipartCopy(context)
        self._copy = self._job if path == "job" else self._relay

    async def run(self, source: S3Store, bucket: str, prefix: str, width: int) -> int:
        # A generator serves one at a time; the others queue for the next entry.
        listing = _Shared(source.list_objects(bucket))
        copied = 0

        async def some() -> None:
            nonlocal copied
            async for entry in listing:
                target = ObjectRef("target", f"{prefix}/{entry.key}")
                origin = ObjectRef(bucket, entry.key)
                await self._copy(TransferJob(JobKind.COPY, origin, target, entry.size), entry)
                copied += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(width):
                group.create_task(some())
        return copied

    async def _job(self, job: TransferJob, _entry: ListedObject) -> None:
        await self._copier.run(job, JobState())

    async def _relay(self, job: TransferJob, entry: ListedObject) -> None:
        context, state = self._context, JobState()
        if entry.size <= context.options.threshold:
            assert isinstance(await copy_single(context, job, state, job.source), Written)
        else:
            meta = await context.source.head(job.source)
            await self._multipart.run(job, state, meta, fresh=False)


class _Shared:
    """An asynchronous iterator that many tasks may take from."""

    def __init__(self, entries: AsyncIterator[ListedObject]) -> None:
        self._entries = entries
        self._lock = asyncio.Lock()

    def __aiter__(self) -> _Shared:
        return self

    async def __anext__(self) -> ListedObject:
        async with self._lock:
            return await anext(self._entries)


async def move(given: argparse.Namespace) -> int:
    settings = load(given.config, os.environ)
    async with open_stores(settings, os.environ) as stores:
        width = connections(settings)
        context = Context(
            source=stores.source,
            destination=stores.destination,
            ledger=None,
            options=copy_options(settings),
            observer=LogObserver(),
            clock=SystemClock(),
            slots=Budget(width),
        )
        return await Mover(context, path=given.path).run(
            stores.source, given.bucket, given.prefix, width
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--path", choices=("relay", "job"), default="relay")
    given = parser.parse_args()
    rest_the_collector()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        copied = runner.run(move(given))
    print(copied)
    sys.exit(0)


if __name__ == "__main__":
    main()
