"""Everything a worker needs, on loopback: two stores, a queue with a dead-letter queue, a
ledger, each behind a proxy that can hold requests; and the worker processes themselves.
"""

from __future__ import annotations

import http.client
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from support.gate import Gate, Proxy, Refusal, Stage
from support.ledger_table import make_table
from support.moto_aws import MotoAws
from support.servers import S3Server
from support.worker_process import WorkerProcess, base_environment, eventually
from sync.config.keys import BY_NAME

MIB = 1024 * 1024
LEASE = 10
_NOT_PUBLIC = "private, max-age=0"
_RECEIVE = r"AmazonSQS\.ReceiveMessage"
_HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
)


def noise(size: int) -> bytes:
    """Bytes that no part of is like another."""
    return os.urandom(size)


@dataclass(frozen=True)
class Held:
    """An object as a client of neither 3GSync nor boto3's URL handling sees it."""

    content: bytes
    headers: dict[str, str]


@cache
def _boto(server: S3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"max_attempts": 5},
        ),
    )


@dataclass
class Side:
    """One store with a bucket of its own. Requests of the tests do not pass the proxy."""

    server: S3Server
    dialect: str
    bucket: str = field(default_factory=lambda: f"e2e-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.boto = _boto(self.server)
        self.boto.create_bucket(Bucket=self.bucket)
        self.proxy = Proxy(self.server.endpoint)

    def put(self, key: str, content: bytes, **fields: Any) -> None:
        self.boto.put_object(Bucket=self.bucket, Key=key, Body=content, **fields)

    def put_raw(self, key: str, content: bytes) -> None:
        """As ``put``, for keys whose dots and slashes boto3's HTTP library would fold."""
        status, _, _ = self._raw("put_object", key, content)
        assert status == http.client.OK, f"{key!r}: {status}"

    def delete(self, key: str) -> None:
        self.boto.delete_object(Bucket=self.bucket, Key=key)

    def get(self, key: str) -> Held | None:
        """The object; None where there is none."""
        status, headers, content = self._raw("get_object", key)
        if status == http.client.NOT_FOUND:
            return None
        assert status == http.client.OK, f"{key!r}: {status} {content[:200]!r}"
        kept = {n: v for n, v in headers.items() if n in _HEADERS or "-meta-" in n}
        return Held(content, {n.replace("x-goog-", "x-amz-"): v for n, v in kept.items()})

    def _raw(
        self, operation: str, key: str, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """A request whose path goes out exactly as it was signed."""
        url = self.boto.generate_presigned_url(operation, {"Bucket": self.bucket, "Key": key})
        place = urlsplit(url)
        target = url[url.index(place.netloc) + len(place.netloc) :]
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        try:
            method = "PUT" if body is not None else "GET"
            connection.request(method, target, body=body)
            reply = connection.getresponse()
            headers = {name.lower(): value for name, value in reply.getheaders()}
            return reply.status, headers, reply.read()
        finally:
            connection.close()

    def content(self, key: str) -> bytes:
        held = self.get(key)
        assert held is not None, key
        return held.content

    def keys(self) -> set[str]:
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

    def uploads(self) -> list[str]:
        """Ids of open multipart uploads."""
        reply = self.boto.list_multipart_uploads(Bucket=self.bucket)
        return [entry["UploadId"] for entry in reply.get("Uploads", ())]

    def gate(self, pattern: str, stage: Stage, **options: int) -> Gate:
        return self.proxy.gate(pattern, stage, **options)


class Queue:
    """The queue and its dead-letter queue, behind a proxy."""

    def __init__(self, aws: MotoAws, *, dead_letter: bool) -> None:
        self._sqs = aws.sqs
        self.proxy = Proxy(aws.endpoint, keep=_RECEIVE)
        self.name = f"jobs-{uuid.uuid4().hex[:12]}"
        self._dead = self._make(f"{self.name}-dead", {}) if dead_letter else ""
        redrive = {"deadLetterTargetArn": self._arn(), "maxReceiveCount": "50"}
        attributes = {"RedrivePolicy": json.dumps(redrive)} if dead_letter else {}
        self.url = self._make(self.name, attributes)

    def _make(self, name: str, attributes: Mapping[str, str]) -> str:
        url: str = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def _arn(self) -> str:
        if not self._dead:
            return ""
        reply = self._sqs.get_queue_attributes(QueueUrl=self._dead, AttributeNames=["QueueArn"])
        arn: str = reply["Attributes"]["QueueArn"]
        return arn

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self._sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def visible(self) -> int:
        """Messages another worker could have at this moment."""
        reply = self._sqs.receive_message(
            QueueUrl=self.url, VisibilityTimeout=0, MaxNumberOfMessages=10
        )
        return len(reply.get("Messages", ()))

    def depth(self) -> int:
        """Messages in it, waiting and in hand."""
        return self._count(self.url)

    def _count(self, url: str) -> int:
        reply = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        names = ("", "NotVisible", "Delayed")
        found = reply["Attributes"]
        return sum(int(found[f"ApproximateNumberOfMessages{name}"]) for name in names)

    def dead(self) -> list[dict[str, Any]]:
        """All messages of the dead-letter queue: body, and attributes as plain texts."""
        found: list[dict[str, Any]] = []
        while self._dead:
            reply = self._sqs.receive_message(
                QueueUrl=self._dead,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                VisibilityTimeout=300,
            )
            if not reply.get("Messages"):
                break
            found += map(_plain, reply["Messages"])
        return found

    def expire_leases(self) -> None:
        """As if the time of all leases of dead workers had passed."""
        kept, self.proxy.kept[:] = list(self.proxy.kept), []
        for reply in kept:
            for message in json.loads(reply).get("Messages", ()):
                try:
                    self._sqs.change_message_visibility(
                        QueueUrl=self.url,
                        ReceiptHandle=message["ReceiptHandle"],
                        VisibilityTimeout=0,
                    )
                except ClientError as error:  # deleted, or visible already
                    assert error.response["Error"]["Code"] in {
                        "InvalidParameterValue",
                        "MessageNotInflight",
                        "AWS.SimpleQueueService.MessageNotInflight",
                        "ReceiptHandleIsInvalid",
                    }, error


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "body": message["Body"],
        **{name: value["StringValue"] for name, value in attributes.items()},
    }


def record(bucket: str, key: str, name: str = "ObjectCreated:Put", **fields: Any) -> dict[str, Any]:
    """One record of an S3 event notification as AWS shapes it; the key is form-encoded."""
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
            "object": {"key": quote_plus(key, safe="/"), "sequencer": "0055AED6DCD90281E5"} | fields,
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
            "ReceiveWait": 1,
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
        path.write_text("\n\n".join(blocks) + "\n")
        return path

    def start(
        self,
        *arguments: str,
        processes: int = 1,
        environ: Mapping[str, str] | None = None,
        **how: Any,
    ) -> WorkerProcess:
        """A worker with the rig's configuration and these arguments more."""
        given = ["--config", str(self.write_config()), "--json", *arguments]
        if processes:
            given += ["--processes", str(processes)]
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
        leaks = leaked(self.secrets, self.outputs())
        assert not idle, f"never struck: {idle}"
        assert not leaks, f"secrets in {leaks}"

    def outputs(self) -> list[Path]:
        """Everything the workers wrote, but for the objects themselves."""
        return [p for p in self.folder.rglob("*") if p.is_file() and p.suffix in {".out", ".err", ".log"}]


def leaked(secrets: Iterable[str], files: Sequence[Path]) -> list[str]:
    """Files that hold one of the secrets, or its like in other encodings."""
    spellings = {s for secret in secrets for s in (secret, quote_plus(secret), json.dumps(secret))}
    texts = ((file, file.read_text(errors="replace")) for file in files)
    return [file.name for file, text in texts if any(s in text for s in spellings)]


def _described(held: Held) -> dict[str, str]:
    """Headers, without what Cloud Storage says of objects that were given none."""
    own = {n: v for n, v in held.headers.items() if (n, v) != ("cache-control", _NOT_PUBLIC)}
    return {"content-type": "application/octet-stream"} | own


__all__ = ["Gate", "Queue", "Refusal", "Rig", "Side", "Stage", "WorkerProcess", "eventually"]
