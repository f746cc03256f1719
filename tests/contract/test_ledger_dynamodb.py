"""The DynamoDB ledger against a table in moto, looked at with boto3."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.ledger_table import dynamo_ledger, make_table
from support.moto_aws import MotoAws, moto_aws
from sync.adapters.aws_json import Reply
from sync.adapters.dynamodb import DynamoLedger
from sync.errors import NoSuchBucket
from sync.model import Identity, JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import UploadRecord
from sync.wire.client import Client
from sync.wire.request import Request

JOB = TransferJob(JobKind.COPY, ObjectRef("src", "big"), ObjectRef("des", "p/big"))
RECORD = UploadRecord("u1", Identity("e-2", 20, "v1"), 10, {1: 7})
DONE = TransferResult(Outcome.COPIED, JOB, RECORD.identity, crc32c=1, finished_at=1.7e9)


@dataclass
class Counting:
    """Counts the requests that go over the wire."""

    client: Client = field(default_factory=Client)
    requests: Counter[str] = field(default_factory=Counter)

    async def send(self, request: Request, *, limit: int = 8 * 1024 * 1024) -> Reply:
        target = dict(request.headers)["x-amz-target"]
        self.requests[target.partition(".")[2]] += 1
        return await self.client.send(request, limit=limit)


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


def run(
    aws: MotoAws, table: str, body: Callable[[DynamoLedger], Coroutine[Any, Any, None]], **opts: Any
) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60), dynamo_ledger(aws, table, **opts) as ledger:
            await body(ledger)

    asyncio.run(whole())


def item(aws: MotoAws, table: str, key: str) -> dict[str, Any]:
    found = aws.dynamodb.get_item(TableName=table, Key={"Key": {"S": key}}, ConsistentRead=True)
    row: dict[str, Any] = found.get("Item", {})
    return row


def test_a_multipart_transfer_leaves_the_row_the_original_left(aws: MotoAws) -> None:
    table = make_table(aws)

    async def body(ledger: DynamoLedger) -> None:
        await ledger.started(JOB, RECORD)
        begun = item(aws, table, "src/big")
        assert begun["uploadId"] == {"S": "u1"}
        assert begun["lastTimeProgress"] == {"N": "50"}
        await ledger.started(JOB, RECORD)
        await ledger.finished(DONE)

    run(aws, table, body)
    row = item(aws, table, "src/big")
    assert {name: next(iter(value)) for name, value in row.items()} == {
        "Key": "S",
        "instanceID": "SS",
        "tryTimes": "N",
        "startTime_f": "SS",
        "lastTimeProgress": "N",
        "Size": "N",
        "desBucket": "S",
        "desKey": "S",
        "firstTime": "N",
        "versionId": "S",
        "jobStatus": "SS",
        "totalSpentTime": "N",
        "endTime": "N",
        "endTime_f": "S",
        # added
        "etag": "S",
        "versioned": "BOOL",
        "crc32c": "S",
        "outcome": "S",
    }
    assert row["tryTimes"] == {"N": "2"}
    assert row["lastTimeProgress"] == {"N": "100"}
    assert row["jobStatus"] == {"SS": ["DONE"]}


def test_a_failed_attempt_leaves_its_upload_to_the_next_worker(aws: MotoAws) -> None:
    table = make_table(aws)

    async def first(ledger: DynamoLedger) -> None:
        await ledger.started(JOB, RECORD)
        await ledger.finished(TransferResult(Outcome.FAILED, JOB, error="JobTimedOut"))

    async def second(ledger: DynamoLedger) -> None:
        assert await ledger.unfinished(JOB) == RECORD
        await ledger.started(JOB, RECORD)
        await ledger.finished(DONE)
        row = await ledger.row(JOB.source)
        assert row is not None
        assert row.statuses == {"TIMEOUT", "DONE"}
        assert row.instances == {"i-1", "i-2"}
        assert (row.tries, row.unfinished) == (2, False)

    run(aws, table, first, instance="i-1")
    run(aws, table, second, instance="i-2")


def test_progress_of_a_superseded_upload_changes_nothing(aws: MotoAws) -> None:
    table = make_table(aws)
    newer = UploadRecord("u2", Identity("other", 30, "v2"), 10, {2: 9})

    async def body(ledger: DynamoLedger) -> None:
        await ledger.started(JOB, newer)
        async with dynamo_ledger(aws, table) as other:
            await other.progressed(JOB, RECORD)
            await other.flush()
        assert await ledger.unfinished(JOB) == newer

    run(aws, table, body)


def test_a_row_of_the_old_software_is_carried_on(aws: MotoAws) -> None:
    table = make_table(aws)
    aws.dynamodb.put_item(
        TableName=table,
        Item={
            "Key": {"S": "src/big"},
            "instanceID": {"SS": ["i-old"]},
            "tryTimes": {"N": "3"},
            "startTime_f": {"SS": ["Mon Mar 14 09:00:00 2022"]},
            "firstTime": {"N": "1647248400"},
            "firstTime_f": {"S": "Mon Mar 14 09:00:00 2022"},
            "versionId": {"S": "null"},
            "Size": {"N": "20"},
            "jobStatus": {"SS": ["TIMEOUT_or_MaxRetry"]},
        },
    )

    async def body(ledger: DynamoLedger) -> None:
        assert await ledger.unfinished(JOB) is None
        await ledger.started(JOB, RECORD)
        await ledger.finished(DONE)

    run(aws, table, body)
    row = item(aws, table, "src/big")
    assert row["tryTimes"] == {"N": "4"}
    assert set(row["instanceID"]["SS"]) == {"i-old", "i-test"}
    assert set(row["jobStatus"]["SS"]) == {"TIMEOUT_or_MaxRetry", "DONE"}


def test_the_index_answers_which_version_is_at_the_destination(aws: MotoAws) -> None:
    table = make_table(aws)
    run(aws, table, lambda ledger: ledger.finished(DONE))
    found = aws.dynamodb.query(
        TableName=table,
        IndexName="desBucket-index",
        KeyConditionExpression="desBucket = :b",
        ExpressionAttributeValues={":b": {"S": "des"}},
    )["Items"]
    assert [(i["desKey"]["S"], i["versionId"]["S"]) for i in found] == [("p/big", "v1")]


def test_a_thousand_small_objects_cost_forty_requests(aws: MotoAws) -> None:
    table = make_table(aws)
    counting = Counting()

    async def body(ledger: DynamoLedger) -> None:
        jobs = [
            TransferJob(JobKind.COPY, ObjectRef("src", f"k{n}"), ObjectRef("des", f"k{n}"))
            for n in range(1000)
        ]
        results = [TransferResult(Outcome.COPIED, job, Identity("e", 4096)) for job in jobs]
        await asyncio.gather(*map(ledger.finished, results))
        await counting.client.close()

    run(aws, table, body, client=counting)
    assert counting.requests == {"BatchWriteItem": 40}
    assert aws.dynamodb.scan(TableName=table, Select="COUNT")["Count"] == 1000


def test_ten_thousand_parts_fit_into_a_row(aws: MotoAws) -> None:
    table = make_table(aws)
    crcs = {part: part * 400_009 % 2**32 for part in range(1, 10_001)}
    record = UploadRecord("u" * 300, Identity("e", 10_000 * 5, "v"), 5, crcs)

    async def body(ledger: DynamoLedger) -> None:
        await ledger.started(JOB, record)
        assert await ledger.unfinished(JOB) == record

    run(aws, table, body)


def test_check_finds_the_table_or_says_what_is_missing(aws: MotoAws) -> None:
    async def good(ledger: DynamoLedger) -> None:
        assert await ledger.check() == ()

    async def missing(ledger: DynamoLedger) -> None:
        with pytest.raises(NoSuchBucket, match="create table nothing-here"):
            await ledger.check()
        with pytest.raises(NoSuchBucket):
            await ledger.finished(DONE)

    run(aws, make_table(aws), good)
    run(aws, "nothing-here", missing)
