"""Several queues, and the dead-letter queue as one of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.moto_aws import MotoAws
from support.rig import Queue, Rig

RigMaker = Callable[..., Rig]


@pytest.fixture
def two(make_rig: RigMaker, aws: MotoAws) -> tuple[Rig, Queue]:
    """A rig with a second queue beside its own."""
    rig, other = make_rig(ledger=False), Queue(aws, dead_letter=True)
    rig.options["sqs_queue_name"] = f"{rig.queue.name}, {other.name}"
    return rig, other


def test_a_worker_takes_from_all_its_queues(two: tuple[Rig, Queue]) -> None:
    rig, other = two
    for number in range(30):
        rig.source.put(f"k{number}", b"content")
        (other if number % 3 else rig.queue).send(rig.event(f"k{number}"))
    other.send("no JSON")
    worker = rig.until_empty(code=1)
    rig.equal()
    assert other.depth() == 0
    assert [letter["body"] for letter in other.dead()] == ["no JSON"]
    assert rig.queue.dead() == []
    assert worker.summary["outcomes"]["dead-lettered"] == 1


def test_one_queue_can_be_picked(two: tuple[Rig, Queue]) -> None:
    rig, other = two
    for key, queue in (("mine", rig.queue), ("not mine", other)):
        rig.source.put(key, b"content")
        queue.send(rig.event(key))
    rig.until_empty("--queue", rig.queue.name)
    assert rig.target.keys() == {"mine"}
    assert other.depth() == 1


def test_dead_letters_are_carried_out_too_and_stay_where_they_fail_again(rig: Rig) -> None:
    for key in ("dead", "alive"):
        rig.source.put(key, b"content")
    rig.queue.send(rig.event("alive"))
    rig.queue.bury(rig.event("dead"), "still no JSON")
    worker = rig.until_empty("--including-dead", code=1)
    assert rig.target.keys() == {"alive", "dead"}
    assert rig.queue.depth() == 0
    assert len(worker.summary["failing"]) == 1
    assert rig.queue.dead_depth() == 1


def test_only_the_dead_letter_queue(rig: Rig) -> None:
    for key in ("dead", "alive"):
        rig.source.put(key, b"content")
    rig.queue.send(rig.event("alive"))
    rig.queue.bury(rig.event("dead"))
    rig.until_empty("--only-dead")
    assert rig.target.keys() == {"dead"}
    assert (rig.queue.depth(), rig.queue.dead()) == (1, [])


def test_without_a_dead_letter_queue_there_is_nothing_to_include(make_rig: RigMaker) -> None:
    rig = make_rig(dead_letter=False, IncludeDeadQueue="True")
    worker = rig.until_empty(code=2)
    assert "dead_letter_queue_name" in worker.err.read_text()
