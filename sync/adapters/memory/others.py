"""A ledger, keys and an observer in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from sync.model import (
    Outcome,
    TransferJob,
    TransferResult,
)
from sync.ports import Credentials, UploadRecord


class MemoryLedger:
    """Records in a dictionary."""

    def __init__(self) -> None:
        self.records: dict[str, UploadRecord] = {}
        self.results: dict[str, list[TransferResult]] = defaultdict(list)

    async def unfinished(self, job: TransferJob) -> UploadRecord | None:
        """The recorded upload."""
        return self.records.get(str(job.source))

    async def started(self, job: TransferJob, record: UploadRecord) -> None:
        """Record it."""
        self.records[str(job.source)] = record

    async def progressed(self, job: TransferJob, record: UploadRecord) -> None:
        """Record it."""
        self.records[str(job.source)] = record

    async def finished(self, result: TransferResult) -> None:
        """Record the end; what failed keeps its upload for the next attempt."""
        if result.outcome not in {Outcome.FAILED, Outcome.DEAD_LETTERED}:
            self.records.pop(str(result.job.source), None)
        self.results[str(result.job.source)].append(result)

    async def flush(self) -> None:
        """Nothing is held back here."""


class MemoryCredentials:
    """Fixed keys; counts how often they were refused."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.refused = 0

    async def credentials(self) -> Credentials:
        """The keys."""
        return self._credentials

    def invalidate(self) -> None:
        """Count a refusal."""
        self.refused += 1


class MemoryObserver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.results: list[TransferResult] = []
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def job_finished(self, result: TransferResult) -> None:
        """Remember."""
        self.results.append(result)

    def event(self, name: str, detail: Mapping[str, object]) -> None:
        """Remember."""
        self.events.append((name, detail))

    def named(self, name: str) -> list[Mapping[str, object]]:
        """Details of the events of that name."""
        return [detail for event, detail in self.events if event == name]
