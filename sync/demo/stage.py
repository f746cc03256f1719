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

from sync.demo.contents import IGNORE_LIST
from sync.demo.processes import Child, Children, beside_python, wait_for
from sync.standins.gcs import Control, HmacIdentity, Options

SOURCE: Final = "demo-source"
DESTINATION: Final = "demo-destination"
QUEUE: Final = "demo-jobs"
DEAD_LETTERS: Final = "demo-dead-letters"
TABLE: Final = "demo-ledger"
REGION: Final = "us-east-1"
LEASE_SECONDS: Final = 10
_START_SECONDS: Final = 40.0
_SOURCE_KEYS: Final = ("AKIADEMOSOURCE", "moto verifies no signatures")
_PASSED_ON: Final = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")

_CONFIG: Final = """\
[Basic]
JobType = ENV
SrcEndPointURL = {source}
SrcDialect = aws
DestEndPointURL = {destination}
DestDialect = gcs
AddressingStyle = path
CABundle = {authority}
table_queue_name = {table}
sqs_queue_name = {queue}
Des_bucket_default = {bucket}
IgnoreList = {ignore}

[Mode]
ResumableThreshold = {threshold}
Connections = 16
MaxThread = 4
MaxParallelFile = 32
LeaseSeconds = {lease}
ReceiveWait = 2
DrainSeconds = 10
LateWriteGrace = 2
SyncDeletes = True
Provenance = True

[Debug]
ChunkSize = {chunk}
LogFormat = json
StatisticsInterval = 0
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs beside the workers. ``source``, ``queue``, ``table`` and
    ``destination`` are boto3 clients: the demonstration looks by other means than 3GSync.
    """

    folder: Path
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

    def check(self) -> None:
        """DemoError where a server has ended."""
        for server in self.servers:
            server.check()

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
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def set_up(folder: Path, children: Children, *, small: bool) -> Stage:
    """Start the servers, make buckets, queues and the table, write the configuration."""
    authority, certificate, key = _certificates(folder)
    moto = children.start("moto", [beside_python("moto_server"), "-H", "127.0.0.1", "-p", "0"])
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
    queue, queue_url, dead_letters_url = _queues(endpoint)
    _client("dynamodb", endpoint).create_table(**_table())
    config = _write_config(folder, endpoint, gcs, authority, small=small)
    return Stage(
        folder=folder,
        source=_source_bucket(endpoint),
        destination=_client("s3", gcs, identity=identity, authority=authority),
        queue=queue,
        queue_url=queue_url,
        dead_letters_url=dead_letters_url,
        control=Control(gcs, options.control_token, ca_file=str(authority)),
        servers=(moto, stand_in),
        config=config,
        workers_environ=_workers_environ(endpoint, identity),
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


def _client(
    service: str,
    endpoint: str,
    *,
    identity: HmacIdentity | None = None,
    authority: Path | None = None,
) -> Any:
    import boto3  # noqa: PLC0415  start-up time
    from botocore.config import Config  # noqa: PLC0415

    access_key, secret = (identity.access_id, identity.secret) if identity else _SOURCE_KEYS
    session: Any = boto3.session.Session()
    return session.client(
        service,
        endpoint_url=endpoint,
        region_name="auto" if identity else REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        verify=str(authority) if authority else None,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "max_attempts": 5},
            max_pool_connections=16,
            proxies={},
        ),
    )


def _queues(endpoint: str) -> tuple[Any, str, str]:
    """The job queue, which gives up on a message after 20 receipts, and its dead-letter queue."""
    sqs = _client("sqs", endpoint)
    dead_letters = sqs.create_queue(QueueName=DEAD_LETTERS)["QueueUrl"]
    policy = {"deadLetterTargetArn": _arn(sqs, dead_letters), "maxReceiveCount": 20}
    jobs = sqs.create_queue(QueueName=QUEUE, Attributes={"RedrivePolicy": json.dumps(policy)})
    return sqs, jobs["QueueUrl"], dead_letters


def _arn(sqs: Any, url: str) -> str:
    reply = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(reply["Attributes"]["QueueArn"])


def _source_bucket(endpoint: str) -> Any:
    """The bucket, its events connected to the queue."""
    s3, sqs = _client("s3", endpoint), _client("sqs", endpoint)
    s3.create_bucket(Bucket=SOURCE)
    arn = _arn(sqs, sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"])
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": events}]}
    s3.put_bucket_notification_configuration(Bucket=SOURCE, NotificationConfiguration=wanted)
    return s3


def _table() -> dict[str, Any]:
    """The ledger's table; see docs/ledger.md."""
    return {
        "TableName": TABLE,
        "KeySchema": [{"AttributeName": "Key", "KeyType": "HASH"}],
        "AttributeDefinitions": [
            {"AttributeName": "Key", "AttributeType": "S"},
            {"AttributeName": "desBucket", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "desBucket-index",
                "KeySchema": [{"AttributeName": "desBucket", "KeyType": "HASH"}],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["desKey", "versionId"],
                },
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def _write_config(
    folder: Path, source: str, destination: str, authority: Path, *, small: bool
) -> Path:
    ignore, config = folder / "ignore_list.txt", folder / "config.ini"
    ignore.write_text(IGNORE_LIST.format(bucket=SOURCE), "utf-8")
    text = _CONFIG.format(
        source=source,
        destination=destination,
        authority=authority,
        table=TABLE,
        queue=QUEUE,
        bucket=DESTINATION,
        ignore=ignore,
        threshold=8 if small else 32,
        lease=LEASE_SECONDS,
        chunk=5 if small else 16,
    )
    config.write_text(text, "utf-8")
    return config


def _workers_environ(endpoint: str, identity: HmacIdentity) -> dict[str, str]:
    return {
        "SRC_AWS_ACCESS_KEY_ID": _SOURCE_KEYS[0],
        "SRC_AWS_SECRET_ACCESS_KEY": _SOURCE_KEYS[1],
        "SRC_AWS_REGION": REGION,
        "DEST_AWS_ACCESS_KEY_ID": identity.access_id,
        "DEST_AWS_SECRET_ACCESS_KEY": identity.secret,
        "DEST_AWS_REGION": "auto",
        "AWS_ENDPOINT_URL_SQS": endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_GCE_CHECK": "true",
        "NO_PROXY": "127.0.0.1",
    }
