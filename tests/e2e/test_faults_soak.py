"""The fault bench's soak, short; and its judge, which has to see what grows."""

from __future__ import annotations

import dataclasses
import json
import random
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import soak
from faults.soak.driver import Done
from faults.soak.judge import Measured, judge
from faults.soak.lean_queue import LeanQueue, Messages
from faults.soak.plan import Soak
from faults.soak.samples import Inside, Sample, Told, read_inside, read_log
from faults.soak.slopes import medians, quantile, trend
from faults.stage import Stage
from faults.tally import Effort, Tally


def test_nothing_grows_and_nothing_is_lost(stage: Stage) -> None:
    tally = Tally()
    soak.run(tally, Effort.SHORT, stage)
    tally.verify()
    assert tally.events > 200
    assert tally.faults.total() > 20
    assert {row.what for row in tally.rows} >= {"samples of memory", "samples of files"}
    assert min(row.tried for row in tally.rows) > 5


def test_its_length_is_the_operators(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    played: list[Soak] = []
    monkeypatch.setenv("SOAK_MINUTES", "90")
    monkeypatch.setattr(soak, "play", lambda tally, plan, stage: played.append(plan))
    soak.run(Tally(), Effort.SHORT, stage)
    assert [(one.seconds, one.warm_up, one.judged) for one in played] == [(8100, 2700, True)]


# --- the line through the samples ---------------------------------------------------------


def test_the_line_is_that_of_most_samples_not_of_the_few_far_away() -> None:
    chance = random.Random(1)
    points = [(60.0 * n, 100.0 + n / 60 + chance.gauss(0, 0.05)) for n in range(60)]
    points[7] = (points[7][0], 900.0)
    points[50] = (points[50][0], 0.0)
    found = trend(points)
    assert found.slope == pytest.approx(1.0, abs=0.1)
    assert found.low < 1.0 < found.high
    assert found.high - found.low < 0.5
    assert found.percent == pytest.approx(1.0, abs=0.1)


def test_samples_without_a_trend_have_none() -> None:
    assert trend([(60.0 * n, 7.0) for n in range(9)]).slope == 0.0
    with pytest.raises(ValueError, match="three points"):
        trend([(0.0, 1.0), (1.0, 2.0)])


def test_neighbouring_samples_become_one_point() -> None:
    assert medians([(0, 1), (10, 3), (20, 2), (60, 9)], 60) == [(10, 2), (60, 9)]
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([], 0.5) == 0.0


# --- the judge ----------------------------------------------------------------------------

HOUR = Soak(seconds=3600.0, warm_up=600.0)
MB = 1_000_000.0
Growth = Callable[[float], float]


def flat(_at: float) -> float:
    return 0.0


def measured(
    *,
    soak: Soak = HOUR,
    memory: Growth = flat,
    files: Growth = flat,
    tasks: Growth = flat,
    lag: Growth = flat,
    **changed: Any,
) -> Measured:
    """A good soak, but for what is said."""
    every = [float(at) for at in range(0, int(soak.seconds), 2)]
    probes = {"source": 0.01}
    good = Measured(
        soak=soak,
        began=0.0,
        ended=soak.seconds,
        samples=[
            Sample(at=at, memory=80 * MB + memory(at), threads=2, depth=1, age=1, servers=probes)
            for at in every
        ],
        inside=[Inside(at, 30 + tasks(at), 10_000, 40 + files(at), 30 + files(at)) for at in every],
        told=Told(lags=[(at, 0.5 + lag(at)) for at in every], parts=2),
        done=[Done(kinds=Counter(put=9), told=9)],
        fired={"source": Counter({"503": 3})},
        code=0,
        summary={"messages": 9, "failing": []},
        queue=Messages(sent=9, deleted=9, deliveries=9),
        dead=0,
        uploads=1,
        creates_struck=1,
        uploads_left=0,
        equal=True,
    )
    return dataclasses.replace(good, **changed)


def failures(m: Measured) -> str:
    tally = Tally()
    judge(tally, m)
    return "\n".join(tally.failures)


def test_a_good_soak_has_no_failures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tally = Tally()
    judge(tally, measured(memory=lambda at: MB * (at % 60) / 30), kept=tmp_path / "to" / "soak.csv")
    tally.verify()
    assert (tally.events, tally.faults["503"]) == (9, 3)
    assert len((tmp_path / "to" / "soak.csv").read_text().splitlines()) == 61
    assert "memory MB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("grown", "said"),
    [
        ({"memory": lambda at: 0.9 * MB * at / 3600}, "memory grows"),
        ({"files": lambda at: at / 3600}, "files grows"),
        ({"tasks": lambda at: at / 3600}, "tasks grows"),
        ({"lag": lambda at: at / 3600}, "the median lag grows"),
        ({"lag": lambda at: 61.0 * (at % 50 == 0)}, "lag: p99"),
        ({"lag": lambda at: 181.0 * (at == 2000)}, "at most 181.5"),
    ],
)
def test_what_grows_in_an_hour_is_told(grown: dict[str, Any], said: str) -> None:
    assert said in failures(measured(**grown))


def test_sockets_that_come_and_go_do_not_grow() -> None:
    chance = random.Random(2)
    assert failures(measured(files=lambda at: round(chance.gauss(0, 8) + at / 3600))) == ""


def test_less_than_one_percent_an_hour_is_flat() -> None:
    assert failures(measured(memory=lambda at: 0.7 * MB * at / 3600)) == ""


def test_what_happens_in_the_warm_up_does_not_count() -> None:
    assert failures(measured(memory=lambda at: 40 * MB * min(1.0, at / 600))) == ""


def test_a_short_soak_is_not_judged_by_slopes_but_by_what_it_came_to() -> None:
    short = Soak(seconds=30.0, warm_up=10.0)
    assert failures(measured(soak=short, memory=lambda at: MB * at / 10)) == ""
    assert "memory:" in failures(measured(soak=short, memory=lambda at: MB * at * 3))
    assert "files:" in failures(measured(soak=short, files=lambda at: at * 6))
    assert "tasks:" in failures(measured(soak=short, tasks=lambda at: at * 6))
    assert "too few" in failures(measured(soak=short, samples=[]))


@pytest.mark.parametrize(
    "changed",
    [
        {"code": 1},
        {"code": None},
        {"dead": 1},
        {"queue": Messages(sent=9, deleted=8, deliveries=9)},
        {"queue": Messages(sent=8, deleted=9, deliveries=9)},
        {"queue": Messages(sent=9, deleted=9, deliveries=8)},
        {"uploads": 2},
        {"uploads_left": 1},
        {"equal": False},
        {"summary": {"messages": 8, "failing": []}},
        {"summary": {"messages": 9, "failing": ["why"]}},
        {"fired": {"source": Counter({"503": 3}), "queue": Counter()}},
        {"done": [Done(kinds=Counter(put=9), told=9, errors=["boto"])]},
        {"told": Told(lags=[(1000.0, 0.5)], parts=0)},
        {"told": Told(lags=[(1000.0, 0.5)], parts=1, bugs=["Traceback"])},
        {"told": Told(lags=[], parts=1)},
    ],
    ids=str,
)
def test_whatever_is_wrong_at_the_end_is_told(changed: dict[str, Any]) -> None:
    short = Soak(seconds=30.0, warm_up=10.0)
    assert failures(measured(soak=short, **changed))


def test_the_log_is_read_for_lags_retries_and_bugs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    finished = '{"time":"1970-01-01T00:00:09.500+00:00","event":"object","outcome":"%s","lag":%s'
    log.write_text(
        f'{finished % ("copied", 1.5)},"parts_sent":2}}\n'
        f'{finished % ("failed", 2.5)},"parts_sent":0}}\n'
        '{"event":"retry"}\n{"event":"bug"}\nTask exception was never retrieved\n'
    )
    told = read_log(log)
    assert told.lags == [(9.5, 1.5)]
    assert (told.parts, told.retries, len(told.bugs)) == (2, 1, 2)


# --- the queue ----------------------------------------------------------------------------


def ask(queue: LeanQueue, operation: str, **fields: Any) -> dict[str, Any]:
    request = urllib.request.Request(
        queue.url,
        json.dumps({"QueueUrl": "https://sqs.invalid/0/soak", **fields}).encode(),
        {"X-Amz-Target": f"AmazonSQS.{operation}"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def receive(queue: LeanQueue, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(queue, "ReceiveMessage", **fields).get("Messages", [])
    return found


def test_a_message_comes_again_when_its_lease_ends_and_not_when_it_is_deleted() -> None:
    with LeanQueue() as queue:
        queue.send("a", "b", "c")
        taken = receive(queue, MaxNumberOfMessages=10, VisibilityTimeout=60)
        assert [message["Body"] for message in taken] == ["a", "b", "c"]
        assert receive(queue, MaxNumberOfMessages=10) == []
        handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in taken]
        done = ask(queue, "DeleteMessageBatch", Entries=handles[:1] * 2)
        assert [entry["Id"] for entry in done["Successful"]] == ["soak-0"] * 2
        back = [{**handles[1], "VisibilityTimeout": 0}]
        ask(queue, "ChangeMessageVisibilityBatch", Entries=back)
        (again,) = receive(queue, MaxNumberOfMessages=10, VisibilityTimeout=60, WaitTimeSeconds=20)
        assert (again["Body"], again["Attributes"]["ApproximateReceiveCount"]) == ("b", "2")
        assert (queue.main.sent, queue.main.deleted, queue.main.deliveries) == (3, 1, 4)
        assert queue.depth() == 2
        assert queue.oldest() > 0
        counts = ask(queue, "GetQueueAttributes")["Attributes"]
        assert counts["ApproximateNumberOfMessagesNotVisible"] == "2"


def test_dead_letters_are_kept_apart() -> None:
    with LeanQueue() as queue:
        attributes = ask(queue, "GetQueueAttributes")["Attributes"]
        dead = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
        told = ask(queue, "GetQueueUrl", QueueName=dead)
        ask(queue, "SendMessage", **told, MessageBody="why")
        assert (queue.main.sent, queue.dead.sent) == (0, 1)


def test_half_a_line_of_what_is_inside_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "inside"
    assert read_inside(file) == []
    line = '{"at":1.0,"tasks":2,"blocks":3,"threads":1,"files":4,"sockets":5}'
    file.write_text(f"{line}\n{line[:20]}")
    assert read_inside(file) == [Inside(1.0, 2, 3, 4, 5)]
