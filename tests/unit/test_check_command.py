"""The verb's options: what they mean and which of them contradict each other."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from sync.checking.options import CheckOptions
from sync.checking.run import limited
from sync.cli import main
from sync.commands import check
from sync.engine.comparing.closer_look import Reading
from sync.errors import ConfigError
from sync.model import BucketPair

PAIR = ["--source-bucket", "s", "--destination-bucket", "d"]


def parsed(*given: str) -> CheckOptions:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check._options(parser.parse_args(given))


def test_levels() -> None:
    assert not parsed().depth.closer
    assert parsed("--checksum").depth.checksum
    assert parsed("--read").depth.reading is Reading.BOTH
    assert parsed("--read", "source").depth.reading is Reading.SOURCE
    both = parsed("--checksum", "--read=both").depth
    assert (both.checksum, both.reading) == (True, Reading.BOTH)


def test_defaults_are_those_that_are_documented() -> None:
    options = parsed()
    assert (options.settle, options.sample, options.connections) == (10.0, 1.0, 8)
    assert parsed("--no-second-look").settle is None
    assert parsed("--settle", "2m").settle == 120
    assert parsed("--settle", "0.5").settle == 0.5


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.5 %", 0.005), ("100%", 1.0), ("12.25%", 0.1225)]
)
def test_shares(text: str, share: float) -> None:
    assert parsed("--read", "--sample", text).sample == share


@pytest.mark.parametrize("text", ["1", "0%", "101%", "-1%", "1e2%", "%", "٣%", "nan%"])
def test_what_is_no_share_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("--read", f"--sample={text}")
    assert ended.value.code == 2
    assert "write 1%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (["--sample", "1%"], "--checksum or --read"),
        (["--read", "--seed", "x"], "--sample"),
        (["--ignore-archived", "--include-archived"], "contradict"),
        (["--allow-unverified"], "--checksum"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(given: list[str], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parsed(*given)


@pytest.mark.parametrize("given", [["--settle", "-1"], ["--settle", "x"], ["--connections", "0"]])
def test_numbers_are_checked(given: list[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*given)


def test_a_prefix_narrows_each_pair() -> None:
    pairs = [
        BucketPair("a", "", "d", ""),
        BucketPair("b", "in/", "d", ""),
        BucketPair("c", "in/x/y", "d", ""),
        BucketPair("e", "out/", "d", ""),
    ]
    found = limited(pairs, CheckOptions(prefix="in/x"))
    assert [(one.source_bucket, one.source_prefix) for one in found] == [
        ("a", "in/x"),
        ("b", "in/x"),
        ("c", "in/x/y"),
    ]
    assert limited(pairs, CheckOptions()) == pairs
    with pytest.raises(ConfigError, match="no pair"):
        limited(pairs[3:], CheckOptions(prefix="in/"))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (["--destination-bucket", "d"], "--source-bucket"),
        (["--source-bucket", "s"], "--destination-bucket"),
        ([*PAIR, "--html", "/no/such/folder"], "--html"),
        ([*PAIR, "--report", "/no/such/folder"], "--report"),
        ([*PAIR, "--repair"], "sqs_queue_name"),
    ],
)
def test_wrong_use_is_exit_2_with_the_mend(
    given: list[str],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "config.ini"
    file.write_text("[Basic]\nJobType = ENV\nsqs_queue_name =\nDes_bucket_default =\n")
    monkeypatch.setattr(check, "rest_the_collector", lambda: None)
    assert main(["check", "--config", str(file), *given]) == 2
    assert fault in capsys.readouterr().err
