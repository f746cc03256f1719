"""``3gsync uploads`` as its user runs it, against stores over sockets, looked at with boto3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.buckets import make_bucket
from support.gcs import BUCKET, running_gcs
from support.queue_tools import Console
from support.servers import S3Server
from support.stores import boto_for
from sync.standins.gcs import Fault, GcsProcess, Match

MIB = 1024 * 1024
STORES = {
    "seaweedfs_server": ("generic", "generic"),
    "moto_server": ("generic", "generic"),
    "gcs_server": ("generic", "gcs"),
}


@dataclass
class Bucket:
    console: Console
    server: S3Server
    name: str
    boto: Any

    def begin(self, key: str, *sizes: int) -> str:
        begun: str = self.boto.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"]
        for number, size in enumerate(sizes, 1):
            self.boto.upload_part(
                Bucket=self.name, Key=key, UploadId=begun, PartNumber=number, Body=b"x" * size
            )
        return begun

    def open(self) -> set[str]:
        found = self.boto.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        return {upload["Key"] for upload in found}


@pytest.fixture(params=sorted(STORES))
def bucket(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Bucket]:
    server: S3Server = request.getfixturevalue(request.param)
    source, destination = STORES[request.param]
    console = Console(tmp_path, monkeypatch, capsys)
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    console.setenv({f"{side}_{k}": v for side in ("SRC", "DEST") for k, v in keys.items()})
    boto = boto_for(server)
    name = f"uploads-{uuid.uuid4().hex[:12]}"
    make_bucket(boto, name)
    console.options |= {
        "SrcEndPointURL": server.endpoint,
        "DestEndPointURL": server.endpoint,
        "SrcDialect": source,
        "DestDialect": destination,
        "Des_bucket_default": name,
    }
    yield Bucket(console, server, name, boto)
    for upload in boto.list_multipart_uploads(Bucket=name).get("Uploads", ()):
        boto.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    boto.delete_bucket(Bucket=name)


def test_uploads_are_listed_with_what_they_hold(bucket: Bucket) -> None:
    begun = bucket.begin("a b/ü", 5 * MIB, 17)
    bucket.begin("empty")
    ran = bucket.console.run("uploads", "list", "--json")
    assert ran.code == 0, ran.err
    report = ran.report
    assert (report["uploads"], report["parts"], report["bytes"]) == (2, 2, 5 * MIB + 17)
    items = {item["key"]: item for item in report["items"]}
    assert items["a b/ü"]["upload_id"] == begun
    assert (items["a b/ü"]["parts"], items["a b/ü"]["bytes"]) == (2, 5 * MIB + 17)
    assert (items["empty"]["parts"], items["empty"]["bytes"]) == (0, 0)
    assert f"{bucket.name}: 2 unfinished uploads, 2 parts, 5.0 MiB" in ran.out
    assert ran.out.splitlines()[0].split() == [
        "BEGUN",
        "IDLE",
        "PARTS",
        "HELD",
        "KEY",
        "UPLOAD",
        "ID",
    ]
    assert "a b/ü" in ran.out
    assert bucket.open() == {"a b/ü", "empty"}


def test_uploads_of_the_source_by_prefix_without_sizes(bucket: Bucket) -> None:
    for key in ("x/1", "x/2", "y/3"):
        bucket.begin(key, 3)
    bucket.console.options["Des_bucket_default"] = ""
    arguments = ("uploads", "list", "--source", "--prefix", "x/", "--no-sizes", "--json")
    assert bucket.console.run(*arguments).code == 2
    ran = bucket.console.run(*arguments, "--bucket", bucket.name)
    assert ran.code == 0, ran.err
    assert {item["key"] for item in ran.report["items"]} == {"x/1", "x/2"}
    assert (ran.report["bytes"], ran.report["items"][0]["parts"]) == (None, None)


def test_abort_takes_only_what_is_old_enough(bucket: Bucket) -> None:
    for key in ("x/1", "x/2", "y/3"):
        bucket.begin(key, 3)
    young = bucket.console.run("uploads", "abort", "--older-than", "7d", "--json")
    assert (young.code, young.report["aborted"]) == (0, 0)
    assert bucket.open() == {"x/1", "x/2", "y/3"}
    dry = bucket.console.run(
        "uploads", "abort", "--older-than", "0s", "--prefix", "x/", "--dry-run", "--json"
    )
    assert (dry.code, dry.report["uploads"], dry.report["aborted"]) == (0, 2, 0)
    assert "2 uploads would be aborted, 2 parts, 6 B" in dry.out
    assert bucket.open() == {"x/1", "x/2", "y/3"}
    ran = bucket.console.run("uploads", "abort", "--older-than", "0s", "--prefix", "x/", "--json")
    assert (ran.code, ran.report["aborted"], ran.report["bytes"]) == (0, 2, 6)
    assert "2 of 2 uploads aborted" in ran.out
    assert bucket.open() == {"y/3"}


def test_hundreds_are_aborted_while_they_are_listed(bucket: Bucket) -> None:
    for number in range(120):
        bucket.begin(f"k/{number:03}")
    ran = bucket.console.run("uploads", "abort", "--older-than", "0s", "--no-sizes", "--json")
    assert (ran.code, ran.report["aborted"]) == (0, 120), ran.err
    assert bucket.open() == set()


def test_abort_wants_an_age(bucket: Bucket) -> None:
    with pytest.raises(SystemExit) as ended:
        bucket.console.run("uploads", "abort")
    assert ended.value.code == 2
    with pytest.raises(SystemExit):
        bucket.console.run("uploads", "abort", "--older-than", "7")


def test_a_missing_bucket_is_named(bucket: Bucket) -> None:
    ran = bucket.console.run("uploads", "list", "--bucket", "no-such-bucket-3gsync")
    assert (ran.code, "no-such-bucket-3gsync" in ran.err) == (1, True)


def standin(console: Console, gcs: GcsProcess) -> Bucket:
    console.setenv(
        {
            "DEST_AWS_ACCESS_KEY_ID": gcs.identity.access_id,
            "DEST_AWS_SECRET_ACCESS_KEY": gcs.identity.secret,
        }
    )
    console.options |= {
        "DestEndPointURL": gcs.url,
        "DestDialect": "gcs",
        "Des_bucket_default": BUCKET,
    }
    server = S3Server("gcs", gcs.url, gcs.identity.access_id, gcs.identity.secret)
    return Bucket(console, server, BUCKET, boto_for(server))


@pytest.fixture
def console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Console:
    return Console(tmp_path, monkeypatch, capsys)


def test_what_cannot_be_aborted_is_listed_and_the_exit_code_says_so(console: Console) -> None:
    with running_gcs() as gcs:
        bucket = standin(console, gcs)
        for key in ("bad/1", "good/1", "good/2"):
            bucket.begin(key, 3)
        match = Match("DELETE", operation="AbortMultipartUpload", key="^bad")
        gcs.control.add(Fault(match, times=0, status=403, code="AccessDenied"))
        ran = console.run("uploads", "abort", "--older-than", "0s", "--json")
        assert ran.code == 1
        assert "not aborted: dst-bucket/bad/1" in ran.err
        assert "AccessDenied" in ran.err
        assert (ran.report["aborted"], ran.report["failed"]) == (2, 1)
        assert "2 of 3 uploads aborted" in ran.out
        assert bucket.open() == {"bad/1"}


def test_many_pages_and_passing_faults_are_no_trouble(console: Console) -> None:
    with running_gcs(page_size=2) as gcs:
        bucket = standin(console, gcs)
        for number in range(7):
            bucket.begin(f"k{number}", 1, 1, 1)
        for operation in ("ListMultipartUploads", "ListParts"):
            match = Match("GET", operation=operation, after=2)
            gcs.control.add(Fault(match, status=503, code="ServiceUnavailable"))
        ran = console.run("uploads", "list", "--json")
        assert (ran.code, ran.report["uploads"], ran.report["parts"]) == (0, 7, 21), ran.err
        assert not gcs.control.unfired()


def test_a_listing_that_fails_half_way_is_no_listing(console: Console) -> None:
    with running_gcs(page_size=2) as gcs:
        bucket = standin(console, gcs)
        for number in range(7):
            bucket.begin(f"k{number}")
        match = Match("GET", operation="ListMultipartUploads", after=2)
        gcs.control.add(Fault(match, times=0, status=403, code="AccessDenied"))
        ran = console.run("uploads", "list", "--json")
        assert (ran.code, "ListMultipartUploads" in ran.err) == (1, True)
        assert "unfinished uploads" not in ran.out
