"""The supervisor's decisions about children that end, with children of a few lines."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import sync.worker
from sync import supervisor
from sync.engine.settling import RunReport
from sync.supervisor import _Supervisor

_DONE: dict[str, Any] = {
    "messages": 1,
    "outcomes": {},
    "bytes": 0,
    "parts_reused": 0,
    "dead_lettered": [],
    "failing": {},
    "taken_over": [],
}
_SUMMARY = json.dumps(_DONE)


def run(program: str, monkeypatch: pytest.MonkeyPatch, *, longest: float = 60.0) -> tuple[int, int]:
    """Exit code and sum of messages of one such child under a supervisor without patience."""
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE", longest)
    watched = _Supervisor([], 1, as_json=False)
    watched._command = [sys.executable, "-c", program]
    code = asyncio.run(watched.run())
    return code, sum(one["messages"] for one in watched._summaries)


@pytest.mark.parametrize("end", ["os._exit(70)", "os.kill(os.getpid(), 11)"])
def test_a_child_that_breaks_down_is_started_again(
    end: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    been = tmp_path / "been"
    fall = f"open({str(been)!r}, 'w').close()\n    {end}"
    program = f"import os\nif not os.path.exists({str(been)!r}):\n    {fall}\nprint({_SUMMARY!r})"
    assert run(program, monkeypatch, longest=0.05) == (0, 1)
    assert "worker 0 fell" in capfd.readouterr().err


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_child_that_ends_by_itself_is_not(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"import sys; print({_SUMMARY!r}); sys.exit({code})"
    assert run(program, monkeypatch) == (code, 1)


def test_pauses_grow_and_begin_anew_after_a_long_life(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The third child lives long for a supervisor whose longest pause is a tenth of a second."""
    log = tmp_path / "lives"
    program = (
        "import os, time\n"
        f"with open({str(log)!r}, 'a+') as log:\n"
        "    log.write('x')\n    log.flush()\n    log.seek(0)\n    lives = len(log.read())\n"
        "if lives == 3: time.sleep(2)\n"
        "os._exit(0 if lives == 4 else 70)"
    )
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.2)
    assert run(program, monkeypatch, longest=1.5) == (0, 0)
    said = [line for line in capfd.readouterr().err.splitlines() if "again in" in line]
    assert [line.split()[-2] for line in said] == ["0.2", "0.4", "0.2"]


def test_one_told_to_end_before_it_can_hear_it_has_not_failed(tmp_path: Path) -> None:
    async def tell_it_to_end() -> int:
        watched = _Supervisor([], 1, as_json=False)
        there = tmp_path / "there"
        program = f"import time; open({str(there)!r}, 'w').close(); time.sleep(60)"
        watched._command = [sys.executable, "-c", program]
        running = asyncio.create_task(watched.run())
        while not there.exists():
            await asyncio.sleep(0.02)
        watched._pass_on(signal.SIGTERM)
        return await running

    assert asyncio.run(tell_it_to_end()) == 0


def test_a_child_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As where the system has no room for one more process."""
    start, failures = asyncio.create_subprocess_exec, iter((OSError(11, "no more processes"),))

    async def first_fails(*command: str, **options: Any) -> asyncio.subprocess.Process:
        for failure in failures:
            raise failure
        return await start(*command, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", first_fails)
    assert run(f"print({_SUMMARY!r})", monkeypatch, longest=0.05) == (0, 1)
    assert "could not be started: [Errno 11] no more processes" in capfd.readouterr().err


@pytest.mark.parametrize(("supervised", "code"), [(True, 70), (False, 1)])
def test_a_worker_that_breaks_down_says_so(
    supervised: bool,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(sync.worker, "_settings", lambda *_: None)
    monkeypatch.setattr(sync.worker, "_processes", lambda *_: 1)
    monkeypatch.setattr(sync.worker, "_serve", broken)
    arguments = argparse.Namespace(json=False, supervised=supervised)
    assert sync.worker.run(arguments, {}) == code
    assert "3gsync: broke down: MemoryError()" in capfd.readouterr().err


@pytest.mark.parametrize(("taken_over", "code"), [([], 1), (["m1"], 0)])
def test_what_failed_with_one_child_has_not_failed_once_another_has_ended_it(
    taken_over: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    one = _DONE | {"failing": {"m1": "PutObject: reset"}}
    other = _DONE | {"taken_over": taken_over}
    program = f"print({json.dumps(one)!r})\nprint({json.dumps(other)!r})"
    assert run(program, monkeypatch) == (code, 2)
    told = "3gsync: still failing: PutObject: reset" in capfd.readouterr().err
    assert told == bool(code)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (RunReport(), 0),
        (RunReport(failing={"m1": "reset"}), 0),
        (RunReport(dead_lettered=["no event"]), 1),
    ],
)
def test_a_supervised_worker_leaves_what_is_failing_to_its_supervisor(
    report: RunReport, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    report.taken_over.append("m2")
    assert sync.worker._leave_to_supervisor(report) == code
    told = json.loads(capfd.readouterr().out)
    assert (told["failing"], told["taken_over"]) == (report.failing, ["m2"])


def test_children_are_told_that_they_are_supervised() -> None:
    parser = argparse.ArgumentParser()
    sync.worker.add_arguments(parser)
    given = sync.worker._child_arguments(parser.parse_args([]))
    assert parser.parse_args(given).supervised
