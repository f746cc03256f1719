"""What is asked of SQS, and what a queue should be like."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.scripted_aws import Answer, Keys, ManualClock, ScriptedService, ok, refused
from sync.adapters.aws_json import JsonApi, Retries
from sync.adapters.queue_admin import SQS, QueueAdmin, QueueState
from sync.adapters.queue_plan import (
    QueueSettings,
    dead_letter_attributes,
    differences,
    policy_for,
    queue_attributes,
)
from sync.adapters.trigger_policy import Grant, Sender, grant
from sync.errors import AccessDenied, ConfigError, Throttled

URL = "http://q.example/123456789012/jobs"
ARN = "arn:aws:sqs:eu-west-1:123456789012:jobs"
DEAD = "arn:aws:sqs:eu-west-1:123456789012:jobs-dead"
STATE = QueueState(URL, {"QueueArn": ARN})


def admin(*answers: Answer) -> tuple[QueueAdmin, ScriptedService]:
    service = ScriptedService(*answers)
    api = JsonApi(
        service=SQS,
        client=service,
        credentials=Keys(),
        endpoint="http://127.0.0.1:9",
        region="eu-west-1",
        clock=ManualClock(),
        retries=Retries(attempts=2),
    )
    return QueueAdmin(api), service


# --- calls ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["AWS.SimpleQueueService.PurgeQueueInProgress", "PurgeQueueInProgress"]
)
def test_a_second_purge_within_a_minute_is_told_clearly(code: str) -> None:
    queues, service = admin(refused(code, "Only one PurgeQueue operation on jobs is allowed"))
    with pytest.raises(Throttled, match=r"jobs was purged less than 60 seconds ago.*wait a minute"):
        asyncio.run(queues.purge(STATE))
    assert service.operations == ["PurgeQueue"]


def test_other_refusals_of_a_purge_stay_what_they_are() -> None:
    queues, _ = admin(refused("AccessDenied", "no", 403))
    with pytest.raises(AccessDenied, match="sqs:PurgeQueue"):
        asyncio.run(queues.purge(STATE))


def test_a_missing_queue_is_none_and_a_forbidden_one_an_error() -> None:
    missing = refused("AWS.SimpleQueueService.NonExistentQueue", "no")
    assert asyncio.run(admin(missing)[0].look("jobs")) is None
    assert asyncio.run(admin(missing)[0].look(URL)) is None
    with pytest.raises(AccessDenied):
        asyncio.run(admin(refused("AccessDenied", "", 403))[0].look("jobs"))


def test_a_queue_says_what_it_holds() -> None:
    values: dict[str, Any] = {
        "ApproximateNumberOfMessages": "3",
        "ApproximateNumberOfMessagesNotVisible": "2",
        "ApproximateNumberOfMessagesDelayed": "1",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": "7"}),
        "QueueArn": ARN,
    }
    queues, service = admin(ok({"QueueUrl": URL}), ok({"Attributes": values}))
    state = asyncio.run(queues.look("jobs"))
    assert state is not None
    assert (state.name, state.arn, state.dead_letter_arn) == ("jobs", ARN, DEAD)
    assert (state.visible, state.in_flight, state.delayed) == (3, 2, 1)
    assert state.max_receive_count == 7
    assert service.asked[1].payload["AttributeNames"] == ["All"]
    assert (STATE.dead_letter_arn, STATE.max_receive_count, STATE.visible) == ("", 0, 0)


# --- the plan ---------------------------------------------------------------------------


def test_a_queue_as_it_should_be_has_no_differences() -> None:
    wanted = queue_attributes(QueueSettings(), DEAD)
    same = {**wanted, "RedrivePolicy": f'{{"maxReceiveCount":"12","deadLetterTargetArn":"{DEAD}"}}'}
    assert differences(same, wanted) == ()


def test_each_attribute_is_compared() -> None:
    wanted = queue_attributes(QueueSettings(), DEAD)
    for name in wanted:
        without = {other: value for other, value in wanted.items() if other != name}
        assert [one.attribute for one in differences(without, wanted)] == [name]
    other = {**wanted, "RedrivePolicy": wanted["RedrivePolicy"].replace("12", "5")}
    (found,) = differences(other, wanted)
    assert str(found) == (
        "RedrivePolicy: to jobs-dead after 5 receipts, wanted to jobs-dead after 12 receipts"
    )


def test_a_key_of_the_owners_is_encryption_enough() -> None:
    wanted = dead_letter_attributes(QueueSettings())
    present = {**wanted, "SqsManagedSseEnabled": "false"}
    assert [one.attribute for one in differences(present, wanted)] == ["SqsManagedSseEnabled"]
    assert differences({**present, "KmsMasterKeyId": "alias/mine"}, wanted) == ()


def statements(policy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_the_policy_lets_the_bucket_send_and_says_so_once() -> None:
    policy = policy_for("", queue_arn=ARN, buckets=["photos", "films"])
    for bucket in ("photos", "films"):
        sender = Sender(bucket_arn=f"arn:aws:s3:::{bucket}", account="123456789012", queue_arn=ARN)
        assert grant(policy, sender) is Grant.GRANTED
    assert policy_for(policy, queue_arn=ARN, buckets=["films"]) == policy
    more = policy_for(policy, queue_arn=ARN, buckets=["music"])
    assert sum(one["Effect"] == "Deny" for one in statements(more)) == 1
    assert json.loads(policy)["Version"] == "2012-10-17"


def test_the_partition_is_that_of_the_queue() -> None:
    china = ARN.replace("arn:aws:", "arn:aws-cn:")
    assert "arn:aws-cn:s3:::photos" in policy_for("", queue_arn=china, buckets=["photos"])


def test_statements_of_others_stay() -> None:
    theirs = {"Sid": "x", "Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "sqs:*"}
    present = json.dumps({"Version": "2008-10-17", "Id": "y", "Statement": theirs})
    policy = policy_for(present, queue_arn=ARN, buckets=["photos"])
    assert statements(policy)[0] == theirs
    assert len(statements(policy)) == 3
    assert (json.loads(policy)["Version"], json.loads(policy)["Id"]) == ("2008-10-17", "y")


def test_a_policy_that_denies_is_not_worked_around() -> None:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:SendMessage",
        "Resource": ARN,
    }
    with pytest.raises(ConfigError, match="denies"):
        policy_for(json.dumps({"Statement": [deny]}), queue_arn=ARN, buckets=["photos"])
