"""What every JobQueue promises. A queue joins by one entry in QUEUES."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import pytest

from support.moto_aws import REGION, MotoAws, moto_aws
from support.scripted_aws import Keys
from sync.adapters.clock import SystemClock
from sync.adapters.memory import MemoryObserver, MemoryQueue
from sync.adapters.sqs import SqsQueue
from sync.engine.several_queues import SeveralQueues
from sync.ports import Delivery, JobQueue
from sync.wire.client import Client


@dataclass(frozen=True)
class Subject:
    """A queue, a way to put messages in, and one to see what was buried."""

    queue: JobQueue
    send: Callable[[str], Coroutine[Any, Any, None]]
    buried: Callable[[], Coroutine[Any, Any, list[tuple[str, str, str]]]]


class Opener(Protocol):
    def __call__(self, *, dead: bool) -> AbstractAsyncContextManager[Subject]: ...


def memory_queues(_: MotoAws) -> Opener:
    @asynccontextmanager
    async def opened(*, dead: bool) -> AsyncIterator[Subject]:
        queue = MemoryQueue()
        queue.has_dead_letter_queue = dead

        async def send(body: str) -> None:
            queue.send(body)

        async def buried() -> list[tuple[str, str, str]]:
            return queue.buried

        yield Subject(queue, send, buried)

    return opened


def sqs_queues(aws: MotoAws, suffix: str = "") -> Opener:
    @asynccontextmanager
    async def opened(*, dead: bool) -> AsyncIterator[Subject]:
        name = f"q{uuid4().hex}"
        made = {"FifoQueue": "true"} if suffix else {}
        for one in (name, f"{name}-dead"):
            aws.sqs.create_queue(QueueName=f"{one}{suffix}", Attributes=made)
        client = Client()

        async def open_sqs(name: str, dead_letter: str = "") -> SqsQueue:
            return await SqsQueue.open(
                name_or_url=f"{name}{suffix}",
                dead_letter=dead_letter and f"{dead_letter}{suffix}",
                client=client,
                credentials=Keys(),
                endpoint=aws.endpoint,
                region=REGION,
                clock=SystemClock(),
            )

        queue = await open_sqs(name, f"{name}-dead" if dead else "")

        async def send(body: str) -> None:
            assert await queue.send([body]) == []

        async def buried() -> list[tuple[str, str, str]]:
            grave = await open_sqs(f"{name}-dead")
            found = await grave.receive(10, wait=0, lease=60)
            return [
                (d.body, dict(d.attributes)["reason"], dict(d.attributes)["code"]) for d in found
            ]

        try:
            yield Subject(queue, send, buried)
        finally:
            await client.close()

    return opened


def several_queues(inner: Callable[[MotoAws], Opener]) -> Callable[[MotoAws], Opener]:
    """Three of the same kind as one; messages come by the second."""

    def maker(aws: MotoAws) -> Opener:
        @asynccontextmanager
        async def opened(*, dead: bool) -> AsyncIterator[Subject]:
            async with AsyncExitStack() as stack:
                subjects = [await stack.enter_async_context(inner(aws)(dead=dead)) for _ in "abc"]
                named = {str(n): subject.queue for n, subject in enumerate(subjects)}
                several = SeveralQueues(named, clock=SystemClock(), observer=MemoryObserver())
                stack.push_async_callback(several.close)
                yield Subject(several, subjects[1].send, subjects[1].buried)

        return opened

    return maker


QUEUES: dict[str, Callable[[MotoAws], Opener]] = {
    "memory": memory_queues,
    "sqs": sqs_queues,
    "sqs-fifo": lambda aws: sqs_queues(aws, ".fifo"),
    "several-memory": several_queues(memory_queues),
    "several-sqs": several_queues(sqs_queues),
}


@pytest.fixture(scope="module")
def aws() -> Iterator[MotoAws]:
    with moto_aws() as server:
        yield server


@pytest.fixture(params=list(QUEUES))
def opener(request: pytest.FixtureRequest, aws: MotoAws) -> Opener:
    return QUEUES[request.param](aws)


def run(
    opener: Opener, body: Callable[[Subject], Coroutine[Any, Any, None]], *, dead: bool = True
) -> None:
    async def whole() -> None:
        async with opener(dead=dead) as subject:
            await body(subject)

    asyncio.run(whole())


async def until_received(queue: JobQueue, lease: float = 60) -> Delivery:
    for _ in range(20):
        got = await queue.receive(1, wait=1, lease=lease)
        if got:
            return got[0]
    raise AssertionError("nothing came")


def test_a_message_comes_as_it_was_sent_and_only_once_while_leased(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        text = '{"key":"a//b+%2B 中文 \U0001f600\\n"}\n\t"end"'
        await subject.send(text)
        got = await subject.queue.receive(10, wait=1, lease=60)
        assert [d.body for d in got] == [text]
        assert got[0].attempt == 1
        assert got[0].sent_at > 1_600_000_000
        assert await subject.queue.receive(10, wait=0, lease=60) == []

    run(opener, body)


def test_an_acknowledged_message_is_gone(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("one")
        first = await until_received(subject.queue)
        assert await subject.queue.acknowledge([first]) == []
        assert await subject.queue.receive(10, wait=0, lease=60) == []
        assert await subject.queue.depth() == 0

    run(opener, body)


def test_a_message_given_back_comes_again_with_a_higher_attempt(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("one")
        first = await until_received(subject.queue)
        assert await subject.queue.depth() == 0
        assert await subject.queue.extend([first], 0) == []
        assert await subject.queue.depth() == 1
        second = await until_received(subject.queue)
        assert (second.message_id, second.attempt) == (first.message_id, 2)
        assert second.receipt != first.receipt

    run(opener, body)


def test_a_lease_that_runs_out_gives_the_message_back(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("one")
        await until_received(subject.queue, lease=1)
        assert (await until_received(subject.queue)).attempt == 2

    run(opener, body)


def test_an_extended_lease_outlives_the_first(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("one")
        first = await until_received(subject.queue, lease=1)
        assert await subject.queue.extend([first], 60) == []
        assert await subject.queue.receive(1, wait=2, lease=60) == []
        assert await subject.queue.acknowledge([first]) == []

    run(opener, body)


def test_no_more_than_asked_for(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        for number in range(5):
            await subject.send(str(number))
        assert 1 <= len(await subject.queue.receive(3, wait=0, lease=60)) <= 3

    run(opener, body)


def test_waiting_ends_when_a_message_arrives(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        waiting = asyncio.create_task(subject.queue.receive(1, wait=20, lease=60))
        await subject.send("one")
        async with asyncio.timeout(15):
            assert [d.body for d in await waiting] == ["one"]

    run(opener, body)


def test_a_receipt_that_is_none_is_returned_and_the_others_go_through(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("one")
        good = await until_received(subject.queue)
        bad = Delivery("nobody", "no-such-receipt", "x")
        assert await subject.queue.extend([bad, good], 60) == [bad]
        assert await subject.queue.acknowledge([bad, good]) == [bad]
        assert await subject.queue.depth() == 0

    run(opener, body)


def test_nothing_to_do_is_done(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        assert await subject.queue.acknowledge([]) == []
        assert await subject.queue.extend([], 60) == []
        assert await subject.queue.receive(10, wait=0, lease=60) == []

    run(opener, body)


def test_a_dead_letter_is_a_copy_with_its_reason_and_the_original_stays(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("the body")
        first = await until_received(subject.queue)
        assert await subject.queue.dead_letter(first, "the key is too long", "KeyNotAllowed")
        assert await subject.buried() == [("the body", "the key is too long", "KeyNotAllowed")]
        assert await subject.queue.extend([first], 0) == []
        assert (await until_received(subject.queue)).message_id == first.message_id

    run(opener, body)


def test_without_a_dead_letter_queue_the_answer_is_false(opener: Opener) -> None:
    async def body(subject: Subject) -> None:
        await subject.send("the body")
        first = await until_received(subject.queue)
        assert not await subject.queue.dead_letter(first, "reason", "code")
        assert await subject.buried() == []

    run(opener, body, dead=False)
