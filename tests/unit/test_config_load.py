"""Reading config.ini: what is accepted, what is reported, where values come from."""

from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path

import pytest

import sync.config
from sync.config import CONFIG_VARIABLE, KEYS, JobType, Key, Settings, find, load
from sync.errors import ConfigError

MIB = 1024 * 1024


def write(folder: Path, text: str, *, name: str = "config.ini", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def faults_of(path: Path | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return caught.value.faults


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OLD_3GSYNC = """\
[Basic]
SrcEndPointURL = https://s3.cn-northwest-1.amazonaws.com.cn
DestEndPointURL = https://storage.googleapis.com/
JobType = GET
table_queue_name = files
sqs_queue_name = jobs
ssm_parameter_bucket = buckets
ssm_parameter_credentials = projects/123/secrets/s3_migration_credentials/versions/1
Des_bucket_default = "to-here"   # the new home
Des_prefix_default = 'a b/#1'
[Mode]
StorageClass = STANDARD
ResumableThreshold = 50
MaxRetry = 3   ; a remark
MaxThread = 5
MAXPARALLELFILE = 7
JobTimeout = 3500
JobsenderCompareVersionId = False
UpdateVersionId = True
GetObjectWithVersionId = yes
[Debug]
CleanUnfinishedUpload = False
LoggingLevel = warning
ifVerifyMD5Twice = False
ChunkSize = 10
"""

CLUSTER = """\
; settings of the cluster
[Basic]
JobType = PUT
;{ "aws_access_key_id": "in a remark" }
table_queue_name = t_and_q
ssm_parameter_bucket = b
ssm_parameter_credentials = s3_migration_credentials
Des_bucket_default = there
[Mode]
MaxThread = 20
MaxParallelFile = 5
[Debug]
LocalProfileMode = False
ChunkSize = 5
"""


def test_an_old_file_with_bom_crlf_remarks_and_quotes_is_accepted(tmp_path: Path) -> None:
    text = OLD_3GSYNC.replace("\n", "\r\n")
    settings = load(write(tmp_path, text, encoding="utf-8-sig"), {})
    assert settings.default_bucket == "to-here"
    assert settings.default_prefix == "a b/#1"
    assert settings.dest_endpoint == "https://storage.googleapis.com"
    assert (settings.src_dialect, settings.dest_dialect) == ("aws", "gcs")
    assert settings.max_retry == 3
    assert settings.connections == 35
    assert settings.logging_level == "WARNING"
    assert settings.get_with_version_id is True
    assert settings.chunk_size == 10 * MIB
    assert settings.job_type is JobType.GET
    assert any("versions/latest" in note for note in settings.notes)


def test_a_cluster_file_means_what_its_programs_took_it_for(tmp_path: Path) -> None:
    settings = load(write(tmp_path, CLUSTER), {})
    assert (settings.src_endpoint, settings.dest_endpoint) == ("", "")
    assert (settings.src_dialect, settings.dest_dialect) == ("aws", "aws")
    assert settings.queue_name == "t_and_q"
    assert settings.connections == 100
    assert settings.job_type is JobType.PUT
    assert len(settings.notes) == 2


def test_local_profile_mode_takes_the_profiles_of_the_cluster_version(tmp_path: Path) -> None:
    text = CLUSTER.replace("Mode = False", "Mode = True")
    settings = load(write(tmp_path, text), {})
    assert settings.job_type is JobType.ENV
    assert (settings.src_profile, settings.dest_profile) == ("iad", "zhy")


def test_a_cluster_file_in_get_mode_may_name_an_ssm_parameter(tmp_path: Path) -> None:
    settings = load(write(tmp_path, CLUSTER.replace("PUT", "GET")), {})
    assert settings.credentials_name == "s3_migration_credentials"


def test_every_fault_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
stray = 1
[Basic]
SrcEndPointURL = s3.amazonaws.com
aws_secret_access_key = CANARY
[Mode]
ChunkSize = 10
ChunkSzie = 10
MaxRetry = none
MaxRetry = 4
[Debgu]
Whatever = 1
[Debug]
ChunkSize = 4
ifVerifyMD5Twice = maybe
what is this
"""
    path = write(tmp_path, text)
    faults = faults_of(path, {"THREEGSYNC_CHUNK_SIZE": "CANARY", "THREEGSYNC_MAXTHREAD": "0"})
    whole = "\n".join(faults)
    for line, words in {
        1: "unknown key stray",
        3: "SrcEndPointURL = s3.amazonaws.com: must be https://host",
        4: "unknown key aws_secret_access_key",
        6: "move it to [Debug]",
        7: "did you mean [Debug] ChunkSize?",
        8: "MaxRetry = none: must be a whole number from 1 to 100",
        9: "given twice",
        10: "did you mean [Debug]?",
        13: "ChunkSize = 4: must be a whole number from 5 to 5120 (MB)",
        14: "ifVerifyMD5Twice = maybe: must be True or False",
        15: "neither [section] nor key = value",
    }.items():
        assert any(f.startswith(f"{path}:{line}: ") and words in f for f in faults), (line, whole)
    assert "THREEGSYNC_CHUNK_SIZE: unknown; did you mean THREEGSYNC_CHUNKSIZE?" in whole
    assert "variable THREEGSYNC_MAXTHREAD: [Mode] MaxThread = 0: must be empty or a" in whole
    assert len(faults) == 13, whole
    assert "CANARY" not in whole


def test_a_secret_pasted_where_its_name_belongs_is_not_repeated(tmp_path: Path) -> None:
    text = '[Basic]\nssm_parameter_credentials = {"aws_secret_access_key": "CANARY"}\n'
    (fault,) = faults_of(write(tmp_path, text))
    assert "CANARY" not in fault
    assert "characters, not shown" in fault


def test_user_and_password_in_an_endpoint_are_refused_and_masked(tmp_path: Path) -> None:
    text = "[Basic]\nSrcEndPointURL = https://me:CANARY@minio.example:9000\n"
    (fault,) = faults_of(write(tmp_path, text))
    assert "CANARY" not in fault
    assert "https://***@minio.example:9000" in fault


@pytest.mark.parametrize(
    "url",
    [
        "https://host/path",
        "ftp://host",
        "https://",
        "https://host:99999",
        "https://host:x",
        "https://host?x=1",
        "https://a b",
        "https://[::1",
        "https://host\\@evil",
    ],
)
def test_other_endpoints_are_refused(tmp_path: Path, url: str) -> None:
    (fault,) = faults_of(write(tmp_path, f"[Basic]\nDestEndPointURL = {url}\n"))
    assert "DestEndPointURL" in fault


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("https://storage.googleapis.com", "gcs"),
        ("https://s3.eu-west-1.amazonaws.com", "aws"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "aws"),
        ("http://127.0.0.1:9000", "generic"),
        ("http://[::1]:9000", "generic"),
        ("https://amazonaws.com.example.org", "generic"),
        ("", "aws"),
    ],
)
def test_the_dialect_follows_the_host_name(tmp_path: Path, url: str, dialect: str) -> None:
    settings = load(write(tmp_path, f"[Basic]\nDestEndPointURL = {url}\n"), {})
    assert settings.dest_dialect == dialect


def test_not_utf_8_is_a_fault_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.ini"
    path.write_bytes(b"[Basic]\nDes_prefix_default = \xff\n")
    assert faults_of(path) == (f"{path}:2: not UTF-8; save the file as UTF-8",)
    path.write_bytes("[Basic]\nJobType = GET\n".encode("utf-16"))
    assert "UTF-8" in faults_of(path)[0]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    assert "No such file" in faults_of(tmp_path / "missing.ini")[0]
    assert "Is a directory" in faults_of(tmp_path)[0]
    assert "No such file" in faults_of(None, {CONFIG_VARIABLE: str(tmp_path / "gone.ini")})[0]


def test_sections_in_any_case_colons_and_remarks_behind_sections(tmp_path: Path) -> None:
    text = "[basic]  # where\nDes_bucket_default: here\n[MODE]\n  MaxRetry   =   7\n"
    settings = load(write(tmp_path, text), {})
    assert (settings.default_bucket, settings.max_retry) == ("here", 7)


def test_a_line_of_blanks_without_end_takes_no_time(tmp_path: Path) -> None:
    text = "[Basic]\na" + " " * 200_000 + "b\n"
    assert len(faults_of(write(tmp_path, text))) == 1


def test_continued_values_and_indented_options(tmp_path: Path) -> None:
    text = """\
[Mode]
StorageClass = SOURCE
  StorageClassMap = STANDARD_IA:NEARLINE,   # first
    GLACIER_IR:COLDLINE,
    GLACIER:ARCHIVE
  MaxRetry = 9
"""
    settings = load(write(tmp_path, text), {})
    assert settings.storage_class_map == (
        ("STANDARD_IA", "NEARLINE"),
        ("GLACIER_IR", "COLDLINE"),
        ("GLACIER", "ARCHIVE"),
    )
    assert settings.max_retry == 9


def test_environment_comes_before_the_file_and_new_variables_before_old(tmp_path: Path) -> None:
    path = write(tmp_path, "[Basic]\nsqs_queue_name = filed\ntable_queue_name = filed\n")
    old = {"sqs_queue_name": "older", "table_queue_name": "", "ssm_parameter_bucket": "lists"}
    settings = load(path, old)
    assert (settings.queue_name, settings.table_name) == ("older", "filed")
    assert settings.bucket_list_parameter == "lists"
    new = {"THREEGSYNC_SQS_QUEUE_NAME": "newer", "THREEGSYNC_TABLE_QUEUE_NAME": ""}
    settings = load(path, old | new)
    assert (settings.queue_name, settings.table_name) == ("newer", "")
    where = settings.given["sqs_queue_name"].where
    assert where == "environment variable THREEGSYNC_SQS_QUEUE_NAME"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_can_be_overridden(tmp_path: Path, key: Key) -> None:
    settings = load(write(tmp_path, ""), {key.override: key.default})
    assert settings.given[key.name].where == f"environment variable {key.override}"


def test_the_file_is_found_in_the_order_documented(tmp_path: Path) -> None:
    named = write(tmp_path, "[Basic]\nDes_bucket_default = named\n", name="named.ini")
    write(tmp_path, "[Basic]\nDes_bucket_default = old\n", name="s3_migration_cluster_config.ini")
    assert load(None, {}).default_bucket == "old"
    write(tmp_path, "[Basic]\nDes_bucket_default = here\n")
    assert load(None, {}).default_bucket == "here"
    assert load(None, {CONFIG_VARIABLE: str(named)}).default_bucket == "named"
    assert load(tmp_path / "config.ini", {CONFIG_VARIABLE: str(named)}).default_bucket == "here"


def test_in_a_clone_the_shipped_file_is_found_from_anywhere() -> None:
    found = find({})
    assert found == Path(sync.config.__file__).parents[2] / "config.ini"


def test_without_any_file_the_defaults_hold_and_a_note_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sync.config.loader.__file__", "/nowhere/lib/sync/config/loader.py")
    settings = load(None, {})
    assert settings.path is None
    assert settings.notes == ("no config.ini found: the defaults hold",)
    assert settings.connections is None
    assert settings.memory_limit == 512 * MIB


def test_paths_are_beside_the_file_and_named_files_must_exist(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "mine.txt").touch()
    path = write(folder, "[Basic]\nIgnoreList = mine.txt\n[Debug]\nLogFolder = logs\n")
    settings = load(path, {})
    assert settings.ignore_list == folder / "mine.txt"
    assert settings.log_folder == folder / "logs"
    bad = write(folder, "[Basic]\nIgnoreList = gone.txt\nCABundle = /gone.pem\n")
    assert len(faults_of(bad)) == 2


def test_the_default_ignore_list_is_beside_the_file_or_in_the_working_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    path = write(folder, "")
    name = "s3_migration_ignore_list.txt"
    assert load(path, {}).ignore_list == folder / name
    (tmp_path / name).touch()
    assert load(path, {}).ignore_list == Path(name)
    (folder / name).touch()
    assert load(path, {}).ignore_list == folder / name


def test_settings_travel_to_another_process(tmp_path: Path) -> None:
    settings = load(write(tmp_path, OLD_3GSYNC), {})
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_the_table_and_the_settings_have_the_same_fields() -> None:
    extra = {"path", "notes", "given"}
    assert [key.field for key in KEYS] == [f.name for f in fields(Settings) if f.name not in extra]
    assert len({key.name.lower() for key in KEYS}) == len(KEYS)
