"""Start a stand-in in a process of its own, and end it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from sync.errors import ConfigError
from sync.standins.gcs.control_client import Control
from sync.standins.gcs.options import HmacIdentity, Options

_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class GcsProcess:
    """A running stand-in: its URL, process id, control API and the first identity's key."""

    url: str
    pid: int
    control: Control
    identity: HmacIdentity


@contextlib.contextmanager
def start(options: Options, *, ca_file: str = "") -> Iterator[GcsProcess]:
    """Run a stand-in in its own process until the block ends.

    ``ca_file`` is needed to reach the control API where it speaks TLS. Without identities one is
    made up. ConfigError where the process does not come up; its own words are on stderr.
    """
    chosen = (
        options if options.identities else replace(options, identities=(HmacIdentity.made_up(),))
    )
    process = subprocess.Popen(  # nosec B603
        [sys.executable, "-m", "sync.standins.gcs", "--config", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = _handshake(process, chosen)
        control = Control(url, chosen.control_token, ca_file=ca_file)
        yield GcsProcess(url, process.pid, control, chosen.identities[0])
    finally:
        _end(process)


def _handshake(process: subprocess.Popen[str], options: Options) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(options.to_json()))
    process.stdin.close()
    line = process.stdout.readline()
    if not line:
        raise ConfigError(f"the stand-in did not start (exit code {process.wait(_SECONDS)})")
    url: str = json.loads(line)["url"]
    return url


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_SECONDS)
    if process.stdout:
        process.stdout.close()
