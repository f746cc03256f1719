"""SQS as a JobQueue. Checks every body's MD5, every batch entry's result."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Self
from uuid import uuid4

from sync.adapters.aws_errors import MALFORMED, Service, malformed
from sync.adapters.aws_json import HttpClient, JsonApi, Retries
from sync.adapters.sqs_lookup import QueueFacts, dead_letter_url, queue_facts, queue_url
from sync.adapters.sqs_messages import (
    delivery_of,
    failure_attributes,
    group_by_size,
    md5_hex,
)
from sync.errors import IntegrityError, MessageError, TransientStoreError
from sync.ports import Clock, CredentialProvider, Delivery
from sync.wire.request import Timeouts

_LOG: Final = logging.getLogger(__name__)
_BATCH: Final = 10
_LONGEST_WAIT: Final = 20
_LONGEST_LEASE: Final = 12 * 3600
_DAMAGED_AGAIN_AFTER: Final = 30
_SYSTEM_ATTRIBUTES: Final = ("ApproximateReceiveCount", "SentTimestamp", "MessageGroupId")
_SQS: Final = Service(
    name="sqs",
    prefix="AmazonSQS",
    title="SQS",
    mend_missing="check sqs_queue_name, the region and the account",
)

Entry = dict[str, Any]


class SqsQueue:
    """A queue in SQS, standard or FIFO. Make one with ``open``."""

    def __init__(self, *, api: JsonApi, facts: QueueFacts, dead_letter: str) -> None:
        self.facts = facts
        self._api = api
        self._dead_letter = dead_letter
        self._receiving: Entry = {
            "QueueUrl": facts.url,
            "MessageSystemAttributeNames": _SYSTEM_ATTRIBUTES,
            "MessageAttributeNames": ("All",),
        }

    @classmethod
    async def open(
        cls,
        *,
        name_or_url: str,
        client: HttpClient,
        credentials: CredentialProvider,
        endpoint: str,
        region: str,
        clock: Clock,
        dead_letter: str = "",
        retries: Retries | None = None,
    ) -> Self:
        """Look the queue up. ``dead_letter`` is a name, URL or ARN; "" takes the one in the
        queue's RedrivePolicy, if there is one. NoSuchBucket where a queue is missing.

        All requests go to ``endpoint``: the protocol carries the queue's URL in the body, and
        a URL's own host need not be reachable from here.
        """
        api = JsonApi(
            service=_SQS,
            client=client,
            credentials=credentials,
            endpoint=endpoint,
            region=region,
            clock=clock,
            retries=retries,
        )
        facts = await queue_facts(api, await queue_url(api, name_or_url))
        return cls(api=api, facts=facts, dead_letter=await dead_letter_url(api, dead_letter, facts))

    @property
    def url(self) -> str:
        """The queue's URL."""
        return self.facts.url

    @property
    def dead_letter_queue(self) -> str:
        """The dead-letter queue's URL, or "" where there is none."""
        return self._dead_letter

    async def receive(self, limit: int, *, wait: float, lease: float) -> list[Delivery]:
        """Take up to ``limit`` (at most 10) messages, waiting up to ``wait`` (at most 20) s.

        A message whose body does not match its MD5 is not handed out but given back.
        Cancelled, or with its reply lost, it may leave messages invisible for ``lease``.
        """
        seconds = _whole(wait, _LONGEST_WAIT)
        request: Entry = {
            **self._receiving,
            "MaxNumberOfMessages": max(1, min(limit, _BATCH)),
            "WaitTimeSeconds": seconds,
            "VisibilityTimeout": _whole(lease, _LONGEST_LEASE),
        }
        if self.facts.fifo:
            # With it a repeated call gets the messages of a reply that was lost.
            request["ReceiveRequestAttemptId"] = uuid4().hex
        patience = Timeouts(first_byte=seconds + 20.0, whole=seconds + 60.0)
        reply = await self._api.call("ReceiveMessage", request, timeouts=patience)
        messages = reply.get("Messages") or []
        if not isinstance(messages, list):
            raise malformed("SQS ReceiveMessage")
        return await self._intact(messages)

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Delete messages; returns those that could not be deleted."""
        return await self._each("DeleteMessageBatch", deliveries, {})

    async def extend(self, deliveries: Sequence[Delivery], lease: float) -> list[Delivery]:
        """Hold messages ``lease`` seconds from now (0 gives them back); returns the failed."""
        timeout = {"VisibilityTimeout": _whole(lease, _LONGEST_LEASE)}
        return await self._each("ChangeMessageVisibilityBatch", deliveries, timeout)

    async def dead_letter(self, delivery: Delivery, reason: str, code: str) -> bool:
        """Copy the message to the dead-letter queue, why it failed in message attributes:
        ``code``, ``reason``, ``original_message_id``, ``receive_count``, ``failed_at``.

        True once SQS has answered with the body's own MD5; IntegrityError where it never
        does. False where no dead-letter queue is configured.
        """
        if not self._dead_letter:
            return False
        request = self._dead_letter_request(delivery, reason, code)
        for failures in range(1, self._api.retries.attempts + 1):
            reply = await self._api.call("SendMessage", request)
            if reply.get("MD5OfMessageBody") == md5_hex(delivery.body):
                return True
            await self._api.pause(failures)
        raise IntegrityError("SQS SendMessage: the MD5 in the reply is not that of the message")

    @property
    def max_message_size(self) -> int:
        """What the queue's settings allow one message, in bytes."""
        return self.facts.max_message_size

    async def send(self, bodies: Iterable[str], *, group: str = "") -> list[str]:
        """Send messages in batches that fit; returns the bodies that could not be sent.

        MessageError, before anything is sent, where one is above the queue's message size.
        ``group`` is for a FIFO queue; by default each message is a group of its own.
        """
        todo = list(bodies)
        self._refuse_oversize(todo)
        unsent: list[str] = []
        for batch in group_by_size(todo, count=_BATCH, size=self.facts.max_message_size):
            entries = [self._message(body, group) for body in batch]
            left = await self._batch("SendMessageBatch", self.url, entries)
            unsent += [batch[index] for index in left]
        return unsent

    async def depth(self) -> int:
        """About how many messages wait (visible ones, and delayed ones)."""
        return await self._count(
            "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"
        )

    async def outstanding(self) -> int:
        """About how many messages there are in all, leased ones too, seen at one moment."""
        return await self._count(
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        )

    async def _count(self, *names: str) -> int:
        reply = await self._api.call(
            "GetQueueAttributes", {"QueueUrl": self.url, "AttributeNames": list(names)}
        )
        try:
            values = reply.get("Attributes") or {}
            return sum(int(values.get(name, 0)) for name in names)
        except MALFORMED:
            raise malformed("SQS GetQueueAttributes") from None

    async def _intact(self, messages: Iterable[Mapping[str, Any]]) -> list[Delivery]:
        good: list[Delivery] = []
        damaged: list[Delivery] = []
        for message in messages:
            try:
                delivery = delivery_of(message)
            except TransientStoreError as error:
                _LOG.warning("%s", error)
                continue
            told = message.get("MD5OfBody")
            if told is None or told == md5_hex(delivery.body):
                good.append(delivery)
            else:
                damaged.append(delivery)
        if damaged:
            _LOG.warning("SQS: %d message(s) did not match their MD5, given back", len(damaged))
            await self.extend(damaged, _DAMAGED_AGAIN_AFTER)
        return good

    async def _each(
        self, operation: str, deliveries: Sequence[Delivery], extra: Entry
    ) -> list[Delivery]:
        failed: list[Delivery] = []
        for start in range(0, len(deliveries), _BATCH):
            batch = deliveries[start : start + _BATCH]
            entries = [{"ReceiptHandle": one.receipt, **extra} for one in batch]
            left = await self._batch(operation, self.url, entries)
            failed += [batch[index] for index in left]
        return failed

    async def _batch(self, operation: str, url: str, entries: Sequence[Entry]) -> list[int]:
        """Indexes of the entries that did not come through, after retries."""
        refused: list[int] = []
        left = list(range(len(entries)))
        for failures in range(1, self._api.retries.attempts + 1):
            asked = [{"Id": str(index), **entries[index]} for index in left]
            try:
                reply = await self._api.call(operation, {"QueueUrl": url, "Entries": asked})
                final, settled = _judged(operation, reply, entries)
            except TransientStoreError as error:
                _LOG.warning("%s", error)
                break
            if final:
                refused += [index for index in left if index in final]
                settled |= final
            left = [index for index in left if index not in settled]
            if not left:
                break
            if failures < self._api.retries.attempts:
                await self._api.pause(failures)
        return sorted(refused + left)

    def _message(self, body: str, group: str) -> Entry:
        if not self.facts.fifo:
            return {"MessageBody": body}
        # Unique for each send, equal for its retries: a job sent again later must not vanish.
        unique = uuid4().hex
        return {
            "MessageBody": body,
            "MessageGroupId": group or unique,
            "MessageDeduplicationId": unique,
        }

    def _refuse_oversize(self, bodies: Iterable[str]) -> None:
        limit = self.facts.max_message_size
        for body in bodies:
            size = len(body.encode("utf-8", "surrogatepass"))
            if size > limit:
                raise MessageError(
                    f"a message of {size} bytes is above the queue's {limit}: "
                    "put fewer keys in one message or raise MaximumMessageSize"
                )

    def _dead_letter_request(self, delivery: Delivery, reason: str, code: str) -> Entry:
        request: Entry = {
            "QueueUrl": self._dead_letter,
            "MessageBody": delivery.body,
            "MessageAttributes": failure_attributes(
                delivery,
                reason=reason,
                code=code,
                failed_at=self._api.clock.time(),
                size=self.facts.max_message_size,
            ),
        }
        if self._dead_letter.endswith(".fifo"):
            request["MessageGroupId"] = delivery.group or delivery.message_id
            request["MessageDeduplicationId"] = delivery.message_id
        return request


def _judged(
    operation: str, reply: Mapping[str, Any], entries: Sequence[Entry]
) -> tuple[set[int], set[int]]:
    """Indexes of the entries that SQS refuses for good, and of those that it has taken."""
    try:
        return _refused(operation, reply), _done(reply, entries)
    except MALFORMED:
        raise malformed(f"SQS {operation}") from None


def _refused(operation: str, reply: Mapping[str, Any]) -> set[int]:
    failed = reply.get("Failed")
    if not failed:
        return set()
    entries = [entry for entry in failed if entry.get("SenderFault")]
    for entry in entries:
        _LOG.warning("SQS %s: %s %s", operation, entry.get("Code"), entry.get("Message", ""))
    return {int(entry["Id"]) for entry in entries}


def _done(reply: Mapping[str, Any], entries: Sequence[Entry]) -> set[int]:
    done: set[int] = set()
    for answered in reply.get("Successful") or ():
        index = int(answered["Id"])
        body = entries[index].get("MessageBody")
        if body is None or answered.get("MD5OfMessageBody") == md5_hex(body):
            done.add(index)
    return done


def _whole(seconds: float, most: int) -> int:
    return max(0, min(math.ceil(seconds), most))
