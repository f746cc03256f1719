"""The demonstration as a user runs it, in its small form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.servers import hear_interrupts

NAMES = [
    "objects",
    "bytes",
    "verified",
    "lost",
    "stale",
    "ignored",
    "dead_lettered",
    "resumed_parts",
    "lag_p50_s",
    "lag_p99_s",
]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sync.cli", "demo", "--small"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        preexec_fn=hear_interrupts,  # noqa: PLW1509  one system call, from the main thread
    )


def programs_of(folder: Path) -> list[str]:
    """Command lines of the running programs whose working folder is below ``folder``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                place = (entry / "cwd").resolve()
                if folder.resolve() in place.parents:
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


def test_every_object_arrives_in_spite_of_a_killed_worker(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        output, errors = demo.communicate(timeout=120)
    assert (demo.returncode, errors) == (0, ""), output + errors
    lines = output.splitlines()
    end = json.loads(lines[-1])
    assert list(end) == NAMES
    assert lines[-1] == json.dumps(end, separators=(",", ":"))
    assert (end["lost"], end["stale"]) == (0, 0)
    # 60 small, 26 awkward, 6 middling, 1 large, 1 giant; 4 of the small ones are deleted.
    assert end["objects"] == end["verified"] == 90
    assert end["bytes"] > 60 * 1024 * 1024
    assert end["ignored"] == 6
    assert end["dead_lettered"] == 3
    assert end["resumed_parts"] > 0
    assert 0 < end["lag_p50_s"] <= end["lag_p99_s"] < 60
    assert any("killed (SIGKILL)" in line for line in lines)
    assert "\x1b" not in output
    assert list(tmp_path.iterdir()) == []
    assert programs_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_half_way_it_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "worker-2 is ready" in line:
                break
        assert any("sync.worker" in command for command in programs_of(tmp_path))
        begun = time.monotonic()
        demo.send_signal(number)
        _output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "stopped" in errors
    assert "Traceback" not in errors
    assert time.monotonic() - begun < 30
    assert list(tmp_path.iterdir()) == []
    assert programs_of(tmp_path) == []
