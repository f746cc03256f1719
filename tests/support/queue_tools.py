"""The console command run in this process, against moto's SQS and DynamoDB."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from support.moto_aws import REGION, MotoAws
from sync import cli


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """The last line, which is JSON."""
        return json.loads(self.out.splitlines()[-1])


class Console:
    """``3gsync`` with a configuration of its own; keys and end points from the environment."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        self.options: dict[str, object] = {"JobType": "ENV", "IgnoreList": ""}
        for name in ("SRC", "DEST"):
            monkeypatch.setenv(f"{name}_AWS_ACCESS_KEY_ID", "AKIDTEST")
            monkeypatch.setenv(f"{name}_AWS_SECRET_ACCESS_KEY", "very-secret")
            monkeypatch.setenv(f"{name}_AWS_REGION", REGION)

    def setenv(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)

    def on(self, aws: MotoAws) -> Console:
        for service in ("SQS", "DYNAMODB"):
            self._monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", aws.endpoint)
        return self

    def run(self, *arguments: str) -> Ran:
        lines = "\n".join(f"{name} = {value}" for name, value in self.options.items())
        config = self._folder / "config.ini"
        config.write_text(f"[Basic]\n{lines}\n")
        self._capsys.readouterr()
        code = cli.main([*arguments, "--config", str(config)])
        printed = self._capsys.readouterr()
        return Ran(code, printed.out, printed.err)


class SqsLook:
    """Queues as boto3 sees them."""

    def __init__(self, aws: MotoAws) -> None:
        self.sqs = aws.sqs

    def name(self) -> str:
        return f"q{uuid4().hex[:16]}"

    def make(self, name: str, **attributes: str) -> str:
        url: str = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def pair(self, *, max_receive_count: int = 12) -> tuple[str, str]:
        """A queue with a dead-letter queue; its name and the other's."""
        name = self.name()
        self.make(f"{name}-dead")
        redrive = {
            "deadLetterTargetArn": self.attributes(f"{name}-dead")["QueueArn"],
            "maxReceiveCount": max_receive_count,
        }
        self.make(name, RedrivePolicy=json.dumps(redrive))
        return name, f"{name}-dead"

    def url(self, name: str) -> str:
        url: str = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        return url

    def attributes(self, name: str) -> dict[str, str]:
        reply = self.sqs.get_queue_attributes(QueueUrl=self.url(name), AttributeNames=["All"])
        found: dict[str, str] = reply["Attributes"]
        return found

    def exists(self, name: str) -> bool:
        return any(
            url.endswith(f"/{name}")
            for url in self.sqs.list_queues(QueueNamePrefix=name).get("QueueUrls", ())
        )

    def send(self, name: str, *bodies: str, **told: str) -> None:
        attributes = {
            key: {"DataType": "String", "StringValue": value} for key, value in told.items()
        }
        entries = [
            {"Id": str(n), "MessageBody": body, "MessageAttributes": attributes}
            for n, body in enumerate(bodies)
        ]
        for at in range(0, len(entries), 10):
            self.sqs.send_message_batch(QueueUrl=self.url(name), Entries=entries[at : at + 10])

    def visible(self, name: str) -> int:
        return int(self.attributes(name)["ApproximateNumberOfMessages"])

    def in_flight(self, name: str) -> int:
        return int(self.attributes(name)["ApproximateNumberOfMessagesNotVisible"])

    def take(self, name: str, *, lease: int = 300) -> list[dict[str, Any]]:
        """All visible messages, received."""
        found: list[dict[str, Any]] = []
        while True:
            reply = self.sqs.receive_message(
                QueueUrl=self.url(name),
                MaxNumberOfMessages=10,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
                VisibilityTimeout=lease,
            )
            if not reply.get("Messages"):
                return found
            found += reply["Messages"]

    def bodies(self, name: str) -> list[str]:
        return sorted(message["Body"] for message in self.take(name))


def job(key: str, bucket: str = "src", size: int = 1) -> str:
    fields: Mapping[str, object] = {
        "Src_bucket": bucket,
        "Src_key": key,
        "Des_bucket": "dst",
        "Des_key": key,
        "Size": size,
        "versionId": "null",
    }
    return json.dumps(fields)


def jobs(keys: Sequence[str], bucket: str = "src") -> list[str]:
    return [job(key, bucket) for key in keys]
