"""Configurations of earlier tools become config.ini: as the user runs it, and its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import cli
from sync.config import Settings, load
from sync.config.imports.env_file import parse_env
from sync.config.imports.s3_tools import _as_text
from sync.config.queue_names import queue_names
from sync.errors import ConfigError

S3_TOOLS = """\
aws:
  inventory:
    profile_name: "inventories"
    region_name: cn-north-1
  copy:
    profile_name: "copies"
    region_name: cn-northwest-1
    aws_access_key_id: "AKIACANARYAKIACANARY"
    aws_secret_access_key: "canary-secret"
  # copy_source:
migration:
  batch_num: 400
  tmp_dir: tmp
  log_level: warn
  log_file: logs/run.log
sqs:
  queue_num: 12
  queue_name_pattern: jobs-{:0>2d}-of-mine
  dead_queue_name: jobs-dead
  visibility_timeout: "1800"
  receive_message_wait_time: "15"
  message_retention_period: "1209600"
  max_receive_num: 10
other: 7
"""

SINGLE_NODE = """\
[Basic]
JobType = S3_TO_S3
DesProfileName = oregon
DesEndPointURL = AWS
DesBucket = my-bucket    ; where to
S3Prefix = photos/
SrcFileIndex = *
[LOCAL_TO_S3]
SrcDir = /data
[S3_TO_S3]
SrcProfileName = beijing
SrcEndPointURL = https://s3.cn-north-1.amazonaws.com.cn
SrcBucket = from-here
[Advanced]
ChunkSize = 8
MaxRetry = 20
MaxThread = 5
MaxParallelFile = 6
StorageClass = STANDARD_IA
ifVerifyMD5 = True
DontAskMeToClean = True
LoggingLevel = INFO
"""

OSS = """\
[Basic]
JobType = ALIOSS_TO_S3
DesProfileName = oregon
DesBucket = my-bucket
[ALIOSS_TO_S3]
ali_SrcBucket = "from-oss"
ali_access_key_id = "AKIACANARYAKIACANARY"
ali_access_key_secret = "canary-secret"
ali_endpoint = "oss-cn-beijing.aliyuncs.com"
"""

CLUSTER = """\
[Basic]
JobType = PUT
table_queue_name = t_and_q
ssm_parameter_credentials = s3_migration_credentials
Des_bucket_default = there
Made_up = 1
[Mode]
MaxThread = 20
MaxParallelFile = 5
JobTimeout = soon
[Debug]
LocalProfileMode = False
ChunkSize = 5
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "QUEUE_NUM",
        "QUEUE_NAME_PATTERN",
        "COPY_PROFILE_NAME",
        "COPY_SOURCE_PROFILE_NAME",
    ):
        monkeypatch.delenv(name, raising=False)


class Run:
    """``3gsync config import`` of a text, and what it made."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, name: str, text: str, *more: str, code: int = 0) -> Settings:
        Path(name).write_text(text, "utf-8")
        assert cli.main(["config", "import", name, *more]) == code
        self.out, self.err = self._capsys.readouterr()
        return load(Path("config.ini"), {})

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def test_the_s3_tools_file(run: Run) -> None:
    settings = run("config.yml", S3_TOOLS)
    assert settings.queue_names == tuple(f"jobs-{n:02}-of-mine" for n in range(1, 13))
    assert settings.queue_name == "jobs-{01..12}-of-mine"
    assert settings.dead_letter_queue == "jobs-dead"
    assert (settings.src_profile, settings.dest_profile) == ("copies", "copies")
    china = "https://s3.cn-northwest-1.amazonaws.com.cn"
    assert (settings.src_endpoint, settings.dest_endpoint) == (china, china)
    assert (settings.transfer_mode, settings.copy_tags, settings.table_name) == ("copy", True, "")
    assert (settings.receive_wait, settings.logging_level) == (15, "WARNING")
    assert settings.log_folder == Path("logs")
    for line in (
        (
            "no counterpart: migration.batch_num: it is an option now: 3gsync jobsender "
            "--keys-per-message 400"
        ),
        "no counterpart: migration.tmp_dir",
        "no counterpart: sqs.visibility_timeout",
        "the queues: 3gsync queue init --retention 1209600",
        "no counterpart: aws.inventory.profile_name",
        "no counterpart: other",
        "to do: set Des_bucket_default",
        "SRC_AWS_ACCESS_KEY_ID",
        "config.ini: written",
    ):
        assert line in run.out, line


@pytest.mark.parametrize("text", [S3_TOOLS, S3_TOOLS + "  bad: [", "key: canary-secret: x"])
def test_no_key_is_written_or_shown_whatever_the_file_is_like(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.yml").write_text(text)
    cli.main(["config", "import", "config.yml", "--json"])
    told = capsys.readouterr()
    made = Path("config.ini").read_text() if Path("config.ini").exists() else ""
    for secret in ("canary-secret", "AKIACANARY"):
        assert secret not in told.out + told.err + made


def test_variables_come_before_the_file_and_the_environment_before_the_env_file(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("vars.env").write_text(
        "# theirs\nexport QUEUE_NUM=3\nQUEUE_NAME_PATTERN='q{}'  # short\n"
        "COPY_SOURCE_PROFILE_NAME=sources\nCOPY_SOURCE_REGION_NAME=us-east-1\n"
    )
    monkeypatch.setenv("QUEUE_NUM", "2")
    settings = run("config.yml", S3_TOOLS, "--env-file", "vars.env", "--json")
    assert settings.queue_names == ("q1", "q2")
    assert (settings.src_profile, settings.dest_profile) == ("sources", "copies")
    # No store copies out of China by itself.
    assert settings.transfer_mode == "downup"
    assert settings.src_endpoint == "https://s3.us-east-1.amazonaws.com"
    assert run.told["values"]["sqs_queue_name"] == "q{1..2}"
    assert any("QUEUE_NUM" in line for line in run.told["taken"])
    assert any("the queues are asked with the source's keys" in line for line in run.told["todo"])


def test_an_empty_file_means_their_defaults(run: Run) -> None:
    settings = run("config.yml", "")
    assert settings.queue_name == "s3-migration-{01..05}"
    assert (settings.src_endpoint, settings.dest_endpoint) == ("", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sqs: {queue_num: many}", "sqs.queue_num = many: must be a whole number"),
        ("sqs: {queue_name_pattern: same}", "no place for the queue's number"),
        ("sqs: {queue_name_pattern: 'a b{}'}", "no pattern of queue names"),
        ("sqs: {queue_name_pattern: '{0.__class__}'}", "queue"),
        ("sqs: {queue_name_pattern: '{name}'}", "no pattern of queue names"),
        ("sqs: {receive_message_wait_time: 60}", "from 0 to 20"),
        ("- a\n- b", "a mapping"),
        ("a: b: c", "config.yml:1: not YAML"),
    ],
)
def test_what_cannot_be_imported_is_named(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.yml").write_text(text)
    assert cli.main(["config", "import", "config.yml"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("config.ini").exists()


def test_the_single_node_s_file(run: Run) -> None:
    settings = run("s3_upload_config.ini", "\ufeff" + SINGLE_NODE)
    assert settings.job_type == "ENV"
    assert (settings.src_profile, settings.dest_profile) == ("beijing", "oregon")
    assert settings.src_endpoint == "https://s3.cn-north-1.amazonaws.com.cn"
    assert (settings.dest_endpoint, settings.default_bucket) == ("", "my-bucket")
    assert settings.chunk_size == settings.resumable_threshold == 8 * 1024 * 1024
    assert (settings.max_retry, settings.max_thread, settings.max_parallel_file) == (20, 5, 6)
    assert settings.storage_class == "STANDARD_IA"
    assert settings.verify_md5_twice
    for line in (
        "[basic] s3prefix: an option now: 3gsync jobsender --source-prefix photos/",
        "[s3_to_s3] srcbucket: an option now: 3gsync jobsender --source-bucket from-here",
        "[local_to_s3] srcdir: it is the setting of another JobType",
        "dontaskmetoclean: nothing asks",
        "to do: set sqs_queue_name",
    ):
        assert line in run.out, line


def test_the_single_node_s_file_for_oss(run: Run) -> None:
    settings = run("s3_upload_config.ini", OSS)
    assert settings.src_endpoint == "https://oss-cn-beijing.aliyuncs.com"
    assert settings.addressing_style == "virtual"
    assert "SRC_AWS_SECRET_ACCESS_KEY" in run.out
    for secret in ("canary-secret", "AKIACANARY"):
        assert secret not in run.out + Path("config.ini").read_text()


def test_files_of_this_machine_are_no_source(capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.ini").write_text(SINGLE_NODE.replace("S3_TO_S3\nDes", "LOCAL_TO_S3\nDes"))
    assert cli.main(["config", "import", "c.ini"]) == 2
    assert "nothing to import" in capsys.readouterr().err


def test_the_cluster_s_file(run: Run) -> None:
    settings = run("s3_migration_cluster_config.ini", CLUSTER)
    assert (settings.job_type, settings.queue_name) == ("PUT", "t_and_q")
    assert (settings.src_endpoint, settings.dest_endpoint) == ("", "")
    assert settings.connections == 100
    assert "unknown key Made_up" in run.out
    assert "JobTimeout: soon: must be" in run.out


def test_nothing_is_written_over(run: Run) -> None:
    run("config.yml", "")
    run("config.yml", S3_TOOLS, code=2)
    assert "--force" in run.err
    assert run("config.yml", S3_TOOLS, "--force").receive_wait == 15


def test_to_standard_output_it_is_a_file_that_can_be_loaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("config.yml").write_text(S3_TOOLS)
    assert cli.main(["config", "import", "config.yml", "--output", "-"]) == 0
    Path("made.ini").write_text(capsys.readouterr().out)
    assert load(Path("made.ini"), {}).receive_wait == 15
    assert not Path("config.ini").exists()


def test_what_is_faulty_still_is_listed(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    text = SINGLE_NODE.replace("DesEndPointURL = AWS", "DesEndPointURL = s3.example.com/x")
    Path("c.ini").write_text(text)
    assert cli.main(["config", "import", "c.ini"]) == 1
    assert "to mend: config.ini:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A = 'x # y' # z", "x # y"),
        ('A="a"', "a"),
        ("A=a#b", "a#b"),
        ("A=", ""),
    ],
)
def test_env_files_are_read_as_they_are_written(line: str, value: str) -> None:
    assert parse_env(f"\n# remark\n{line}\n", "f") == {"A": value}


def test_a_line_that_is_no_variable_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"f:2: ") as caught:
        parse_env("A=1\ncanary-secret\n", "f")
    assert "canary" not in str(caught.value)


@given(
    st.sampled_from(["q{}", "q-{:0>2d}", "{:03d}x", "1{}2", "7-{}", "{:x}", "{0}-{0}"]),
    st.integers(1, 120),
)
def test_any_numbered_names_are_written_so_that_they_are_read_back(
    pattern: str, count: int
) -> None:
    names = tuple(pattern.format(number) for number in range(1, count + 1))
    assert queue_names(_as_text(names)) == names
