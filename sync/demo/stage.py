"""The servers of a run, the clients to look at them with, and the workers' configuration."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sync.demo.aws import client, queues, source_bucket, table
from sync.demo.names import DESTINATION
from sync.demo.processes import Child, Children, wait_for
from sync.demo.workers import workers_environ, write_config
from sync.standins.gcs import Control, HmacIdentity, Options

_START_SECONDS: Final = 40.0
NO_FILES: Final = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
_PASSED_ON: Final = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs beside the workers. ``source``, ``destination`` and ``queue`` are
    boto3 clients: the demonstration looks by other means than 3GSync.
    """

    source: Any
    destination: Any
    queue: Any
    queue_url: str
    dead_letters_url: str
    control: Control
    servers: tuple[Child, ...]
    config: Path
    workers_environ: Mapping[str, str]

    def worker(self, children: Children, name: str) -> Child:
        """Start a real worker process."""
        command = [sys.executable, "-m", "sync.worker", "--config", str(self.config)]
        return children.start(name, [*command, "--processes", "1"], more=self.workers_environ)

    def parts_there(self, key: str) -> int:
        """Parts of an unfinished upload of this key that the destination holds."""
        reply = self.destination.list_multipart_uploads(Bucket=DESTINATION, Prefix=key)
        found = [up["UploadId"] for up in reply.get("Uploads", ()) if up["Key"] == key]
        with suppress(self.destination.exceptions.ClientError):  # completed just now
            for upload_id in found:
                parts = self.destination.list_parts(Bucket=DESTINATION, Key=key, UploadId=upload_id)
                return len(parts.get("Parts", ()))
        return 0

    def depth(self) -> tuple[int, int]:
        """Messages that wait, and messages in workers' hands."""
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        reply = self.queue.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=names)
        visible, delayed, taken = (int(reply["Attributes"].get(name, 0)) for name in names)
        return visible + delayed, taken


def basic_environ() -> dict[str, str]:
    """What a program of the demonstration inherits: no keys, no profiles, no proxies."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | NO_FILES


def forget_own_aws() -> None:
    """A developer's own profiles and end points must not reach into a run."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(NO_FILES)


def set_up(folder: Path, children: Children, *, small: bool) -> Stage:
    """Start the servers, make buckets, queues and the table, write the configuration."""
    authority, certificate, key = _certificates(folder)
    moto = children.start(
        "moto", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    )
    identity = HmacIdentity.made_up()
    options = Options(
        identities=(identity,),
        buckets=(DESTINATION,),
        data_dir=str(folder / "destination"),
        cert_file=str(certificate),
        key_file=str(key),
        writes_per_object_per_second=1.0,
    )
    stand_in = _start_stand_in(folder, children, options)
    endpoint = _address(moto, r"Running on (http://127\.0\.0\.1:\d+)")
    gcs = _address(stand_in, r'"url": "([^"]+)"')
    queue, queue_url, dead_letters_url = queues(endpoint)
    client("dynamodb", endpoint).create_table(**table())
    config = write_config(folder, endpoint, gcs, authority, small=small)
    return Stage(
        source=source_bucket(endpoint),
        destination=client("s3", gcs, identity=identity, authority=authority),
        queue=queue,
        queue_url=queue_url,
        dead_letters_url=dead_letters_url,
        control=Control(gcs, options.control_token, ca_file=str(authority)),
        servers=(moto, stand_in),
        config=config,
        workers_environ=workers_environ(endpoint, identity),
    )


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority for this run alone, and a certificate of its for 127.0.0.1."""
    import trustme  # noqa: PLC0415  comes with the extra "demo"

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    paths = (folder / "authority.pem", folder / "stand-in.pem", folder / "stand-in.key")
    authority.cert_pem.write_to_path(str(paths[0]))
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(paths[1]), append=number > 0)
    issued.private_key_pem.write_to_path(str(paths[2]))
    return paths


def _start_stand_in(folder: Path, children: Children, options: Options) -> Child:
    """The options go by way of a file: a command line is seen by everybody on the machine."""
    path = folder / "stand-in.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(options.to_json()), "utf-8")
    command = [sys.executable, "-m", "sync.standins.gcs", "--config", str(path)]
    return children.start("gcs-stand-in", command)


def _address(server: Child, pattern: str) -> str:
    """The URL that the server prints once it listens."""
    found: list[str] = []

    def look() -> list[str]:
        found[:] = re.findall(pattern, server.log.read_text("utf-8", "replace"))
        return found

    wait_for(look, what=f"{server.name} to start", limit=_START_SECONDS, children=[server])
    return found[0]
