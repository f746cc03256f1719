"""The jobsender as a Lambda function."""

from __future__ import annotations

from typing import Any

import pytest

from support.rig import Rig
from sync.errors import ConfigError
from sync.lambda_handler import JobsenderFailed, jobsender


class Context:
    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self._seconds * 1000)


@pytest.fixture
def event(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An event for the rig's buckets, in the rig's environment."""
    for name, value in rig.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("THREEGSYNC_CONFIG", str(rig.write_config()))
    pair = {"src_bucket": rig.source.bucket, "des_bucket": rig.target.bucket}
    return {"pairs": [pair]}


def test_a_schedule_sends_what_is_missing(rig: Rig, event: dict[str, Any]) -> None:
    rig.source.put("one", b"1")
    scheduled = {"version": "0", "detail-type": "Scheduled Event", "detail": event}
    assert jobsender(scheduled, Context())["queued"] == 1
    rig.until_empty()
    rig.equal()
    assert jobsender({**event, "dry_run": True, "since": "1d"}, Context())["queued"] == 0


def test_a_failed_pair_fails_the_invocation(event: dict[str, Any]) -> None:
    event["pairs"][0]["src_bucket"] = "no-such-bucket-here"
    with pytest.raises(JobsenderFailed, match="no-such-bucket-here"):
        jobsender(event, Context())


def test_time_that_runs_out_is_told(event: dict[str, Any]) -> None:
    with pytest.raises(JobsenderFailed, match="give it more time"):
        jobsender(event, Context(seconds=1))


def test_an_option_nobody_knows_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="dryrun: unknown"):
        jobsender({**event, "dryrun": True}, Context())
