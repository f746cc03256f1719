from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from support.scripted_aws import (
    Answer,
    Asked,
    Keys,
    ManualClock,
    ScriptedReply,
    ScriptedService,
    ok,
    refused,
)
from sync.adapters.aws_json import Retries
from sync.adapters.sqs import SqsQueue
from sync.adapters.sqs_messages import md5_hex
from sync.errors import (
    AccessDenied,
    ConfigError,
    IntegrityError,
    MessageError,
    NoSuchBucket,
    OutcomeUnknown,
)
from sync.ports import Delivery

URL = "http://q.example/123/jobs"
DEAD = "http://q.example/123/dead"
ARN = "arn:aws:sqs:eu-west-1:123:dead"


def attributes(**values: str) -> ScriptedReply:
    return ok({"Attributes": {"VisibilityTimeout": "3600", **values}})


async def open_queue(
    service: ScriptedService, *, name: str = URL, dead_letter: str = "", clock: Any = None
) -> SqsQueue:
    return await SqsQueue.open(
        name_or_url=name,
        client=service,
        credentials=Keys(),
        endpoint="http://127.0.0.1:9",
        region="eu-west-1",
        dead_letter=dead_letter,
        clock=clock or ManualClock(),
        retries=Retries(attempts=3, chance=lambda: 1.0),
    )


class Bench:
    """An open queue; what its set-up asked is forgotten."""

    def __init__(self, *answers: Answer, url: str = URL, dead_letter: str = DEAD) -> None:
        self.clock = ManualClock()
        self.service = ScriptedService(attributes())
        self.queue = asyncio.run(
            open_queue(self.service, name=url, dead_letter=dead_letter, clock=self.clock)
        )
        self.service.answers = list(answers)
        self.service.asked.clear()

    @property
    def payloads(self) -> list[Any]:
        return [asked.payload for asked in self.service.asked]


def message(body: str = "body", number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "MessageId": f"m{number}",
        "ReceiptHandle": f"r{number}",
        "Body": body,
        "MD5OfBody": md5_hex(body),
        **more,
    }


def deliveries(count: int) -> list[Delivery]:
    return [Delivery(f"m{n}", f"r{n}", "b") for n in range(count)]


def all_done(asked: Asked) -> ScriptedReply:
    entries = asked.payload["Entries"]
    return ok({"Successful": [_done(entry) for entry in entries], "Failed": []})


def _done(entry: Mapping[str, str]) -> dict[str, str]:
    body = entry.get("MessageBody")
    return {"Id": entry["Id"], **({"MD5OfMessageBody": md5_hex(body)} if body else {})}


def failing(*ids: str, sender: bool) -> Any:
    def answer(asked: Asked) -> ScriptedReply:
        entries = asked.payload["Entries"]
        failed = [
            {"Id": e["Id"], "SenderFault": sender, "Code": "X"} for e in entries if e["Id"] in ids
        ]
        return ok(
            {"Successful": [_done(e) for e in entries if e["Id"] not in ids], "Failed": failed}
        )

    return answer


# --- finding the queue ------------------------------------------------------------------


def test_open_by_name_finds_queue_policy_and_dead_letter_queue_of_another_account() -> None:
    policy = '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:999:dead","maxReceiveCount":"12"}'
    service = ScriptedService(
        ok({"QueueUrl": URL}), attributes(RedrivePolicy=policy), ok({"QueueUrl": DEAD})
    )
    queue = asyncio.run(open_queue(service, name="jobs"))
    assert service.operations == ["GetQueueUrl", "GetQueueAttributes", "GetQueueUrl"]
    assert service.asked[2].payload == {"QueueName": "dead", "QueueOwnerAWSAccountId": "999"}
    assert (queue.url, queue.dead_letter_queue) == (URL, DEAD)
    assert queue.facts.visibility_timeout == 3600
    assert queue.facts.max_receive_count == 12


def test_a_dead_letter_queue_that_may_not_be_looked_up_is_derived() -> None:
    policy = f'{{"deadLetterTargetArn":"{ARN}","maxReceiveCount":3}}'
    service = ScriptedService(attributes(RedrivePolicy=policy), refused("AccessDenied"))
    assert asyncio.run(open_queue(service)).dead_letter_queue == DEAD


def test_a_missing_queue_says_what_to_check() -> None:
    service = ScriptedService(refused("QueueDoesNotExist", "The queue does not exist."))
    with pytest.raises(NoSuchBucket, match="sqs_queue_name"):
        asyncio.run(open_queue(service, name="jobs"))


@pytest.mark.parametrize(
    "name",
    [
        "https://sqs.us-west-2.amazonaws.com/123/jobs",
        "https://us-west-2.queue.amazonaws.com/123/jobs",
        "arn:aws:sqs:us-west-2:123:jobs",
        "arn:aws:s3:::bucket",
    ],
)
def test_a_queue_of_another_region_is_a_configuration_fault(name: str) -> None:
    with pytest.raises(ConfigError):
        asyncio.run(open_queue(ScriptedService(), name=name))


def test_requests_go_to_the_endpoint_whatever_host_the_queue_url_has() -> None:
    bench = Bench(ok({"Messages": []}))
    asyncio.run(bench.queue.receive(10, wait=0, lease=60))
    assert bench.service.asked[0].request.origin.authority == "127.0.0.1:9"
    assert bench.payloads[0]["QueueUrl"] == URL


# --- receiving --------------------------------------------------------------------------


def test_receive_asks_within_the_services_bounds() -> None:
    bench = Bench(ok({}), ok({}))
    asyncio.run(bench.queue.receive(99, wait=0.5, lease=90.2))
    asyncio.run(bench.queue.receive(0, wait=60, lease=1e9))
    first, second = bench.payloads
    assert first["MaxNumberOfMessages"] == 10
    assert first["WaitTimeSeconds"] == 1
    assert first["VisibilityTimeout"] == 91
    assert second["MaxNumberOfMessages"] == 1
    assert second["WaitTimeSeconds"] == 20
    assert second["VisibilityTimeout"] == 43_200
    timeouts = bench.service.asked[1].request.timeouts
    assert timeouts is not None
    assert timeouts.first_byte > 20


def test_a_damaged_body_is_given_back_and_the_others_handed_out() -> None:
    reply = {"Messages": [message("good", 1), message("bad", 2, MD5OfBody="0" * 32)]}
    bench = Bench(ok(reply), all_done)
    got = asyncio.run(bench.queue.receive(10, wait=0, lease=60))
    assert [d.body for d in got] == ["good"]
    assert bench.service.operations == ["ReceiveMessage", "ChangeMessageVisibilityBatch"]
    assert bench.payloads[1]["Entries"][0]["ReceiptHandle"] == "r2"


def test_a_message_without_a_receipt_is_passed_over() -> None:
    bench = Bench(ok({"Messages": [{"MessageId": "m", "Body": "b"}, message()]}))
    got = asyncio.run(bench.queue.receive(10, wait=0, lease=60))
    assert [d.message_id for d in got] == ["m1"]


def test_a_lost_reply_is_asked_for_again_and_a_fifo_queue_told_so() -> None:
    bench = Bench(OutcomeUnknown("lost"), ok({"Messages": [message()]}), url=f"{URL}.fifo")
    got = asyncio.run(bench.queue.receive(1, wait=0, lease=60))
    assert len(got) == 1
    first, second = bench.payloads
    assert first["ReceiveRequestAttemptId"] == second["ReceiveRequestAttemptId"]


# --- deleting and extending -------------------------------------------------------------


def test_acknowledging_goes_by_tens() -> None:
    bench = Bench(all_done, all_done, all_done)
    assert asyncio.run(bench.queue.acknowledge(deliveries(23))) == []
    assert [len(p["Entries"]) for p in bench.payloads] == [10, 10, 3]
    handles = [e["ReceiptHandle"] for p in bench.payloads for e in p["Entries"]]
    assert handles == [f"r{n}" for n in range(23)]


def test_a_refused_entry_is_returned_and_a_passing_failure_retried() -> None:
    bench = Bench(failing("1", sender=True), all_done)
    three = deliveries(3)
    assert asyncio.run(bench.queue.acknowledge(three)) == [three[1]]
    assert len(bench.service.asked) == 1

    bench = Bench(failing("0", "2", sender=False), all_done)
    assert asyncio.run(bench.queue.extend(three, 0)) == []
    assert [e["ReceiptHandle"] for e in bench.payloads[1]["Entries"]] == ["r0", "r2"]
    assert {e["VisibilityTimeout"] for e in bench.payloads[1]["Entries"]} == {0}


def test_an_entry_that_the_reply_does_not_mention_was_not_deleted() -> None:
    bench = Bench(*[ok({"Successful": [{"Id": "0"}]})] * 3)
    two = deliveries(2)
    assert asyncio.run(bench.queue.acknowledge(two)) == [two[1]]
    assert [len(p["Entries"]) for p in bench.payloads] == [2, 1, 1]


def test_failures_that_last_are_returned_after_bounded_retries() -> None:
    bench = Bench(*[failing("0", sender=False)] * 3)
    one = deliveries(1)
    assert asyncio.run(bench.queue.acknowledge(one)) == one
    assert bench.clock.slept == [0.1, 0.2]


def test_an_outage_returns_the_batch_and_a_denial_is_raised() -> None:
    bench = Bench(*[OutcomeUnknown("lost")] * 3)
    two = deliveries(2)
    assert asyncio.run(bench.queue.acknowledge(two)) == two
    bench = Bench(refused("AccessDenied", status=403))
    with pytest.raises(AccessDenied, match="sqs:DeleteMessage "):
        asyncio.run(bench.queue.acknowledge(two))


# --- the dead-letter queue --------------------------------------------------------------

DELIVERY = Delivery("m1", "r1", "the body", attempt=3, group="g")


def test_dead_letter_is_true_only_after_the_bodys_own_md5() -> None:
    bench = Bench(ok({"MD5OfMessageBody": "0" * 32}), ok({"MD5OfMessageBody": md5_hex("the body")}))
    assert asyncio.run(bench.queue.dead_letter(DELIVERY, "too large", "ObjectTooLarge"))
    assert bench.service.operations == ["SendMessage"] * 2
    sent = bench.payloads[0]
    assert (sent["QueueUrl"], sent["MessageBody"]) == (DEAD, "the body")
    assert sent["MessageAttributes"]["code"] == {
        "DataType": "String",
        "StringValue": "ObjectTooLarge",
    }
    assert "MessageGroupId" not in sent


def test_dead_letter_raises_where_the_md5_never_fits() -> None:
    bench = Bench(*[ok({"MD5OfMessageBody": "0" * 32})] * 3)
    with pytest.raises(IntegrityError):
        asyncio.run(bench.queue.dead_letter(DELIVERY, "r", "c"))


def test_dead_letter_is_false_without_a_queue_and_raises_where_it_is_refused() -> None:
    bench = Bench(dead_letter="")
    assert asyncio.run(bench.queue.dead_letter(DELIVERY, "r", "c")) is False
    bench = Bench(refused("AccessDenied", status=403))
    with pytest.raises(AccessDenied):
        asyncio.run(bench.queue.dead_letter(DELIVERY, "r", "c"))


def test_a_fifo_dead_letter_queue_gets_group_and_deduplication() -> None:
    bench = Bench(ok({"MD5OfMessageBody": md5_hex("the body")}), dead_letter=f"{DEAD}.fifo")
    assert asyncio.run(bench.queue.dead_letter(DELIVERY, "r", "c"))
    assert bench.payloads[0]["MessageGroupId"] == "g"
    assert bench.payloads[0]["MessageDeduplicationId"] == "m1"


# --- sending ----------------------------------------------------------------------------


def test_send_fits_batches_and_checks_every_entry() -> None:
    def wrong_md5_for_the_first(asked: Asked) -> ScriptedReply:
        done = [_done(entry) for entry in asked.payload["Entries"]]
        done[0]["MD5OfMessageBody"] = "0" * 32
        return ok({"Successful": done})

    bench = Bench(wrong_md5_for_the_first, all_done, all_done)
    bodies = [str(n) * 100_000 for n in range(3)]
    assert asyncio.run(bench.queue.send(bodies)) == []
    sent = [[e["MessageBody"][0] for e in p["Entries"]] for p in bench.payloads]
    assert sent == [["0", "1"], ["0"], ["2"]]


def test_send_returns_what_could_not_be_sent() -> None:
    bench = Bench(failing("1", sender=True))
    assert asyncio.run(bench.queue.send(["a", "b", "c"])) == ["b"]


def test_send_refuses_an_oversize_message_before_sending_any() -> None:
    bench = Bench()
    with pytest.raises(MessageError, match="262144"):
        asyncio.run(bench.queue.send(["a", "b" * 262_145]))
    assert bench.service.asked == []


def test_fifo_sends_keep_their_deduplication_over_retries_only() -> None:
    bench = Bench(failing("0", sender=False), all_done, all_done, url=f"{URL}.fifo")
    asyncio.run(bench.queue.send(["a"]))
    asyncio.run(bench.queue.send(["a"], group="mine"))
    ids = [p["Entries"][0]["MessageDeduplicationId"] for p in bench.payloads]
    assert ids[0] == ids[1] != ids[2]
    assert bench.payloads[2]["Entries"][0]["MessageGroupId"] == "mine"


def test_depth_counts_visible_and_delayed_in_one_request() -> None:
    bench = Bench(
        ok(
            {
                "Attributes": {
                    "ApproximateNumberOfMessages": "4",
                    "ApproximateNumberOfMessagesDelayed": "3",
                }
            }
        ),
        ok(
            {
                "Attributes": {
                    "ApproximateNumberOfMessages": "4",
                    "ApproximateNumberOfMessagesDelayed": "3",
                    "ApproximateNumberOfMessagesNotVisible": "2",
                }
            }
        ),
    )
    assert asyncio.run(bench.queue.depth()) == 7
    assert asyncio.run(bench.queue.outstanding()) == 9
    assert len(bench.service.asked) == 2
