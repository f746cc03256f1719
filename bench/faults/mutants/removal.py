"""Take one guard away in a copy of the project, and see whether the tests notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faults.mutants.guards import Guard

ROOT: Final = Path(__file__).resolve().parents[3]
_NEEDED: Final = ("sync", "tests", "bench", "deploy", "docs", "tools")
# It counts calls, so it sees that something is not done any more, not that this does harm.
_NO_WITNESS: Final = "tests/unit/test_cost_of_a_job.py"
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "results")
_FAILED: Final = 1
"""pytest's exit code where tests failed; any other but 0 means that they were not run."""
_SECONDS: Final = 1800


class GuardMoved(Exception):
    """The code of a guard is not in its file exactly once."""


@dataclass(frozen=True)
class Verdict:
    """Who noticed: the name of the first test that failed, or "" where none did."""

    guard: Guard
    seen_by: str


def without(guard: Guard, text: str) -> str:
    """The file's text without the guard; GuardMoved where that is not a matter of one place."""
    found = text.count(guard.code)
    if found != 1:
        raise GuardMoved(f"{guard.name}: {found} times in {guard.file}, expected once")
    return text.replace(guard.code, guard.instead)


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="3gsync-guard-") as name:
        folder = Path(name)
        for part in _NEEDED:
            shutil.copytree(ROOT / part, folder / part, ignore=_LEFT_OUT)
        for file in ROOT.glob("*.*"):
            if file.is_file():
                shutil.copy(file, folder)
        yield folder


def failing_as_it_is(guards: Sequence[Guard]) -> str:
    """The first of their likely tests that fails although nothing was taken away, or ""."""
    with _copy() as folder:
        return _first_failure(folder, sorted({test for guard in guards for test in guard.tests}))


def remove(guard: Guard) -> Verdict:
    """Ask the likely tests, then all of them."""
    with _copy() as folder:
        target = folder / guard.file
        target.write_text(without(guard, target.read_text()))
        failure = _first_failure(folder, guard.tests) or _first_failure(folder, ["tests"])
        return Verdict(guard, failure)


def _first_failure(folder: Path, tests: Sequence[str]) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += [f"--ignore={_NO_WITNESS}", *tests]
    environ = dict(os.environ, PYTHONPATH=str(folder), PYTHONDONTWRITEBYTECODE="1")
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        capture_output=True,
        check=False,
        text=True,
        timeout=_SECONDS,
    )
    if ran.returncode == 0:
        return ""
    if ran.returncode != _FAILED:
        raise RuntimeError(f"pytest did not run in {folder}:\n{ran.stdout[-2000:]}{ran.stderr}")
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0].partition(" ")[2] if failed else "a test"
