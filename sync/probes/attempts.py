"""One step of a probe: tried a few times, reported once, never the end of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sync.errors import (
    CredentialsRejected,
    IntegrityError,
    NoSuchBucket,
    OutcomeUnknown,
    SyncError,
    TransientStoreError,
)
from sync.model import Dialect
from sync.ports import Clock
from sync.probes.permissions import explained
from sync.probes.report import Report

_TRIES: Final = 3
_PAUSE: Final = 1.0
T = TypeVar("T")


class HopelessError(Exception):
    """Nothing more can come of this side: its bucket, keys or network are missing."""


@dataclass(slots=True)
class Attempts:
    """Runs steps against one store and reports what fails."""

    report: Report
    dialect: Dialect
    bucket: str
    clock: Clock
    failed: set[str] = field(default_factory=set)

    async def step(
        self, what: str, make: Callable[[], Awaitable[T]], *, operation: str = ""
    ) -> T | None:
        """The step's result, or None where it failed, which is reported under ``what``.

        ``make`` is called again after a passing failure. `HopelessError` where the failure
        is of a kind that no other step of this side can escape.
        """
        try:
            return await retried(make, self.clock)
        except SyncError as error:
            self.failed.add(what)
            text = explained(error, self.dialect, operation=operation, bucket=self.bucket)
            self.report.fail(what, text)
            if hopeless(error):
                raise HopelessError from error
            return None


def hopeless(error: SyncError) -> bool:
    """True where every other request to the same store would end so too."""
    unreachable = isinstance(error, TransientStoreError) and not error.status
    lost = unreachable and not isinstance(error, OutcomeUnknown)
    return lost or isinstance(error, CredentialsRejected | NoSuchBucket)


async def retried(make: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Await what ``make`` gives; up to three times where the failure may pass."""
    for failures in range(1, _TRIES):
        try:
            return await make()
        except SyncError as error:
            lasting = isinstance(error, IntegrityError | CredentialsRejected)
            if lasting or not error.retry_here:
                raise
            await clock.sleep(_PAUSE * failures)
    return await make()
