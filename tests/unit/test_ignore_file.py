"""The ignore list as a file that changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sync.adapters.ignore_file import IgnoreFile
from sync.errors import ConfigError


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Watched:
    """A file, the object under test, and what it reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.reports: list[str] = []
        self.file = IgnoreFile(path, clock=self.clock, report=self.reports.append, every=5.0)

    def later(self, seconds: float) -> bool:
        self.clock.now += seconds
        return self.file.current().matches("b", "k")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    path = tmp_path / "list.txt"
    path.write_text("b/k\n", "utf-8")
    return Watched(path)


def test_a_change_is_seen_after_the_interval_and_not_before(watched: Watched) -> None:
    watched.path.write_text("other line\n", "utf-8")
    assert watched.later(4.9)
    assert not watched.later(0.2)
    assert len(watched.reports) == 1


def test_an_unchanged_file_is_not_read_again(watched: Watched) -> None:
    before = watched.file.current()
    watched.later(6)
    assert watched.file.current() is before
    assert watched.reports == []


def test_a_replaced_file_of_equal_size_and_time_is_seen(watched: Watched) -> None:
    stat = watched.path.stat()
    new = watched.path.with_suffix(".new")
    new.write_text("b/q\n", "utf-8")
    os.utime(new, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    new.replace(watched.path)
    assert not watched.later(6)


def test_a_vanished_file_leaves_the_last_good_list_and_is_reported_once(watched: Watched) -> None:
    watched.path.unlink()
    assert watched.later(6)
    assert watched.later(6)
    assert len(watched.reports) == 1
    assert "last good" in watched.reports[0]


def test_a_file_that_comes_back_changed_is_read(watched: Watched) -> None:
    watched.path.unlink()
    watched.later(6)
    watched.path.write_text("nothing of ours\n", "utf-8")
    assert not watched.later(6)


def test_a_file_that_is_not_utf_8_leaves_the_last_good_list(watched: Watched) -> None:
    watched.path.write_bytes(b"\xff\xfe\x00")
    assert watched.later(6)
    assert len(watched.reports) == 1


def test_no_file_at_start_ignores_nothing_and_says_so(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "missing.txt")
    assert not watched.later(0)
    assert "not there" in watched.reports[0]
    watched.path.write_text("b/k", "utf-8")
    assert watched.later(6)


def test_an_unreadable_file_at_start_is_a_configuration_fault(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"list\.txt.*UTF-8"):
        Watched(tmp_path / "list.txt")


def test_a_look_can_be_handed_to_an_executor(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("old", "utf-8")
    clock, handed = FakeClock(), list[Callable[[], None]]()
    file = IgnoreFile(path, clock=clock, report=lambda _text: None, run=handed.append)
    path.write_text("b/k and more", "utf-8")
    clock.now += 6
    assert file.current().match("old", "k") == "old"
    assert len(handed) == 1
    handed[0]()
    assert file.current().match("old", "k") is None
    assert len(file.current()) == 1
