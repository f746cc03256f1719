"""One key at a time, the time between its runs, and runs that are shared."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from support.virtual import VirtualClock, run
from sync.engine import turns
from sync.engine.turns import KeyTurns
from sync.errors import Draining


def now() -> float:
    return asyncio.get_running_loop().time()


class Runs:
    """Runs of ``seconds``, noted."""

    def __init__(self, interval: float = 0.0, seconds: float = 1.0) -> None:
        self.turns: KeyTurns[int] = KeyTurns(interval=interval, clock=VirtualClock())
        self.seconds = seconds
        self.begun: list[float] = []
        self.ended: list[float] = []

    async def take(self, key: str = "k") -> tuple[int, bool]:
        return await self.turns.take(key, self._run)

    async def _run(self) -> int:
        self.begun.append(now())
        await asyncio.sleep(self.seconds)
        self.ended.append(now())
        return len(self.ended)


def test_those_who_come_during_a_run_share_the_next_one() -> None:
    async def main() -> None:
        runs = Runs()
        first = asyncio.create_task(runs.take())
        await asyncio.sleep(0.5)
        others = [asyncio.create_task(runs.take()) for _ in range(3)]
        assert await first == (1, False)
        assert await asyncio.gather(*others) == [(2, False), (2, True), (2, True)]
        assert runs.begun == [1000.0, 1001.0]
        assert not runs.turns.busy("k")

    run(main())


def test_who_stops_waiting_leaves_the_place_to_others() -> None:
    async def main() -> None:
        runs = Runs()
        first = asyncio.create_task(runs.take())
        await asyncio.sleep(0.2)
        second, third = (asyncio.create_task(runs.take()) for _ in range(2))
        await asyncio.sleep(0.2)
        second.cancel()
        with pytest.raises(Draining):
            await third
        fourth = asyncio.create_task(runs.take())
        assert await first == (1, False)
        assert await fourth == (2, False)
        assert not runs.turns.busy("k")

    run(main())


def test_between_two_runs_of_a_key_the_interval_passes_and_no_longer() -> None:
    async def main() -> None:
        runs = Runs(interval=10.0, seconds=0.5)
        await runs.take("first")
        await asyncio.sleep(4.0)
        for _ in range(6):
            await runs.take()
            for number in range(14):  # other keys all the time: what is remembered is renewed
                await runs.take(f"other {number} at {now()}")
        own = runs.begun[1::15]
        gaps = [later - earlier for earlier, later in pairwise(own)]
        assert gaps == pytest.approx([10.5] * 5)

    run(main())


def test_who_waited_long_enough_does_not_wait_again() -> None:
    async def main() -> None:
        runs = Runs(interval=10.0)
        await runs.take()
        await asyncio.sleep(25.0)
        before = now()
        await runs.take()
        assert now() - before == pytest.approx(1.0)

    run(main())


def test_what_is_remembered_of_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_REMEMBERED", 10)

    async def main() -> None:
        runs = Runs(interval=1e6, seconds=0.0)
        for number in range(100):
            await runs.take(f"{number}")
        assert len(runs.turns._recent) + len(runs.turns._earlier) <= 21
        assert "99" in runs.turns._recent

    run(main())
