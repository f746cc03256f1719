"""Children that fuzz, two at a time, and what they found."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from faults.inputs.child import HEAD, ROOM
from faults.inputs.targets import TABLE

_SILENCE: Final = 60.0
_SLOW_START: Final = 180.0
_POLL: Final = 0.05
_TOLD: Final = 300
_SHARES: Final = sum(entry.share for entry in TABLE.values())


@dataclass(frozen=True, kw_only=True)
class Task:
    """One child: how many inputs for each target, an engine and, for atheris (which takes one
    target), seconds at most.
    """

    runs: dict[str, int]
    engine: str = "random"
    seed: int = 0
    seconds: float = 0.0

    def command(self, folder: Path) -> list[str]:
        """What runs it."""
        words = [f"{name}={runs}" for name, runs in self.runs.items()]
        words += ["--folder", str(folder), "--seed", str(self.seed), "--engine", self.engine]
        return [
            *(sys.executable, "-m", "faults.inputs.child"),
            *(*words, "--seconds", str(self.seconds)),
        ]


@dataclass(kw_only=True)
class Found:
    """What children did, by target: inputs, those of them guided by coverage, the slowest's
    seconds; ``faults`` has a text for each kind of failure.
    """

    counts: Counter[str] = field(default_factory=Counter)
    guided: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Count the other's as well."""
        self.counts += other.counts
        self.guided += other.guided
        self.faults += other.faults
        for name, seconds in other.slowest.items():
            self.slowest[name] = max(seconds, self.slowest.get(name, 0.0))


def run_all(tasks: Sequence[Task], *, together: int = 2) -> Found:
    """Each task in a process of its own, ``together`` at a time."""
    found = Found()
    with ThreadPoolExecutor(together) as pool:
        for one in pool.map(run_one, tasks):
            found.add(one)
    return found


def run_one(task: Task) -> Found:
    """One child to its end, or until it gets on with nothing for a minute."""
    with tempfile.TemporaryDirectory(prefix="3gsync-fuzz-") as name:
        folder = Path(name)
        with (folder / "input").open("wb") as box:
            box.truncate(ROOM)
        (folder / "report").touch()
        with (folder / "output").open("w+b") as output:
            ended = _watched(task, folder, output)
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
        found = _read(folder / "report")
        count, data, target = look(folder)
        target = target if count else next(iter(task.runs))
        if task.engine == "atheris" or ended:
            found.counts[target] += count
        if task.engine == "atheris":
            found.guided[target] += count
        if ended:
            what = f"{ended} {said[-600:]}".strip()
            found.faults.append((target, again(target, "hang or death", what, data)))
        return found


def _watched(task: Task, folder: Path, output: IO[bytes]) -> str:
    """How it ended where it did not end well; a child that hangs is killed."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *sys.path])
    child = subprocess.Popen(
        task.command(folder), stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": path}
    )
    seen: tuple[object, ...] = ()
    since, limit = time.monotonic(), _SLOW_START
    while child.poll() is None:
        time.sleep(_POLL)
        now = look(folder)
        if now != seen:
            seen, since, limit = now, time.monotonic(), _SILENCE if now[0] else _SLOW_START
        elif time.monotonic() - since > limit:
            child.kill()
            child.wait()
            return f"no end after {limit:.0f} s."
    return f"the process ended with {child.returncode}." if child.returncode else ""


def look(folder: Path) -> tuple[int, bytes, str]:
    """How many inputs were begun of the present target, the last of them, and the target."""
    with (folder / "input").open("rb") as file:
        count, length, number = HEAD.unpack(file.read(HEAD.size))
        return count, file.read(length), list(TABLE)[number]


def _read(report: Path) -> Found:
    found = Found()
    for line in report.read_text().splitlines():
        said = json.loads(line)
        name = said["target"]
        if said["kind"] == "done":
            found.counts[name] += said["count"]
        elif said["kind"] == "slowest":
            found.slowest[name] = max(said["seconds"], found.slowest.get(name, 0.0))
        else:
            data = base64.b64decode(said["input"])
            found.faults.append((name, again(name, said["kind"], said["what"], data)))
    return found


def again(target: str, kind: str, what: str, data: bytes) -> str:
    """A failure, and the command that shows it again."""
    once = base64.b64encode(data).decode()
    run = f"PYTHONPATH=bench:tests python -m faults.inputs.child {target} --once {once}"
    return f"inputs: {target}: {kind}: {what}\n  input {ascii(data)[:_TOLD]}\n  again: {run}"


def shares(total: int) -> dict[str, int]:
    """How many inputs each target gets of ``total``."""
    return {name: max(50, round(total * one.share / _SHARES)) for name, one in TABLE.items()}


def divided(runs: dict[str, int], costs: dict[str, float], count: int) -> Iterator[dict[str, int]]:
    """Targets dealt out to ``count`` children of about equal work."""
    hands: list[dict[str, int]] = [{} for _ in range(count)]
    work = [0.0] * count
    for name in sorted(runs, key=lambda one: -runs[one] * costs.get(one, 1.0)):
        least = work.index(min(work))
        hands[least][name] = runs[name]
        work[least] += runs[name] * costs.get(name, 1.0)
    return iter([hand for hand in hands if hand])


def texts(faults: Iterable[tuple[str, str]], target: str) -> list[str]:
    """The failures of one target."""
    return [text for name, text in faults if name == target]
