"""SQS as such, against moto over real sockets, looked at with boto3."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from support.moto_aws import REGION, MotoAws, moto_aws
from support.scripted_aws import Keys
from sync.adapters.aws_json import Reply
from sync.adapters.clock import SystemClock
from sync.adapters.sqs import SqsQueue
from sync.errors import NoSuchBucket, RequestRefused
from sync.wire.client import Client
from sync.wire.request import Request


@dataclass
class Counting:
    client: Client
    requests: Counter[str] = field(default_factory=Counter)

    async def send(self, request: Request, *, limit: int = 8 * 1024 * 1024) -> Reply:
        self.requests[dict(request.headers)["x-amz-target"].partition(".")[2]] += 1
        return await self.client.send(request, limit=limit)


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


def make_pair(aws: MotoAws) -> tuple[str, str]:
    """A queue that hands over to a dead-letter queue after 12 receipts; their URLs."""
    name = f"q{uuid4().hex}"
    dead = aws.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    policy = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": 12}
    made = aws.sqs.create_queue(
        QueueName=name,
        Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "3600"},
    )
    return made["QueueUrl"], dead


def run(
    aws: MotoAws, name: str, body: Callable[[SqsQueue, Counting], Awaitable[None]], **options: Any
) -> None:
    async def whole() -> None:
        counting = Counting(Client())
        try:
            async with asyncio.timeout(60):
                queue = await SqsQueue.open(
                    name_or_url=name,
                    client=counting,
                    credentials=Keys(),
                    endpoint=aws.endpoint,
                    region=REGION,
                    clock=SystemClock(),
                    **options,
                )
                await body(queue, counting)
        finally:
            await counting.client.close()

    asyncio.run(whole())


def test_the_redrive_policy_names_the_dead_letter_queue(aws: MotoAws) -> None:
    url, dead = make_pair(aws)

    async def body(queue: SqsQueue, _: Counting) -> None:
        assert queue.dead_letter_queue.rpartition("/")[2] == dead.rpartition("/")[2]
        assert queue.facts.max_receive_count == 12
        assert queue.facts.visibility_timeout == 3600

    run(aws, url, body)
    run(aws, url.rpartition("/")[2], body)


def test_a_dead_letter_says_why_in_attributes_boto3_can_read(aws: MotoAws) -> None:
    url, dead = make_pair(aws)
    aws.sqs.send_message(
        QueueUrl=url,
        MessageBody="body \U0001f600",
        MessageAttributes={"who": {"DataType": "String", "StringValue": "sender"}},
    )

    async def body(queue: SqsQueue, _: Counting) -> None:
        (delivery,) = await queue.receive(10, wait=1, lease=60)
        assert delivery.attributes == (("who", "sender"),)
        assert await queue.dead_letter(delivery, "bad\x00 key\ud800" * 500, "KeyNotAllowed")

    run(aws, url, body)
    received = aws.sqs.receive_message(QueueUrl=dead, MessageAttributeNames=["All"])
    (message,) = received["Messages"]
    assert message["Body"] == "body \U0001f600"
    texts = {name: a["StringValue"] for name, a in message["MessageAttributes"].items()}
    assert texts["reason"].startswith("bad\ufffd key\ufffd")
    assert len(texts["reason"]) == 1000
    assert texts["code"] == "KeyNotAllowed"
    assert texts["receive_count"] == "1"
    assert texts["who"] == "sender"
    assert texts["failed_at"].endswith("+00:00")


def test_a_missing_queue_is_told_apart(aws: MotoAws) -> None:
    async def body(_queue: SqsQueue, _: Counting) -> None:
        raise AssertionError("it opened")

    with pytest.raises(NoSuchBucket, match="sqs_queue_name"):
        run(aws, "no-such-queue", body)


def test_a_queue_deleted_under_way_is_missing_not_empty(aws: MotoAws) -> None:
    url, _ = make_pair(aws)

    async def body(queue: SqsQueue, _: Counting) -> None:
        aws.sqs.delete_queue(QueueUrl=url)
        with pytest.raises(NoSuchBucket):
            await queue.receive(1, wait=0, lease=60)

    run(aws, url, body)


def test_a_dead_letter_queue_that_cannot_take_it_raises(aws: MotoAws) -> None:
    url, dead = make_pair(aws)
    aws.sqs.set_queue_attributes(QueueUrl=dead, Attributes={"MaximumMessageSize": "1024"})

    async def body(queue: SqsQueue, _: Counting) -> None:
        assert await queue.send(["b" * 5000]) == []
        (delivery,) = await queue.receive(1, wait=1, lease=60)
        with pytest.raises(RequestRefused):
            await queue.dead_letter(delivery, "reason", "code")

    run(aws, url, body)


def test_a_hundred_jobs_cost_ten_requests_of_each_kind(aws: MotoAws) -> None:
    url, _ = make_pair(aws)

    async def body(queue: SqsQueue, counting: Counting) -> None:
        assert await queue.send([f"job {number}" for number in range(100)]) == []
        assert await queue.depth() == 100
        counting.requests.clear()
        seen: set[str] = set()
        while len(seen) < 100:
            got = await queue.receive(10, wait=1, lease=600)
            assert await queue.extend(got, 600) == []
            assert await queue.acknowledge(got) == []
            seen.update(one.body for one in got)
        assert await queue.depth() == await queue.outstanding() == 0
        assert counting.requests.pop("GetQueueAttributes") == 2
        assert counting.requests == {
            "ReceiveMessage": 10,
            "ChangeMessageVisibilityBatch": 10,
            "DeleteMessageBatch": 10,
        }

    run(aws, url, body)
