"""`3gsync inventory compare` as a user runs it: inventories in a store and in files, a queue."""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.buckets import make_bucket
from support.inventories import (
    BUCKET,
    WHEN,
    Item,
    Made,
    gcs_csv,
    gcs_parquet,
    gcs_report,
    gcs_row,
    s3_inventory,
)
from support.moto_aws import REGION
from support.servers import S3Server
from support.stores import boto_for
from sync.cli import main
from sync.messages import DestinationRule, decode
from sync.model import TransferJob


def _item(key: str, data: bytes = b"x", **facts: Any) -> Item:
    return Item(key, size=len(data), etag=hashlib.md5(data).hexdigest(), **facts)


def _object(key: str, data: bytes = b"x", **facts: Any) -> dict[str, Any]:
    return gcs_row(f"copy/{key}", data, crc32c=0, **facts)


LATE = WHEN + timedelta(hours=13)  # both inventories were taken twelve hours after WHEN
SOURCE = [
    _item("same"),
    _item("a b+c%20/ü"),
    _item("larger", b"xx"),
    _item("other", b"y"),
    _item("gone//x"),
    _item("ignored/x"),
    _item("cold", storage_class="GLACIER"),
    _item("new", when=LATE),
    _item("old", is_latest=False),
    _item("marker", is_delete_marker=True),
]
DESTINATION = [
    _object("same"),
    _object("a b+c%20/ü"),
    _object("larger"),
    _object("other"),
    _object("only"),
    _object("deleted", deleted=True),
]


def _report(rows: list[dict[str, Any]], kind: str = "csv") -> Made:
    write = gcs_csv if kind == "csv" else gcs_parquet
    options = {"header_required": True} if kind == "csv" else None
    return gcs_report({f"0.{kind}": write(rows)}, len(rows), options=options)


class Queue:
    """A queue at moto."""

    def __init__(self, endpoint: str) -> None:
        session = boto3.Session("AKIDTEST", "secret", region_name=REGION)
        self._sqs = session.client("sqs", endpoint_url=endpoint)
        self.name = f"compare-{uuid.uuid4().hex[:12]}"
        self._url = self._sqs.create_queue(QueueName=self.name)["QueueUrl"]

    def jobs(self) -> list[TransferJob]:
        """All jobs, taken out."""
        found: list[TransferJob] = []
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found += decode(message["Body"], DestinationRule("", "")).jobs
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def queue(moto_server: S3Server) -> Queue:
    return Queue(moto_server.endpoint)


Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(
    tmp_path: Path,
    moto_server: S3Server,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the verb; gives the exit code, the last line's JSON, and what it said on stderr."""
    settings = {
        "JobType": "ENV",
        "SrcEndPointURL": moto_server.endpoint,
        "SrcDialect": "generic",
        "DestEndPointURL": moto_server.endpoint,
        "DestDialect": "generic",
        "sqs_queue_name": queue.name,
        "table_queue_name": "",
        "Des_bucket_default": "target",
        "Des_prefix_default": "copy",
        "IgnoreList": str(tmp_path / "ignore.txt"),
    }
    environ = {
        **{f"THREEGSYNC_{name.upper()}": value for name, value in settings.items()},
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_SQS": moto_server.endpoint,
        "NO_PROXY": "*",
        **{
            f"{side}_AWS_{name}": value
            for side in ("SRC", "DEST")
            for name, value in (
                ("ACCESS_KEY_ID", moto_server.access_key),
                ("SECRET_ACCESS_KEY", moto_server.secret_key),
            )
        },
    }
    (tmp_path / "ignore.txt").write_text("ignored/\n")
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str) -> tuple[int, dict[str, Any], str]:
        with monkeypatch.context() as patch:
            patch.setattr("os.environ", dict(environ))
            options = ("--config", "/dev/null", "--work-directory", str(tmp_path))
            code = main(["inventory", "compare", *arguments, *options])
        out, err = capsys.readouterr()
        last = out.splitlines()[-1] if out else ""
        return code, json.loads(last) if "--json" in arguments and last else {}, out + err

    return go


@pytest.fixture
def in_store(moto_server: S3Server) -> Callable[[Made], str]:
    """Puts an inventory into a bucket of its own; gives its place."""
    client, bucket = boto_for(moto_server), f"inv-{uuid.uuid4().hex[:12]}"
    make_bucket(client, bucket)

    def put(made: Made) -> str:
        made.describe({"destinationBucket": f"arn:aws:s3:::{bucket}"})
        for key, data in made.objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{made.manifest}"

    return put


CLASSES = {
    "equal": 2,
    "size": 1,
    "checksum": 1,
    "missing": 1,
    "extraneous": 1,
    "archived": 1,
    "newer-than-inventory": 1,
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_differs_is_counted_written_and_left_alone(
    kind: str, run: Run, queue: Queue, in_store: Callable[[Made], str], tmp_path: Path
) -> None:
    source = in_store(s3_inventory("CSV", SOURCE[:3], SOURCE[3:]))
    destination = str(_report(DESTINATION, kind).write(tmp_path / "gcs"))
    code, said, text = run(source, destination, "--output", "found.jsonl", "--json")
    assert code == 3
    assert {name: count["objects"] for name, count in said["classes"].items()} == CLASSES
    assert (said["differences"], said["ignored"], said["sent"]) == (6, 1, 0)
    assert said["classes"]["size"]["bytes"] == 2
    assert said["source"]["bucket"] == BUCKET
    assert said["source"]["taken"] == said["destination"]["taken"] == "2024-05-01T00:00:00+00:00"
    assert said["source"]["verified"]
    assert "taken 2024-05-01T00:00:00+00:00" in text
    assert "must be restored" in text
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert sorted((line["class"], line["difference"], line["key"]) for line in lines) == [
        ("archived", "missing", "cold"),
        ("checksum", "checksum", "other"),
        ("extraneous", "extraneous", "only"),
        ("missing", "missing", "gone//x"),
        ("newer-than-inventory", "missing", "new"),
        ("size", "size", "larger"),
    ]
    (larger,) = [line for line in lines if line["key"] == "larger"]
    assert (larger["source_size"], larger["destination_size"]) == (2, 1)
    assert larger["source_modified"] == int(WHEN.timestamp())
    assert queue.jobs() == []
    assert {path.name for path in tmp_path.iterdir()} == {"ignore.txt", "gcs", "found.jsonl"}


def test_what_a_copy_would_mend_is_sent_and_nothing_else(
    run: Run, queue: Queue, in_store: Callable[[Made], str], tmp_path: Path
) -> None:
    source = in_store(s3_inventory("Parquet", SOURCE))
    destination = str(_report(DESTINATION).write(tmp_path / "gcs"))
    code, said, _ = run(source, destination, "--send", "--json")
    jobs = sorted(queue.jobs())
    assert (code, said["sent"], said["messages"]) == (0, 3, 3)
    assert {job.kind.value for job in jobs} == {"copy"}
    assert {job.source.bucket for job in jobs} == {BUCKET}
    assert [(str(job.destination), job.size) for job in jobs] == [
        ("target/copy/gone//x", 1),
        ("target/copy/larger", 2),
        ("target/copy/new", 1),
    ]  # "other" is unverified: this Parquet file has no EncryptionStatus
    assert said["classes"]["unverified"]["objects"] == 1


def test_two_inventories_of_s3_and_the_options(run: Run, queue: Queue, tmp_path: Path) -> None:
    items = [_item("p/a"), _item("p/cold", b"xx", storage_class="DEEP_ARCHIVE"), _item("q")]
    one = s3_inventory("ORC", items).write(tmp_path / "one")
    late = [_item("p/a", b"y"), _item("p/cold", when=WHEN - timedelta(1))]
    two = s3_inventory("CSV", late).write(tmp_path / "two")
    places = str(one), str(two)
    code, said, _ = run(*places, "--destination-prefix", "", "--prefix", "p/", "--json")
    assert (code, said["differences"]) == (3, 1)
    assert set(said["classes"]) == {"unverified", "archived"}
    options = ("--destination-prefix", "", "--prefix", "p/", "--include-archived", "--size-only")
    code, said, _ = run(
        *places,
        *options,
        "--send",
        "--destination-bucket",
        "d",
        "--keys-per-message",
        "9",
        "--json",
    )
    assert (code, said["sent"]) == (0, 1)
    assert [str(job.destination) for job in queue.jobs()] == ["d/p/cold"]


def test_a_source_that_changed_after_its_copy_counts_on_demand(run: Run, tmp_path: Path) -> None:
    one = s3_inventory("CSV", [Item("a", size=1, etag="0" * 32 + "-2")])
    two = s3_inventory("CSV", [_item("a", when=WHEN - timedelta(1))]).write(tmp_path / "two")
    places = str(one.write(tmp_path / "one")), str(two), "--destination-prefix", "", "--json"
    assert run(*places)[0] == 0
    code, said, _ = run(*places, "--time")
    assert (code, set(said["classes"])) == (3, {"time"})


def test_equal_inventories_exit_with_0(run: Run, tmp_path: Path) -> None:
    one = s3_inventory("CSV", SOURCE[:2]).write(tmp_path / "one")
    two = _report(DESTINATION[:2]).write(tmp_path / "two")
    code, said, text = run(str(one), str(two), "--json", "--threads", "1", "--memory-limit", "100")
    assert (code, said["differences"], set(said["classes"])) == (0, 0, {"equal"})
    assert "equal                                2 objects" in text


def test_differences_on_the_standard_output(run: Run, tmp_path: Path) -> None:
    one = s3_inventory("CSV", SOURCE[4:5]).write(tmp_path / "one")
    two = _report([]).write(tmp_path / "two")
    code, _, text = run(str(one), str(two), "--output", "-")
    assert code == 3
    assert json.loads(text.splitlines()[0])["key"] == "gone//x"


def test_a_damaged_data_file_is_refused_and_nothing_is_sent(
    run: Run, queue: Queue, tmp_path: Path
) -> None:
    made = s3_inventory("CSV", SOURCE)
    name = next(key for key in made.objects if key.endswith(".csv.gz"))
    made.objects[name] = made.objects[name][:-9] + b"\0" * 9
    one, two = made.write(tmp_path / "one"), _report(DESTINATION).write(tmp_path / "two")
    code, _, text = run(str(one), str(two), "--send", "--output", "found.jsonl")
    assert code == 1
    assert "its MD5 is not the manifest's" in text
    assert queue.jobs() == []
    assert not (tmp_path / "found.jsonl").exists()


def test_a_report_without_all_its_rows_is_refused(run: Run, tmp_path: Path) -> None:
    made = gcs_report({"0.csv": gcs_csv(DESTINATION)}, 7, options={"header_required": True})
    one, two = s3_inventory("CSV", SOURCE).write(tmp_path / "one"), made.write(tmp_path / "two")
    code, _, text = run(str(one), str(two))
    assert code == 1
    assert "speaks of 7 rows, its files have 6" in text


def test_a_key_that_cannot_be_read_fails_the_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text('"b","%FF","1"\n')
    two = str(_report([]).write(tmp_path / "two"))
    code, said, _ = run(
        str(tmp_path / "s.csv"), two, "--source-columns", "Bucket,Key,Size", "--json"
    )
    assert (code, set(said["classes"])) == (1, {"unreadable-key"})
    code, said, _ = run(
        *(str(tmp_path / "s.csv"), two, "--source-columns", "Bucket,Key,Size", "--json"),
        *("--source-keys", "plain"),
    )
    assert (code, set(said["classes"])) == (3, {"missing"})


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        (("--send",), "--source-bucket"),
        (("--output", "no/such/folder/x"), "--output no/such/folder/x"),
        (("--source-columns", "Key,Etag"), "has no field Size"),
    ],
)
def test_wrong_use_is_told_with_the_mend(
    options: tuple[str, ...], mend: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "s.csv").write_text('"k","1"\n')
    two = str(_report([]).write(tmp_path / "two"))
    columns = ("--source-columns", "Key,Size")
    code, _, text = run(str(tmp_path / "s.csv"), two, *columns, *options)
    assert (code, mend in text) == (2, True)


def test_no_memory_at_all_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("s", "d", "--memory-limit", "0")
    assert "a number from 1" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("sync.commands.inventory_comp")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("sync.adapters.inventory_comp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ibis", None)
    code, _, text = run("s", "d")
    assert code == 2
    assert "needs the package ibis: pip install '3gsync[inventory]'" in text


def test_the_query_for_bigquery_is_printed(run: Run) -> None:
    code, _, text = run("p.d.s3", "d.gcs", "--print-sql", "bigquery", "--prefix", "a'b/")
    assert code == 0
    assert "FULL OUTER JOIN" in text
    assert "STARTS_WITH(`t2`.`name`" in text or "'copy/a\\'b/'" in text
