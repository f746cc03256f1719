"""Worker options that stand for keys of the configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from sync import worker
from sync.config import load
from sync.worker_options import overrides

ALL = [
    *("--queue", "jobs-{01..02}", "--only-dead", "--mode", "CHECK", "--verify"),
    *("--modified-since", "2024-01-01", "--not-modified-since", "2024-01-02T00:00:00Z"),
]


def parsed(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    worker.add_arguments(parser)
    return parser.parse_args(given)


def test_options_come_before_the_file_and_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    file.write_text("[Basic]\nsqs_queue_name = filed\n[Mode]\nTransferMode = downup\n")
    environ = {"THREEGSYNC_TRANSFERMODE": "downup", "sqs_queue_name": "older"}
    settings = load(file, environ | overrides(parsed(*ALL)))
    assert settings.queue_names == ("jobs-01", "jobs-02")
    assert (settings.dead_queue, settings.transfer_mode) == ("only", "check")
    assert settings.verify_first
    assert (settings.modified_since, settings.not_modified_since) == (1704067200, 1704153600)


def test_without_options_nothing_is_overridden() -> None:
    assert overrides(parsed()) == {}


def test_children_get_the_same_options() -> None:
    given = parsed(*ALL, "--until-empty", "--processes", "3")
    again = parsed(*worker._child_arguments(given))
    assert overrides(again) == overrides(given)
    assert (again.until_empty, again.processes) == (True, 1)
    assert overrides(parsed(*worker._child_arguments(parsed("--including-dead")))) == {
        "THREEGSYNC_INCLUDEDEADQUEUE": "True"
    }


@pytest.mark.parametrize(
    "given",
    [("--mode", "sideways"), ("--modified-since", "yesterday"), ("--queue", "a b")],
)
def test_a_value_the_key_does_not_take_is_refused_with_what_it_takes(
    given: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(*given)
    assert end.value.code == 2
    assert "must be" in capsys.readouterr().err
