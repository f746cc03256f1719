"""The jobsender as users run it: two stores, a queue, and workers that do what it sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.rig import Rig, Stage
from support.worker_process import WorkerProcess

ODD = ["plain", "sp ace+plus%2B", "日本/é", "tab\there", "\ufffd", "\U00010000", "a//b", "/lead"]


def pair(rig: Rig, *arguments: str, code: int = 0) -> WorkerProcess:
    """The jobsender on the rig's buckets."""
    given = ["--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket]
    return rig.verb("jobsender", *given, *arguments, code=code)


def counts(process: WorkerProcess, *names: str) -> list[Any]:
    return [process.summary[name] for name in names]


def test_what_is_there_already_arrives(make_rig: Any) -> None:
    rig = make_rig(source="moto")  # it keeps slashes, as S3 does
    for number, key in enumerate(ODD):
        rig.source.put_raw(key, b"x" * number)
    first = pair(rig)
    assert counts(first, "source_objects", "queued", "messages") == [8, 8, 8]
    rig.until_empty()
    rig.equal()
    second = pair(rig)
    assert counts(second, "equal", "queued") == [8, 0]
    assert rig.queue.depth() == 0


def test_only_what_differs_is_sent_and_ignored_objects_are_not(rig: Rig, tmp_path: Path) -> None:
    ignore = tmp_path / "ignored.txt"
    ignore.write_text("*.tmp\n")
    rig.options["IgnoreList"] = ignore
    for key in ("same", "grown", "missing", "skip.tmp"):
        rig.source.put(key, b"content")
    rig.target.put("same", b"content")
    rig.target.put("grown", b"cont")
    rig.target.put("extra", b"only here")
    backup = tmp_path / "backup"
    done = pair(rig, "--backup", str(backup))
    assert counts(done, "equal", "queued", "ignored", "extraneous", "deleted") == [1, 2, 1, 1, 0]
    (jobs,) = backup.glob(f"job-list-{rig.source.bucket}-*.json")
    assert {job["Src_key"] for job in json.loads(jobs.read_text())} == {"grown", "missing"}
    (ignored,) = backup.glob("ignore-records-*.json")
    assert [job["Src_key"] for job in json.loads(ignored.read_text())] == ["skip.tmp"]
    rig.until_empty()
    assert rig.target.keys() == {"same", "grown", "missing", "extra"}
    assert rig.target.content("grown") == b"content"


def test_checksums_tell_what_sizes_do_not(rig: Rig) -> None:
    for key in ("same", "damaged"):
        rig.source.put(key, b"content")
    rig.target.put("same", b"content")
    rig.target.put("damaged", b"cOntent")
    assert counts(pair(rig), "equal", "queued") == [2, 0]
    assert counts(pair(rig, "--checksum"), "equal", "queued", "unverified") == [1, 1, 0]
    rig.until_empty()
    assert rig.target.content("damaged") == b"content"


def test_a_dry_run_sends_nothing_and_needs_no_queue(rig: Rig) -> None:
    rig.source.put("one", b"1")
    rig.options["sqs_queue_name"] = ""
    done = pair(rig, "--dry-run")
    assert counts(done, "queued", "messages", "dry_run") == [1, 0, True]
    assert any(line.get("event") == "difference" for line in done.lines)
    assert rig.queue.depth() == 0


@pytest.mark.parametrize("prefix", ["to", "to/"])
def test_a_destination_prefix_may_end_with_a_slash_or_not(rig: Rig, prefix: str) -> None:
    rig.source.put("in/a", b"1")
    rig.source.put("out/b", b"2")
    rig.target.put("to/in/old", b"3")
    given = ["--source-prefix", "in/", "--destination-prefix", prefix]
    done = pair(rig, *given)
    assert counts(done, "source_objects", "queued", "extraneous") == [1, 1, 1]
    rig.until_empty()
    assert rig.target.keys() == {"to/in/a", "to/in/old"}
    assert counts(pair(rig, *given), "equal", "queued") == [1, 0]


def test_a_listing_that_fails_is_told_and_nothing_more_is_concluded(rig: Rig) -> None:
    rig.source.put("there", b"1")
    rig.target.put("there", b"1")
    rig.target.put("gone", b"1")
    given = ["--destination-bucket", rig.target.bucket, "--delete-extraneous", "5"]
    wrong = rig.verb("jobsender", "--source-bucket", "no-such-bucket-here", *given, code=1)
    assert "no-such-bucket-here" in str(wrong.summary["errors"])
    assert counts(wrong, "queued", "deleted") == [0, 0]
    assert rig.target.keys() == {"there", "gone"}


@pytest.mark.parametrize("mode", ["downup", "check"])
def test_what_only_the_destination_has_is_deleted_within_the_cap(rig: Rig, mode: str) -> None:
    rig.options["TransferMode"] = mode
    rig.source.put("kept", b"1")
    for key in ("kept", "old-1", "old-2"):
        rig.target.put(key, b"1")
    refused = pair(rig, "--delete-extraneous", "1", code=1)
    assert "than the 1 that" in str(refused.summary["errors"])
    assert rig.target.keys() == {"kept", "old-1", "old-2"}
    done = pair(rig, "--delete-extraneous", "2")
    assert counts(done, "extraneous", "deleted") == [2, 2]
    assert rig.target.keys() == {"kept"}


def test_an_object_that_comes_back_while_it_is_to_be_deleted_is_kept(rig: Rig) -> None:
    rig.target.put("comes-back", b"old")
    gate = rig.source.gate(r"GET /[^?]*comes-back", Stage.ARRIVED)
    given = ["--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket]
    process = rig.begin("jobsender", *given, "--delete-extraneous", "5")
    gate.wait()
    rig.source.put("comes-back", b"new")
    gate.release()
    assert process.ended() == 0
    assert process.summary["deleted"] == 0
    assert rig.target.content("comes-back") == b"new"


def test_two_jobsenders_at_once_do_no_harm(rig: Rig) -> None:
    for number in range(30):
        rig.source.put(f"{number:03}", bytes([number]))
    given = ["--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket]
    both = [rig.begin("jobsender", *given) for _ in range(2)]
    assert [one.ended() for one in both] == [0, 0]
    assert [one.summary["queued"] for one in both] == [30, 30]
    rig.until_empty()
    rig.equal()


def test_it_refuses_a_queue_that_is_not_empty_when_asked_to(rig: Rig) -> None:
    rig.source.put("one", b"1")
    rig.tell("one")
    refused = pair(rig, "--only-if-empty")
    assert "holds 1 messages" in refused.summary["refused"]
    assert rig.queue.depth() == 1
    rig.until_empty()
    rig.source.put("two", b"2")
    assert pair(rig, "--only-if-empty").summary["queued"] == 1


def test_many_keys_go_in_one_message(rig: Rig) -> None:
    for number in range(25):
        rig.source.put(f"{number:03}", bytes([number]))
    done = pair(rig, "--keys-per-message", "10")
    assert counts(done, "queued", "messages") == [25, 3]
    rig.until_empty()
    rig.equal()


def test_a_store_that_lists_as_a_tree_is_sorted_first(rig: Rig) -> None:
    for key in ("a-b", "a/b", "a.c", "z"):
        rig.source.put(key, b"1")
    refused = pair(rig, code=1)
    assert "--sort" in str(refused.summary["errors"])
    assert counts(pair(rig, "--sort"), "source_objects", "queued") == [4, 4]
    rig.until_empty()
    rig.equal()


def test_it_goes_on_where_a_crash_left_it(rig: Rig, tmp_path: Path) -> None:
    for number in range(20):
        rig.source.put(f"{number:03}", bytes([number]))
    checkpoint = tmp_path / "checkpoint.json"
    given = ["--checkpoint", str(checkpoint)]
    gate = rig.target.gate(r"GET /[^?]*\?.*list-type=2", Stage.ARRIVED)
    process = rig.begin(
        "jobsender",
        *("--source-bucket", rig.source.bucket, "--destination-bucket", rig.target.bucket),
        *given,
    )
    gate.wait()
    process.kill()
    gate.release()
    assert pair(rig, *given).summary["queued"] == 20
    held = json.loads(checkpoint.read_text())
    assert held["pairs"] == {}
    assert list(held["seen"].values()) == [20]


def test_the_list_of_buckets_comes_from_its_file_or_from_a_parameter(
    rig: Rig, tmp_path: Path
) -> None:
    rig.source.put("in/one", b"1")
    pairs = [
        {
            "src_bucket": rig.source.bucket,
            "src_prefix": "in",
            "des_bucket": rig.target.bucket,
            "des_prefix": "",
        }
    ]
    (rig.folder / "jobsender_bucket_list.txt").write_text(json.dumps(pairs))
    assert counts(rig.verb("jobsender", "--dry-run"), "pairs", "queued") == [1, 1]
    (rig.folder / "jobsender_bucket_list.txt").unlink()
    endpoint = rig.store_destination_key()
    ssm: Any = boto3.client(
        "ssm",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDTEST",
        aws_secret_access_key="secret",
    )
    ssm.put_parameter(Name=rig.queue.name, Value=json.dumps(pairs), Type="String")
    rig.options["ssm_parameter_bucket"] = rig.queue.name
    rig.environ["AWS_ENDPOINT_URL_SSM"] = endpoint
    rig.environ |= {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "secret"}
    rig.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    assert counts(rig.verb("jobsender", "--dry-run"), "pairs", "queued") == [1, 1]


def test_versions_are_compared_with_the_table(make_rig: Any) -> None:
    rig = make_rig(source="moto")
    rig.source.keep_versions()
    rig.options |= {"JobsenderCompareVersionId": True, "GetObjectWithVersionId": True}
    for key in ("same", "changed", "unknown", "deleted"):
        rig.source.put(key, b"1")
    rig.source.delete("deleted")
    assert counts(pair(rig), "source_objects", "queued") == [3, 3]
    rig.until_empty()
    assert counts(pair(rig), "equal", "queued") == [3, 0]
    rig.source.put("changed", b"2")
    rig.source.put("late", b"1")
    rig.target.put("late", b"0")
    done = pair(rig)
    assert counts(done, "equal", "queued") == [2, 2]
    rig.until_empty()
    assert rig.target.content("changed") == b"2"
    assert rig.target.content("late") == b"1"


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (["--source-bucket", "some-bucket"], "--destination-bucket"),
        (["--destination-bucket", "some-bucket"], "--source-bucket"),
        (["--since", "yesterday"], "is no time"),
        (["--delete-extraneous", "all"], "whole number"),
        ([], "no list of buckets"),
    ],
)
def test_wrong_use_is_told_with_the_mend(rig: Rig, arguments: list[str], mend: str) -> None:
    rig.options |= {"Des_bucket_default": "", "ssm_parameter_bucket": ""}
    done = rig.verb("jobsender", *arguments, code=2)
    assert mend in done.tail
