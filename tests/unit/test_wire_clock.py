"""The clock that learns from a server's Date header."""

from __future__ import annotations

import pytest

from sync.wire.clock import ClockOffset


class Times:
    wall = 1_000_000.0
    steady = 50.0


def clock(times: Times) -> ClockOffset:
    return ClockOffset(time=lambda: times.wall, monotonic=lambda: times.steady)


def test_it_is_the_machines_clock_until_it_learns() -> None:
    times = Times()
    learner = clock(times)
    assert (learner.now(), learner.offset) == (1_000_000.0, 0.0)
    times.wall += 5
    assert learner.now() == 1_000_005.0


def test_it_follows_the_server_even_when_the_machines_clock_is_set_later() -> None:
    times = Times()
    learner = clock(times)
    assert learner.learn("Wed, 21 Oct 2015 07:28:00 GMT")
    assert learner.now() == 1445412480.0
    assert learner.offset == 1445412480.0 - 1_000_000.0
    times.wall = 2_000_000_000.0
    times.steady += 7
    assert learner.now() == 1445412487.0


def test_a_second_or_two_is_not_skew() -> None:
    times = Times()
    times.wall = 1445412481.5
    learner = clock(times)
    assert not learner.learn("Wed, 21 Oct 2015 07:28:00 GMT")
    assert learner.offset == 0.0


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_a_date_that_is_none_changes_nothing(date: str) -> None:
    learner = clock(Times())
    assert not learner.learn(date)
    assert learner.now() == 1_000_000.0
