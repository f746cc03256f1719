"""`config check --online` against servers: what works, what is missing, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from support.buckets import make_bucket
from support.gcs import BUCKET, running_gcs
from support.ledger_table import make_table
from support.moto_aws import MotoAws, moto_aws
from support.servers import S3Server, hear_interrupts
from support.stores import boto_for
from sync.config_check import check
from sync.errors import ConfigError
from sync.standins.gcs import Fault, GcsProcess, HmacIdentity, Match, Permission
from sync.standins.secretmanager import SecretManager

SECRET = "projects/p/secrets/keys"
CANARY = "canary-secret-that-nobody-may-see"
ALL_BUT = {p: frozenset(Permission) - {p} for p in Permission}
FORGED = HmacIdentity("GOOGTESTSOURCE5678", CANARY)


class NoWaiting:
    """Sleeps not at all: pauses between tries are not what is tested here."""

    async def sleep(self, seconds: float) -> None:
        return

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Setup:
    """What a check is told, and what it said."""

    values: dict[str, str]
    lines: list[str] = field(default_factory=list)

    def run(self, *, source_bucket: str = "", **overrides: str) -> int:
        given = self.values | {f"THREEGSYNC_{k.upper()}": v for k, v in overrides.items()}
        self.lines = []
        return check(
            Path(os.devnull),
            given,
            online=True,
            as_json=True,
            source_bucket=source_bucket,
            show=self.lines.append,
            clock=NoWaiting(),
        )

    @property
    def results(self) -> list[dict[str, str]]:
        results: list[dict[str, str]] = json.loads(self.lines[-1])["results"]
        return results

    def states(self, prefix: str = "") -> dict[str, str]:
        """The last state of each thing tried."""
        return {r["what"]: r["state"] for r in self.results if r["what"].startswith(prefix)}

    def bad(self) -> dict[str, str]:
        return {k: v for k, v in self.states().items() if v in {"FAIL", "differs"}}

    def detail(self, what: str) -> str:
        """Of the last line about it."""
        return next(r["detail"] for r in reversed(self.results) if r["what"] == what)


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


@pytest.fixture(scope="module")
def gcs() -> Iterator[GcsProcess]:
    def limited(missing: Permission) -> HmacIdentity:
        return HmacIdentity(f"GOOGNO{missing.upper()}1234", CANARY, {"*": ALL_BUT[missing]})

    identities = (HmacIdentity("GOOGTESTFULL1234", CANARY), *map(limited, Permission))
    with running_gcs(identities=identities) as running:
        yield running


@pytest.fixture(autouse=True)
def _faultless(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "gcs" in request.fixturenames:
        running: GcsProcess = request.getfixturevalue("gcs")
        running.control.clear_faults()


@cache
def sqs_of(aws: MotoAws) -> Any:
    return aws.sqs


def gcs_boto(gcs: GcsProcess) -> Any:
    return _boto_at(gcs.url, gcs.identity.access_id)


@cache
def _boto_at(url: str, access_id: str) -> Any:
    return boto_for(S3Server("gcs", url, access_id, CANARY))


@cache
def queue_and_table(aws: MotoAws) -> tuple[str, str]:
    """Nothing is written to them, so all tests may share them."""
    return make_queue(aws), make_table(aws)


def make_queue(aws: MotoAws, *, dead_letter: bool = True) -> str:
    name, sqs = f"q{uuid4().hex}", sqs_of(aws)
    attributes = {}
    if dead_letter:
        url = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = told["Attributes"]["QueueArn"]
        policy = {"deadLetterTargetArn": arn, "maxReceiveCount": 20}
        attributes = {"RedrivePolicy": json.dumps(policy)}
    sqs.create_queue(QueueName=name, Attributes=attributes)
    return name


def base(aws: MotoAws, **values: str) -> dict[str, str]:
    queue, table = queue_and_table(aws)
    return {
        "NO_GCE_CHECK": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_SQS": aws.endpoint,
        "AWS_ENDPOINT_URL_DYNAMODB": aws.endpoint,
        "AWS_REGION": "us-east-1",
        "SRC_AWS_ACCESS_KEY_ID": "AKIATESTSOURCE1234",
        "SRC_AWS_SECRET_ACCESS_KEY": CANARY,
        "THREEGSYNC_JOBTYPE": "ENV",
        "THREEGSYNC_SRCENDPOINTURL": aws.endpoint,
        "THREEGSYNC_SQS_QUEUE_NAME": queue,
        "THREEGSYNC_TABLE_QUEUE_NAME": table,
        "THREEGSYNC_IGNORELIST": "",
        **values,
    }


def with_keys(values: dict[str, str], access_key: str, secret: str) -> dict[str, str]:
    return values | {"DEST_AWS_ACCESS_KEY_ID": access_key, "DEST_AWS_SECRET_ACCESS_KEY": secret}


def on_gcs(
    aws: MotoAws, gcs: GcsProcess, missing: Permission | None = None, **values: str
) -> Setup:
    access = f"GOOGNO{missing.upper()}1234" if missing else gcs.identity.access_id
    told = {
        "THREEGSYNC_DESTENDPOINTURL": gcs.url,
        "THREEGSYNC_DESTDIALECT": "gcs",
        "THREEGSYNC_DES_BUCKET_DEFAULT": BUCKET,
    }
    return Setup(with_keys(base(aws, **told, **values), access, CANARY))


def on_server(aws: MotoAws, server: S3Server, dialect: str, *, versioned: bool = False) -> Setup:
    bucket = f"check-{uuid4().hex[:12]}"
    boto = boto_for(server)
    make_bucket(boto, bucket)
    if versioned:
        boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    told = {
        "THREEGSYNC_DESTENDPOINTURL": server.endpoint,
        "THREEGSYNC_DESTDIALECT": dialect,
        "THREEGSYNC_DES_BUCKET_DEFAULT": bucket,
    }
    return Setup(with_keys(base(aws, **told), server.access_key, server.secret_key))


def bucket_of(setup: Setup) -> str:
    return setup.values["THREEGSYNC_DES_BUCKET_DEFAULT"]


def left_behind(boto: Any, bucket: str) -> list[Any]:
    """Objects, versions, markers and open uploads."""
    found = list(boto.list_objects_v2(Bucket=bucket).get("Contents", ()))
    found += boto.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    versions = boto.list_object_versions(Bucket=bucket)
    return [*found, *versions.get("Versions", ()), *versions.get("DeleteMarkers", ())]


# --- where all is well ----------------------------------------------------------------


def test_a_cloud_storage_bucket_with_all_permissions_is_well(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    assert setup.run(Des_prefix_default="some/where", SyncDeletes="True") == 0, setup.lines
    assert setup.bad() == {}
    assert json.loads(setup.lines[-1])["ok"] is True
    assert left_behind(gcs_boto(gcs), BUCKET) == []
    known = setup.states()
    assert known["object: checksum in the reply"] == "ok"
    assert known["parts: an unused part"] == "ok"
    assert known["parts: part number 10,000"] == "ok"
    assert "CRC32C" in setup.detail("parts: checksum of the whole")
    assert "not the MD5 of the object" in setup.detail("parts: ETag of the whole")
    assert "MD5 as ETag" in setup.detail("parts: listing")


def test_all_is_written_below_the_configured_prefix(aws: MotoAws, gcs: GcsProcess) -> None:
    gcs.control.clear_requests()
    on_gcs(aws, gcs).run(Des_prefix_default="some/where")
    writing = {"PutObject", "CreateMultipartUpload", "DeleteObject"}
    targets = [r["key"] for r in gcs.control.requests() if r["operation"] in writing]
    probes = {re.match(r"some/where/3gsync-probe-[0-9a-f]{32}/", target) for target in targets}
    assert len(targets) > 20
    assert None not in probes
    assert len({match[0] for match in probes if match}) == 1


def test_seaweedfs_is_what_the_generic_dialect_says_but_for_keys(
    aws: MotoAws, seaweedfs_server: S3Server
) -> None:
    setup = on_server(aws, seaweedfs_server, "generic")
    assert setup.run() == 1
    assert set(setup.bad()) == {"object: keys"}
    assert setup.states()["object: keys"] == "differs"
    assert "'./a'" in setup.detail("object: keys")
    assert "'plus+and space'" not in setup.detail("object: keys")
    assert "MD5" in setup.detail("object: checksum in the reply")
    assert left_behind(boto_for(seaweedfs_server), bucket_of(setup)) == []


def test_keys_of_one_google_secret_serve_both_sides(aws: MotoAws, gcs: GcsProcess) -> None:
    def pair(key: str) -> dict[str, str]:
        return {"aws_access_key_id": key, "aws_secret_access_key": CANARY, "region": "us-east-1"}

    document = {"source": pair("AKIATESTSOURCE1234"), "destination": pair(gcs.identity.access_id)}
    with SecretManager() as manager:
        manager.add_version(SECRET, json.dumps(document).encode())
        setup = on_gcs(aws, gcs, SECRETMANAGER_EMULATOR_HOST=manager.address)
        name = f"{SECRET}/versions/latest"
        assert setup.run(JobType="GET", ssm_parameter_credentials=name) == 0, setup.lines
        assert setup.detail("source keys").startswith(f"from {name}, key id …1234")
        assert manager.accesses == 1
        assert CANARY not in "\n".join(setup.lines)


# --- facts that differ ----------------------------------------------------------------


def test_each_fact_that_a_store_lacks_is_named(aws: MotoAws, moto_server: S3Server) -> None:
    """moto keeps versions, computes no CRC64NVME and looks at no Content-MD5."""
    setup = on_server(aws, moto_server, "aws", versioned=True)
    assert setup.run() == 1
    assert setup.bad() == dict.fromkeys(
        (
            "object: checksum in the reply",
            "object: wrong Content-MD5",
            "parts: wrong Content-MD5",
            "parts: checksum in the reply",
            "parts: checksum of the whole",
        ),
        "differs",
    )
    assert "x-amz-checksum-crc64nvme" in setup.detail("parts: checksum in the reply")
    assert left_behind(boto_for(moto_server), bucket_of(setup)) == []


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("PutObject", "object: checksum in the reply"),
        ("UploadPart", "parts: checksum in the reply"),
        ("HeadObject", "parts: checksum of the whole"),
    ],
)
def test_a_cloud_storage_without_its_hash_header_is_named(
    aws: MotoAws, gcs: GcsProcess, operation: str, what: str
) -> None:
    gcs.control.add(Fault(Match(operation=operation), times=0, drop_hash=True))
    setup = on_gcs(aws, gcs)
    assert setup.run() == 1
    assert setup.bad() == {what: "differs"}
    assert "x-goog-hash" in setup.detail(what)
    assert left_behind(gcs_boto(gcs), BUCKET) == []


def test_a_store_that_refuses_unused_parts_is_named_and_tried_without(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    complete = Match(operation="CompleteMultipartUpload", key="upload-whole")
    gcs.control.add(Fault(complete, status=400, code="InvalidPart"))
    setup = on_gcs(aws, gcs)
    assert setup.run() == 1
    assert setup.bad() == {"parts: an unused part": "differs"}
    assert "DestDialect = generic" in setup.detail("parts: an unused part")
    assert setup.states()["parts: completing"] == "ok"
    assert setup.states()["parts: reading back"] == "ok"
    assert left_behind(gcs_boto(gcs), BUCKET) == []


def test_a_finished_object_that_a_worker_would_refuse_is_named(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    """Bytes damaged after the part was answered: the whole's checksum cannot be the parts'."""
    stored = Match(operation="UploadPart", key="upload-whole", part=2)
    gcs.control.add(Fault(stored, corrupt_stored_at=10))
    setup = on_gcs(aws, gcs)
    assert setup.run() == 1
    assert gcs.control.unfired() == []
    assert setup.states()["parts: the finished object"] == "FAIL"


def test_bytes_damaged_at_rest_are_found(aws: MotoAws, gcs: GcsProcess) -> None:
    stored = Match(operation="PutObject", key="/object$")
    gcs.control.add(Fault(stored, corrupt_stored_at=100))
    setup = on_gcs(aws, gcs)
    assert setup.run() == 1
    assert setup.bad() == {"object: reading back": "FAIL"}


def test_bytes_damaged_on_the_way_are_found(aws: MotoAws, gcs: GcsProcess) -> None:
    on_the_way = Match(operation="UploadPart", key="upload-whole", part=1)
    gcs.control.add(Fault(on_the_way, corrupt_body_at=1000))
    setup = on_gcs(aws, gcs)
    assert setup.run() == 1
    assert setup.states()["parts: checksum in the reply"] == "FAIL"


def test_a_failure_that_passes_is_no_failure(aws: MotoAws, gcs: GcsProcess) -> None:
    gcs.control.add(
        Fault(Match(operation="PutObject"), times=2, status=503, code="SlowDown"),
        Fault(Match(operation="UploadPart"), status=500, code="InternalError"),
    )
    setup = on_gcs(aws, gcs)
    assert setup.run() == 0, setup.bad()
    assert gcs.control.unfired() == []


# --- permissions ----------------------------------------------------------------------


def test_without_the_permission_to_write_all_that_needs_it_is_named(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs, Permission.WRITE)
    assert setup.run() == 1
    assert set(setup.bad()) == {"object: writing", "parts: beginning an upload"}
    assert "storage.objects.create" in setup.detail("object: writing")
    assert "roles/storage.objectUser" in setup.detail("object: writing")
    assert "storage.multipartUploads.create" in setup.detail("parts: beginning an upload")
    assert "clean-up" not in setup.states()


def test_without_the_permission_to_delete_replacing_and_cleaning_fail(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs, Permission.DELETE)
    assert setup.run(SyncDeletes="True") == 1
    assert set(setup.bad()) == {"object: replacing", "object: deleting", "clean-up"}
    assert "storage.objects.delete" in setup.detail("object: replacing")
    assert "storage.objects.delete" in setup.detail("clean-up")
    left = {entry["Key"] for entry in left_behind(gcs_boto(gcs), BUCKET)}
    folder = re.search(rf"{BUCKET}/(3gsync-probe-[0-9a-f]+/)", setup.detail("clean-up"))
    assert folder
    assert all(key.startswith(folder[1]) for key in left)
    boto = gcs_boto(gcs)
    for key in left:
        boto.delete_object(Bucket=BUCKET, Key=key)


def test_without_the_permission_to_read_describing_and_reading_fail(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs, Permission.READ)
    assert setup.run() == 1
    bad = {"object: describing", "object: reading back", "parts: the finished object"}
    assert bad <= set(setup.bad())
    assert "storage.objects.get" in setup.detail("object: reading back")
    assert left_behind(gcs_boto(gcs), BUCKET) == []


def test_without_the_permission_to_list_uploads_that_is_named(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs, Permission.LIST)
    assert setup.run() == 1
    assert "storage.multipartUploads.list" in setup.detail("parts: listing uploads")
    assert left_behind(gcs_boto(gcs), BUCKET) == []


# --- what is not there ----------------------------------------------------------------


def test_a_bucket_that_is_not_there_is_told_once(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    assert setup.run(Des_bucket_default="no-such-bucket") == 1
    assert set(setup.bad()) == {"object: writing"}
    assert "create the bucket or mend its name" in setup.detail("object: writing")


def test_a_wrong_secret_is_told_once_and_not_shown(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    setup.values["DEST_AWS_SECRET_ACCESS_KEY"] = "another-canary"
    assert setup.run() == 1
    assert set(setup.bad()) == {"object: writing"}
    assert "SignatureDoesNotMatch" in setup.detail("object: writing")
    assert "canary" not in "\n".join(setup.lines)


def test_an_endpoint_nobody_answers_at_is_told_once(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    assert setup.run(DestEndPointURL="http://127.0.0.1:9") == 1
    assert set(setup.bad()) == {"object: writing"}


def test_keys_that_cannot_be_read_leave_the_other_side_to_be_tried(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs)
    setup.values["SRC_AWS_SECRET_ACCESS_KEY"] = ""
    assert setup.run() == 1
    assert setup.bad() == {"source keys": "FAIL"}
    assert "SRC_AWS_SECRET_ACCESS_KEY" in setup.detail("source keys")
    assert setup.states()["object: writing"] == "ok"


def test_queue_and_table_that_are_not_there(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    assert setup.run(sqs_queue_name="none", table_queue_name="not-made") == 1
    assert setup.bad() == {"queue": "FAIL", "table": "FAIL"}
    assert "sqs_queue_name" in setup.detail("queue")
    assert "create table not-made" in setup.detail("table")


def test_a_queue_without_a_dead_letter_queue_is_warned_of(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    assert setup.run(sqs_queue_name=make_queue(aws, dead_letter=False)) == 0
    assert setup.states()["dead-letter queue"] == "warn"
    assert "redrive policy" in setup.detail("dead-letter queue")


def test_a_redrive_policy_that_comes_before_the_worker_is_warned_of(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs)
    assert setup.run(MaxReceives="21") == 0
    assert "after 20 receives" in setup.detail("redrive policy")


def test_neither_messages_nor_rows_are_touched(aws: MotoAws, gcs: GcsProcess) -> None:
    setup = on_gcs(aws, gcs)
    queue, sqs = make_queue(aws), sqs_of(aws)
    table = setup.values["THREEGSYNC_TABLE_QUEUE_NAME"]
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="mine")
    setup.run(sqs_queue_name=queue)
    asked = ["ApproximateReceiveCount"]
    (message,) = sqs.receive_message(QueueUrl=url, AttributeNames=asked, MaxNumberOfMessages=10)[
        "Messages"
    ]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert aws.dynamodb.scan(TableName=table)["Items"] == []


# --- the source -----------------------------------------------------------------------


def source_bucket(server: S3Server, objects: dict[str, bytes], *, versioned: bool = False) -> str:
    boto, name = boto_for(server), f"src-{uuid4().hex[:12]}"
    make_bucket(boto, name)
    if versioned:
        boto.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key, data in objects.items():
        boto.put_object(Bucket=name, Key=key, Body=data)
    return name


@pytest.mark.parametrize("by_version", [False, True])
def test_an_object_of_the_source_is_read_as_the_worker_reads(
    aws: MotoAws, gcs: GcsProcess, moto_server: S3Server, by_version: bool
) -> None:
    bucket = source_bucket(moto_server, {"a/": b"", "b": b"12345"}, versioned=True)
    setup = on_gcs(aws, gcs, THREEGSYNC_SRCENDPOINTURL=moto_server.endpoint)
    options = {"GetObjectWithVersionId": str(by_version), "CopyTags": "True"}
    assert setup.run(source_bucket=bucket, **options) == 0, setup.bad()
    how = "by its version" if by_version else "tied to its ETag"
    assert setup.detail("source: reading") == f"{bucket}/b, 5 bytes of it, {how}"
    assert setup.states()["source: tags"] == "ok"


def test_a_source_bucket_without_objects_or_without_versions_is_warned_of(
    aws: MotoAws, gcs: GcsProcess, moto_server: S3Server
) -> None:
    setup = on_gcs(aws, gcs, THREEGSYNC_SRCENDPOINTURL=moto_server.endpoint)
    setup.run(source_bucket=source_bucket(moto_server, {}))
    assert setup.states("source: ")["source: listing"] == "warn"
    plain = source_bucket(moto_server, {"only/": b""})
    assert setup.run(source_bucket=plain, GetObjectWithVersionId="True") == 0
    assert "keeps no versions" in setup.detail("source: reading")


def test_a_source_bucket_that_may_not_be_listed(
    aws: MotoAws, gcs: GcsProcess, seaweedfs_server: S3Server
) -> None:
    setup = on_gcs(aws, gcs, THREEGSYNC_SRCENDPOINTURL=seaweedfs_server.endpoint)
    assert setup.run(source_bucket="whatever") == 1
    assert set(setup.bad()) == {"source: listing"}


def test_without_a_source_bucket_the_source_is_said_not_to_be_tried(
    aws: MotoAws, gcs: GcsProcess
) -> None:
    setup = on_gcs(aws, gcs)
    setup.run()
    assert setup.states()["source"] == "warn"
    assert "--source-bucket" in setup.detail("source")


# --- the command ----------------------------------------------------------------------


def command(setup: Setup, *arguments: str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("THREEGSYNC_", "AWS_"))}
    words = [sys.executable, "-m", "sync.cli", "config", "check", "--config", os.devnull]
    return subprocess.Popen(
        [*words, *arguments],
        env=clean | setup.values,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=hear_interrupts,  # noqa: PLW1509  one system call, from the main thread
    )


def test_the_command_prints_a_line_for_each_thing_and_json_last(
    aws: MotoAws, gcs: GcsProcess, moto_server: S3Server
) -> None:
    bucket = source_bucket(moto_server, {"b": b"12345"})
    setup = on_gcs(aws, gcs, THREEGSYNC_SRCENDPOINTURL=moto_server.endpoint)
    with command(setup, "--online", "--json", "--source-bucket", bucket) as process:
        out, errors = process.communicate(timeout=90)
    *lines, last = out.splitlines()
    told = json.loads(last)
    assert (process.returncode, errors, told["ok"]) == (0, "", True)
    assert set(told) == {"ok", "results"}
    assert len(lines) == len(told["results"])
    for line, result in zip(lines, told["results"], strict=True):
        assert set(result) == {"what", "state", "detail"}
        assert line.startswith(result["state"].ljust(9) + result["what"])
    assert CANARY not in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_removes_what_it_wrote(
    aws: MotoAws, gcs: GcsProcess, number: signal.Signals
) -> None:
    gcs.control.add(Fault(Match(operation="UploadPart", key="upload-whole"), delay=60.0))
    setup = on_gcs(aws, gcs)
    with command(setup, "--online") as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "parts: least size" in line:  # the next part is the one that is held
                    break
            assert left_behind(gcs_boto(gcs), BUCKET)
            process.send_signal(number)
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "clean-up" in out
    assert "Traceback" not in errors
    assert left_behind(gcs_boto(gcs), BUCKET) == []


def test_a_configuration_that_is_not_enough_for_a_worker_is_a_fault(aws: MotoAws) -> None:
    setup = Setup({"NO_GCE_CHECK": "true"})
    with pytest.raises(ConfigError, match="Des_bucket_default"):
        setup.run()
