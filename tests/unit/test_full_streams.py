"""stdout, stderr and log files that take nothing: lines are lost, nothing else is."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from sync.telemetry.lines import LOGGER, set_up, write
from sync.telemetry.streams import promise, tell

_PROGRAM = """
import contextlib, sys
from sync.telemetry.streams import let_go, promise
kept = promise("the last line")
with contextlib.suppress(OSError):
    print("more, kept back by Python")
with contextlib.suppress(OSError):
    sys.stderr.write("and more\\n")
let_go()
sys.exit(3 if kept else 4)
"""


@pytest.mark.parametrize("full", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_the_exit_code_is_the_programs_own(full: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as nowhere:
        streams = {name: nowhere if name in full else subprocess.PIPE for name in _NAMES}
        done = subprocess.run([sys.executable, "-c", _PROGRAM], check=False, **streams)  # type: ignore[call-overload]
    assert done.returncode == (4 if "stdout" in full else 3)
    if done.stderr is not None:
        assert (b"No space left" in done.stderr) == ("stdout" in full)
        assert b"Traceback" not in done.stderr


_NAMES = ("stdout", "stderr")


class Full:
    """A stream that takes nothing while ``full``."""

    def __init__(self) -> None:
        self.full = True
        self.taken = ""

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.taken += text
        return len(text)

    def flush(self) -> None:
        self.write("")


def full_stderr(monkeypatch: pytest.MonkeyPatch) -> Full:
    stream = Full()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_nothing_is_raised_where_stderr_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", full_stderr(monkeypatch))
    tell("a line")
    assert promise("a line") is False


def test_lost_lines_are_counted_and_told_once_lines_get_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = full_stderr(monkeypatch)
    set_up(level="INFO", form="plain", folder=None, role="worker")
    for number in range(3):
        write(logging.INFO, f"line {number}", {})
    stderr.full = False
    write(logging.INFO, "here again", {})
    write(logging.INFO, "and again", {})
    lines = [line.split(" - ")[1] for line in stderr.taken.splitlines()]
    # The line that said "are being lost" is among the lost.
    assert lines == ["here again", "4 log lines for stderr were lost", "and again"]


def test_the_other_log_hears_of_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_stderr(monkeypatch)
    set_up(level="INFO", form="plain", folder=tmp_path, role="worker")
    for number in range(3):
        write(logging.INFO, f"line {number}", {})
    (file,) = tmp_path.iterdir()
    told = file.read_text()
    assert told.count("log lines for stderr are being lost: No space left on device") == 1
    assert told.count("line ") == 3
    monkeypatch.undo()
    for handler in LOGGER.handlers:
        handler.close()
    set_up(level="INFO", form="plain", folder=None, role="worker")


def test_another_fault_in_logging_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = full_stderr(monkeypatch)
    set_up(level="INFO", form="plain", folder=None, role="worker")
    stderr.full = False
    LOGGER.info("%d", "no number")
    assert "no number" in stderr.taken
    assert "Logging error" in stderr.taken
