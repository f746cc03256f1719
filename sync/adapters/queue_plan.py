"""What a queue should be like, and how an existing one differs. Pure.

Attribute names, limits and the form of policies are SQS's own:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sync.adapters.trigger_policy import Grant, Sender, bucket_arn, grant, merged
from sync.errors import ConfigError
from sync.json_text import loads

_POLICIES: Final = frozenset({"Policy", "RedrivePolicy"})
_TLS_SID: Final = "TlsOnlyBy3GSync"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """What ``queue init`` gives a queue; times in seconds. The defaults are the original's."""

    visibility_timeout: int = 3600
    retention: int = 14 * 24 * 3600
    receive_wait: int = 20
    max_receive_count: int = 12


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute that is not as wanted; ``wanted`` is the text for SQS."""

    attribute: str
    present: str
    wanted: str

    def __str__(self) -> str:
        """For people."""
        present = _shown(self.attribute, self.present) or "not set"
        return f"{self.attribute}: {present}, wanted {_shown(self.attribute, self.wanted)}"


def dead_letter_attributes(wanted: QueueSettings) -> dict[str, str]:
    """A dead-letter queue's attributes."""
    return {
        "MessageRetentionPeriod": str(wanted.retention),
        "ReceiveMessageWaitTimeSeconds": str(wanted.receive_wait),
        "SqsManagedSseEnabled": "true",
    }


def queue_attributes(wanted: QueueSettings, dead_letter_arn: str) -> dict[str, str]:
    """A queue's attributes, all but its policy: that names the queue's own ARN."""
    redrive = {
        "deadLetterTargetArn": dead_letter_arn,
        "maxReceiveCount": wanted.max_receive_count,
    }
    return {
        "VisibilityTimeout": str(wanted.visibility_timeout),
        **dead_letter_attributes(wanted),
        "RedrivePolicy": json.dumps(redrive),
    }


def differences(present: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[Difference, ...]:
    """The wanted attributes that the queue has not, or has otherwise."""
    return tuple(
        Difference(name, present.get(name, ""), value)
        for name, value in wanted.items()
        if not _satisfied(name, present, value)
    )


def _satisfied(name: str, present: Mapping[str, str], value: str) -> bool:
    if name == "SqsManagedSseEnabled" and present.get("KmsMasterKeyId"):
        return True  # encrypted with a key of the owner's, which excludes SQS's own
    has = present.get(name, "")
    return _plain(has) == _plain(value) if name in _POLICIES else has == value


def _plain(text: str) -> Any:
    """A policy without its spelling: SQS gives numbers back as text or as numbers."""
    try:
        value = loads(text or "{}")
    except ValueError:
        return text
    if isinstance(value, dict) and "maxReceiveCount" in value:
        value["maxReceiveCount"] = str(value["maxReceiveCount"])
    return value


def policy_for(
    present: str, *, queue_arn: str, buckets: Iterable[str], bucket_account: str = ""
) -> str:
    """The policy text with which S3 may send events of ``buckets``, and all only over TLS.

    What the present policy says stays as it is; where it is enough already it is given back
    unchanged. The buckets belong to ``bucket_account``, or to the queue's own. ConfigError
    where it forbids what is wanted.
    """
    policy = present
    for bucket in buckets:
        account = bucket_account or queue_arn.split(":")[4]
        sender = Sender(
            bucket_arn=bucket_arn(bucket, queue_arn), account=account, queue_arn=queue_arn
        )
        policy = _with_sender(policy, sender)
    return _only_over_tls(policy, queue_arn)


def _with_sender(policy: str, sender: Sender) -> str:
    told = grant(policy, sender)
    if told is Grant.DENIED:
        raise ConfigError(
            f"the policy of {sender.queue_arn} denies what {sender.bucket_arn} would send: "
            "take that statement out first"
        )
    return policy if told in {Grant.GRANTED, Grant.LOOSE} else merged(policy, sender)


def _only_over_tls(policy: str, queue_arn: str) -> str:
    wanted = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = _plain(policy)
    has = document.get("Statement") or []
    statements = has if isinstance(has, list) else [has]
    if any(wanted.items() <= statement.items() for statement in statements):
        return policy
    return json.dumps({**document, "Statement": [*statements, {"Sid": _TLS_SID, **wanted}]})


def _shown(attribute: str, text: str) -> str:
    value = _plain(text) if attribute in _POLICIES else text
    if attribute == "RedrivePolicy" and isinstance(value, dict):
        name = str(value.get("deadLetterTargetArn", "")).rpartition(":")[2]
        return f"to {name} after {value.get('maxReceiveCount')} receipts" if name else ""
    if attribute == "Policy" and isinstance(value, dict):
        statements = value.get("Statement") or []
        count = len(statements) if isinstance(statements, list) else 1
        return f"{count} statement{'s' if count != 1 else ''}" if count else ""
    return str(text)
