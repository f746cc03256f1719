"""``3gsync check`` as users run it: two stores over sockets, copies made by workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.rig import MIB, Rig, noise
from support.worker_process import WorkerProcess

RigMaker = Callable[..., Rig]


def check(rig: Rig, *arguments: str, code: int = 0) -> WorkerProcess:
    """The rig's buckets compared, without a wait before the second look."""
    given = ["--source-bucket", rig.source.bucket, "--settle", "0", *arguments]
    return rig.verb("check", *given, code=code)


def counts(process: WorkerProcess) -> dict[str, int]:
    return {name: one["objects"] for name, one in process.summary["classes"].items()}


def same_bytes(rig: Rig) -> None:
    """Without a part of 3GSync; the copies have metadata that their sources have not."""
    keys = rig.source.keys()
    assert rig.target.keys() == keys
    for key in keys:
        assert rig.target.content(key) == rig.source.content(key)


@pytest.fixture
def copied(rig: Rig) -> Rig:
    """Four objects, copied by a worker; one of them large."""
    rig.options["Provenance"] = True
    for key in ("plain", "sp ace+plus%2B", "日本/é"):
        rig.put(key, key.encode())
    rig.put("large", noise(12 * MIB))
    rig.until_empty()
    same_bytes(rig)
    return rig


def test_copies_are_proven_by_each_level(copied: Rig) -> None:
    listed = check(copied)
    assert listed.summary["verdict"] == "equal"
    assert listed.summary["equal_by"] == {"size": 4}
    assert listed.out.read_text().splitlines()[-2].startswith("EQUAL: 4 objects")
    stored = check(copied, "--checksum")
    assert stored.summary["equal_by"] == {"md5": 3, "ledger": 1}
    copied.options["table_queue_name"] = ""
    alone = check(copied, "--checksum")
    assert alone.summary["equal_by"] == {"md5": 3, "provenance": 1}
    both = check(copied, "--read")
    assert both.summary["equal_by"] == {"read": 4}
    assert both.summary["bytes_read"] == 2 * both.summary["source_bytes"]
    one = check(copied, "--read", "source")
    assert one.summary["bytes_read"] == one.summary["source_bytes"]
    rest = check(copied, "--checksum", "--read=source", "--sample", "100%")
    assert rest.summary["proven_bytes"] == rest.summary["source_bytes"]


def test_every_difference_is_told_reported_and_repaired(copied: Rig, tmp_path: Path) -> None:
    rig = copied
    damaged = bytearray(rig.source.content("large"))
    damaged[7 * MIB] ^= 1
    rig.target.put("large", bytes(damaged))
    rig.source.put("missing", b"new")
    rig.source.put("<script>alert(1)</script>", b"new")
    rig.target.put("plain", b"longer than before")
    rig.target.put("extra", b"only here")
    assert counts(check(rig, code=3)) == {"missing": 2, "size": 1, "extraneous": 1}
    found = {"missing": 2, "size": 1, "checksum": 1, "extraneous": 1}
    assert counts(check(rig, "--checksum", code=3)) == found
    report, page = tmp_path / "found.jsonl", tmp_path / "page.html"
    done = check(rig, "--read", "--report", str(report), "--html", str(page), "--repair", code=3)
    assert counts(done) == {"missing": 2, "size": 1, "content": 1, "extraneous": 1}
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert {line["key"]: line["class"] for line in lines} == {
        "missing": "missing",
        "<script>alert(1)</script>": "missing",
        "plain": "size",
        "large": "content",
        "extra": "extraneous",
    }
    assert "alert(1)" in page.read_text()
    assert "<script>alert" not in page.read_text()
    assert done.summary["queued"] == 4
    rig.until_empty()
    rig.target.delete("extra")
    same_bytes(rig)
    assert check(rig, "--read").summary["verdict"] == "equal"


def test_a_listing_that_fails_is_exit_1(rig: Rig) -> None:
    rig.source.put("a", b"x")
    failed = rig.verb(
        "check", "--source-bucket", "no-such-bucket", "--destination-bucket", rig.target.bucket,
        code=1,
    )  # fmt: skip
    assert failed.summary["verdict"] == "incomplete"
    assert "no-such-bucket" in failed.summary["errors"][0]


def test_a_store_that_lists_folders_first_is_sorted(rig: Rig) -> None:
    for key in ("a/b", "a-b", "a0", "b"):
        rig.put(key, b"x")
    rig.until_empty()
    refused = check(rig, code=1)
    assert "--sort" in refused.summary["errors"][0]
    assert check(rig, "--sort").summary["equal"] == 4


def test_a_prefix_limits_the_bucket_list(rig: Rig, tmp_path: Path) -> None:
    for key in ("in/a", "in/b", "out/c"):
        rig.source.put(key, b"x")
    rig.target.put("to/in/a", b"x")
    pairs = [{"src_bucket": rig.source.bucket, "des_bucket": rig.target.bucket, "des_prefix": "to"}]
    listed = tmp_path / "pairs.json"
    listed.write_text(json.dumps(pairs))
    given = ["--settle", "0", "--bucket-list", str(listed)]
    found = rig.verb("check", *given, "--prefix", "in/", code=3)
    assert (found.summary["equal"], counts(found)) == (1, {"missing": 1})
    none = rig.verb("check", *given, "--prefix", "in/a").summary
    assert (none["equal"], none["differences"]) == (1, 0)


def test_wrong_use_is_exit_2(rig: Rig, tmp_path: Path) -> None:
    for wrong in (
        ["--sample", "1%"],
        ["--report", str(tmp_path / "no" / "such" / "folder")],
        ["--html", str(tmp_path / "no" / "such" / "folder")],
    ):
        process = check(rig, *wrong, code=2)
        assert wrong[0] in process.tail, wrong
