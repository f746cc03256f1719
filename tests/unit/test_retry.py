"""How long a try waits for the next one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from support.virtual import VirtualClock, run
from sync.engine.retry import Retry
from sync.errors import SyncError, Throttled, TransientStoreError
from sync.model import TransferResult


class Delays:
    def __init__(self) -> None:
        self.seen: list[float] = []

    def job_finished(self, result: TransferResult) -> None: ...

    def event(self, name: str, detail: Mapping[str, object]) -> None:
        assert isinstance(detail["delay"], float)
        self.seen.append(detail["delay"])


def delays(error: SyncError, *, retries: int, throttled_pause: float) -> list[float]:
    observer = Delays()

    async def refuse(_last: SyncError | None) -> None:
        raise error

    async def main() -> None:
        retry = Retry(
            retries=retries,
            clock=VirtualClock(),
            observer=observer,
            throttled_pause=throttled_pause,
        )
        with pytest.raises(type(error)):
            await retry.run("it", refuse)

    run(main())
    return observer.seen


def test_a_throttled_write_waits_at_least_as_long_as_the_store_asks_between_writes() -> None:
    seen = delays(Throttled("slow down"), retries=20, throttled_pause=1.0)
    assert len(seen) == 20
    assert min(seen) >= 1.0


def test_what_the_store_says_goes_before_what_is_known_of_it() -> None:
    error = Throttled("slow down")
    error.retry_after = 5.0
    assert min(delays(error, retries=20, throttled_pause=1.0)) >= 5.0


def test_other_errors_do_not_wait_for_it() -> None:
    seen = delays(TransientStoreError("reset"), retries=1, throttled_pause=1000.0)
    assert seen[0] < 1000.0
