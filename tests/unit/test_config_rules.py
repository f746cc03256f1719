"""Values that contradict each other, and what a worker needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sync.config import Settings, load
from sync.errors import ConfigError

SECRET = "projects/p/secrets/s/versions/latest"


EMPTY = Path(os.devnull)


def settings(**values: object) -> Settings:
    environ = {f"THREEGSYNC_{name.upper()}": str(value) for name, value in values.items()}
    return load(EMPTY, environ)


def fault(**values: object) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    (only,) = caught.value.faults
    return str(only)


AWS = {"DestEndPointURL": "https://s3.eu-west-1.amazonaws.com"}


def test_a_class_of_s3_is_refused_for_google_and_taken_elsewhere() -> None:
    assert "NEARLINE" in fault(StorageClass="STANDARD_IA")
    assert settings(StorageClass="STANDARD_IA", **AWS).storage_class == "STANDARD_IA"
    assert settings(StorageClass="COLDLINE").storage_class == "COLDLINE"


def test_class_map_targets_must_exist_at_google() -> None:
    text = fault(StorageClass="SOURCE", StorageClassMap="GLACIER:ARCHIVE, STANDARD_IA:GLACIER")
    assert "STANDARD_IA:GLACIER" in text


def test_a_class_map_without_effect_is_noted() -> None:
    notes = settings(StorageClassMap="GLACIER:ARCHIVE").notes
    assert any("StorageClass = SOURCE" in note for note in notes)


def test_the_class_written_follows_the_source_only_if_asked() -> None:
    fixed = settings(StorageClass="NEARLINE")
    assert fixed.destination_class("GLACIER") == "NEARLINE"
    mapped = settings(StorageClass="SOURCE", StorageClassMap="glacier_ir:nearline")
    assert mapped.destination_class("GLACIER_IR") == "NEARLINE"
    assert mapped.destination_class("STANDARD_IA") == "NEARLINE"
    assert mapped.destination_class("") == "STANDARD"
    plain = settings(StorageClass="SOURCE", **AWS)
    assert plain.destination_class("STANDARD_IA") == "STANDARD_IA"


def test_get_wants_a_google_secret_and_put_a_parameter() -> None:
    assert "projects/PROJECT" in fault(JobType="GET", ssm_parameter_credentials="plain_name")
    assert "JobType = GET" in fault(JobType="PUT", ssm_parameter_credentials=SECRET)
    assert settings(JobType="GET", ssm_parameter_credentials=SECRET).credentials_name == SECRET


def test_a_secret_without_version_means_the_latest() -> None:
    assert settings(ssm_parameter_credentials="projects/p/secrets/s").credentials_name == SECRET
    regional = "projects/p/locations/europe-west1/secrets/s/versions/3"
    assert settings(ssm_parameter_credentials=regional).credentials_name == regional


def test_the_dead_letter_queue_is_another_queue() -> None:
    assert "of their own" in fault(sqs_queue_name="q", dead_letter_queue_name="q")


def test_a_queue_is_named_not_addressed() -> None:
    assert "not its URL" in fault(sqs_queue_name="https://sqs.eu-west-1.amazonaws.com/1/q")


def test_version_compare_needs_the_table() -> None:
    assert "table_queue_name" in fault(JobsenderCompareVersionId="True", table_queue_name="")


def test_limits_of_sqs_hold() -> None:
    assert "43200" in fault(LeaseSeconds=43201)
    assert "43200" in fault(JobTimeout=43201)
    assert "20" in fault(ReceiveWait=21)


def test_connections_come_first_then_the_old_product_then_auto() -> None:
    assert settings().connections is None
    assert settings(MaxThread=20, MaxParallelFile=5).connections == 100
    assert settings(MaxThread=20).connections == 100
    both = settings(MaxThread=20, MaxParallelFile=5, Connections=8)
    assert both.connections == 8
    assert any("comes before the product" in note for note in both.notes)
    assert "at most 4096" in fault(MaxThread=1000, MaxParallelFile=1000)


def test_plain_http_is_noted_except_on_this_machine() -> None:
    assert any("encrypted" in note for note in settings(SrcEndPointURL="http://10.0.0.1").notes)
    for local in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"):
        assert not any("encrypted" in n for n in settings(SrcEndPointURL=local).notes)


def test_unused_profiles_are_noted() -> None:
    assert any("JobType = ENV" in note for note in settings(DestProfileName="x").notes)
    assert not any("ENV" in n for n in settings(DestProfileName="x", JobType="ENV").notes)


def test_a_rule_is_silent_where_a_value_of_its_own_is_already_faulty() -> None:
    assert "one of auto" in fault(DestDialect="google", StorageClass="STANDARD_IA")


def test_only_a_worker_needs_a_default_bucket_and_the_secret() -> None:
    bare = settings()
    assert [f.split(" is ")[0] for f in bare.require_worker()] == [
        "[Basic] Des_bucket_default",
        "[Basic] ssm_parameter_credentials",
    ]
    full = settings(Des_bucket_default="b-1", ssm_parameter_credentials=SECRET)
    assert full.require_worker() == ()
    assert settings(sqs_queue_name="", JobType="ENV", Des_bucket_default="bbb").require_worker()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("jobs", ("jobs",)),
        ("a, b,c", ("a", "b", "c")),
        ("jobs-{00..02}", ("jobs-00", "jobs-01", "jobs-02")),
    ],
)
def test_several_queues_are_named_in_one_text(text: str, names: tuple[str, ...]) -> None:
    assert settings(sqs_queue_name=text).queue_names == names


@pytest.mark.parametrize("text", ["a,,b", "jobs-{5..1}", "a, a", "a b"])
def test_names_that_no_queue_can_have_are_refused(text: str) -> None:
    assert "jobs-{01..05}" in fault(sqs_queue_name=text)


def test_none_of_several_queues_may_be_the_dead_letter_queue() -> None:
    assert "of their own" in fault(sqs_queue_name="q-{1..3}", dead_letter_queue_name="q-2")


STORE = "https://store.example"
AMAZON = "https://s3.eu-west-1.amazonaws.com"
CHINA = "https://s3.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("source", "destination", "well"),
    [
        (STORE, STORE, True),
        (STORE, "https://other.example", False),
        (STORE, AMAZON, False),
        ("https://s3.amazonaws.com", AMAZON, True),
        ("", AMAZON, True),
        ("", "", True),
        (CHINA, AMAZON, False),
        (CHINA, "https://s3.cn-northwest-1.amazonaws.com.cn", True),
        ("https://storage.googleapis.com", "https://storage.googleapis.com", True),
        (AMAZON, "https://storage.googleapis.com", False),
    ],
)
def test_a_store_copies_by_itself_only_between_its_own_buckets(
    source: str, destination: str, well: bool
) -> None:
    keys = {"SrcEndPointURL": source, "DestEndPointURL": destination, "TransferMode": "copy"}
    if well:
        assert settings(**keys).transfer_mode == "copy"
    else:
        assert "SrcEndPointURL" in fault(**keys)


def test_a_dialect_that_makes_one_end_point_two_stores_is_no_place_to_copy() -> None:
    keys = {"SrcEndPointURL": STORE, "DestEndPointURL": STORE, "TransferMode": "copy"}
    assert "must be the same" in fault(**keys, DestDialect="gcs")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("", None),
        ("1970-01-02", 86400),
        ("1970-01-01T01:00:00", 3600),
        ("1970-01-01T01:00:00Z", 3600),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:00.5", 0.5),
    ],
)
def test_times_are_utc_where_they_name_no_zone(text: str, time: float | None) -> None:
    assert settings(ModifiedSince=text).modified_since == time


@pytest.mark.parametrize("text", ["now", "01/02/2024", "2024-13-01", "12"])
def test_what_is_no_time_is_refused(text: str) -> None:
    assert "ISO 8601" in fault(NotModifiedSince=text)


def test_times_that_leave_nothing_out_of_nothing_are_refused() -> None:
    assert "no object" in fault(ModifiedSince="2024-01-02", NotModifiedSince="2024-01-02")
