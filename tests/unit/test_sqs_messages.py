from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.sqs_messages import (
    delivery_of,
    failure_attributes,
    group_by_size,
    legal_text,
    md5_hex,
)
from sync.ports import Delivery

ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates too


def _size(attributes: dict[str, dict[str, str]]) -> int:
    return sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"].encode())
        for name, value in attributes.items()
    )


def test_a_message_becomes_a_delivery() -> None:
    delivery = delivery_of(
        {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "b",
            "Attributes": {
                "ApproximateReceiveCount": "3",
                "SentTimestamp": "1800000000123",
                "MessageGroupId": "g",
            },
            "MessageAttributes": {
                "who": {"DataType": "String", "StringValue": "me"},
                "raw": {"DataType": "Binary", "BinaryValue": "AAAA"},
            },
        }
    )
    assert delivery == Delivery("m", "r", "b", 3, 1800000000.123, "g", (("who", "me"),))


@given(ANY_TEXT)
def test_legal_text_is_legal_xml_and_leaves_legal_text_alone(text: str) -> None:
    cleaned = legal_text(text)
    assert len(cleaned) == len(text)
    assert legal_text(cleaned) == cleaned
    for before, after in zip(text, cleaned, strict=True):
        low = before in "\t\n\r" or "\x20" <= before <= "\ud7ff"
        allowed = low or "\ue000" <= before <= "\ufffd" or before >= "\U00010000"
        assert after == (before if allowed else "\ufffd")


@given(ANY_TEXT, ANY_TEXT, st.integers(0, 1500), st.text(max_size=50))
def test_failure_attributes_fit_and_are_never_empty(
    reason: str, code: str, room: int, body: str
) -> None:
    delivery = Delivery("id", "r", body, attributes=tuple((f"a{n}", "x" * n) for n in range(1, 9)))
    size = len(body.encode()) + room
    attributes = failure_attributes(delivery, reason=reason, code=code, failed_at=0, size=size)
    assert len(attributes) <= 10
    assert _size(attributes) <= room
    assert all(value["StringValue"] for value in attributes.values())


def test_failure_attributes_say_why_and_keep_the_senders() -> None:
    delivery = Delivery("id", "r", "b", attempt=4, attributes=(("who", "me"), ("code", "old")))
    attributes = failure_attributes(
        delivery, reason="x\x00" * 900, code="KeyNotAllowed", failed_at=0, size=262_144
    )
    texts = {name: value["StringValue"] for name, value in attributes.items()}
    reason = texts.pop("reason")
    assert len(reason) == 1000
    assert reason.replace("…", "\ufffd") == "x\ufffd" * 500
    assert texts == {
        "code": "KeyNotAllowed",
        "original_message_id": "id",
        "receive_count": "4",
        "failed_at": "1970-01-01T00:00:00+00:00",
        "who": "me",
    }


def test_the_reason_is_cut_to_the_room_beside_a_large_body() -> None:
    delivery = Delivery("id", "r", "b" * 1000)
    attributes = failure_attributes(delivery, reason="ü" * 800, code="C", failed_at=0, size=1100)
    assert "code" in attributes
    assert 0 < len(attributes["reason"]["StringValue"]) < 100


@given(st.lists(st.text(min_size=1, max_size=30), max_size=40), st.integers(1, 10))
def test_batches_hold_everything_in_order_and_stay_within_bounds(
    bodies: list[str], count: int
) -> None:
    batches = list(group_by_size(bodies, count=count, size=130))
    assert [body for batch in batches for body in batch] == bodies
    assert all(len(batch) <= count for batch in batches)
    assert all(sum(len(b.encode()) for b in batch) <= 130 for batch in batches)


def test_md5_is_that_of_the_utf8_bytes() -> None:
    assert md5_hex("hello") == "5d41402abc4b2a76b9719d911017c592"
