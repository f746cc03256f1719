"""Everything a worker needs, on loopback: two stores, a queue with a dead-letter queue, a
ledger, each behind a proxy that can hold requests; and the worker processes themselves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from support.gate import Stage
from support.job_queue import Queue
from support.ledger_table import make_table
from support.moto_aws import MotoAws
from support.nursery import Nursery
from support.side import Held, Side
from support.worker_process import WorkerProcess, base_environment, eventually
from sync.config.keys import BY_NAME

__all__ = ["MIB", "Queue", "Rig", "Side", "Stage", "WorkerProcess", "eventually"]

MIB = 1024 * 1024
LEASE = 10
_NOT_PUBLIC = "private, max-age=0"
_SAID = {".out", ".err", ".log"}


def noise(size: int) -> bytes:
    """Bytes that no part of is like another."""
    return os.urandom(size)


def record(bucket: str, key: str, name: str = "ObjectCreated:Put", **fields: Any) -> dict[str, Any]:
    """One record of an S3 event notification as AWS shapes it; the key is form-encoded."""
    described = {"key": quote_plus(key, safe="/"), "sequencer": "0055AED6DCD90281E5"} | fields
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "eventName": name,
        "userIdentity": {"principalId": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "to-the-queue",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": described,
        },
    }


class Rig:
    """Fresh buckets, queue and table, and the workers on them. ``close`` checks what is left."""

    def __init__(
        self,
        *,
        source: Side,
        target: Side,
        queue: Queue,
        aws: MotoAws,
        folder: Path,
        ledger: bool,
        options: Mapping[str, object],
    ) -> None:
        self.source, self.target, self.queue, self.folder = source, target, queue, folder
        self._aws = aws
        self.table = make_table(aws) if ledger else ""
        self.workers: list[WorkerProcess] = []
        self.nursery: Nursery | None = None
        self.secrets = {source.server.secret_key, target.server.secret_key}
        self.options: dict[str, object] = {
            "JobType": "ENV",
            "SrcEndPointURL": source.proxy.url,
            "DestEndPointURL": target.proxy.url,
            "SrcDialect": source.dialect,
            "DestDialect": target.dialect,
            "sqs_queue_name": queue.name,
            "table_queue_name": self.table,
            "Des_bucket_default": target.bucket,
            "IgnoreList": "",
            "ResumableThreshold": 6,
            "ChunkSize": 5,
            "Connections": 8,
            "LeaseSeconds": LEASE,
            "LateWriteGrace": 1,
            "LogFormat": "json",
            "StatisticsInterval": 0,
            **options,
        }
        self.environ = base_environment(folder) | {
            "SRC_AWS_ACCESS_KEY_ID": source.server.access_key,
            "SRC_AWS_SECRET_ACCESS_KEY": source.server.secret_key,
            "DEST_AWS_ACCESS_KEY_ID": target.server.access_key,
            "DEST_AWS_SECRET_ACCESS_KEY": target.server.secret_key,
            "AWS_ENDPOINT_URL_SQS": queue.proxy.url,
            "AWS_ENDPOINT_URL_DYNAMODB": aws.endpoint,
        }

    # --- messages ---------------------------------------------------------------------

    def event(self, key: str, name: str = "ObjectCreated:Put", **fields: Any) -> str:
        return json.dumps({"Records": [record(self.source.bucket, key, name, **fields)]})

    def tell(self, *keys: str, name: str = "ObjectCreated:Put") -> None:
        """An event for each key."""
        self.queue.send(*(self.event(key, name) for key in keys))

    def put(self, key: str, content: bytes, **fields: Any) -> None:
        """An object at the source, and its event."""
        self.source.put(key, content, **fields)
        self.queue.send(self.event(key, size=len(content)))

    def store_destination_key(self) -> str:
        """Put the destination's key into SSM, as JobType PUT wants it; returns the endpoint."""
        server = self.target.server
        pair = {
            "aws_access_key_id": server.access_key,
            "aws_secret_access_key": server.secret_key,
            "region": "auto",
        }
        name = f"keys-{self.queue.name}"
        self.options["ssm_parameter_credentials"] = name
        ssm = self._aws._session().client("ssm", endpoint_url=self._aws.endpoint)
        ssm.put_parameter(Name=name, Value=json.dumps(pair), Type="SecureString")
        return self._aws.endpoint

    # --- workers ----------------------------------------------------------------------

    def write_config(self) -> Path:
        sections: dict[str, list[str]] = {}
        for name, value in self.options.items():
            sections.setdefault(BY_NAME[name.lower()].section, []).append(f"{name} = {value}")
        blocks = ("\n".join([f"[{section}]", *lines]) for section, lines in sections.items())
        path = self.folder / "config.ini"
        new = path.with_suffix(".new")
        new.write_text("\n\n".join(blocks) + "\n")
        return new.replace(path)  # at once: a worker that has just begun may be reading it

    def start(
        self,
        *arguments: str,
        processes: int = 1,
        doomed: bool = False,
        environ: Mapping[str, str] | None = None,
        **how: Any,
    ) -> WorkerProcess:
        """A worker with the rig's configuration and these arguments more.

        A batch run, and one that is to die, asks the queue without waiting: so the one ends at
        once, and the other leaves no request behind that takes a message for nobody.
        """
        at_once = doomed or "--until-empty" in arguments
        self.options["ReceiveWait"] = 0 if at_once else 1
        given = ["--config", str(self.write_config()), "--json", *arguments]
        if processes:
            given += ["--processes", str(processes)]
        if doomed:
            how.setdefault("nursery", self.nursery)
        worker = WorkerProcess(
            given,
            folder=self.folder,
            environ=self.environ | dict(environ or {}),
            name=f"worker-{len(self.workers)}",
            **how,
        )
        self.workers.append(worker)
        return worker

    def until_empty(self, *arguments: str, code: int = 0, **how: Any) -> WorkerProcess:
        """Run a worker until the queue is empty."""
        worker = self.start("--until-empty", *arguments, **how)
        found = worker.ended()
        assert found == code, f"exit code {found}, not {code}:\n{worker.tail}"
        return worker

    def verb(self, *arguments: str, code: int = 0) -> WorkerProcess:
        """Run ``3gsync`` with this verb and these arguments, to its end."""
        process = self.begin(*arguments)
        found = process.ended()
        assert found == code, f"exit code {found}, not {code}:\n{process.tail}"
        return process

    def begin(self, *arguments: str) -> WorkerProcess:
        """Start ``3gsync`` with this verb and these arguments."""
        name, *rest = arguments
        config = str(self.write_config())
        process = WorkerProcess(
            [name, *rest, "--config", config, "--json"],
            folder=self.folder,
            environ=self.environ,
            name=f"{name}-{len(self.workers)}",
            command=("-m", "sync.cli"),
        )
        self.workers.append(process)
        return process

    def after_death(self) -> WorkerProcess:
        """The leases of the dead run out, and another worker ends the work."""
        self.queue.expire_leases()
        return self.until_empty()

    # --- what is there in the end -----------------------------------------------------

    def equal(self, *, without: Iterable[str] = ()) -> None:
        """Destination equals source, byte for byte with headers and metadata; the queue is
        empty and no upload is left open.
        """
        wanted = self.source.keys() - set(without)
        assert self.target.keys() == wanted
        for key in wanted:
            ours, theirs = self.source.get(key), self.target.get(key)
            assert ours is not None
            assert theirs is not None
            assert theirs.content == ours.content, f"{key!r}: other bytes"
            assert (key, _described(theirs)) == (key, _described(ours))
        assert self.queue.depth() == 0
        assert self.target.uploads() == []

    def wait_empty(self, within: float = 30.0) -> None:
        eventually("the queue is empty", lambda: self.queue.depth() == 0, within=within)

    def wait_copied(self, key: str, content: bytes, within: float = 30.0) -> None:
        def look() -> bool:
            held = self.target.get(key)
            return held is not None and held.content == content

        eventually(f"{key!r} is copied", look, within=within)

    def close(self) -> None:
        """End all workers; fails for a gate that did not fire or a secret in any output."""
        for worker in self.workers:
            worker.close()
        proxies = (self.source.proxy, self.target.proxy, self.queue.proxy)
        idle = [name for proxy in proxies for name in proxy.close()]
        self.source.remove()
        self.target.remove()
        leaks = leaked(self.secrets, self.outputs())
        assert not idle, f"never struck: {idle}"
        assert not leaks, f"secrets in {leaks}"

    def outputs(self) -> list[Path]:
        """Everything the workers wrote, but for the objects themselves."""
        return [
            p
            for p in self.folder.rglob("*")
            if p.is_file() and p.suffix in {".out", ".err", ".log"}
        ]


def leaked(secrets: Iterable[str], files: Sequence[Path]) -> list[str]:
    """Files that hold one of the secrets, or its like in other encodings."""
    spellings = {s for secret in secrets for s in (secret, quote_plus(secret), json.dumps(secret))}
    texts = ((file, file.read_text(errors="replace")) for file in files)
    return [file.name for file, text in texts if any(s in text for s in spellings)]


def _described(held: Held) -> dict[str, str]:
    """Headers, without what Cloud Storage says of objects that were given none."""
    own = {n: v for n, v in held.headers.items() if (n, v) != ("cache-control", _NOT_PUBLIC)}
    return {"content-type": "application/octet-stream"} | own
