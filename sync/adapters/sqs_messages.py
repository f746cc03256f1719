"""SQS messages: reading them, and dressing them for the dead-letter queue. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sync.adapters.aws_errors import MALFORMED, malformed
from sync.errors import TransientStoreError, shortened
from sync.ports import Delivery

_REASON_LENGTH: Final = 1_000
_MOST_ATTRIBUTES: Final = 10
_WORTH_KEEPING: Final = 16
# https://www.w3.org/TR/REC-xml/#charsets: SQS stores nothing else.
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Attributes = dict[str, dict[str, str]]


def md5_hex(body: str) -> str:
    """MD5 of a message body as SQS states it."""
    data = body.encode() if body.isascii() else body.encode("utf-8", "surrogatepass")
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def legal_text(text: str) -> str:
    """The text with every character that SQS refuses replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def delivery_of(message: Mapping[str, Any]) -> Delivery:
    """A message of ReceiveMessage's reply; TransientStoreError where it lacks a field, or has
    one that is not as documented.
    """
    try:
        system = message.get("Attributes") or {}
        attributes = message.get("MessageAttributes")
        return Delivery(
            str(message["MessageId"]),
            str(message["ReceiptHandle"]),
            str(message["Body"]),
            int(system.get("ApproximateReceiveCount", 1)),
            int(system.get("SentTimestamp", 0)) / 1000,
            str(system.get("MessageGroupId", "")),
            tuple(_texts(attributes)) if attributes else (),
        )
    except KeyError as error:
        raise TransientStoreError(f"SQS ReceiveMessage: a message without {error}") from None
    except MALFORMED:
        raise malformed("SQS ReceiveMessage") from None


def failure_attributes(
    delivery: Delivery, *, reason: str, code: str, failed_at: float, size: int
) -> Attributes:
    """Message attributes that tell why a message failed, then the sender's own.

    At most ten, and no more than fit beside the body into ``size`` bytes: SQS counts names,
    types and values as part of the message. The reason is cut to what room there is; a long one
    in its middle, since it begins with the key, of up to 1,024 bytes.
    """
    wanted = [
        ("code", "String", legal_text(code) or "unknown"),
        ("reason", "String", shortened(legal_text(reason), _REASON_LENGTH) or "unknown"),
        ("original_message_id", "String", delivery.message_id),
        ("receive_count", "Number", str(delivery.attempt)),
        ("failed_at", "String", datetime.fromtimestamp(failed_at, UTC).isoformat("T", "seconds")),
    ]
    names = {name for name, _, _ in wanted}
    wanted += [(name, "String", text) for name, text in delivery.attributes if name not in names]
    return _fitting(wanted[:_MOST_ATTRIBUTES], size - _bytes(delivery.body))


def group_by_size(bodies: Sequence[str], *, count: int, size: int) -> Iterator[list[str]]:
    """Cut into runs of at most ``count`` messages and ``size`` bytes, in order."""
    batch: list[str] = []
    total = 0
    for body in bodies:
        length = _bytes(body)
        if batch and (len(batch) == count or total + length > size):
            yield batch
            batch, total = [], 0
        batch.append(body)
        total += length
    if batch:
        yield batch


def _texts(attributes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, value in attributes.items():
        text = value.get("StringValue")
        if text:
            yield name, str(text)


def _fitting(wanted: Iterable[tuple[str, str, str]], room: int) -> Attributes:
    chosen: Attributes = {}
    for name, kind, text in wanted:
        left = room - _bytes(name) - len(kind)
        value = _cut(text, left) if name == "reason" and left >= _WORTH_KEEPING else text
        if _bytes(value) <= left:
            chosen[name] = {"DataType": kind, "StringValue": value}
            room = left - _bytes(value)
    return chosen


def _cut(text: str, length: int) -> str:
    return text.encode("utf-8")[:length].decode("utf-8", "ignore")


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
