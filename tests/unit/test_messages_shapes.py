"""Each shape of message, as its sender writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync.errors import MessageError
from sync.messages import (
    Decoded,
    DestinationRule,
    NoteKind,
    decode,
    decode_records,
    destination_key,
    encode_batch,
    encode_job,
)
from sync.model import JobKind, ObjectRef, TransferJob

RULE = DestinationRule("dest", "in/")


def record(name: str | None = "ObjectCreated:Put", **changes: Any) -> dict[str, Any]:
    """A record as S3 writes it; ``changes`` go to its object, None removes a field."""
    described = {
        "key": "a+b%2Bc%2F%E4%B8%AD.txt",
        "size": 12,
        "eTag": "abc",
        "versionId": "v1",
        "sequencer": "0055AED6DCD90281E5",
    }
    described = {k: v for k, v in (described | changes).items() if v is not None}
    whole = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "1970-01-01T00:01:00.000Z",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "src"}, "object": described},
    }
    return whole if name is None else whole | {"eventName": name}


def event(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": list(records)})


def only(body: str) -> TransferJob:
    decoded = decode(body, RULE)
    assert decoded.notes == ()
    (job,) = decoded.jobs
    return job


def test_an_s3_event() -> None:
    assert only(event(record())) == TransferJob(
        kind=JobKind.COPY,
        source=ObjectRef("src", "a b+c/中.txt", "v1"),
        destination=ObjectRef("dest", "in/a b+c/中.txt"),
        size=12,
        etag="abc",
        event_time=60.0,
        sequencer="0055AED6DCD90281E5",
        event_name="ObjectCreated:Put",
    )


def test_all_that_is_optional_may_be_missing() -> None:
    bare = {"Records": [{"s3": {"bucket": {"name": "src"}, "object": {"key": "k"}}}]}
    job = only(json.dumps(bare))
    assert (job.kind, job.size, job.etag, job.event_time) == (JobKind.COPY, None, None, None)
    assert job.source == ObjectRef("src", "k")


def test_every_record_counts_in_its_order() -> None:
    body = event(record(key="1"), record("ObjectTagging:Put", key="2"), record(key="3"))
    decoded = decode(body, RULE)
    assert [job.source.key for job in decoded.jobs] == ["1", "3"]
    assert [note.source and note.source.key for note in decoded.notes] == ["2"]
    assert [type(each).__name__ for each in decode_records(body, RULE)] == [
        "TransferJob",
        "Note",
        "TransferJob",
    ]


@pytest.mark.parametrize("prefix", ["", "s3:"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ObjectCreated:Put", JobKind.COPY),
        ("ObjectCreated:Post", JobKind.COPY),
        ("ObjectCreated:Copy", JobKind.COPY),
        ("ObjectCreated:CompleteMultipartUpload", JobKind.COPY),
        ("ObjectRestore:Completed", JobKind.COPY),
        ("ObjectRemoved:Delete", JobKind.DELETE),
        ("ObjectRemoved:DeleteMarkerCreated", JobKind.DELETE),
        ("LifecycleExpiration:Delete", JobKind.DELETE),
        ("LifecycleExpiration:DeleteMarkerCreated", JobKind.DELETE),
        ("ObjectRestore:Post", None),
        ("ObjectRestore:Delete", None),
        ("ObjectTagging:Put", None),
        ("ObjectAcl:Put", None),
        ("Replication:OperationMissedThreshold", None),
        ("LifecycleTransition", None),
        ("IntelligentTiering", None),
        ("ReducedRedundancyLostObject", None),
        ("SomethingNew:Tomorrow", None),
    ],
)
def test_the_event_name_decides(prefix: str, name: str, kind: JobKind | None) -> None:
    decoded = decode(event(record(prefix + name)), RULE)
    if kind is None:
        assert decoded.jobs == ()
        assert decoded.notes[0].kind is NoteKind.NO_DATA
        assert name in decoded.notes[0].reason
    else:
        assert decoded.jobs[0].kind is kind
        assert decoded.jobs[0].event_name == name


def test_a_delete_event_has_no_size() -> None:
    assert only(event(record("ObjectRemoved:Delete", size=None, eTag=None))).size is None


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.6", "2.99", None, ""])
def test_versions_understood(version: str | None) -> None:
    assert only(event(record() | {"eventVersion": version}))


@pytest.mark.parametrize("version", ["3.0", "1.0", "20.1", "2", "two", 2.1])
def test_versions_not_understood(version: object) -> None:
    with pytest.raises(MessageError, match=r"Records\[0\].*version"):
        decode(event(record() | {"eventVersion": version}), RULE)


def test_the_test_event_is_a_note() -> None:
    body = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "src", "HostId": "x"}
    decoded = decode(json.dumps(body), RULE)
    assert decoded.jobs == ()
    assert [note.kind for note in decoded.notes] == [NoteKind.TEST_EVENT]


def sns(message: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:t", "Message": message})


def test_an_sns_envelope_around_anything() -> None:
    assert decode(sns(event(record())), RULE) == decode(event(record()), RULE)
    assert decode(sns(sns(event(record()))), RULE) == decode(event(record()), RULE)
    assert decode(sns('{"Event":"s3:TestEvent"}'), RULE).notes[0].kind is NoteKind.TEST_EVENT


def test_too_many_envelopes() -> None:
    body = event(record())
    for _ in range(5):
        body = sns(body)
    with pytest.raises(MessageError, match="envelopes"):
        decode(body, RULE)


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_sns_confirmations_are_not_ours(kind: str) -> None:
    with pytest.raises(MessageError, match=kind):
        decode(json.dumps({"Type": kind, "Message": "x"}), RULE)


def bridge(kind: str, **changes: Any) -> str:
    described = {"key": "a+b%2B 中", "size": 5, "etag": "e", "version-id": "v", "sequencer": "6"}
    return json.dumps(
        {
            "version": "0",
            "detail-type": kind,
            "source": "aws.s3",
            "time": "1970-01-01T00:01:00Z",
            "detail": {"version": "0", "bucket": {"name": "src"}, "object": described},
        }
        | changes
    )


def test_an_event_bridge_event_has_raw_keys() -> None:
    assert only(bridge("Object Created")) == TransferJob(
        kind=JobKind.COPY,
        source=ObjectRef("src", "a+b%2B 中", "v"),
        destination=ObjectRef("dest", "in/a+b%2B 中"),
        size=5,
        etag="e",
        event_time=60.0,
        sequencer="6",
        event_name="Object Created",
    )
    assert decode(sns(bridge("Object Created")), RULE) == decode(bridge("Object Created"), RULE)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Object Deleted", JobKind.DELETE),
        ("Object Restore Completed", JobKind.COPY),
        ("Object Restore Initiated", None),
        ("Object Restore Expired", None),
        ("Object Storage Class Changed", None),
        ("Object Access Tier Changed", None),
        ("Object ACL Updated", None),
        ("Object Tags Added", None),
        ("Object Tags Deleted", None),
    ],
)
def test_event_bridge_kinds(name: str, kind: JobKind | None) -> None:
    decoded = decode(bridge(name), RULE)
    assert [job.kind for job in decoded.jobs] == ([kind] if kind else [])
    assert [note.kind for note in decoded.notes] == ([] if kind else [NoteKind.NO_DATA])


@pytest.mark.parametrize(
    "body",
    [
        bridge("AWS API Call via CloudTrail"),
        bridge("Object Created", source="my.app"),
        bridge("Object Created", detail="x"),
        bridge("Object Created", detail={"event-version": "2.0"}),
    ],
)
def test_other_events_of_the_bus_are_not_ours(body: str) -> None:
    with pytest.raises(MessageError):
        decode(body, RULE)


JOB = {"Src_bucket": "s", "Src_key": "a+b%20 中", "Des_bucket": "d", "Des_key": "p/a+b%20 中"}


@pytest.mark.parametrize(
    ("extra", "size", "version"),
    [
        ({"Size": 7, "versionId": "v"}, 7, "v"),
        ({"Size": "7", "versionId": "null"}, 7, None),
        ({"Size": 7}, 7, None),
        ({"versionId": "v"}, None, "v"),
        ({"Size": "", "versionId": ""}, None, None),
        ({"Size": "null", "versionId": None}, None, None),
    ],
)
def test_job_bodies_old_and_new(
    extra: dict[str, Any], size: int | None, version: str | None
) -> None:
    job = only(json.dumps(JOB | extra))
    assert job.source == ObjectRef("s", "a+b%20 中", version)
    assert job.destination == ObjectRef("d", "p/a+b%20 中")
    assert job.size == size


def test_the_job_body_is_written_exactly_so() -> None:
    job = TransferJob(JobKind.COPY, ObjectRef("s", "a+b 中"), ObjectRef("d", "p/a+b 中"), size=7)
    text = encode_job(job)
    assert text.isascii()
    assert json.loads(text) == {
        "Src_bucket": "s",
        "Src_key": "a+b 中",
        "Des_bucket": "d",
        "Des_key": "p/a+b 中",
        "Size": 7,
        "versionId": "null",
    }


def test_the_inventory_shape_is_form_encoded() -> None:
    described = {"key": "a%2Bb+c", "size": "9", "versionId": ""}
    body = {"Records": [{"s3": {"bucket": {"name": "src"}, "object": described}}]}
    job = only(json.dumps(body))
    assert (job.source, job.size) == (ObjectRef("src", "a+b c"), 9)


def test_the_capitalised_shape_has_raw_keys() -> None:
    inner = {"Bucket": {"Name": "src"}, "Object": {"Key": "a+b%2F c", "Size": 3}}
    first = {"EventVersion": "", "EventName": "ObjectCreated:Put", "EventTime": "", "S3": inner}
    job = only(json.dumps({"Records": [first], "Event": ""}))
    assert (job.source, job.size, job.kind) == (ObjectRef("src", "a+b%2F c"), 3, JobKind.COPY)
    removed = first | {"EventName": "ObjectRemoved:Delete"}
    assert only(json.dumps({"Records": [removed], "Event": ""})).kind is JobKind.DELETE


def test_the_batch_shape_is_percent_encoded_without_plus() -> None:
    keys = [
        {"source_key": "a+b%2Bc%20d", "target_key": "p/a%E4%B8%AD"},
        {"source_key": "2", "target_key": "2", "size": 5, "version_id": "v"},
    ]
    body = {"source_bucket": "s", "target_bucket": "d", "keys": keys}
    first, second = decode(json.dumps(body), RULE).jobs
    assert first.source == ObjectRef("s", "a+b+c d")
    assert first.destination == ObjectRef("d", "p/a中")
    assert (second.source.version_id, second.size) == ("v", 5)


def test_what_cannot_be_sent_is_refused() -> None:
    copy = TransferJob(JobKind.COPY, ObjectRef("s", "k"), ObjectRef("d", "k"))
    delete = TransferJob(JobKind.DELETE, ObjectRef("s", "k"), ObjectRef("d", "k"))
    elsewhere = TransferJob(JobKind.COPY, ObjectRef("s", "k"), ObjectRef("e", "k"))
    with pytest.raises(ValueError, match="only copies"):
        encode_job(delete)
    for jobs in ([], [delete], [copy, elsewhere]):
        with pytest.raises(ValueError, match=r"batch|only copies"):
            encode_batch(jobs)


@pytest.mark.parametrize(
    ("prefix", "key", "expected"),
    [
        ("", "k", "k"),
        ("p", "k", "p/k"),
        ("p/", "k", "p/k"),
        ("p/q/", "a//b/", "p/q/a//b/"),
        ("p", "/k", "p//k"),
        ("", "/k", "/k"),
        ("", "a/../b", "a/../b"),
        ("p//", "k", "p//k"),
    ],
)
def test_the_destination_key(prefix: str, key: str, expected: str) -> None:
    assert destination_key(prefix, key) == expected


def test_an_event_without_a_default_bucket_says_what_to_set() -> None:
    with pytest.raises(MessageError, match="Des_bucket_default"):
        decode(event(record()), DestinationRule(""))


def test_jobs_that_name_their_destination_need_no_default() -> None:
    assert decode(json.dumps(JOB), DestinationRule("")) != Decoded()


def test_a_no_data_event_with_an_unreadable_object_is_still_a_note() -> None:
    body = event({"eventName": "Future:Thing", "s3": {"strange": 1}})
    assert decode(body, RULE).notes[0].source is None


def test_a_byte_order_mark_is_no_part_of_a_body() -> None:
    assert only("\ufeff" + event(record()))
