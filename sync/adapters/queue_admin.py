"""Making, describing and emptying queues: the calls to SQS that a worker never makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sync.adapters.aws_errors import MALFORMED, Service, malformed
from sync.adapters.aws_json import JsonApi
from sync.adapters.sqs_lookup import queue_url
from sync.errors import NoSuchBucket, StoreError, Throttled
from sync.json_text import loads

SQS: Final = Service(
    name="sqs",
    prefix="AmazonSQS",
    title="SQS",
    mend_missing="make it with 3gsync queue init, or check its name, the region and the account",
)
_ALREADY_PURGED: Final = "PurgeQueueInProgress"


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue as SQS describes it. ``attributes`` are SQS's own names and texts."""

    url: str
    attributes: Mapping[str, str]

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.url.rpartition("/")[2]

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return self.attributes.get("QueueArn", "")

    @property
    def dead_letter_arn(self) -> str:
        """ARN of the queue that the redrive policy names, or ""."""
        return str(self._redrive.get("deadLetterTargetArn", ""))

    @property
    def max_receive_count(self) -> int:
        """After how many receipts SQS moves a message away itself; 0 for never."""
        return _whole(self._redrive.get("maxReceiveCount", 0))

    @property
    def visible(self) -> int:
        """About how many messages can be received now."""
        return self._count("ApproximateNumberOfMessages")

    @property
    def in_flight(self) -> int:
        """About how many messages somebody holds."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    @property
    def delayed(self) -> int:
        """About how many messages wait for their delay to pass."""
        return self._count("ApproximateNumberOfMessagesDelayed")

    @property
    def _redrive(self) -> Mapping[str, Any]:
        try:
            policy = loads(self.attributes.get("RedrivePolicy") or "{}")
        except ValueError:
            raise malformed("SQS GetQueueAttributes") from None
        return policy if isinstance(policy, dict) else {}

    def _count(self, name: str) -> int:
        return _whole(self.attributes.get(name, 0))


class QueueAdmin:
    """Queues of one account and region."""

    def __init__(self, api: JsonApi) -> None:
        self._api = api

    @property
    def region(self) -> str:
        """The region whose queues these are."""
        return self._api.region

    async def look(self, name: str) -> QueueState | None:
        """The queue with that name, URL or ARN, or None where there is none."""
        try:
            return await self.state(await queue_url(self._api, name))
        except NoSuchBucket:
            return None

    async def state(self, url: str) -> QueueState:
        """The queue at that URL. NoSuchBucket where there is none."""
        asked = {"QueueUrl": url, "AttributeNames": ["All"]}
        reply = await self._api.call("GetQueueAttributes", asked)
        values = reply.get("Attributes") or {}
        if not isinstance(values, dict):
            raise malformed("SQS GetQueueAttributes")
        return QueueState(url, {str(name): str(value) for name, value in values.items()})

    async def create(self, name: str, attributes: Mapping[str, str]) -> QueueState:
        """Make a queue. A second call with the same attributes changes nothing."""
        asked = {"QueueName": name, "Attributes": dict(attributes)}
        reply = await self._api.call("CreateQueue", asked)
        if not reply.get("QueueUrl"):
            raise malformed("SQS CreateQueue")
        return await self.state(str(reply["QueueUrl"]))

    async def change(self, state: QueueState, attributes: Mapping[str, str]) -> None:
        """Set attributes; SQS takes up to a minute until all of it knows them."""
        asked = {"QueueUrl": state.url, "Attributes": dict(attributes)}
        await self._api.call("SetQueueAttributes", asked)

    async def purge(self, state: QueueState) -> None:
        """Delete every message. Throttled, with what to do, within 60 s of the last time."""
        try:
            await self._api.call("PurgeQueue", {"QueueUrl": state.url})
        except StoreError as error:
            if not error.code.endswith(_ALREADY_PURGED):
                raise
            raise Throttled(
                f"{state.name} was purged less than 60 seconds ago, and SQS allows it once in "
                "60 seconds: wait a minute and do it again if messages are left",
                operation=error.operation,
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from error


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except MALFORMED:
        raise malformed("SQS GetQueueAttributes") from None
