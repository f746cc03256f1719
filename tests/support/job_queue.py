"""The rig's queue and dead-letter queue, behind a proxy."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from support.gate import Proxy
from support.moto_aws import MotoAws

_RECEIVE = r"AmazonSQS\.ReceiveMessage"
_NOT_HELD = {
    "InvalidParameterValue",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "ReceiptHandleIsInvalid",
}
"""What SQS says of a receipt whose message is deleted, or visible already."""


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

    def bury(self, *bodies: str) -> None:
        """Messages for the dead-letter queue."""
        for body in bodies:
            self._sqs.send_message(QueueUrl=self._dead, MessageBody=body)

    def dead_depth(self) -> int:
        """Messages in the dead-letter queue, waiting and in hand."""
        return self._count(self._dead)

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
        """All messages of the dead-letter queue, which are taken out of it: body, and attributes
        as plain texts.
        """
        found: list[dict[str, Any]] = []
        while self._dead:
            reply = self._sqs.receive_message(
                QueueUrl=self._dead,
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
            )
            if not reply.get("Messages"):
                break
            found += map(_plain, reply["Messages"])
            for message in reply["Messages"]:
                handle = message["ReceiptHandle"]
                self._sqs.delete_message(QueueUrl=self._dead, ReceiptHandle=handle)
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
                except ClientError as error:
                    if error.response["Error"]["Code"] not in _NOT_HELD:
                        raise


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    attributes = message.get("MessageAttributes", {})
    return {
        "body": message["Body"],
        **{name: value["StringValue"] for name, value in attributes.items()},
    }
