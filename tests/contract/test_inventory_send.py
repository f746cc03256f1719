"""`3gsync inventory send` as a user runs it: inventories in stores, jobs in queues."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.buckets import make_bucket
from support.gcs import running_gcs
from support.inventories import (
    BUCKET,
    FOLDER,
    STORE,
    Item,
    Made,
    csv_data,
    gcs_csv,
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

TOOL = Path(__file__).parents[2] / "tools" / "inventory_to_sqs" / "inventory_to_sqs.py"


class Queue:
    """A queue at moto, and what is in it."""

    def __init__(self, server: S3Server) -> None:
        self.server = server
        self._sqs = boto3.Session("AKIDTEST", "secret", region_name=REGION).client(
            "sqs", endpoint_url=server.endpoint
        )
        self.name = f"inventory-{uuid.uuid4().hex[:12]}"
        self._url = self._sqs.create_queue(QueueName=self.name)["QueueUrl"]

    def jobs(self) -> list[TransferJob]:
        """All jobs, taken out."""
        found: list[TransferJob] = []
        while True:
            reply = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
            for message in reply.get("Messages", ()):
                found += decode(message["Body"], DestinationRule("", "")).jobs
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            if "Messages" not in reply:
                return found

    def keys(self) -> list[str]:
        return sorted(job.source.key for job in self.jobs())


def environment(server: S3Server, queue: Queue, folder: Path, **more: str) -> dict[str, str]:
    """A configuration by variables alone; nothing of whoever runs the tests."""
    values = {
        "JobType": "ENV",
        "SrcEndPointURL": server.endpoint,
        "SrcDialect": "generic",
        "DestEndPointURL": server.endpoint,
        "DestDialect": "generic",
        "sqs_queue_name": queue.name,
        "table_queue_name": "",
        "Des_bucket_default": "target",
        "Des_prefix_default": "copy",
        "IgnoreList": str(folder / "ignore.txt"),
        **more,
    }
    return {
        **{f"THREEGSYNC_{name.upper()}": value for name, value in values.items()},
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_SQS": queue.server.endpoint,
        "SRC_AWS_ACCESS_KEY_ID": server.access_key,
        "SRC_AWS_SECRET_ACCESS_KEY": server.secret_key,
        "DEST_AWS_ACCESS_KEY_ID": server.access_key,
        "DEST_AWS_SECRET_ACCESS_KEY": server.secret_key,
        "NO_PROXY": "*",
    }


Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(
    tmp_path: Path,
    moto_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the verb; gives the exit code and the last line's JSON."""

    def go(
        *arguments: str, environ: Mapping[str, str], action: str = "send"
    ) -> tuple[int, dict[str, Any]]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("os.environ", dict(environ))
        code = main(["inventory", action, *arguments, "--config", "/dev/null", "--json"])
        lines = capsys.readouterr().out.splitlines()
        return code, json.loads(lines[-1]) if lines else {}

    (tmp_path / "ignore.txt").write_text("ignored/\n")
    return go


@pytest.fixture
def queue(moto_server: S3Server) -> Queue:
    return Queue(moto_server)


def put(server: S3Server, made: Made, bucket: str = STORE) -> None:
    client = boto_for(server)
    make_bucket(client, bucket)
    for key, data in made.objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=data)


def emptied(server: S3Server, bucket: str = STORE) -> None:
    client = boto_for(server)
    for entry in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
        client.delete_object(Bucket=bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=bucket)


@pytest.fixture(params=["moto_server", "seaweedfs_server"])
def store(request: pytest.FixtureRequest) -> Any:
    """Both kinds of server, without the inventory bucket."""
    server: S3Server = request.getfixturevalue(request.param)
    yield server
    emptied(server)


ITEMS = [
    Item("a b+c/ü.txt", size=3),
    Item("ignored/x"),
    Item("old", is_latest=False, version_id="v0"),
    Item("gone", is_delete_marker=True),
    Item("cold", storage_class="GLACIER"),
]


@pytest.mark.parametrize("kind", ["CSV", "Parquet", "ORC"])
def test_an_inventory_in_a_store_becomes_jobs(
    kind: str, store: S3Server, queue: Queue, run: Run, tmp_path: Path
) -> None:
    put(store, s3_inventory(kind, ITEMS, [Item("x//y", version_id="v9", size=0)]))
    environ = environment(store, queue, tmp_path)
    code, said = run(f"s3://{STORE}/{FOLDER}/", environ=environ)
    assert code == 0
    jobs = sorted(queue.jobs(), key=lambda job: job.source.key)
    assert [(job.source.key, job.destination.key, job.size) for job in jobs] == [
        ("a b+c/ü.txt", "copy/a b+c/ü.txt", 3),
        ("x//y", "copy/x//y", 0),
    ]
    assert {job.source.bucket for job in jobs} == {BUCKET}
    assert {job.destination.bucket for job in jobs} == {"target"}
    assert jobs[1].source.version_id == "v9"
    assert said["verified"]
    assert (said["rows"], said["sent"], said["messages"], said["ignored"]) == (6, 2, 2, 1)
    assert said["skipped"] == {"old-version": 1, "delete-marker": 1, "needs-restore": 1}
    assert not list(tmp_path.glob("*.state"))


def test_options_of_the_verb(moto_server: S3Server, queue: Queue, run: Run, tmp_path: Path) -> None:
    other = Queue(moto_server)
    manifest = s3_inventory("CSV", ITEMS, [Item("cold/x", storage_class="GLACIER")])
    path = str(manifest.write(tmp_path))
    environ = environment(moto_server, queue, tmp_path)
    code, said = run(
        *(path, "--prefix", "cold", "--include-archived", "--queue", other.name),
        *("--destination-bucket", "other", "--destination-prefix", "", "--keys-per-message", "5"),
        *("--since", "2024-04-30T12:00:00.25Z", "--until", "2024-05-01"),
        environ=environ,
    )
    assert (code, said["sent"], said["skipped"]["other-prefix"]) == (0, 2, 2)
    jobs = other.jobs()
    assert sorted(str(job.destination) for job in jobs) == ["other/cold", "other/cold/x"]
    assert queue.jobs() == []
    assert run(path, "--since", "2024-05-01", environ=environ)[1]["sent"] == 0
    assert run(path, "--dry-run", environ=environ)[1]["sent"] == 1
    assert queue.jobs() == []


def test_job_bodies_into_a_file(
    moto_server: S3Server, queue: Queue, run: Run, tmp_path: Path
) -> None:
    path = str(s3_inventory("CSV", ITEMS).write(tmp_path))
    environ = environment(moto_server, queue, tmp_path)
    # Nothing remote is needed for this, neither endpoints nor keys.
    bare = {name: value for name, value in environ.items() if "AWS_" not in name}
    code, said = run(path, "--output", "jobs.jsonl", environ=bare)
    (line,) = (tmp_path / "jobs.jsonl").read_text().splitlines()
    assert (code, said["sent"]) == (0, 1)
    (job,) = decode(line, DestinationRule("", "")).jobs
    assert str(job.destination) == "target/copy/a b+c/ü.txt"


def test_a_second_run_goes_on_where_the_limit_was(
    moto_server: S3Server, queue: Queue, run: Run, tmp_path: Path
) -> None:
    items = [Item(f"k{number}") for number in range(5)]
    path = str(s3_inventory("CSV", items).write(tmp_path))
    environ = environment(moto_server, queue, tmp_path)
    code, said = run(path, "--limit", "3", environ=environ)
    assert (code, said["limited"], queue.keys()) == (0, True, ["k0", "k1", "k2"])
    (state,) = tmp_path.glob("inventory-*.state")
    before = state.read_bytes()
    assert run(path, "--dry-run", environ=environ)[1]["sent"] == 5
    assert state.read_bytes() == before
    # Another destination is another run: the state is not taken for it.
    assert run(path, "--destination-bucket", "other", environ=environ)[0] == 2
    code, said = run(path, environ=environ)
    assert (code, said["limited"], said["sent"], queue.keys()) == (0, False, 5, ["k3", "k4"])
    assert not list(tmp_path.glob("*.state"))


def test_what_cannot_be_read_is_reported_with_exit_code_1(
    moto_server: S3Server, queue: Queue, run: Run, tmp_path: Path
) -> None:
    environ = environment(moto_server, queue, tmp_path)
    made = s3_inventory("CSV", [Item("a")], [Item("b")])
    damaged = next(key for key in made.objects if "/data/" in key)
    made.objects[damaged] = csv_data([Item("forged")])
    made.describe({"destinationBucket": ""})
    code, said = run(str(made.write(tmp_path)), environ=environ)
    assert (code, said["files_failed"], queue.keys()) == (1, [damaged], ["b"])
    (state,) = tmp_path.glob("*.state")
    assert "unreadable" in state.read_text()
    (tmp_path / "x.csv").write_text("b,k,1\nb,,1\n")
    code, said = run("x.csv", "--no-state", environ=environ)
    assert (code, said["unreadable"], queue.keys()) == (1, 1, ["k"])


def test_wrong_use(
    moto_server: S3Server,
    queue: Queue,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "x.csv").write_text("b,k,1\n")
    environ = environment(moto_server, queue, tmp_path)
    nothing = environ | {"THREEGSYNC_SQS_QUEUE_NAME": "", "THREEGSYNC_DES_BUCKET_DEFAULT": ""}
    for arguments, given in (
        (("x.csv", "--since", "yesterday"), environ),
        (("x.csv", "--output", "x", "--dry-run"), environ),
        (("x.csv", "--destination-bucket", "bucket/prefix"), environ),
        (("x.csv",), nothing),
        (("x.csv", "--destination-bucket", "other"), nothing),
        (("gs://bucket/report",), environ),
        (("ftp://x",), environ),
    ):
        assert run(*arguments, environ=given)[0] == 2
    assert run("missing.csv", environ=environ)[0] == 1
    assert run("s3://no-such-bucket-here/x/manifest.json", environ=environ)[0] == 1
    assert queue.jobs() == []
    with pytest.raises(SystemExit) as ended:
        run("x.csv", "--limit", "0", environ=environ)
    assert ended.value.code == 2


def test_the_comparison_s_options_are_its_own_module_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Module:
        @staticmethod
        def add_arguments(parser: Any) -> None:
            parser.add_argument("--mark")

        @staticmethod
        def run(arguments: Any, environ: Any) -> int:
            return 3 if arguments.mark == "x" else 1

    monkeypatch.setitem(sys.modules, "sync.commands.inventory_compare", Module)
    assert main(["inventory", "compare", "--mark", "x"]) == 3


def test_a_report_of_storage_insights_in_cloud_storage(
    queue: Queue, run: Run, tmp_path: Path
) -> None:
    made = gcs_report({"0.csv": gcs_csv([gcs_row("k+1", b"abc", crc32c=1)])}, 1)
    with running_gcs(buckets=(STORE,)) as gcs:
        who = gcs.identity
        server = S3Server("gcs", gcs.url, who.access_id, who.secret)
        client = boto_for(server)
        for key, data in made.objects.items():
            client.put_object(Bucket=STORE, Key=key, Body=data)
        environ = environment(server, queue, tmp_path, DestDialect="gcs")
        for place in (f"gs://{STORE}/reports/", f"gs://{STORE}/{made.manifest}"):
            code, said = run(place, environ=environ)
            assert (code, said["kind"], queue.keys()) == (0, "Storage Insights", ["k+1"])


def test_the_script_of_the_original_s_place(
    moto_server: S3Server, queue: Queue, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("b,k+1,v1,1\n")
    (tmp_path / "ignore.txt").touch()
    environ = environment(moto_server, queue, tmp_path)
    done = subprocess.run(
        [sys.executable, str(TOOL), "x.csv", "--no-state"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1 rows, 1 sent\n"), done.stderr
    assert queue.keys() == ["k 1"]
