"""The parts of `config check` that need no server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.scripted_aws import ManualClock, ScriptedReply, ScriptedService, ok, refused
from sync.adapters.credentials import Providers
from sync.adapters.dialects import AWS, BY_NAME, GCS
from sync.adapters.dynamodb import DynamoLedger
from sync.adapters.sqs import SqsQueue
from sync.config_check import check
from sync.errors import (
    AccessDenied,
    ConfigError,
    CredentialsRejected,
    IntegrityError,
    NoSuchBucket,
    OutcomeUnknown,
    RequestRefused,
    SyncError,
    Throttled,
    TransientStoreError,
)
from sync.ports import Credentials
from sync.probes.attempts import Attempts, HopelessError, retried
from sync.probes.keys import probe_keys
from sync.probes.permissions import explained, permission
from sync.probes.queue import try_permissions
from sync.probes.report import Report

ENOUGH = {
    "THREEGSYNC_DES_BUCKET_DEFAULT": "dest",
    "THREEGSYNC_JOBTYPE": "ENV",
    "THREEGSYNC_IGNORELIST": "",
}
OPERATIONS = (
    "PutObject",
    "HeadObject",
    "GetObject",
    "DeleteObject",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
    "ListMultipartUploads",
)


def offline(values: Mapping[str, str], *, as_json: bool = False) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = check(Path(os.devnull), values, online=False, as_json=as_json, show=lines.append)
    return code, lines


# --- offline --------------------------------------------------------------------------


def test_a_good_configuration_is_said_to_be_well() -> None:
    code, lines = offline(ENOUGH)
    assert code == 0
    assert lines == [f"ok       {'configuration':<44}{os.devnull}: well"]


def test_notes_are_warnings_and_no_failures() -> None:
    code, lines = offline(ENOUGH | {"THREEGSYNC_STORAGECLASSMAP": "STANDARD_IA:NEARLINE"})
    assert code == 0
    assert lines[0].startswith("warn")
    assert "StorageClassMap" in lines[0]


def test_the_last_line_is_json_on_request() -> None:
    code, lines = offline(ENOUGH, as_json=True)
    told = json.loads(lines[-1])
    detail = f"{os.devnull}: well"
    result = {"what": "configuration", "state": "ok", "detail": detail}
    assert (code, told) == (0, {"ok": True, "results": [result]})


@pytest.mark.parametrize(
    ("values", "named"),
    [({"THREEGSYNC_MAXRETRY": "many"}, "MaxRetry"), ({}, "Des_bucket_default")],
)
def test_faults_are_raised_and_are_json_too(values: dict[str, str], named: str) -> None:
    lines: list[str] = []
    with pytest.raises(ConfigError, match=named):
        check(Path(os.devnull), values, online=True, as_json=True, show=lines.append)
    (line,) = lines
    told = json.loads(line)
    assert told["ok"] is False
    assert {result["state"] for result in told["results"]} == {"FAIL"}
    assert any(named in result["detail"] for result in told["results"])


# --- lines ----------------------------------------------------------------------------


def test_a_line_shows_no_control_characters() -> None:
    lines: list[str] = []
    Report(lines.append).fail("thing", "a\nb\x1b[31m\u202e")
    assert lines == [f"FAIL     {'thing':<44}a\\nb\\x1b[31m\\u202e"]


@pytest.mark.parametrize(
    ("kind", "well"), [("ok", True), ("warn", True), ("differs", False), ("fail", False)]
)
def test_what_counts_as_well(kind: str, well: bool) -> None:
    report = Report(lambda _: None)
    getattr(report, kind)("thing", "detail")
    assert report.well is well


# --- permissions ----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BY_NAME))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_its_permission(name: str, operation: str) -> None:
    assert permission(operation, BY_NAME[name]).startswith("storage." if name == "gcs" else "s3:")


def test_a_missing_permission_is_named_as_its_vendor_does() -> None:
    error = AccessDenied("no", operation="AbortMultipartUpload", status=403)
    assert "storage.multipartUploads.abort" in explained(error, GCS, bucket="b")
    assert "s3:AbortMultipartUpload" in explained(error, AWS, bucket="b")


@pytest.mark.parametrize(
    "error",
    [
        CredentialsRejected("wrong", operation="PutObject", status=403),
        IntegrityError("damaged"),
        RequestRefused("odd", operation="PutObject", status=400),
    ],
)
def test_other_failures_do_not_speak_of_permissions(error: SyncError) -> None:
    assert explained(error, GCS) == str(error)


# --- trying ---------------------------------------------------------------------------


class Failing:
    """Raises these in turn, then answers."""

    def __init__(self, *errors: SyncError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_passing_failures_are_tried_three_times_with_growing_pauses() -> None:
    clock = ManualClock()
    slow = [Throttled("slow down", status=503) for _ in range(3)]
    assert asyncio.run(retried(Failing(*slow[:2]), clock)) == "done"
    assert clock.slept == [1.0, 2.0]
    with pytest.raises(Throttled):
        asyncio.run(retried(Failing(*slow), clock))


@pytest.mark.parametrize(
    "error", [AccessDenied("no", status=403), CredentialsRejected("no"), IntegrityError("bad")]
)
def test_lasting_failures_are_not_tried_again(error: SyncError) -> None:
    failing = Failing(error)
    with pytest.raises(type(error)):
        asyncio.run(retried(failing, ManualClock()))
    assert failing.calls == 1


@pytest.mark.parametrize(
    ("error", "hopeless"),
    [
        (NoSuchBucket("gone", status=404), True),
        (CredentialsRejected("wrong", status=403), True),
        (TransientStoreError("no connection"), True),
        (AccessDenied("not this", status=403), False),
        (TransientStoreError("broken", status=500), False),
        (OutcomeUnknown("no reply"), False),
    ],
)
def test_a_step_that_fails_is_reported_and_ends_its_side_only_where_nothing_can_follow(
    error: SyncError, hopeless: bool
) -> None:
    report = Report(lambda _: None)
    attempts = Attempts(report, GCS, "b", ManualClock())
    step = attempts.step("thing", Failing(error, error, error))
    if hopeless:
        with pytest.raises(HopelessError):
            asyncio.run(step)
    else:
        assert asyncio.run(step) is None
    assert [result.what for result in report.results] == ["thing"]
    assert not report.well


# --- keys -----------------------------------------------------------------------------


class Given:
    def __init__(self, keys: Credentials | SyncError) -> None:
        self._keys = keys

    async def credentials(self) -> Credentials:
        if isinstance(self._keys, SyncError):
            raise self._keys
        return self._keys

    def invalidate(self) -> None:
        raise AssertionError


def probed(source: Credentials | SyncError, destination: Credentials) -> tuple[Any, list[str]]:
    lines: list[str] = []
    one, other = Given(source), Given(destination)
    found = asyncio.run(probe_keys(Providers(one, other, one, one), Report(lines.append)))
    return found, lines


def test_of_a_key_id_only_the_end_is_shown_and_nothing_of_a_short_one() -> None:
    long, short = Credentials("AKIAIOSFODNN7WXYZ", "sesame"), Credentials("minioadmin", "sesame")
    found, lines = probed(long, short)
    assert found == (True, True)
    assert lines[0].endswith("key id …WXYZ")
    assert lines[1].endswith("key id …")
    assert "sesame" not in "".join(lines)


def test_one_side_without_keys_does_not_hide_the_other() -> None:
    found, lines = probed(ConfigError("no such secret"), Credentials("AKIAIOSFODNN7WXYZ", "s"))
    assert found == (False, True)
    assert lines[0].startswith("FAIL     source keys")
    assert lines[1].startswith("ok       destination keys")


# --- the queue's permissions ----------------------------------------------------------


def receipt_refused(asked: Any) -> ScriptedReply:
    entry = {"Id": "0", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}
    (sent,) = asked.payload["Entries"]
    assert sent["ReceiptHandle"].startswith("3gsync-probe-")
    return ok({"Failed": [entry], "Successful": []})


def tried(*answers: Any) -> Report:
    report = Report(lambda _: None)
    attributes = ok({"Attributes": {"VisibilityTimeout": "30"}})
    service = ScriptedService(ok({"QueueUrl": "http://q/1/jobs"}), attributes, *answers)

    async def run() -> None:
        queue = await SqsQueue.open(
            name_or_url="jobs",
            client=service,
            credentials=Given(Credentials("AKIAIOSFODNN7WXYZ", "s", region="us-east-1")),
            endpoint="http://127.0.0.1:1",
            region="us-east-1",
            clock=ManualClock(),
        )
        await try_permissions(queue, report)

    asyncio.run(run())
    assert not service.answers
    return report


def test_a_made_up_receipt_that_is_refused_shows_that_the_call_is_allowed() -> None:
    report = tried(receipt_refused, receipt_refused)
    assert [str(r.state) for r in report.results] == ["ok", "ok", "warn"]


def test_a_call_that_is_not_allowed_is_named() -> None:
    report = tried(refused("AccessDenied", "not you", 403), receipt_refused)
    assert [str(r.state) for r in report.results] == ["FAIL", "ok", "warn"]
    assert "sqs:DeleteMessage " in report.results[0].detail


# --- the table's permissions ----------------------------------------------------------


def table_tried(*answers: Any) -> list[Any]:
    service = ScriptedService(*answers)

    async def run() -> None:
        ledger = DynamoLedger(
            table="jobs",
            client=service,
            credentials=Given(Credentials("AKIAIOSFODNN7WXYZ", "s", region="us-east-1")),
            endpoint="http://127.0.0.1:1",
            region="us-east-1",
            instance="i",
            clock=ManualClock(),
        )
        await ledger.try_access()

    asyncio.run(run())
    assert not service.answers
    return service.asked


def test_the_table_is_tried_on_a_row_that_is_not_there() -> None:
    failed = refused("ConditionalCheckFailedException", "not there")
    get, update, batch = table_tried(ok({}), failed, ok({"UnprocessedItems": {}}))
    key = get.payload["Key"]
    assert key["Key"]["S"].startswith("3gsync-probe/")
    assert update.payload["Key"] == key
    assert update.payload["ConditionExpression"] == "attribute_exists(#reason)"
    assert batch.payload["RequestItems"] == {"jobs": [{"DeleteRequest": {"Key": key}}]}


@pytest.mark.parametrize(
    ("before", "operation"), [(0, "GetItem"), (1, "UpdateItem"), (2, "BatchWriteItem")]
)
def test_a_call_to_the_table_that_is_not_allowed_is_named(before: int, operation: str) -> None:
    passed = [ok({}), refused("ConditionalCheckFailedException", "not there")][:before]
    with pytest.raises(AccessDenied, match=f"dynamodb:{operation}"):
        table_tried(*passed, refused("AccessDeniedException", "not you"))
