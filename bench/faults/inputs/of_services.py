"""Replies of SQS and DynamoDB."""

# ruff: noqa: ARG002, E501, PLC0415, SLF001  signatures; tables; the queue's own service

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from faults.inputs.target import Target, wait_for
from support.scripted_aws import ManualClock, ScriptedReply
from sync.adapters.aws_json import JsonApi, Retries
from sync.adapters.dynamodb import DynamoLedger
from sync.adapters.ledger_read import read_copies
from sync.adapters.sqs import SqsQueue
from sync.adapters.sqs_lookup import QueueFacts
from sync.errors import SyncError
from sync.model import JobKind, ObjectRef, TransferJob
from sync.ports import Credentials, Delivery
from sync.wire.request import Request

_REF: Final = ObjectRef("bucket", "key")
_JOB: Final = TransferJob(JobKind.COPY, source=_REF, destination=ObjectRef("target", "key"))
_DELIVERIES: Final = [Delivery("m1", "r1", "body"), Delivery("m2", "r2", "body")]
_ONCE: Final = Retries(attempts=2, chance=lambda: 0.0)


@dataclass
class _Said:
    """A client that gives the same reply to every request."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, request: Request, *, limit: int = 0) -> ScriptedReply:
        return ScriptedReply(self.status, self.headers, self.body)


class _Keys:
    async def credentials(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", region="us-east-1")

    def invalidate(self) -> None:
        pass


_CLIENT: Final = _Said()
_COMMON: Final[dict[str, Any]] = {
    "client": _CLIENT, "credentials": _Keys(), "endpoint": "https://aws.example",
    "region": "us-east-1", "clock": ManualClock(), "retries": _ONCE,
}  # fmt: skip


def _take(data: bytes) -> None:
    """A reply whose first line is its status and a Retry-After."""
    first, _, body = data.partition(b"\n")
    status, _, header = first.decode("latin-1").partition(" ")
    _CLIENT.status = int(status) if status in {"200", "400", "403", "500", "503"} else 200
    _CLIENT.headers = {"retry-after": header, "date": header} if header else {}
    _CLIENT.body = body


async def _tried(*calls: Any) -> None:
    for call in calls:
        try:
            await call()
        except SyncError as error:
            str(error)


def _sqs(data: bytes) -> None:
    _take(data)
    queue = _queue()

    async def received() -> None:
        for delivery in await queue.receive(10, wait=0, lease=30):
            delivery.body.encode("utf-8", "surrogatepass")

    wait_for(
        _tried(
            received,
            lambda: queue.acknowledge(_DELIVERIES),
            lambda: queue.extend(_DELIVERIES, 30),
            lambda: queue.send(["body", "other"]),
            lambda: queue.dead_letter(_DELIVERIES[0], "why", "code"),
            queue.depth,
            queue.outstanding,
            lambda: SqsQueue.open(name_or_url="queue", **_COMMON),
        )
    )


def _queue() -> SqsQueue:
    from sync.adapters.sqs import _SQS

    facts = QueueFacts(url="https://sqs.us-east-1.amazonaws.com/1/queue")
    return SqsQueue(api=JsonApi(service=_SQS, **_COMMON), facts=facts, dead_letter="https://x/1/d")


def _dynamodb(data: bytes) -> None:
    _take(data)
    ledger = DynamoLedger(table="table", instance="i", **_COMMON)
    wait_for(
        _tried(
            ledger.check,
            lambda: ledger.unfinished(_JOB),
            lambda: ledger.row(_REF),
            lambda: ledger.copied_versions([_REF]),
            lambda: read_copies(ledger._api, "table", [_REF]),
        )
    )


_MESSAGE: Final = {
    "MessageId": "m", "ReceiptHandle": "r", "Body": "body", "MD5OfBody": "841a2d689ad86bd1611447453c22c6fc",
    "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767571200000"},
    "MessageAttributes": {"code": {"StringValue": "x", "DataType": "String"}},
}  # fmt: skip
_DONE: Final = {"Id": "0", "MessageId": "m", "MD5OfMessageBody": "841a2d689ad86bd1611447453c22c6fc"}
_FAILED: Final = {"Id": "1", "SenderFault": True, "Code": "ReceiptHandleIsInvalid", "Message": "no"}
_FACTS: Final = {
    "VisibilityTimeout": "30", "MaximumMessageSize": "262144", "ApproximateNumberOfMessages": "1",
    "RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:d","maxReceiveCount":3}',
}  # fmt: skip
_REFUSED: Final = {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no queue"}
_SQS_SAID: Final[tuple[Any, ...]] = (
    {"Messages": [_MESSAGE]},
    {"Successful": [_DONE], "Failed": [_FAILED]},
    {"Attributes": _FACTS, "QueueUrl": "https://sqs.us-east-1.amazonaws.com/1/q"},
    {"MD5OfMessageBody": "841a2d689ad86bd1611447453c22c6fc"},
    {},
)
_ROW: Final = {
    "Key": {"S": "bucket/key"}, "desBucket": {"S": "target"}, "desKey": {"S": "key"},
    "Size": {"N": "12"}, "versionId": {"S": "null"}, "jobStatus": {"SS": ["DONE"]},
    "instanceID": {"SS": ["i"]}, "tryTimes": {"N": "1"}, "uploadId": {"S": "u"},
    "partSize": {"N": "5242880"}, "partCRC32C": {"B": "AQABgAAAAAA="}, "etag": {"S": "x"},
    "versioned": {"BOOL": True}, "crc32c": {"S": "AAAAAA=="}, "endTime": {"N": "1767571200"},
}  # fmt: skip
_TABLE: Final = {
    "KeySchema": [{"AttributeName": "Key", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "Key", "AttributeType": "S"}],
    "GlobalSecondaryIndexes": [{"IndexName": "desBucket-index"}],
}
_DYNAMO_SAID: Final = (
    {"Item": _ROW},
    {"Responses": {"table": [_ROW]}, "UnprocessedKeys": {}},
    {"UnprocessedKeys": {"table": {"Keys": [{"Key": {"S": "bucket/key"}}]}}},
    {"Table": _TABLE},
)


def _seeds(said: tuple[Any, ...]) -> list[bytes]:
    bodies = [b"\n" + json.dumps(value).encode() for value in said]
    return [*bodies, b"400 1\n" + json.dumps(_REFUSED).encode(), b"503 x\n<html>"]


TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="sqs-replies", probe=_sqs, allowed=(), seeds=_seeds(_SQS_SAID)),
        Target(name="dynamodb-replies", probe=_dynamodb, allowed=(), seeds=_seeds(_DYNAMO_SAID)),
    )
}
