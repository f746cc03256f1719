"""Whether a queue's policy lets S3 in, and the statement that does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync.adapters.trigger_policy import (
    Grant,
    Sender,
    bucket_arn,
    grant,
    has_statement,
    merged,
    statement_for,
)
from sync.errors import ConfigError

DEPLOY = Path(__file__).parents[2] / "deploy" / "aws"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:jobs"
SENDER = Sender(bucket_arn="arn:aws:s3:::source", account="123456789012", queue_arn=QUEUE)
GOOD = statement_for(SENDER)


def policy(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", **more, "Statement": list(statements)})


def judged(**changes: Any) -> Grant:
    changed = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return grant(policy(changed), SENDER)


def with_conditions(**operators: Any) -> Grant:
    return judged(Condition=operators)


def test_no_policy_lets_nobody_in() -> None:
    assert grant("", SENDER) is Grant.MISSING
    assert grant(policy(), SENDER) is Grant.MISSING


def test_our_own_statement_is_enough() -> None:
    assert grant(policy(GOOD), SENDER) is Grant.GRANTED
    assert grant(json.dumps({"Statement": GOOD}), SENDER) is Grant.GRANTED
    other = Sender(bucket_arn="arn:aws:s3:::other", account="123456789012", queue_arn=QUEUE)
    assert grant(policy(GOOD), other) is Grant.MISSING


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"Action": "SQS:SendMessage"}, Grant.GRANTED),
        ({"Action": ["sqs:ReceiveMessage", "sqs:Send*"]}, Grant.GRANTED),
        ({"Action": "*"}, Grant.GRANTED),
        ({"Action": "sqs:ReceiveMessage"}, Grant.MISSING),
        ({"Principal": "*"}, Grant.GRANTED),
        ({"Principal": {"AWS": "*"}}, Grant.GRANTED),
        ({"Principal": {"Service": ["sns.amazonaws.com", "s3.amazonaws.com"]}}, Grant.GRANTED),
        ({"Principal": {"Service": "sns.amazonaws.com"}}, Grant.MISSING),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, Grant.MISSING),
        ({"Principal": None, "NotPrincipal": {"AWS": "1"}}, Grant.UNSURE),
        ({"Resource": "*"}, Grant.GRANTED),
        ({"Resource": "arn:aws:sqs:*:*:j?bs"}, Grant.GRANTED),
        ({"Resource": QUEUE + "2"}, Grant.MISSING),
        ({"Resource": "arn:aws:sqs:eu-west-1:123456789012:[j]obs"}, Grant.MISSING),
        ({"Condition": None}, Grant.LOOSE),
    ],
)
def test_statements(changes: dict[str, Any], verdict: Grant) -> None:
    assert judged(**changes) is verdict


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:source"}}, Grant.LOOSE),
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}}, Grant.LOOSE),
        (
            {"StringEquals": {"AWS:SOURCEACCOUNT": "123456789012", "aws:sourcearn": "x"}},
            Grant.MISSING,
        ),
        (
            {
                "ArnLike": {"aws:SourceArn": ["arn:aws:s3:::other", "arn:aws:s3:::sour*"]},
                "StringEqualsIfExists": {"aws:SourceAccount": ["1", "123456789012"]},
            },
            Grant.GRANTED,
        ),
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}}, Grant.MISSING),
        ({"StringNotEquals": {"aws:SourceAccount": "999999999999"}}, Grant.LOOSE),
        ({"StringNotLike": {"aws:SourceAccount": "1234*"}}, Grant.MISSING),
        ({"Bool": {"aws:SecureTransport": "true"}}, Grant.LOOSE),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, Grant.UNSURE),
        ({"DateGreaterThan": {"aws:SourceAccount": "1"}}, Grant.UNSURE),
    ],
)
def test_conditions(conditions: dict[str, Any], verdict: Grant) -> None:
    assert with_conditions(**conditions) is verdict


def deny(**changes: Any) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": QUEUE,
        **changes,
    }


def test_a_deny_wins_where_it_applies() -> None:
    assert grant(policy(GOOD, deny()), SENDER) is Grant.DENIED
    assert grant(policy(GOOD, deny(Resource=QUEUE + "2")), SENDER) is Grant.GRANTED
    without_tls = deny(Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert grant(policy(GOOD, without_tls), SENDER) is Grant.GRANTED
    outside = deny(Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})
    assert grant(policy(GOOD, outside), SENDER) is Grant.UNSURE
    assert grant(policy(outside), SENDER) is Grant.MISSING


def test_a_loose_statement_beside_a_good_one_is_told() -> None:
    loose = {k: v for k, v in GOOD.items() if k not in {"Condition", "Sid"}}
    assert grant(policy(GOOD, loose), SENDER) is Grant.LOOSE


def test_merging_keeps_every_other_statement() -> None:
    present = policy(deny(Sid="tls"), {**GOOD, "Sid": "TheSourceBucketMaySend"}, Id="theirs")
    text = merged(present, SENDER)
    before, after = json.loads(present), json.loads(text)
    assert after["Statement"][:-1] == before["Statement"]
    assert after["Statement"][-1] == GOOD
    assert (after["Id"], after["Version"]) == ("theirs", "2012-10-17")
    assert not has_statement(present, SENDER)
    assert has_statement(text, SENDER)


def test_merging_twice_is_merging_once_and_buckets_gather() -> None:
    other = Sender(bucket_arn="arn:aws:s3:::a", account="123456789012", queue_arn=QUEUE)
    stranger = Sender(bucket_arn="arn:aws:s3:::z", account="999999999999", queue_arn=QUEUE)
    once = merged("", SENDER)
    assert merged(once, SENDER) == once
    three = merged(merged(once, other), stranger)
    assert len(json.loads(three)["Statement"]) == 2
    for sender in (SENDER, other, stranger):
        assert grant(three, sender) is Grant.GRANTED


def test_an_old_policy_keeps_its_version() -> None:
    assert "Version" not in json.loads(merged(json.dumps({"Statement": [deny()]}), SENDER))
    old = json.dumps({"Version": "2008-10-17", "Statement": []})
    assert json.loads(merged(old, SENDER))["Version"] == "2008-10-17"


def test_the_limits_of_a_policy() -> None:
    merged(policy(*[deny()] * 19), SENDER)
    with pytest.raises(ConfigError, match="21 statements; SQS takes 8192 and 20"):
        merged(policy(*[deny()] * 20), SENDER)
    with pytest.raises(ConfigError, match="remove statements"):
        merged(policy(deny(Sid="x" * 8192)), SENDER)


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_broken_policy_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="no JSON object"):
        grant(text, SENDER)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_bucket_is_in_the_partition_of_the_queue(partition: str) -> None:
    queue = f"arn:{partition}:sqs:somewhere-1:123456789012:jobs"
    assert bucket_arn("source", queue) == f"arn:{partition}:s3:::source"


def test_the_template_of_the_deployment_is_a_good_policy() -> None:
    text = (DEPLOY / "queue-policy.json").read_text()
    filled = text.replace("REGION", "eu-west-1").replace("ACCOUNT", "123456789012")
    filled = filled.replace("QUEUE", "jobs").replace("SOURCE_BUCKET", "source")
    assert grant(filled, SENDER) is Grant.GRANTED


def test_the_policy_of_whoever_runs_it_names_every_call() -> None:
    policy = json.loads((DEPLOY / "triggers-policy.json").read_text())
    actions = [action for statement in policy["Statement"] for action in statement["Action"]]
    assert sorted(actions) == [
        "s3:GetBucketNotification",
        "s3:PutBucketNotification",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SetQueueAttributes",
    ]
