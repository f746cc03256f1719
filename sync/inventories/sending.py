"""The objects of an inventory -> jobs -> a sink; file by file, each verified before its rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sync.adapters.inventory import (
    SIZE_UNKNOWN,
    DataFile,
    Inventory,
    InventoryRow,
    RowBatch,
    RowFault,
)
from sync.errors import ConfigError, IntegrityError, NotFound, PreconditionFailed, SourceChanged
from sync.inventories.selection import Reason, Selection
from sync.inventories.sinks import Sink
from sync.inventories.state import Progress, StateFile
from sync.inventories.tally import Notices, Tally
from sync.messages import destination_key
from sync.model import JobKind, ObjectRef, TransferJob
from sync.ports import Clock

_SAVE_EVERY: Final = 5.0
_TELL_EVERY: Final = 10.0
# What makes one file unreadable and says nothing about the others.
_OF_ONE_FILE: Final = (IntegrityError, NotFound, PreconditionFailed, SourceChanged)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the objects are to go."""

    bucket: str
    prefix: str


class Sending:
    """One run. ``limit`` bounds the jobs of this run; ``state`` None: nothing is remembered.

    ``run`` raises what the sink raises, and errors that would meet every file alike; all that
    was sent before is in ``total`` and in the state. A file that cannot be read does not keep
    the others from being sent: it is in ``failed``.
    """

    def __init__(
        self,
        inventory: Inventory,
        *,
        selection: Selection,
        target: Target,
        sink: Sink,
        notices: Notices,
        clock: Clock,
        state: StateFile | None = None,
        limit: int | None = None,
    ) -> None:
        self._inventory, self._selection, self._target = inventory, selection, target
        self._sink, self._notices, self._clock = sink, notices, clock
        self._state = state
        self._limit = limit
        self._added = 0
        self._counted = (0, 0)
        self._files: dict[str, Progress] = {}
        if state is not None:
            self._files = {file.name: state.progress(file.name) for file in inventory.files}
        self._saved = self._told = self._began = clock.monotonic()
        self.failed: list[str] = []

    @property
    def limited(self) -> bool:
        """As many jobs as allowed were taken."""
        return self._limit is not None and self._added >= self._limit

    @property
    def total(self) -> Tally:
        """Of all files, those of earlier runs included."""
        total = Tally()
        for progress in self._files.values():
            total.add(progress.tally)
        return total

    async def run(self) -> None:
        """Send everything that is wanted."""
        for file in self._inventory.files:
            if self.limited:
                return
            progress = self._files.setdefault(file.name, Progress())
            if progress.done and file.md5:  # the same file, says the manifest
                continue
            await self._one(file, progress)
        self._compare_count()

    async def _one(self, file: DataFile, progress: Progress) -> None:
        try:
            await self._read(file, progress)
        except _OF_ONE_FILE as error:
            if error.breaker:  # the bucket itself is missing
                raise
            self.failed.append(file.name)
            self._notices.failed(file.name, str(error))
        # Not after any other error: what was handed over may not be on its way then.
        await self._remember(file, progress)

    async def _read(self, file: DataFile, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(prefix="3gsync-inventory-") as folder:
            fetched = await self._inventory.fetched(file, Path(folder))
            if progress.md5 != fetched.md5:
                self._begin(file, progress, fetched.md5)
            if progress.done:
                return
            batches = self._inventory.batches(file, fetched.path, skip=progress.rows)
            async with aclosing(batches):
                async for batch in batches:
                    await self._take(batch, progress)
                    if self.limited:
                        return
            progress.done = True

    def _begin(self, file: DataFile, progress: Progress, md5: str) -> None:
        if progress.md5:
            self._notices.note(f"{file.name} has changed: it is read from its beginning")
        progress.rows, progress.done, progress.md5 = 0, False, md5
        progress.tally = Tally()

    async def _take(self, batch: RowBatch, progress: Progress) -> None:
        """Send what is wanted of a batch, up to the limit."""
        tally = progress.tally
        for row in _in_order(batch):
            if isinstance(row, RowFault):
                tally.unreadable += 1
                self._notices.unreadable(row)
            elif (reason := self._selection.left_out(row)) is not None:
                tally.skipped[reason] += 1
                if reason is Reason.NEEDS_RESTORE:
                    self._notices.left_out(batch.file, row, reason)
            else:
                await self._sink.add(self._job(row))
                self._added += 1
            progress.rows = row.number
            tally.rows += 1
            if self.limited:
                return
        await self._now_and_then(batch.file, progress)

    def _job(self, row: InventoryRow) -> TransferJob:
        entry = row.object
        if not row.bucket:
            raise ConfigError(
                f"{self._inventory.place}: neither manifest nor rows name the bucket that it is "
                "of: name it with --source-bucket"
            )
        return TransferJob(
            JobKind.COPY,
            ObjectRef(row.bucket, entry.key, entry.version_id),
            ObjectRef(self._target.bucket, destination_key(self._target.prefix, entry.key)),
            size=None if entry.size == SIZE_UNKNOWN else entry.size,
            etag=entry.etag or None,
            event_name="inventory",
        )

    async def _now_and_then(self, file: DataFile, progress: Progress) -> None:
        time = self._clock.monotonic()
        if time - self._saved >= _SAVE_EVERY:
            self._saved = time
            await self._remember(file, progress)
        if time - self._told >= _TELL_EVERY:
            self._told = time
            self._notices.note(self._progress(file, time))

    async def _remember(self, file: DataFile, progress: Progress) -> None:
        """What is remembered is in the queue."""
        await self._sink.flush()
        self._count_sent(progress)
        if self._state is not None:
            self._state.save(file.name, progress)

    def _count_sent(self, progress: Progress) -> None:
        """What was sent since the last count is this file's: nothing waits between files."""
        sent, messages = self._counted
        self._counted = self._sink.sent, self._sink.messages
        progress.tally.sent += self._counted[0] - sent
        progress.tally.messages += self._counted[1] - messages

    def _progress(self, file: DataFile, time: float) -> str:
        names = [each.name for each in self._inventory.files]
        total = self.total
        rate = self._sink.sent / max(time - self._began, 1e-3)
        return (
            f"file {names.index(file.name) + 1} of {len(names)} ({file.name}): "
            f"{total.rows:,} rows, {self._sink.sent:,} sent, {rate:,.0f} a second"
        )

    def _compare_count(self) -> None:
        said, rows = self._inventory.records, self.total.rows
        if said is None or said == rows or self.limited or self.failed:
            return
        name = str(self._inventory.place)
        self.failed.append(name)
        self._notices.failed(name, f"{name} speaks of {said} objects, its files have {rows} rows")


def _in_order(batch: RowBatch) -> Iterator[InventoryRow | RowFault]:
    """Rows and faults by their numbers."""
    if not batch.faults:
        return iter(batch.rows)
    both: list[InventoryRow | RowFault] = [*batch.rows, *batch.faults]
    return iter(sorted(both, key=lambda row: row.number))
