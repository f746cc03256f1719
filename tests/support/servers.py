"""Real S3 servers on loopback: each in processes of its own, on free ports, in a fresh folder.

They are ended by process id, and die with the tests even where those are killed.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sync.standins.gcs import HmacIdentity, Options, start

ACCESS_KEY = "AKIAIOSFODNN7TESTKEY"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYTESTSECRET"
GCS_VERSIONED = "contract-versioned"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class S3Server:
    """A running server. ``checks_signatures``: it really verifies them."""

    name: str
    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    checks_signatures: bool = True


class ServerFailed(Exception):
    """A server ended or did not answer; the text holds the end of its output."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


@contextmanager
def fresh_folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"3gsync-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def hear_interrupts() -> None:
    """For a child that is to be interrupted: a shell's background job inherits SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def running(command: Sequence[str], *, folder: Path, name: str) -> Iterator[Callable[[], None]]:
    """Run a command until the context ends. Gives a check that raises once it has ended."""
    output = folder / f"{name}.out"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call, from the main thread
        )

    def check() -> None:
        if process.poll() is not None:
            tail = output.read_bytes()[-2000:].decode(errors="replace")
            raise ServerFailed(f"{name} ended with {process.returncode}:\n{tail}")

    try:
        yield check
    finally:
        # Nothing of it is kept, so it need not close its files in order.
        process.kill()
        process.wait(_STOP_SECONDS)


def wait_until(ready: Callable[[], bool], check: Callable[[], None], *, name: str) -> None:
    """Poll until ``ready``; ServerFailed where the process ends or a minute has passed."""
    end = time.monotonic() + _START_SECONDS
    while not ready():
        check()
        if time.monotonic() > end:
            raise ServerFailed(f"{name} did not answer within {_START_SECONDS:.0f} s")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """True where an HTTP server answers, whatever the status below 500."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except OSError:
        return False


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """SeaweedFS: verifies signatures and checksums."""
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    with fresh_folder("weed") as folder:
        command = [str(_beside_python("weed")), "-logtostderr=true", "server"]
        for index, name in enumerate(names):
            command += [
                f"-{name}.port={ports[2 * index]}",
                f"-{name}.port.grpc={ports[2 * index + 1]}",
            ]
        command += _weed_options(folder)
        endpoint = f"http://127.0.0.1:{ports[6]}"
        with running(command, folder=folder, name="weed") as check:
            wait_until(lambda: answers(f"{endpoint}/"), check, name="weed")
            yield S3Server("seaweedfs", endpoint)


def _weed_options(folder: Path) -> list[str]:
    (folder / "data").mkdir()
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    identity = {"name": "admin", "credentials": keys, "actions": actions}
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    return [
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-volume.max=300",
        "-filer",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.lance=0",
        "-s3.port.iceberg=0",
        f"-s3.config={config}",
    ]


@contextmanager
def moto_s3() -> Iterator[S3Server]:
    """moto: versions as S3 has them, but neither signatures nor checksums are verified."""
    (port,) = free_ports(1)
    with fresh_folder("moto") as folder:
        command = [str(_beside_python("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
        endpoint = f"http://127.0.0.1:{port}"
        with running(command, folder=folder, name="moto") as check:
            wait_until(lambda: answers(f"{endpoint}/moto-api/"), check, name="moto")
            yield S3Server("moto", endpoint, checks_signatures=False)


@contextmanager
def gcs_standin() -> Iterator[S3Server]:
    """This project's own strict stand-in for Cloud Storage, with one versioned bucket: boto3
    cannot turn versions on without a checksum header that Cloud Storage refuses.
    """
    identity = HmacIdentity(ACCESS_KEY, SECRET_KEY)
    options = Options(identities=(identity,), versioned_buckets=(GCS_VERSIONED,))
    with start(options) as gcs:
        yield S3Server("gcs", gcs.url)


def _beside_python(program: str) -> Path:
    """A console program of this Python's environment."""
    return Path(sys.executable).with_name(program)
