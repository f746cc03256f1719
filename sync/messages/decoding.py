"""Which shape a body has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sync.errors import MessageError
from sync.messages import bodies, events, fields
from sync.messages.fields import Json, shown
from sync.messages.records import Decoded, DestinationRule, Note, Record
from sync.model import TransferJob

# A topic that feeds a topic, and EventBridge before it; more is no one's set-up.
_MAX_ENVELOPES: Final = 4


def decode(body: str, rule: DestinationRule) -> Decoded:
    """All jobs and notes of a message body. MessageError, and nothing else, where it is not
    understood as a whole: one bad record makes the message a bad one, named by its index.

    ``rule`` says where objects go whose message names no destination. Key decoding, by
    shape: S3 notifications and inventories are form-encoded, batches percent-encoded, all
    others raw. A version id of '' or 'null' means not known.
    """
    records = decode_records(body, rule)
    jobs = tuple([record for record in records if isinstance(record, TransferJob)])
    if len(jobs) == len(records):
        return Decoded(jobs)
    return Decoded(jobs, tuple([record for record in records if isinstance(record, Note)]))


def decode_records(body: str, rule: DestinationRule) -> tuple[Record, ...]:
    """As ``decode``, with jobs and notes in the order of the body."""
    for _ in range(_MAX_ENVELOPES):
        parsed = fields.parse(body)
        if not isinstance(parsed, dict):
            raise MessageError(f"a JSON object is expected, not {shown(parsed)}")
        if "Type" not in parsed or not _is_envelope(parsed):
            return tuple(_records(parsed, rule))
        body = fields.text(parsed, "Message")
    raise MessageError(f"more than {_MAX_ENVELOPES - 1} SNS envelopes around each other")


def _is_envelope(body: Json) -> bool:
    kind = body.get("Type")
    if kind in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        raise MessageError(f"an SNS {kind}; only notifications are expected in the queue")
    return kind == "Notification" and "Message" in body


def _records(body: Json, rule: DestinationRule) -> Iterable[Record]:
    if body.get("Event") == events.TEST_EVENT and not body.get("Records"):
        return (events.test_event(),)
    if "Records" in body:
        return events.notification(body, rule)
    if "detail-type" in body:
        return (events.event_bridge(body, rule),)
    if "Src_bucket" in body or "Src_key" in body:
        return (bodies.decode_job(body),)
    if "source_bucket" in body or "keys" in body:
        return bodies.decode_batch(body)
    raise MessageError(
        "expected an S3 event (Records), an EventBridge event (detail-type), an SNS notification"
        " (Type, Message), a job (Src_bucket, Src_key, ...) or a batch (source_bucket, keys);"
        f" found the names {shown(sorted(body))}"
    )
