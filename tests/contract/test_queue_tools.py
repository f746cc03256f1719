"""``3gsync queue`` as its user runs it, against moto over sockets, looked at with boto3."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.moto_aws import MotoAws, moto_aws
from support.queue_tools import Console, SqsLook, job, jobs

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto answers for the whole queue, so there is nothing to wait for."""
    monkeypatch.setattr("sync.engine.tools.redrive._WAIT", 0.0)
    monkeypatch.setattr("sync.engine.tools.peek._WAIT", 0.0)


@pytest.fixture(scope="module")
def look(aws: MotoAws) -> SqsLook:
    return SqsLook(aws)


@pytest.fixture
def console(
    aws: MotoAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Console:
    return Console(tmp_path, monkeypatch, capsys).on(aws)


def actions(report: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {queue["name"]: queue["action"] for queue in report["queues"]}


# --- init -------------------------------------------------------------------------------


def test_init_makes_several_queues_and_their_dead_letter_queue(
    console: Console, look: SqsLook
) -> None:
    stem = look.name()
    console.options["sqs_queue_name"] = f"{stem}-{{08..10}}"
    ran = console.run("queue", "init", "--json")
    names = [f"{stem}-08", f"{stem}-09", f"{stem}-10"]
    assert ran.code == 0, ran.err
    assert actions(ran.report) == dict.fromkeys([f"{stem}-dead", *names], "created")
    dead = look.attributes(f"{stem}-dead")
    assert (dead["MessageRetentionPeriod"], dead["SqsManagedSseEnabled"]) == ("1209600", "true")
    assert "Policy" not in dead
    assert "RedrivePolicy" not in dead
    for name in names:
        made = look.attributes(name)
        assert made["VisibilityTimeout"] == "3600"
        assert made["MessageRetentionPeriod"] == "1209600"
        assert made["ReceiveMessageWaitTimeSeconds"] == "20"
        assert made["SqsManagedSseEnabled"] == "true"
        redrive = json.loads(made["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"] == dead["QueueArn"]
        assert int(redrive["maxReceiveCount"]) == 12
        assert "Policy" not in made
    again = console.run("queue", "init", "--json")
    assert again.code == 0
    assert set(actions(again.report).values()) == {"unchanged"}


def test_init_lets_buckets_send_and_everybody_only_over_tls(
    console: Console, look: SqsLook
) -> None:
    name = look.name()
    allow = ("--queue", name, "--allow-bucket", "photos")
    assert console.run("queue", "init", *allow).code == 0
    arn = look.attributes(name)["QueueArn"]
    allowed, denied = json.loads(look.attributes(name)["Policy"])["Statement"]
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert (allowed["Action"], allowed["Resource"]) == ("sqs:SendMessage", arn)
    assert allowed["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::photos"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sqs:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert console.run("queue", "init", *allow, "--json").report["queues"][-1]["action"] == (
        "unchanged"
    )
    other = ("--queue", name, "--allow-bucket", "films", "--bucket-account", "999999999999")
    assert console.run("queue", "init", *other).code == 3
    assert len(json.loads(look.attributes(name)["Policy"])["Statement"]) == 2
    assert console.run("queue", "init", *other, "--update").code == 0
    statements = json.loads(look.attributes(name)["Policy"])["Statement"]
    assert len(statements) == 3
    assert [s["Condition"]["StringEquals"] for s in statements if s["Effect"] == "Allow"] == [
        {"aws:SourceAccount": ACCOUNT},
        {"aws:SourceAccount": "999999999999"},
    ]


def test_init_shows_what_differs_and_changes_it_only_when_told(
    console: Console, look: SqsLook
) -> None:
    name = look.name()
    look.make(name, VisibilityTimeout="30", DelaySeconds="7")
    ran = console.run("queue", "init", "--queue", name, "--json")
    assert ran.code == 3
    assert "VisibilityTimeout: 30, wanted 3600" in ran.out
    assert f"RedrivePolicy: not set, wanted to {name}-dead after 12 receipts" in ran.out
    assert "--update" in ran.out
    assert actions(ran.report) == {f"{name}-dead": "created", name: "differs"}
    assert look.attributes(name)["VisibilityTimeout"] == "30"
    dry = console.run("queue", "init", "--queue", name, "--update", "--dry-run", "--json")
    assert (dry.code, actions(dry.report)[name]) == (0, "would be changed")
    assert look.attributes(name)["VisibilityTimeout"] == "30"
    ran = console.run("queue", "init", "--queue", name, "--update", "--json")
    assert (ran.code, actions(ran.report)[name]) == (0, "changed")
    made = look.attributes(name)
    assert (made["VisibilityTimeout"], made["DelaySeconds"]) == ("3600", "7")


def test_a_dry_run_of_init_makes_nothing(console: Console, look: SqsLook) -> None:
    name = look.name()
    ran = console.run("queue", "init", "--queue", name, "--dry-run", "--json")
    assert ran.code == 0
    assert set(actions(ran.report).values()) == {"would be created"}
    assert not look.exists(name)
    assert not look.exists(f"{name}-dead")


def test_init_leaves_a_queue_its_own_dead_letter_queue(console: Console, look: SqsLook) -> None:
    name, dead = look.pair(max_receive_count=5)
    own = json.loads(look.attributes(name)["RedrivePolicy"])["deadLetterTargetArn"]
    ran = console.run("queue", "init", "--queue", name, "--update", "--json")
    assert actions(ran.report) == {dead: "changed", name: "changed"}
    assert look.attributes(dead)["MessageRetentionPeriod"] == "1209600"
    redrive = json.loads(look.attributes(name)["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (own, 12)
    other = look.name()
    ran = console.run("queue", "init", "--queue", name, "--dead-queue", other, "--update", "--json")
    assert actions(ran.report) == {other: "created", name: "changed"}
    redrive = json.loads(look.attributes(name)["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == look.attributes(other)["QueueArn"]


def test_init_makes_a_dead_letter_queue_anew_that_is_missing(
    console: Console, look: SqsLook
) -> None:
    name, dead = look.pair()
    assert console.run("queue", "init", "--queue", name, "--update").code == 0
    look.sqs.delete_queue(QueueUrl=look.url(dead))
    ran = console.run("queue", "init", "--queue", name, "--json")
    assert (ran.code, actions(ran.report)) == (0, {dead: "created", name: "unchanged"})


def test_init_of_some_old_and_some_new_queues(console: Console, look: SqsLook) -> None:
    stem = look.name()
    first = ("queue", "init", "--json", "--queue", f"{stem}-{{1..2}}")
    assert console.run(*first).code == 0
    look.sqs.delete_queue(QueueUrl=look.url(f"{stem}-2"))
    ran = console.run(*first)
    assert actions(ran.report) == {
        f"{stem}-dead": "unchanged",
        f"{stem}-1": "unchanged",
        f"{stem}-2": "created",
    }
    assert len(ran.report["queues"]) == 3


def test_init_says_when_sqs_would_be_first(console: Console, look: SqsLook) -> None:
    name = look.name()
    ran = console.run("queue", "init", "--queue", name, "--max-receive-count", "5")
    assert "MaxReceives is 12" in ran.out
    assert "MaxReceives" not in console.run("queue", "init", "--queue", look.name()).out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--queue", "a.fifo"), "S3 sends events to standard queues only"),
        (("--queue", "a", "--dead-queue", "b.fifo"), "S3 sends events to standard queues only"),
        (("--queue", "a", "--dead-queue", "a"), "must be another"),
        (("--queue", "a,b"), "give --dead-queue"),
        (("--queue", "a b"), "--queue = a b: a b: a queue's name"),
        (("--queue", "a", "--retention", "59"), "--retention: SQS allows 60 to 1209600"),
        (("--queue", "a", "--receive-wait", "21"), "--receive-wait: SQS allows 0 to 20"),
        (("--queue", "a", "--bucket-account", "12"), "12 digits"),
    ],
)
def test_wrong_use_of_init_makes_nothing(
    console: Console, look: SqsLook, arguments: tuple[str, ...], text: str
) -> None:
    ran = console.run("queue", "init", *arguments)
    assert ran.code == 2
    assert text in ran.err
    assert not look.exists("a")


# --- stats ------------------------------------------------------------------------------


def test_stats_counts_waiting_held_delayed_and_dead(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    look.send(name, *jobs(["1", "2", "3"]))
    look.sqs.receive_message(QueueUrl=look.url(name), VisibilityTimeout=300)
    look.sqs.send_message(QueueUrl=look.url(name), MessageBody=job("4"), DelaySeconds=300)
    look.send(dead, *jobs(["5", "6"]))
    lonely = look.name()
    look.make(lonely)
    ran = console.run("queue", "stats", "--queue", f"{name},{lonely}", "--json")
    assert ran.code == 0, ran.err
    first, second = ran.report["queues"]
    assert (first["visible"], first["in_flight"], first["delayed"]) == (2, 1, 1)
    assert (first["dead_letter_queue"], first["max_receive_count"]) == (dead, 12)
    assert first["oldest_age_seconds"] is None
    assert (second["name"], second["visible"], second["dead_letter_queue"]) == (lonely, 0, "")
    (letters,) = ran.report["dead_letter_queues"]
    assert (letters["name"], letters["visible"]) == (dead, 2)
    assert "CloudWatch" in ran.out
    row = next(line for line in ran.out.splitlines() if line.startswith(f"{name} "))
    assert row.split() == [name, "2", "1", "1", dead]


def test_stats_of_a_missing_queue_names_it(console: Console, look: SqsLook) -> None:
    ran = console.run("queue", "stats", "--queue", "no-such-queue")
    assert ran.code == 1
    assert "no queue no-such-queue" in ran.err


def test_stats_says_where_a_dead_letter_queue_is_missing(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    look.sqs.delete_queue(QueueUrl=look.url(dead))
    ran = console.run("queue", "stats", "--queue", name, "--json")
    assert ran.code == 0
    assert ran.report["not_seen"] == {dead: "there is no such queue"}


# --- peek -------------------------------------------------------------------------------


def test_peek_shows_messages_and_leaves_them(console: Console, look: SqsLook) -> None:
    name, _ = look.pair()
    look.send(name, *jobs([f"k{n:02}" for n in range(13)]))
    ran = console.run("queue", "peek", "--queue", name, "-n", "12", "--json")
    assert ran.code == 0, ran.err
    (queue,) = ran.report["queues"]
    keys = [message["records"][0]["source"]["key"] for message in queue["messages"]]
    assert len(set(keys)) == len(keys) == 12
    assert {message["receive_count"] for message in queue["messages"]} == {1}
    assert "copy src/k00 to dst/k00 1 bytes" in ran.out
    assert "receive count of each message shown rises by one" in ran.out
    assert (look.visible(name), look.in_flight(name)) == (13, 0)


def test_peek_shows_why_dead_letters_failed(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    told = {"code": "AccessDenied", "reason": "GetObject src/a: 403", "receive_count": "12"}
    look.send(dead, job("a"), **told)
    look.send(dead, "no json \x1b[31m", who="sender")
    ran = console.run("queue", "peek", "--dead", "--queue", name, "--json", "--raw")
    assert ran.code == 0, ran.err
    assert "after 12 receipts: AccessDenied: GetObject src/a: 403" in ran.out
    assert "who: sender" in ran.out
    assert ran.out.count("moved by SQS itself") == 1
    assert "body: no json \\x1b[31m" in ran.out
    assert "\x1b" not in ran.out
    messages = ran.report["queues"][0]["messages"]
    by_action = {message["records"][0]["action"]: message for message in messages}
    assert by_action["copy"]["attributes"] == told
    assert by_action["reject"]["body"] == "no json \x1b[31m"


def test_peek_leaves_messages_their_last_receipts(console: Console, look: SqsLook) -> None:
    name, dead = look.pair(max_receive_count=4)
    look.send(name, *jobs([f"{n:02}" for n in range(12)]))
    first = console.run("queue", "peek", "--queue", name, "-n", "20")
    second = console.run("queue", "peek", "--queue", name, "-n", "20")
    third = console.run("queue", "peek", "--queue", name, "-n", "20", "--json")
    assert (first.code, second.code, third.code) == (0, 0, 1)
    assert third.report["queues"][0]["left_early"]
    assert len(third.report["queues"][0]["messages"]) == 10
    assert "--force" in third.out
    assert (look.visible(name), look.visible(dead)) == (12, 0)


def test_peek_refuses_what_would_use_messages_up(console: Console, look: SqsLook) -> None:
    name, dead = look.pair(max_receive_count=2)
    look.send(name, job("a"))
    ran = console.run("queue", "peek", "--queue", name)
    assert (ran.code, "raise maxReceiveCount" in ran.err) == (2, True)
    assert console.run("queue", "peek", "--queue", name, "-n", "101", "--dead").code == 2
    assert console.run("queue", "peek", "--queue", name, "--force").code == 0
    assert look.take(name)[0]["Attributes"]["ApproximateReceiveCount"] == "2"
    assert look.visible(dead) == 0


# --- redrive ----------------------------------------------------------------------------


def letters(look: SqsLook, dead: str) -> None:
    """Three for want of permission, two too large, one that nobody explained."""
    denied = {"code": "AccessDenied", "failed_at": "x", "receive_count": "12"}
    for key in ("a/1", "a/2", "b/3"):
        look.send(dead, job(key), reason=f"GetObject src/{key}: status 403", **denied)
    for key in ("a/4", "b/5"):
        look.send(dead, job(key), reason="6 TiB", code="ObjectTooLarge")
    look.send(dead, "what is this")


def test_redrive_brings_all_back_unchanged(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    letters(look, dead)
    event = json.dumps({"Records": [], "x": "é\U0001f600 \n"}, ensure_ascii=False)
    look.send(dead, event)
    ran = console.run("queue", "redrive", "--queue", name, "--json")
    assert ran.code == 0, ran.err
    (report,) = ran.report["queues"]
    assert (report["looked_at"], report["moved"]) == (7, 7)
    messages = look.take(name)
    assert sorted(m["Body"] for m in messages) == sorted(
        [*jobs(["a/1", "a/2", "a/4", "b/3", "b/5"]), "what is this", event]
    )
    assert not any("MessageAttributes" in message for message in messages)
    assert (look.visible(dead), look.in_flight(dead)) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "moved"),
    [
        (("--reason", "AccessDenied"), ["a/1", "a/2", "b/3"]),
        (("--reason", "src/a/.*403"), ["a/1", "a/2"]),
        (("--reason", "^ObjectTooLarge: 6 TiB$"), ["a/4", "b/5"]),
        (("--reason", "maxReceiveCount"), [None]),
        (("--key", "a/*"), ["a/1", "a/2", "a/4"]),
        (("--key", "src/b/"), ["b/3", "b/5"]),
        (("--key", "*/5", "--key", "*/1"), ["a/1", "b/5"]),
        (("--key", "other/*"), []),
        (("--reason", "AccessDenied", "--key", "b/*"), ["b/3"]),
    ],
)
def test_redrive_by_reason_and_key_gives_the_rest_back(
    console: Console, look: SqsLook, arguments: tuple[str, ...], moved: list[str | None]
) -> None:
    name, dead = look.pair()
    letters(look, dead)
    dry = console.run("queue", "redrive", "--queue", name, *arguments, "--dry-run", "--json")
    assert dry.code == 0
    assert dry.report["queues"][0]["matched"] == len(moved)
    assert (look.visible(name), look.visible(dead), look.in_flight(dead)) == (0, 6, 0)
    ran = console.run("queue", "redrive", "--queue", name, *arguments, "--json")
    assert ran.code == 0
    report = ran.report["queues"][0]
    assert (report["moved"], report["left"]) == (len(moved), 6 - len(moved))
    assert look.bodies(name) == sorted("what is this" if k is None else job(k) for k in moved)
    assert (look.visible(dead), look.in_flight(dead)) == (6 - len(moved), 0)


def test_a_dry_run_counts_by_reason(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    letters(look, dead)
    ran = console.run("queue", "redrive", "--queue", name, "--dry-run", "--json")
    reasons = ran.report["queues"][0]["reasons"]
    counts = {code: reason["count"] for code, reason in reasons.items()}
    assert counts == {"AccessDenied": 3, "ObjectTooLarge": 2, "maxReceiveCount": 1}
    assert reasons["ObjectTooLarge"]["example"] == "6 TiB"
    assert "6 of 6 messages would be moved" in ran.out
    assert ran.out.index("AccessDenied") < ran.out.index("ObjectTooLarge")


def test_redrive_stops_at_its_limit(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    look.send(dead, *jobs([f"{n:02}" for n in range(15)]))
    ran = console.run("queue", "redrive", "--queue", name, "--limit", "12", "--json")
    assert (ran.code, ran.report["queues"][0]["moved"]) == (0, 12)
    assert (look.visible(name), look.visible(dead), look.in_flight(dead)) == (12, 3, 0)


def test_redrive_spreads_over_the_queues_of_one_dead_letter_queue(
    console: Console, look: SqsLook
) -> None:
    stem = look.name()
    names = [f"{stem}-1", f"{stem}-2"]
    console.options["sqs_queue_name"] = f"{stem}-{{1..2}}"
    assert console.run("queue", "init").code == 0
    bodies = jobs([f"{n:03}" for n in range(80)])
    look.send(f"{stem}-dead", *bodies)
    ran = console.run("queue", "redrive", "--json")
    assert [queue["moved"] for queue in ran.report["queues"]] == [80]
    assert look.visible(f"{stem}-dead") == 0
    counts = [look.visible(name) for name in names]
    assert sum(counts) == 80
    assert min(counts) >= 20


def test_what_a_queue_is_too_small_for_stays_and_is_named(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    look.sqs.set_queue_attributes(
        QueueUrl=look.url(name), Attributes={"MaximumMessageSize": "1024"}
    )
    look.send(dead, job("x" * 2000), *jobs(["1", "2"]))
    ran = console.run("queue", "redrive", "--queue", name, "--json")
    assert ran.code == 1
    report = ran.report["queues"][0]
    assert (report["moved"], len(report["failed"])) == (2, 1)
    assert "above the queue's 1024" in ran.out
    assert (look.visible(name), look.visible(dead), look.in_flight(dead)) == (2, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--reason", "("), "no regular expression"),
        (("--key", "# remark"), "--key"),
        (("--key", ""), "--key"),
    ],
)
def test_wrong_filters_move_nothing(
    console: Console, look: SqsLook, arguments: tuple[str, ...], text: str
) -> None:
    name, dead = look.pair()
    look.send(dead, job("a"))
    ran = console.run("queue", "redrive", "--queue", name, *arguments)
    assert (ran.code, text in ran.err) == (2, True)
    assert look.visible(dead) == 1


def test_redrive_without_a_dead_letter_queue_says_so(console: Console, look: SqsLook) -> None:
    name = look.name()
    look.make(name)
    ran = console.run("queue", "redrive", "--queue", name)
    assert (ran.code, "no dead-letter queue" in ran.err) == (2, True)


def test_a_configured_dead_letter_queue_comes_first(console: Console, look: SqsLook) -> None:
    name, dead = look.pair()
    other = look.name()
    look.make(other)
    look.send(other, job("a"))
    look.send(dead, job("b"))
    console.options["dead_letter_queue_name"] = other
    assert console.run("queue", "redrive", "--queue", name).code == 0
    assert look.bodies(name) == [job("a")]
    assert look.visible(dead) == 1


# --- purge ------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_purge_wants_the_name(
    console: Console, look: SqsLook, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, dead = look.pair()
    look.send(name, job("a"))
    look.send(dead, job("b"))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{name}\n"))
    ran = console.run("queue", "purge", "--queue", name)
    assert (ran.code, f"--yes {name}" in ran.err) == (2, True)
    assert console.run("queue", "purge", "--queue", name, "--yes", dead).code == 2
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    assert console.run("queue", "purge", "--queue", name).code == 2
    assert look.visible(name) == 1
    monkeypatch.setattr("sys.stdin", Terminal(f"{name}\n"))
    ran = console.run("queue", "purge", "--queue", name)
    assert (ran.code, "1 visible" in ran.out, "60 seconds" in ran.out) == (0, True, True)
    assert (look.visible(name), look.visible(dead)) == (0, 1)
    assert console.run("queue", "purge", "--dead", "--queue", name, "--yes", dead).code == 0
    assert look.visible(dead) == 0


def test_purge_takes_one_queue_at_a_time(console: Console, look: SqsLook) -> None:
    ran = console.run("queue", "purge", "--queue", "a,b", "--yes", "a")
    assert (ran.code, "one at a time" in ran.err) == (2, True)
