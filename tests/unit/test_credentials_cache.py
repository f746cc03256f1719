"""When keys are read again, and what happens when that fails."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sync.adapters.credentials import KeyCache, SideProvider
from sync.errors import ConfigError, CredentialsRejected, SyncError, TransientStoreError
from sync.ports import Credentials


class Clock:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Store:
    """Counts readings; gives the pair of the moment or fails."""

    def __init__(self) -> None:
        self.readings = 0
        self.name = "first"
        self.expires_at: float | None = None
        self.error: SyncError | None = None
        self.hold: threading.Event | None = None

    def read(self) -> dict[str, Credentials]:
        self.readings += 1
        if self.hold:
            assert self.hold.wait(10)
        if self.error:
            raise self.error
        return {"": Credentials(self.name, "CANARY-secret", expires_at=self.expires_at)}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


Make = Callable[[], SideProvider]


@pytest.fixture
def make(store: Store, clock: Clock) -> Make:
    def build() -> SideProvider:
        return SideProvider(KeyCache(store.read, where="the test", now=clock, monotonic=clock), "")

    return build


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_keys_are_read_once_and_shared_by_all_who_wait(store: Store, make: Make) -> None:
    async def scenario() -> None:
        provider = make()
        store.hold = threading.Event()
        waiting = [asyncio.create_task(provider.credentials()) for _ in range(50)]
        while not store.readings:
            await asyncio.sleep(0)
        store.hold.set()
        assert {key.access_key for key in await asyncio.gather(*waiting)} == {"first"}
        await provider.credentials()
        assert store.readings == 1

    run(scenario())


def test_a_refusal_reads_anew_but_not_more_often_than_every_five_seconds(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        provider = make()
        await provider.credentials()
        store.name = "second"
        provider.invalidate()
        assert (await provider.credentials()).access_key == "first"
        clock.at += 5
        assert (await provider.credentials()).access_key == "second"
        for _ in range(20):
            provider.invalidate()
            await provider.credentials()
        assert store.readings == 2
        clock.at += 5
        await provider.credentials()
        await provider.credentials()
        assert store.readings == 3

    run(scenario())


def test_a_refusal_during_a_reading_leads_to_another(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        provider = make()
        store.hold = threading.Event()
        first = asyncio.create_task(provider.credentials())
        while not store.readings:
            await asyncio.sleep(0)
        provider.invalidate()
        store.hold.set()
        await first
        clock.at += 5
        await provider.credentials()
        assert store.readings == 2
        clock.at += 60
        await provider.credentials()
        assert store.readings == 2, "the refusal has been answered"

    run(scenario())


def test_a_refusal_right_after_a_look_reads_anew_at_once(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        provider = make()
        await provider.credentials()
        clock.at += 60
        await provider.credentials()
        store.name = "second"
        provider.invalidate()
        assert (await provider.credentials()).access_key == "second"

    run(scenario())


def test_the_margin_before_expiry_is_kept_to_the_second(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        store.expires_at = clock.at + 310
        provider = make()
        await provider.credentials()
        clock.at += 9
        await provider.credentials()
        assert store.readings == 1
        clock.at += 2
        await provider.credentials()
        assert store.readings == 2

    run(scenario())


def test_a_wall_clock_that_is_set_is_noticed_within_five_seconds(
    store: Store, clock: Clock
) -> None:
    async def scenario() -> None:
        wall = Clock()
        store.expires_at = wall.at + 3600
        cache = KeyCache(store.read, where="the test", now=wall, monotonic=clock)
        provider = SideProvider(cache, "")
        await provider.credentials()
        clock.at += 60
        await provider.credentials()
        wall.at += 3500
        clock.at += 5
        await provider.credentials()
        assert store.readings == 2

    run(scenario())


def test_keys_at_hand_are_not_looked_at_again_for_each_request(store: Store, clock: Clock) -> None:
    async def scenario() -> None:
        looks: list[float] = []

        def now() -> float:
            looks.append(clock.at)
            return clock.at

        store.expires_at = clock.at + 3600
        provider = SideProvider(KeyCache(store.read, where="x", now=now, monotonic=clock), "")
        await provider.credentials()
        clock.at += 60
        await provider.credentials()
        looks.clear()
        for _ in range(100):
            assert (await provider.credentials()).access_key == "first"
        assert not looks

    run(scenario())


def test_keys_are_renewed_shortly_before_they_expire(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        store.expires_at = clock.at + 3600
        provider = make()
        await provider.credentials()
        clock.at += 3290
        await provider.credentials()
        assert store.readings == 1
        clock.at += 20
        store.name, store.expires_at = "second", clock.at + 3600
        assert (await provider.credentials()).access_key == "second"

    run(scenario())


def test_while_early_renewal_fails_the_old_keys_serve_until_they_end(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        store.expires_at = clock.at + 310
        provider = make()
        await provider.credentials()
        store.error = TransientStoreError("no answer")
        clock.at += 20
        assert (await provider.credentials()).access_key == "first"
        clock.at += 300
        with pytest.raises(TransientStoreError):
            await provider.credentials()

    run(scenario())


def test_failing_readings_are_spaced_too(store: Store, make: Make, clock: Clock) -> None:
    async def scenario() -> None:
        store.error = TransientStoreError("no answer")
        provider = make()
        for _ in range(10):
            with pytest.raises(TransientStoreError):
                await provider.credentials()
        assert store.readings == 1
        clock.at += 5
        store.error = None
        assert (await provider.credentials()).access_key == "first"

    run(scenario())


def test_a_fault_that_appears_later_is_a_refusal_and_mends_itself(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        provider = make()
        await provider.credentials()
        store.error = ConfigError("field source is missing")
        provider.invalidate()
        clock.at += 5
        with pytest.raises(CredentialsRejected, match="field source is missing"):
            await provider.credentials()
        store.error = None
        clock.at += 5
        assert (await provider.credentials()).access_key == "first"

    run(scenario())


def test_at_the_start_a_fault_is_one_of_the_configuration(store: Store, make: Make) -> None:
    store.error = ConfigError("no such secret")
    with pytest.raises(ConfigError):
        run(read_once(make()))


async def read_once(provider: SideProvider) -> None:
    await provider.credentials()


def test_a_cancelled_reader_leaves_the_next_one_free(
    store: Store, make: Make, clock: Clock
) -> None:
    async def scenario() -> None:
        provider = make()
        store.hold = threading.Event()
        task = asyncio.create_task(provider.credentials())
        while not store.readings:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.hold.set()
        store.hold = None
        clock.at += 5
        assert (await provider.credentials()).access_key == "first"

    run(scenario())


def test_no_secret_in_reprs_and_tracebacks(store: Store, make: Make) -> None:
    async def scenario() -> None:
        provider = make()
        keys = await provider.credentials()
        assert "CANARY" not in f"{keys!r} {keys} {provider!r} {provider._cache!r} {[keys]}"
        error = CredentialsRejected(f"{keys}")
        lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        assert "CANARY" not in "".join(lines)

    run(scenario())
