"""The bench's native servers: built on the spot, started with a certificate of their own.

A source bucket is named for what it holds: ``src-SIZE-COUNT``, or ``src-SIZE-COUNT-LARGE-EVERY``
where every EVERYth object has LARGE bytes. Keys are numbers of nine digits. A queue is named
``events_BUCKET_TAG`` or ``jobs_BUCKET_TAG`` and holds one message for every object of BUCKET.
Everything written to other buckets is read, summed and dropped.

For runs that are judged object by object (``faults.load``): in ``vary-SIZE-COUNT[-LARGE-EVERY]``
each object has bytes of its own, ``Server.offered`` and ``Server.held`` are the accounts of both
sides, and the options ``--refuse`` and ``--duplicates`` make it harder (bench/native/queue.c).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

NATIVE = Path(__file__).resolve().parent / "native"
SERVER = NATIVE / "build" / "server"
ACCESS_KEY, SECRET_KEY = "AKIDBENCH", "bench-secret-that-nobody-checks"
CONFIG = """[Basic]
SrcEndPointURL = {stores[0]}
DestEndPointURL = {stores[1]}
SrcDialect = {dialects[0]}
DestDialect = {dialects[1]}
AddressingStyle = path
JobType = ENV
table_queue_name = {table}
sqs_queue_name = {queue}
Des_bucket_default = target
Des_prefix_default = {queue}
IgnoreList =
CABundle = {authority}
[Mode]
Connections = {connections}
Processes = 1
[Debug]
ChunkSize = {chunk}
LoggingLevel = {level}
"""


def build() -> Path:
    """Compile the server where it is older than its source; SystemExit with the mend."""
    if not shutil.which("make") or not (shutil.which("cc") or shutil.which("gcc")):
        sys.exit("bench: needs make and a C compiler (Debian, Ubuntu: apt install gcc make)")
    with (NATIVE / "Makefile").open() as turn:  # two test processes may begin together
        fcntl.flock(turn, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-s"], cwd=NATIVE, capture_output=True, text=True, check=False
        )
    if done.returncode:
        hint = "\nbench: OpenSSL's headers are missing: apt install libssl-dev"
        sys.exit(done.stderr + (hint if "openssl/" in done.stderr else ""))
    return SERVER


@dataclass(frozen=True)
class Authority:
    """PEM files: ``ca`` to trust, ``server`` with key and chain for 127.0.0.1."""

    ca: Path
    server: Path

    @classmethod
    def make(cls, folder: Path) -> Authority:
        authority = trustme.CA()
        made = cls(folder / "ca.pem", folder / "server.pem")
        authority.cert_pem.write_to_path(str(made.ca))
        leaf = authority.issue_cert("127.0.0.1", "localhost")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(made.server))
        return made


@dataclass(frozen=True)
class Server:
    """A running server."""

    tls: int
    plain: int
    pid: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.tls}"

    def stats(self) -> dict[str, Any]:
        """Its counters, and the CPU seconds it took so far."""
        with self._get("_stats") as reply:
            found: dict[str, Any] = json.load(reply)
        return found

    def offered(self, bucket: str) -> Iterator[tuple[str, str, str]]:
        """Key, size and CRC32C (hexadecimal) of all objects of a source bucket."""
        with self._get(f"_offered/{bucket}") as reply:
            for line in reply:
                size, crc, name = line.decode().split()
                yield name.partition("/")[2], size, crc

    def held(self) -> Iterator[tuple[str, str, str, int]]:
        """Bucket/key, size, CRC32C and how often it was written, of all written objects."""
        with self._get("_held") as reply:
            for line in reply:
                size, crc, name, writes = line.decode().split()
                yield name, size, crc, int(writes)

    def _get(self, path: str) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(f"http://127.0.0.1:{self.plain}/{path}", timeout=120)


@contextmanager
def server(
    authority: Authority, *, delay_ms: int = 0, throttle: int = 0, options: Sequence[str] = ()
) -> Iterator[Server]:
    """Run one server until the context ends."""
    command = [str(build()), "--pem", str(authority.server), *options]
    command += ["--delay", str(delay_ms), "--throttle", str(throttle)]
    # Another OpenSSL is for the movers (docs/performance.md); the servers stay the same.
    environ = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            sys.exit(f"bench: the server did not start (exit code {process.wait()})")
        yield Server(**json.loads(line))
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Pair:
    """Source (queue and table too) and destination, and what movers need to reach them."""

    source: Server
    destination: Server
    authority: Authority
    folder: Path

    def environment(self, *settings: str) -> dict[str, str]:
        """For a worker: it knows nothing of whoever runs the bench. ``settings`` are further
        ones, as Key=value.
        """
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "NO_GCE_CHECK": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_SQS": self.source.url,
            "AWS_ENDPOINT_URL_DYNAMODB": self.source.url,
            "AWS_CA_BUNDLE": str(self.authority.ca),
            "NO_PROXY": "*",
            "PYTHONPATH": str(NATIVE.parent.parent),
        }
        # A newer OpenSSL may be put under the movers with it: see docs/performance.md.
        own |= {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        for side in ("SRC_", "DEST_"):
            own[f"{side}AWS_ACCESS_KEY_ID"] = ACCESS_KEY
            own[f"{side}AWS_SECRET_ACCESS_KEY"] = SECRET_KEY
        for key, _, value in (setting.partition("=") for setting in settings):
            own[f"THREEGSYNC_{key.upper()}"] = value
        return own

    def config(
        self,
        queue: str,
        *,
        connections: int | str = 32,
        chunk: int = 16,
        level: str = "WARNING",
        ledger: bool = False,
        stores: tuple[str, str] | None = None,
        dialects: tuple[str, str] = ("aws", "gcs"),
    ) -> Path:
        """Write a worker's configuration file. ``stores`` are the URLs of others than this pair,
        which then serves the queue alone.
        """
        path = self.folder / f"{queue}.ini"
        text = CONFIG.format(
            stores=stores or (self.source.url, self.destination.url),
            dialects=dialects,
            table="bench" if ledger else "",
            queue=queue,
            authority=self.authority.ca,
            connections=connections,
            chunk=chunk,
            level=level,
        )
        path.write_text(text)
        return path


@contextmanager
def pair(
    folder: Path, *, delay_ms: int = 0, throttle: int = 0, options: Sequence[str] = ()
) -> Iterator[Pair]:
    """Both servers, until the context ends."""
    authority = Authority.make(folder)
    with (
        server(authority, delay_ms=delay_ms, throttle=throttle, options=options) as source,
        server(authority, delay_ms=delay_ms, throttle=throttle, options=options) as destination,
    ):
        yield Pair(source, destination, authority, folder)
