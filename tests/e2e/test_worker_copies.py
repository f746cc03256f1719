"""Events become verified objects: every message shape, hostile keys, headers, dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable

from support.rig import MIB, Rig, noise, record

RigMaker = Callable[..., Rig]

HOSTILE = (
    "a//b",
    "/a",
    "./a",
    "a/../b",
    "+",
    "a+b c",
    "%2B",
    "100%",
    "two  spaces ",
    "emoji/🦊.bin",
    "e\u0301-not-\u00e9",
    "folder/",
    "quote'\"<>&?#",
    "k" * 1000,
)


def test_small_empty_and_large_objects_keep_bytes_headers_and_metadata(rig: Rig) -> None:
    rig.put(
        "a/small.txt",
        b"hello",
        ContentType="text/plain; charset=utf-8",
        ContentLanguage="de",
        ContentDisposition='attachment; filename="a b.txt"',
        CacheControl="max-age=60, public",
        Metadata={"colour": "blue  green", "with-dash": "a=b;c,d"},
    )
    rig.put("empty", b"")
    rig.put("large.bin", noise(12 * MIB), ContentType="video/mp4", Metadata={"part": "of it"})
    worker = rig.until_empty()
    rig.equal()
    assert worker.summary["outcomes"] == {"copied": 3}
    assert worker.summary["bytes"] == 12 * MIB + 5
    assert worker.stray == []
    (line,) = worker.seen("object", source=f"{rig.source.bucket}/large.bin")
    assert (line["parts_sent"], line["size"]) == (3, 12 * MIB)


def test_hostile_keys_arrive_byte_for_byte(make_rig: RigMaker) -> None:
    rig = make_rig(source="moto")
    for number, key in enumerate(HOSTILE):
        rig.source.put_raw(key, f"content {number}".encode())
    assert rig.source.keys() == set(HOSTILE)
    rig.tell(*HOSTILE)
    rig.until_empty()
    rig.equal()


def test_every_shape_of_message_is_understood(rig: Rig) -> None:
    bucket = rig.source.bucket
    for key in ("one", "two", "sns", "bridge+plus", "job+plus", "batch+plus"):
        rig.source.put(key, key.encode())
    job = {"Src_bucket": bucket, "Src_key": "job+plus", "Size": 8, "versionId": "null"}
    batch = [{"source_key": "batch%2Bplus", "target_key": "batch%2Bplus"}]
    bodies: list[dict[str, object]] = [
        {"Records": [record(bucket, "one"), record(bucket, "two")]},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket},
        {"Type": "Notification", "MessageId": "1", "Message": rig.event("sns")},
        {
            "version": "0",
            "detail-type": "Object Created",
            "source": "aws.s3",
            "detail": {
                "version": "0",
                "bucket": {"name": bucket},
                "object": {"key": "bridge+plus"},
            },
        },
        job | {"Des_bucket": rig.target.bucket, "Des_key": "job+plus"},
        {"source_bucket": bucket, "target_bucket": rig.target.bucket, "keys": batch},
    ]
    rig.queue.send(*map(json.dumps, bodies))
    worker = rig.until_empty()
    rig.equal()
    assert worker.summary["messages"] == len(bodies)
    assert worker.summary["outcomes"] == {"copied": 6}


def test_the_ignore_list_keeps_objects_away_and_their_messages_go(make_rig: RigMaker) -> None:
    rig = make_rig(IgnoreList="ignored.txt")
    bucket = rig.source.bucket
    (rig.folder / "ignored.txt").write_text(f"{bucket}/tmp/\n{bucket}/*.log\n!{bucket}/a.log\n")
    for key in ("tmp/x", "b.log", "a.log", "kept"):
        rig.put(key, key.encode())
    worker = rig.until_empty()
    rig.equal(without=("tmp/x", "b.log"))
    assert worker.summary["outcomes"] == {"copied": 2, "ignored": 2}


def test_what_nobody_can_carry_out_goes_to_the_dead_letter_queue_with_the_reason(
    rig: Rig,
) -> None:
    rig.tell("line\nbreak")
    rig.put("good", b"good")
    rig.queue.send("no JSON at all", json.dumps({"Records": [{"s3": {}}]}))
    worker = rig.until_empty(code=1)
    rig.equal()
    dead = {letter["body"]: letter for letter in rig.queue.dead()}
    assert len(dead) == 3
    assert dead["no JSON at all"]["code"] == "MessageError"
    named = next(letter for body, letter in dead.items() if "line%0Abreak" in body)
    assert named["code"] == "KeyNotAllowed"
    assert "line feed" in named["reason"]
    assert len(worker.summary["dead_lettered"]) == 3
