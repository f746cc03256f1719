"""Bodies nobody should send, and keys that nobody should have."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.errors import MessageError
from sync.messages import Decoded, DestinationRule, decode, encode_batch, encode_job
from sync.model import JobKind, ObjectRef, TransferJob

RULE = DestinationRule("dest", "in")
_AWKWARD = ["+", "%2B", "%", "%zz", " ", "//", "/", "./", "../", "中", "😀", "a", "é", "\x01", "&="]
KEYS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.lists(st.sampled_from(_AWKWARD), min_size=1, max_size=12).map("".join),
)
VERSIONS = st.none() | st.text(alphabet="abc.-_0", min_size=1, max_size=32)
SIZES = st.none() | st.integers(0, 5 * 2**40)


def one(body: object) -> TransferJob:
    text = json.dumps(body)
    (job,) = decode(text, RULE).jobs
    return job


def records(described: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": "b"}, "object": described}}]}


@settings(max_examples=300, deadline=None)
@given(KEYS, VERSIONS)
def test_keys_survive_every_event_shape(key: str, version: str | None) -> None:
    expected = ObjectRef("b", key, version)
    notified = records({"key": quote_plus(key), "versionId": version})
    slashes_kept = records({"key": quote_plus(key, safe="/"), "versionId": version})
    named = {"detail-type": "Object Created", "source": "aws.s3"}
    bridged = named | {
        "detail": {"bucket": {"name": "b"}, "object": {"key": key, "version-id": version}}
    }
    inner = {"Bucket": {"Name": "b"}, "Object": {"Key": key, "VersionId": version}}
    for body in (notified, slashes_kept, bridged, {"Records": [{"S3": inner}], "Event": ""}):
        job = one(body)
        assert job.source == expected
        assert job.destination == ObjectRef("dest", f"in/{key}")


@settings(max_examples=300, deadline=None)
@given(KEYS, KEYS, SIZES, VERSIONS)
def test_jobs_survive_the_job_body_and_the_batch(
    key: str, target: str, size: int | None, version: str | None
) -> None:
    job = TransferJob(JobKind.COPY, ObjectRef("b", key, version), ObjectRef("d", target), size=size)
    for text in (encode_job(job), encode_batch([job])):
        assert text.isascii()
        (back,) = decode(text, RULE).jobs
        assert (back.source, back.destination, back.size) == (job.source, job.destination, size)


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_a_batch_of_an_older_sender_is_read(key: str) -> None:
    entry = {"source_key": quote(key, safe="/"), "target_key": quote(key, safe="")}
    job = one({"source_bucket": "b", "target_bucket": "d", "keys": [entry]})
    assert (job.source.key, job.destination.key) == (key, key)


_NAMES = [
    "Records", "s3", "S3", "bucket", "object", "name", "key", "size", "Event", "eventName",
    "Type", "Message", "detail-type", "detail", "source", "Src_bucket", "Src_key", "Des_key",
    "Des_bucket", "Size", "versionId", "keys", "source_bucket", "target_bucket", "source_key",
    "eventVersion", "eventTime", "sequencer", "eTag", "time",
]  # fmt: skip
_VALUES = st.sampled_from(
    ["", "b", "k", "s3:TestEvent", "Notification", "Object Created", "ObjectCreated:Put",
     "2.1", "null", "%ff", "\ud800", "9999-99-99", "0001-01-01T00:00:00+23:59", "{}"]
)  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _VALUES | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)  # fmt: skip


def decode_or_refuse(body: str) -> Decoded | None:
    """What decode says; anything raised but MessageError fails the test."""
    try:
        return decode(body, RULE)
    except MessageError as error:
        reason = str(error)
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 600
    return None


@settings(max_examples=600, deadline=None)
@given(_JSON)
def test_no_json_raises_anything_but_a_message_error(value: object) -> None:
    decode_or_refuse(json.dumps(value))


@settings(max_examples=500, deadline=None)
@given(st.text() | st.text(alphabet='{}[]":,0123456789eE+-.\\untrelfasRcod s'))
def test_no_text_raises_anything_but_a_message_error(text: str) -> None:
    decode_or_refuse(text)


def _mutated(data: st.DataObject, value: Any) -> Any:
    """The value with one of its inner values replaced by any other."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        return value | {name: _mutated(data, value[name])}
    if isinstance(value, list) and value:
        return [_mutated(data, value[0]), *value[1:]]
    return data.draw(_JSON)


_WHOLE: list[dict[str, Any]] = [
    {"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "eventTime": "x",
                  "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "size": 1}}}]},
    {"detail-type": "Object Created", "source": "aws.s3", "time": "",
     "detail": {"bucket": {"name": "b"}, "object": {"key": "k", "etag": "e"}}},
    {"Src_bucket": "b", "Src_key": "k", "Des_bucket": "d", "Des_key": "k", "Size": 1},
    {"source_bucket": "b", "target_bucket": "d", "keys": [{"source_key": "k", "target_key": "k"}]},
    {"Type": "Notification", "Message": '{"Event":"s3:TestEvent"}'},
]  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.data(), st.sampled_from(_WHOLE))
def test_no_spoilt_message_raises_anything_else(data: st.DataObject, whole: dict[str, Any]) -> None:
    decoded = decode_or_refuse(json.dumps(_mutated(data, whole)))
    for job in decoded.jobs if decoded else ():
        assert job.source.bucket
        job.source.key.encode()
        job.destination.key.encode()
        assert job.size is None or job.size >= 0


def with_object(text: str) -> str:
    return '{"Records":[{"s3":{"bucket":{"name":"b"},"object":' + text + "}}]}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON"),
        ("nonsense", "not JSON"),
        ("[]", "JSON object is expected"),
        ('"text"', "JSON object is expected"),
        ("null", "JSON object is expected"),
        ("{}", "expected an S3 event"),
        ('{"hello":1}', "expected an S3 event.*hello"),
        ('{"Records":[]}', "Records must be an array of at least one"),
        ('{"Records":{}}', "Records must be an array"),
        ('{"Records":[1]}', r"Records\[0\]: a JSON object"),
        ('{"Records":[{"dynamodb":{}}]}', r"Records\[0\]: no 's3'.*dynamodb"),
        ('{"Records":[{"s3":{}}]}', r"Records\[0\]: bucket must be"),
        (with_object('{"key":1}'), "key must be a text"),
        (with_object('{"key":""}'), "key must be a text"),
        (with_object("{}"), "key must be a text"),
        (with_object('{"key":"\\ud800"}'), "not valid Unicode"),
        (with_object('{"key":"%ff"}'), "not URL-encoded UTF-8"),
        (with_object('{"key":"%ed%a0%80"}'), "not URL-encoded UTF-8"),
        (with_object('{"key":"k","size":NaN}'), "NaN"),
        (with_object('{"key":"k","size":-Infinity}'), "Infinity"),
        (with_object('{"key":"k","size":-1}'), "whole number"),
        (with_object('{"key":"k","size":1.5}'), "whole number"),
        (with_object('{"key":"k","size":1e999}'), "whole number"),
        (with_object('{"key":"k","size":true}'), "whole number"),
        (with_object('{"key":"k","size":"12x"}'), "whole number"),
        (with_object('{"key":"k","size":"\\u0665"}'), "whole number"),
        (with_object('{"key":"k","size":9223372036854775808}'), "whole number"),
        (with_object('{"key":"k","size":%s}' % ("9" * 5000)), "out of range"),
        (with_object('{"key":"k","versionId":5}'), "versionId must be a text"),
        (with_object('{"key":"a","key":"b"}'), "'key' occurs twice"),
        ('{"Records":[{"s3":{"bucket":{"name":"e.com/x?"}}}]}', "not a bucket name"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        (" " * (4 * 1024 * 1024 + 1), "characters"),
        ('{"Src_bucket":"b"}', "Src_key must be"),
        ('{"Src_bucket":"b","Src_key":"k","Des_bucket":"d"}', "Des_key must be"),
        ('{"keys":[{}]}', "source_bucket must be"),
        ('{"source_bucket":"b","target_bucket":"d","keys":[]}', "keys must be an array"),
        ('{"source_bucket":"b","target_bucket":"d","keys":[{}]}', r"keys\[0\]: source_key"),
        ('{"source_bucket":"b","target_bucket":"d","keys":[3]}', r"keys\[0\]: a JSON object"),
        ('{"Type":"Notification","Message":"nonsense"}', "not JSON"),
        ('{"Type":"Notification","Message":5}', "Message must be a text"),
        ('{"Type":["Notification"],"Message":"x"}', "expected an S3 event"),
    ],
)
def test_the_reason_is_clear(body: str, reason: str) -> None:
    with pytest.raises(MessageError, match=reason) as caught:
        decode(body, RULE)
    assert len(str(caught.value)) < 600


def test_one_bad_record_makes_the_message_bad_and_is_named() -> None:
    good = {"s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}
    bad = {"s3": {"bucket": {"name": "b"}, "object": {"key": 0}}}
    with pytest.raises(MessageError, match=r"Records\[2\]: key"):
        decode(json.dumps({"Records": [good, good, bad]}), RULE)


@pytest.mark.parametrize("value", ['"a\\r\\nX: y"', '"\\u4e2d"', "7", "null", '""', "[]"])
def test_hints_that_could_harm_a_header_are_dropped(value: str) -> None:
    text = f'{{"key":"k","eTag":{value},"sequencer":{value}}}'
    (job,) = decode(with_object(text), RULE).jobs
    assert (job.etag, job.sequencer) == (None, "")


def test_an_etag_loses_its_quotes() -> None:
    (job,) = decode(with_object('{"key":"k","eTag":"\\"abc-2\\""}'), RULE).jobs
    assert job.etag == "abc-2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:10.500Z", 10.5),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01T00:00:10", 10.0),
        ("The time, in ISO-8601 format", None),
        ("9999-12-31T23:59:59-23:59", 253402387139.0),
        ("", None),
    ],
)
def test_the_event_time_is_a_hint(text: str, expected: float | None) -> None:
    record = {"eventTime": text, "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}
    assert one({"Records": [record]}).event_time == expected
