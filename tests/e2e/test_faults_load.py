"""The fault bench's load: nothing is lost at the highest rate, and a loss would be seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import load
from faults.load import python_servers
from faults.load.accounts import Ending, Load, judge_counts, judge_objects
from faults.stage import Stage
from faults.tally import Effort, Tally
from native_servers import Authority, Server, server

needs_compiler = pytest.mark.skipif(
    not load.can_build(), reason="needs a C compiler, make and OpenSSL's headers"
)


@needs_compiler
def test_thousands_of_messages_with_throttles_and_duplicates(stage: Stage) -> None:
    tally = Tally()
    load.run(tally, Effort.SHORT, stage)
    tally.verify()
    assert tally.events > 4_000
    assert [row.tried for row in tally.rows] == [4_040, 4_000]
    assert min(tally.faults.values()) > 0
    assert len(tally.faults) == 3


def test_the_same_without_a_compiler(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "can_build", lambda: False)
    tally = Tally()
    load.run(tally, Effort.SHORT, stage)
    tally.verify()
    assert tally.events == 100
    assert "compiler" in tally.rows[0].note


# --- the judges ---------------------------------------------------------------------------

LOAD = Load(objects=2)
OFFERED = [("a", "1", "0a"), ("b", "2", "0b")]
HELD = [(f"target/{LOAD.queue}/{key}", size, crc, 1) for key, size, crc in OFFERED]
OTHER_BYTES = (f"target/{LOAD.queue}/b", "2", "0c", 1)


@pytest.mark.parametrize(
    ("held", "written", "kind", "said"),
    [
        (HELD[:1], 2, "lost", "b is lost"),
        ([HELD[0], OTHER_BYTES], 2, "mixed", "b is mixed"),
        ([*HELD, ("target/else", "1", "0a", 1)], 2, "", "target/else was never"),
        (HELD, 3, "", "3 writes of 2 objects"),
        (HELD, 1, "", "1 writes of 2 objects"),
    ],
)
def test_whatever_differs_at_the_destination_is_told(
    held: list[tuple[str, str, str, int]], written: int, kind: str, said: str
) -> None:
    tally = Tally()
    _, _, faults = judge_objects(tally, LOAD, OFFERED, held, written)
    assert said in "\n".join(faults)
    assert (tally.lost, tally.mixed) == (kind == "lost", kind == "mixed")


def test_equal_accounts_are_right() -> None:
    assert judge_objects(Tally(), LOAD, OFFERED, HELD, 2) == (2, 3, [])


QUEUE = {
    "count": 2,
    "given": 2,
    "deleted": 2,
    "held": 0,
    "deliveries": 2,
    "deleted_again": 0,
    "acks_twice": 0,
    "strange": 0,
}
SUMMARY = {"messages": 2, "dead_lettered": [], "failing": []}
STORE = {"uploads": 0, "deletes": 0, "refused": 0}


def ending(
    *,
    queue: dict[str, int] | None = None,
    summary: dict[str, Any] | None = None,
    store: dict[str, int] | None = None,
    **own: Any,
) -> Ending:
    given = {"code": 0, "noise": [], **own}
    return Ending(
        source={"refused": 0, "queues": {LOAD.queue: QUEUE | (queue or {})}},
        destination=STORE | (store or {}),
        summary=SUMMARY | (summary or {}),
        **given,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": {"given": 1, "deliveries": 1}},
        {"queue": {"deleted": 1}},
        {"queue": {"held": 1}},
        {"queue": {"acks_twice": 1}},
        {"queue": {"strange": 1}},
        {"queue": {"deliveries": 3}},
        {"queue": {"deleted_again": 1}},
        {"summary": {"messages": 1}},
        {"summary": {"dead_lettered": ["why"]}},
        {"summary": {"failing": ["why"]}},
        {"store": {"uploads": 1}},
        {"store": {"deletes": 1}},
        {"store": {"refused": 1}},
        {"code": 1},
        {"noise": ["Traceback"]},
    ],
    ids=str,
)
def test_whatever_does_not_agree_is_told(wrong: dict[str, Any]) -> None:
    assert judge_counts(Tally(), LOAD, ending()) == []
    assert judge_counts(Tally(), LOAD, ending(**wrong))


def test_the_command_of_a_failure_does_the_same_run() -> None:
    made = Load(objects=5, refuse=1, large_every=3, ledger=True)
    assert made.command.endswith(
        "--objects 5 --refuse 1 --large-every 3 --processes 1 --connections 32 --ledger"
    )


def test_the_fallback_tells_as_many_messages_as_it_says() -> None:
    keys = [str(number) for number in range(99 * 3)]
    told = python_servers._told(keys, 300)
    assert len(told) == 300
    assert set(told) == set(keys)


# --- what the native servers have for it ---------------------------------------------------


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not load.can_build():
        pytest.skip("needs a C compiler, make and OpenSSL's headers")
    authority = Authority.make(tmp_path_factory.mktemp("load"))
    with server(authority, options=["--duplicates", "5", "--refuse", "200"]) as running:
        yield running


def receive(hard: Server, queue: str, **fields: Any) -> list[dict[str, Any]]:
    reply = aws(hard, "ReceiveMessage", queue, MaxNumberOfMessages=10, **fields)
    found: list[dict[str, Any]] = reply.get("Messages", [])
    return found


def aws(hard: Server, operation: str, queue: str, **fields: Any) -> dict[str, Any]:
    headers = {"X-Amz-Target": f"AmazonSQS.{operation}"}
    body = json.dumps({"QueueUrl": f"http://x/{queue}", **fields}).encode()
    status, content = ask(hard, "POST", "/", body, headers)
    assert status == 200, content
    found: dict[str, Any] = json.loads(content)
    return found


def ask(
    hard: Server, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", hard.plain, timeout=10)
    try:
        connection.request(method, path, body or None, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def keys_of(messages: list[dict[str, Any]]) -> list[int]:
    bodies = [json.loads(message["Body"]) for message in messages]
    return [int(body["Records"][0]["s3"]["object"]["key"]) for body in bodies]


def test_one_message_in_five_tells_again_and_one_comes_twice(hard: Server) -> None:
    queue = "events_vary-100-12_told"
    first = receive(hard, queue)
    rest = receive(hard, queue)
    assert keys_of(first) == [0, 1, 2, 3, 4, 0, 5, 6, 7, 8]
    assert sorted(keys_of(rest)) == [0, 2, 6, 9, 10, 11]  # the 6th object's message is number 7
    for message in [*first, *rest, first[3]]:
        entry = {"Id": "1", "ReceiptHandle": message["ReceiptHandle"]}
        aws(hard, "DeleteMessageBatch", queue, Entries=[entry])
    counted = hard.stats()["queues"][queue]
    assert (counted["count"], counted["deleted"], counted["deliveries"]) == (14, 14, 16)
    assert (counted["deleted_again"], counted["acks_twice"], counted["held"]) == (3, 1, 0)


def test_a_message_comes_again_when_its_lease_ends_unless_deleted(hard: Server) -> None:
    queue = "events_vary-100-3_lease"
    messages = receive(hard, queue, VisibilityTimeout=1)
    (kept,) = [m for m in messages if m["ReceiptHandle"] == "0-1"]
    entries = [{"Id": "1", "ReceiptHandle": kept["ReceiptHandle"]}]
    aws(hard, "DeleteMessageBatch", queue, Entries=entries)
    deadline = time.monotonic() + 30
    came: set[str] = set()
    while not came >= {"1-2"} and time.monotonic() < deadline:
        came |= {m["ReceiptHandle"] for m in receive(hard, queue, VisibilityTimeout=100)}
        time.sleep(0.1)
    assert "1-2" in came
    assert "0-2" not in came


def test_one_request_in_five_is_refused(hard: Server) -> None:
    found = [ask(hard, "GET", "/vary-100-50/000000007")[0] for _ in range(100)]
    assert set(found) == {200, 503}
    assert 10 <= found.count(503) <= 30


def test_both_accounts_are_of_the_bytes_themselves(hard: Server, tmp_path: Path) -> None:
    bucket = "vary-3000-20-400000-7"
    offered = {key: (size, crc) for key, size, crc in hard.offered(bucket)}
    assert len(offered) == 20
    assert len({crc for _, crc in offered.values()}) == 20
    for key in offered:
        content = insist(hard, "GET", f"/{bucket}/{key}")
        insist(hard, "PUT", f"/target/{key}", content)
    held = {name: (size, crc) for name, size, crc, _ in hard.held()}
    assert held == {f"target/{key}": told for key, told in offered.items()}
    insist(hard, "PUT", f"/target/{min(offered)}", b"other")
    changed = [(crc, writes) for name, _, crc, writes in hard.held() if name.endswith("00000")]
    assert changed[0][1] == 2
    assert changed[0][0] != offered[min(offered)][1]


def insist(hard: Server, method: str, path: str, body: bytes = b"") -> bytes:
    while (reply := ask(hard, method, path, body))[0] == 503:
        pass
    assert reply[0] == 200
    return reply[1]
