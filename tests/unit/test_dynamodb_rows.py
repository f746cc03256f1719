from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.ledger_rows import (
    destination_values,
    end_values,
    job_status,
    pack_parts,
    progress,
    read_row,
    read_upload,
    unpack_parts,
    upload_values,
    version_values,
)
from sync.adapters.ledger_text import put_request, whole_row
from sync.model import Identity, JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.ports import UploadRecord

CRCS = st.dictionaries(st.integers(1, 10_000), st.integers(0, 2**32 - 1), max_size=50)
JOB = TransferJob(JobKind.COPY, ObjectRef("src", "a//b"), ObjectRef("des", "p/a//b"))
RESULT = TransferResult(
    Outcome.COPIED,
    JOB,
    identity=Identity("etag", 7, "v1"),
    seconds=0.1234,
    crc32c=1,
    started_at=1_700_000_000.5,
    finished_at=1_700_000_001.5,
)


@given(CRCS)
def test_packed_parts_come_back(crcs: dict[int, int]) -> None:
    assert unpack_parts(pack_parts(crcs)) == crcs


@given(CRCS, st.integers(0, 300))
def test_a_blob_cut_short_is_an_error_never_a_wrong_checksum(crcs: dict[int, int], at: int) -> None:
    packed = pack_parts(crcs)
    if at < len(packed):
        with pytest.raises(ValueError, match="packed list"):
            unpack_parts(packed[:at])


@given(st.binary(max_size=60))
def test_any_blob_is_read_or_refused(blob: bytes) -> None:
    try:
        crcs = unpack_parts(blob)
    except ValueError:
        return
    assert unpack_parts(pack_parts(crcs)) == crcs


def test_ten_thousand_parts_stay_far_below_the_row_limit() -> None:
    assert len(pack_parts(dict.fromkeys(range(1, 10_001), 2**32 - 1))) == 3 + 1250 + 40_000


@given(
    CRCS,
    st.text(min_size=1),
    st.sampled_from([None, "null", "v1"]),
    st.integers(0, 5 * 2**40),
    st.integers(1, 5 * 2**30),
)
def test_an_upload_record_comes_back_equal(
    crcs: dict[int, int], name: str, version: str | None, size: int, part_size: int
) -> None:
    record = UploadRecord(name, Identity("e-3", size, version), part_size, crcs)
    assert read_upload(json.loads(json.dumps(upload_values(record)))) == record


def test_progress_is_in_percent_and_below_100() -> None:
    record = UploadRecord("u", Identity("e", 100, None), 10, {1: 0, 2: 0, 3: 0})
    assert progress(record) == 30
    assert progress(replace(record, part_crc32c=dict.fromkeys(range(1, 11), 0))) == 99
    assert progress(UploadRecord("u", Identity("e", 0, None), 10, {})) == 0


# Rows as the earlier systems left them: names and types of compatibility.
OLD_3G: dict[str, Any] = {
    "Key": {"S": "src/a.bin"},
    "instanceID": {"SS": ["i-1", "i-2"]},
    "tryTimes": {"N": "2"},
    "startTime_f": {"SS": ["Mon Mar 14 09:00:00 2022"]},
    "lastTimeProgress": {"N": "100"},
    "Size": {"N": "104857600"},
    "desBucket": {"S": "des"},
    "desKey": {"S": "p/a.bin"},
    "firstTime": {"N": "1647248400"},
    "versionId": {"S": "null"},
    "jobStatus": {"SS": ["DONE"]},
    "totalSpentTime": {"N": "31"},
    "endTime": {"N": "1647248431"},
    "endTime_f": {"S": "Mon Mar 14 09:00:31 2022"},
}
OLD_096: dict[str, Any] = {
    "Key": {"S": "src/a.bin"},
    "Size": {"N": "5"},
    "firstTime": {"N": "1600000000"},
    "firstTime_f": {"S": "Sun Sep 13 12:26:40 2020"},
    "thisRoundStart": {"N": "1600000100"},
    "thisRoundStart_f": {"S": "Sun Sep 13 12:28:20 2020"},
    "jobStatus": {"SS": ["TIMEOUT_or_MaxRetry"]},
    "tryTimes": {"N": "3"},
}
JOBSENDER_096: dict[str, Any] = {"Key": {"S": "src/a.bin"}, "Size": {"N": "5"}}


@pytest.mark.parametrize("item", [OLD_3G, OLD_096, JOBSENDER_096, {}])
def test_a_row_of_an_earlier_system_has_no_upload_of_ours(item: dict[str, Any]) -> None:
    assert read_upload(item) is None


def test_rows_of_earlier_systems_are_read() -> None:
    row = read_row(OLD_3G)
    assert row.destination == ObjectRef("des", "p/a.bin")
    assert (row.size, row.tries, row.progress, row.seconds) == (104_857_600, 2, 100, 31)
    assert row.statuses == {"DONE"}
    assert row.instances == {"i-1", "i-2"}
    assert (row.version_id, row.unfinished) == ("null", False)
    assert read_row(OLD_096).statuses == {"TIMEOUT_or_MaxRetry"}
    assert read_row({"thisRoundStart": {"N": "9"}}).first_time == 9
    assert read_row(JOBSENDER_096).size == 5


GOOD = upload_values(UploadRecord("u", Identity("e", 10, "v"), 5, {1: 1}))
ODD: list[Any] = [{"S": "x"}, {"N": "NaN"}, {"N": "-3"}, {"SS": ["x"]}, {"B": "?"}, {"NULL": True}]


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("odd", ODD)
def test_odd_attributes_never_raise_nor_invent_a_part(name: str, odd: Any) -> None:
    item = {**GOOD, name: odd}
    record = read_upload(item)
    assert record is None or set(record.part_crc32c) <= {1}
    read_row(item)


def test_an_upload_with_unreadable_checksums_proves_no_part() -> None:
    cut = base64.b64encode(pack_parts({1: 1})[:-1]).decode()
    record = read_upload({**GOOD, "partCRC32C": {"B": cut}})
    assert record is not None
    assert record.part_crc32c == {}


def test_a_finished_row_has_the_original_names_and_types() -> None:
    row = json.loads(whole_row(RESULT, instance="i-1"))
    assert row == {
        "Key": {"S": "src/a//b"},
        "instanceID": {"SS": ["i-1"]},
        "tryTimes": {"N": "1"},
        "firstTime": {"N": "1700000000"},
        "startTime_f": {"SS": ["Tue Nov 14 22:13:20 2023"]},
        "lastTimeProgress": {"N": "100"},
        "jobStatus": {"SS": ["DONE"]},
        "desBucket": {"S": "des"},
        "desKey": {"S": "p/a//b"},
        "totalSpentTime": {"N": "0.123"},
        "endTime": {"N": "1700000001"},
        "endTime_f": {"S": "Tue Nov 14 22:13:21 2023"},
        "outcome": {"S": "copied"},
        "Size": {"N": "7"},
        "etag": {"S": "etag"},
        "versionId": {"S": "v1"},
        "versioned": {"BOOL": True},
        "crc32c": {"S": "AAAAAQ=="},
    }


def test_a_usual_row_costs_one_write_unit() -> None:
    source = ObjectRef("a-source-bucket", "k" * 200)
    job = JOB._replace(source=source, destination=ObjectRef("a-bucket", "k" * 200))
    row = json.loads(whole_row(RESULT._replace(job=job), instance="i-0123456789abcdef0"))
    size = sum(len(n) + len("".join(map(str, v.values()))) for n, v in row.items())
    assert size < 1024


TEXTS = st.text() | st.text(alphabet='"\\\n\x00\x7f/é😀{}%,:')


@given(
    key=TEXTS,
    instance=TEXTS,
    reason=TEXTS,
    outcome=st.sampled_from([Outcome.COPIED, Outcome.SKIPPED, Outcome.DELETED]),
    identity=st.none() | st.builds(Identity, TEXTS, st.integers(0, 5 * 2**40), st.none() | TEXTS),
    crc32c=st.none() | st.integers(0, 2**32 - 1),
    seconds=st.floats(0, 1e6),
    at=st.floats(0, 4e9),
)
def test_whatever_is_in_a_row_comes_out_of_its_text(
    *,
    key: str,
    instance: str,
    reason: str,
    outcome: Outcome,
    identity: Identity | None,
    crc32c: int | None,
    seconds: float,
    at: float,
) -> None:
    job = TransferJob(JobKind.COPY, ObjectRef("s", key), ObjectRef("d", f"p/{key}"))
    result = TransferResult(
        outcome,
        job,
        identity=identity,
        reason=reason,
        crc32c=crc32c,
        seconds=seconds,
        started_at=at,
        finished_at=at + seconds,
    )
    row = json.loads(whole_row(result, instance=instance, keep=10.0))
    known = destination_values(job) | end_values(result) | version_values(result)
    assert {name: row.pop(name) for name in known} == known
    assert row == {
        "Key": {"S": f"s/{key}"},
        "instanceID": {"SS": [instance]},
        "tryTimes": {"N": "1"},
        "firstTime": {"N": str(int(at))},
        "startTime_f": {"SS": [time.asctime(time.gmtime(at))]},
        "lastTimeProgress": {"N": "100"},
        "jobStatus": {"SS": ["DONE"]},
        "expireAt": {"N": str(int(at + seconds + 10.0))},
    }


def test_rows_are_put_together() -> None:
    row = whole_row(RESULT, instance="i")
    puts = [{"PutRequest": {"Item": json.loads(row)}}]
    assert json.loads(put_request('a"table', [row])) == {"RequestItems": {'a"table': puts}}
    assert json.loads(put_request("t", [row] * 3)) == {"RequestItems": {"t": puts * 3}}


def test_a_deleted_object_has_no_version() -> None:
    row = json.loads(whole_row(RESULT._replace(outcome=Outcome.DELETED), instance="i"))
    assert not {"versionId", "etag", "Size", "crc32c"} & set(row)
    assert row["jobStatus"] == {"SS": ["DONE"]}


@pytest.mark.parametrize(
    ("outcome", "error", "status"),
    [
        (Outcome.COPIED, "", "DONE"),
        (Outcome.SKIPPED, "", "DONE"),
        (Outcome.DELETED, "", "DONE"),
        (Outcome.GONE, "", "QUIT"),
        (Outcome.DEAD_LETTERED, "KeyNotAllowed", "QUIT"),
        (Outcome.FAILED, "JobTimedOut", "TIMEOUT"),
        (Outcome.FAILED, "AccessDenied", "ERR"),
    ],
)
def test_every_outcome_has_the_originals_word(outcome: Outcome, error: str, status: str) -> None:
    assert job_status(RESULT._replace(outcome=outcome, error=error)) == status
