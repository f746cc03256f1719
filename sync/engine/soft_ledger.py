"""A ledger that is down must not stop the copying: its errors are reported, not raised.

Nothing is lost by it. The destination is the truth; what is missing in the ledger costs a
resume or, later, a comparison.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from sync.errors import SyncError
from sync.model import TransferJob, TransferResult
from sync.ports import JobLedger, TransferObserver, UploadRecord

T = TypeVar("T")


class SoftLedger:
    """Wraps a ledger; every failure becomes an event."""

    def __init__(self, inner: JobLedger, observer: TransferObserver) -> None:
        self._inner = inner
        self._observer = observer

    async def unfinished(self, job: TransferJob) -> UploadRecord | None:
        """As the ledger's; None where it cannot be read."""
        return await self._softly("unfinished", self._inner.unfinished(job))

    async def started(self, job: TransferJob, record: UploadRecord) -> None:
        """As the ledger's."""
        await self._softly("started", self._inner.started(job, record))

    async def progressed(self, job: TransferJob, record: UploadRecord) -> None:
        """As the ledger's."""
        await self._softly("progressed", self._inner.progressed(job, record))

    async def finished(self, result: TransferResult) -> None:
        """As the ledger's."""
        await self._softly("finished", self._inner.finished(result))

    async def flush(self) -> None:
        """As the ledger's."""
        await self._softly("flush", self._inner.flush())

    async def _softly(self, call: str, answer: Awaitable[T]) -> T | None:
        try:
            return await answer
        except SyncError as error:
            self._observer.event("ledger-unavailable", {"call": call, "error": str(error)})
            return None
