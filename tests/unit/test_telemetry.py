from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.model import Identity, JobKind, ObjectRef, Outcome, TransferJob, TransferResult
from sync.telemetry.lines import LOGGER, JsonLine, PlainLine, printable, set_up
from sync.telemetry.observers import LogObserver, Observers, fields, sentence
from sync.telemetry.statistics import Statistics

JOB = TransferJob(
    JobKind.COPY, ObjectRef("src", "a b/ü"), ObjectRef("dst", "p/a b/ü"), event_time=100.0
)
DONE = TransferResult(
    Outcome.COPIED,
    JOB,
    identity=Identity("etag", 7, "v1"),
    bytes_moved=7,
    seconds=0.25,
    finished_at=102.5,
)


@pytest.fixture(autouse=True)
def logger_left_as_it_was() -> Iterator[None]:
    before = (LOGGER.handlers[:], LOGGER.level, LOGGER.propagate)
    yield
    for handler in LOGGER.handlers:
        if handler not in before[0]:
            handler.close()
    LOGGER.handlers[:], LOGGER.propagate = before[0], before[2]
    LOGGER.setLevel(before[1])


def test_a_copied_object_is_one_plain_line_with_the_words_of_old(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up(level="INFO", form="plain", folder=None, role="worker")
    LogObserver().job_finished(DONE)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "--->Complete 7 Bytes src/a b/ü to dst/p/a b/ü in 0.250 s" in line
    assert " INFO - " in line


def test_the_json_line_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="INFO", form="json", folder=None, role="worker")
    LogObserver().job_finished(DONE._replace(parts_reused=3))
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "object"
    assert line["outcome"] == "copied"
    assert line["source"] == "src/a b/ü"
    assert line["destination"] == "dst/p/a b/ü"
    assert (line["bytes"], line["size"], line["parts_reused"]) == (7, 7, 3)
    assert (line["seconds"], line["lag"], line["version_id"]) == (0.25, 2.5, "v1")


def test_a_key_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="INFO", form="plain", folder=None, role="worker")
    forged = JOB._replace(source=ObjectRef("src", "x\n2026-01-01 INFO - all is well\x1b[2J"))
    LogObserver().job_finished(DONE._replace(job=forged))
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "\x1b" not in text


def test_a_failure_is_a_warning_with_its_reason() -> None:
    failed = DONE._replace(outcome=Outcome.FAILED, reason="no permission", error="AccessDenied")
    assert sentence(failed).startswith("failed src/")
    assert "AccessDenied" in sentence(failed)
    assert fields(failed)["error"] == "AccessDenied"


def test_no_event_time_no_lag() -> None:
    assert fields(DONE._replace(job=JOB._replace(event_time=None)))["lag"] is None


def test_the_log_folder_gets_the_same_lines(tmp_path: Path) -> None:
    set_up(level="INFO", form="plain", folder=tmp_path / "logs", role="ec2-worker")
    LogObserver().job_finished(DONE)
    (file,) = (tmp_path / "logs").iterdir()
    assert file.name.startswith("ec2-worker-")
    assert "--->Complete 7 Bytes" in file.read_text()


def test_levels_hold(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="WARNING", form="plain", folder=None, role="worker")
    LogObserver().job_finished(DONE)
    LogObserver().event("retry", {"what": "x"})
    assert capsys.readouterr().err == ""
    LogObserver().event("breaker-open", {"reason": "no keys"})
    assert "breaker-open: reason no keys" in capsys.readouterr().err


def test_what_no_level_lets_through_is_not_put_into_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(_: TransferResult) -> None:
        pytest.fail("nobody hears it")

    monkeypatch.setattr("sync.telemetry.observers.sentence", never)
    monkeypatch.setattr("sync.telemetry.observers.fields", never)
    set_up(level="WARNING", form="plain", folder=None, role="worker")
    LogObserver().job_finished(DONE)
    assert capsys.readouterr().err == ""


def test_each_line_has_the_time_of_its_own_second() -> None:
    formatter = PlainLine()
    lines = []
    for at in (0.0, 0.9, 1.0, 86_400.5, 0.2):
        record = logging.LogRecord("3gsync", logging.INFO, "", 0, "x", (), None)
        record.created = at
        lines.append(formatter.format(record))
    first, second = "1970-01-01 00:00:00 INFO - x", "1970-01-01 00:00:01 INFO - x"
    assert lines == [first, first, second, "1970-01-02 00:00:00 INFO - x", first]


def test_events_have_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(level="INFO", form="json", folder=None, role="worker")
    LogObserver().event("retry", {"what": "PUT", "n": 2})
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["what"], line["n"], line["level"]) == ("retry", "PUT", 2, "INFO")
    set_up(level="INFO", form="plain", folder=None, role="worker")
    LogObserver().event("retry", {"what": "PUT", "n": 2})
    assert capsys.readouterr().err.endswith(" INFO - retry: what PUT, n 2\n")


@pytest.mark.parametrize("formatter", [PlainLine(), JsonLine()])
def test_lone_surrogates_do_not_break_a_line(formatter: logging.Formatter) -> None:
    record = logging.LogRecord("3gsync", logging.INFO, "", 0, "%s", ("a\udc80b",), None)
    formatter.format(record).encode("utf-8")


def test_printable_leaves_text_alone() -> None:
    assert printable("ключ 键 🔑 +%2B") == "ключ 键 🔑 +%2B"


def test_a_failing_observer_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Statistics):
        def job_finished(self, result: TransferResult) -> None:
            raise RuntimeError

    figures = Statistics()
    set_up(level="ERROR", form="plain", folder=None, role="worker")
    Observers((Broken(), figures)).job_finished(DONE)
    assert figures.outcomes == {Outcome.COPIED: 1}
    assert "an observer failed" in capsys.readouterr().err


def test_quantiles_of_the_lag() -> None:
    figures = Statistics()
    assert figures.quantile(0.5) is None
    for number in range(100):
        figures.job_finished(DONE._replace(finished_at=100.0 + number))
    assert figures.quantile(0.5) == 50.0
    assert figures.quantile(0.99) == 99.0
    assert figures.bytes_moved == 700
