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
