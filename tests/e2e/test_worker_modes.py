"""The worker's modes and filters, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from support.moto_aws import MotoAws
from support.rig import MIB, Rig, noise

RigMaker = Callable[..., Rig]


def batch(rig: Rig, *keys: str) -> str:
    entries = [{"source_key": key, "target_key": key} for key in keys]
    body = {"source_bucket": rig.source.bucket, "target_bucket": rig.target.bucket}
    return json.dumps(body | {"keys": entries})


def test_check_sends_what_differs_to_the_dead_letter_queue_with_the_reasons(
    rig: Rig, aws: MotoAws
) -> None:
    for key in ("equal", "bytes", "type", "missing", "large"):
        content = noise(7 * MIB) if key == "large" else b"content"
        rig.source.put(key, content, ContentType="text/plain", Metadata={"colour": "blue"})
    rig.queue.send(batch(rig, "equal", "bytes", "type", "large"))
    rig.until_empty()
    rows = aws.dynamodb.scan(TableName=rig.table)["Items"]
    rig.target.put("bytes", b"CONTENT", ContentType="text/plain", Metadata={"colour": "blue"})
    rig.target.put("type", b"content", ContentType="text/html", Metadata={"colour": "blue"})
    rig.queue.send(batch(rig, "equal", "bytes", "type", "missing", "large"))
    worker = rig.until_empty("--mode", "check", code=1)
    (letter,) = rig.queue.dead()
    assert letter["code"] == "Different"
    for said in ("3 keys", "bytes differs", "CRC32C|MD5", "text/html", "missing at the"):
        assert any(one in letter["reason"] for one in said.split("|")), (said, letter["reason"])
    keys = [entry["source_key"] for entry in json.loads(letter["body"])["keys"]]
    assert keys == ["bytes", "type", "missing"]
    assert worker.summary["outcomes"] == {"skipped": 2, "dead-lettered": 1}
    assert rig.target.content("bytes") == b"CONTENT"
    assert rig.target.get("missing") is None
    assert aws.dynamodb.scan(TableName=rig.table)["Items"] == rows


def test_verify_leaves_out_what_is_equal(rig: Rig) -> None:
    rig.put("same", b"content", ContentType="text/plain")
    rig.until_empty()
    rig.put("new", b"more")
    rig.tell("same")
    worker = rig.until_empty("--verify")
    rig.equal()
    assert worker.summary["outcomes"] == {"copied": 1, "skipped": 1}


def test_only_objects_of_the_time_asked_for(rig: Rig) -> None:
    rig.put("k", b"content")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    worker = rig.until_empty("--modified-since", tomorrow)
    assert worker.summary["outcomes"] == {"skipped": 1}
    assert "last modified" in worker.seen("object")[0]["reason"]
    rig.tell("k")
    rig.until_empty("--not-modified-since", tomorrow, "--modified-since", "2020-01-01")
    rig.equal()


def test_copies_by_the_store_itself(make_rig: RigMaker) -> None:
    rig = make_rig(source="seaweedfs", target="seaweedfs", TransferMode="copy")
    refused = rig.until_empty(code=2)
    assert "DestEndPointURL must be the same" in refused.err.read_text()
    rig.options["SrcEndPointURL"] = rig.target.proxy.url
    for key in ("a b+c", "dir/ü"):
        rig.put(key, noise(MIB), ContentType="text/plain", Metadata={"colour": "blue"})
    worker = rig.until_empty()
    rig.equal()
    assert worker.summary["outcomes"] == {"copied": 2}
