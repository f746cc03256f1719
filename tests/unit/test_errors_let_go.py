"""What an error held is free as soon as the error is dealt with, without the garbage collector.

An error holds the frames it went through. Where one of these holds the error in turn, all of it
(jobs, requests, connections and their buffers) waits for the collector, which the worker rests:
``worker.rest_the_collector``. The soak of the fault bench found these.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.scripted_aws import Keys as AwsKeys
from support.scripted_aws import ManualClock, ScriptedService, refused
from support.virtual import VirtualClock
from sync.adapters.aws_errors import Service
from sync.adapters.aws_json import JsonApi, Retries
from sync.adapters.dialects import GENERIC
from sync.adapters.dynamodb import _Open
from sync.adapters.s3 import S3Store
from sync.engine.parts import PartMover
from sync.engine.retry import Retry
from sync.engine.transfer import Context
from sync.errors import AccessDenied, OutcomeUnknown, SyncError, TransientStoreError
from sync.model import ObjectRef, TransferResult
from sync.ports import Credentials
from sync.wire.client import Client, Reply
from sync.wire.request import Origin, Request

REF = ObjectRef("bucket", "key")


class Held:
    """Stands for all that the frames on an error's way hold."""


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Quiet:
    def job_finished(self, result: TransferResult) -> None: ...

    def event(self, name: str, detail: Any) -> None: ...


@pytest.mark.parametrize("failures", [1, 3])
def test_tries_that_failed_leave_nothing(failures: int) -> None:
    seen: list[weakref.ref[Held]] = []

    async def attempt(_last: SyncError | None) -> None:
        held = Held()
        seen.append(weakref.ref(held))
        if len(seen) <= failures:
            raise TransientStoreError("once more")

    async def main() -> None:
        retry = Retry(retries=2, clock=ManualClock(), observer=Quiet())
        try:
            await retry.run("it", attempt)
        except TransientStoreError:
            assert failures == 3

    asyncio.run(main())
    assert [ref() for ref in seen] == [None] * min(failures + 1, 3)


class Refusing:
    """A client whose every reply is a refusal, and which sees whether that is held."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.seen: list[weakref.ref[Any]] = []

    async def send(self, request: Request, *, limit: int = 0) -> Reply:
        held = Held()
        self.seen.append(weakref.ref(held))
        return self._reply

    async def open(self, request: Request) -> Any:
        reply = self._reply

        class Answer:
            status, headers, content_length = reply.status, reply.headers, len(reply.body)

            async def read(self, limit: int = 0) -> bytes:
                return reply.body

        answer = Answer()
        self.seen.append(weakref.ref(answer))
        return answer

    def release(self, request: Request, reply: Any) -> None: ...


class Keys:
    async def credentials(self) -> Credentials:
        return Credentials("AKID", "secret")

    def invalidate(self) -> None: ...


async def _read(store: S3Store) -> None:
    async with store.open(REF):
        raise AssertionError("it is refused")


@pytest.mark.parametrize("ask", [_read, lambda store: store.head(REF), lambda s: s.delete(REF)])
def test_a_store_s_refusal_leaves_nothing(ask: Callable[[S3Store], Any]) -> None:
    body = b"<Error><Code>AccessDenied</Code></Error>"
    client = Refusing(Reply(403, {}, body))
    seen: list[weakref.ref[Held]] = []

    async def refused_once(store: S3Store) -> None:
        held = Held()
        seen.append(weakref.ref(held))
        await ask(store)

    async def main() -> None:
        store = S3Store(
            client=cast("Client", client),
            credentials=Keys(),
            endpoint="https://host.example",
            dialect=GENERIC,
            clock=VirtualClock(),
        )
        with pytest.raises(AccessDenied):
            await refused_once(store)

    asyncio.run(main())
    assert len(client.seen) > 0
    assert [ref() for ref in [*seen, *client.seen]] == [None] * (1 + len(client.seen))


def test_a_service_s_refusal_leaves_nothing() -> None:
    seen: list[weakref.ref[Held]] = []

    async def refused_once(api: JsonApi) -> None:
        held = Held()
        seen.append(weakref.ref(held))
        await api.call("Get", {})

    async def main() -> None:
        api = JsonApi(
            service=Service(name="sqs", prefix="AmazonSQS", title="SQS", mend_missing=""),
            client=ScriptedService(*[refused("InternalError", status=500)] * 2),
            credentials=AwsKeys(),
            endpoint="https://sqs.example",
            region="us-east-1",
            clock=ManualClock(),
            retries=Retries(attempts=2),
        )
        with pytest.raises(SyncError):
            await refused_once(api)

    asyncio.run(main())
    assert [ref() for ref in seen] == [None]


@pytest.mark.parametrize("failing", [False, True])
def test_parts_leave_nothing(failing: bool) -> None:
    seen: list[weakref.ref[Held]] = []

    async def main() -> None:
        mover = PartMover(cast("Context", SimpleNamespace(parts_at_a_time=2)))
        held = Held()
        seen.append(weakref.ref(held))

        async def do(_item: int) -> None:
            assert held
            if failing:
                raise TransientStoreError("broken")

        try:
            await mover._each(iter(range(5)), do)
        except TransientStoreError:
            assert failing

    asyncio.run(main())
    assert [ref() for ref in seen] == [None]


def test_a_row_s_writer_that_is_not_needed_any_more_leaves_nothing() -> None:
    async def main() -> weakref.ref[Held]:
        mine, held = _Open(0.0), Held()

        async def write_later(_of: _Open, _held: Held) -> None:
            await asyncio.sleep(3600)

        mine.writer = asyncio.create_task(write_later(mine, held))
        await asyncio.sleep(0)
        await mine.forget()
        found = weakref.ref(held)
        del mine, held
        for _ in range(3):
            await asyncio.sleep(0)
        return found

    assert asyncio.run(main())() is None


def test_a_request_sent_again_in_vain_fails_with_an_error_that_is_not_its_own_cause() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the first request only; a connection ends at the second it gets."""
        nonlocal asked
        while await reader.readuntil(b"\r\n\r\n"):
            asked += 1
            if asked > 1:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        request = Request("PUT", Origin("http", "127.0.0.1", port), "/", (), body=b"")
        client = Client()
        await client.send(request)
        with pytest.raises(OutcomeUnknown) as told:
            await client.send(request)
        error: BaseException | None = told.value
        chain = []
        while error is not None and error not in chain:
            chain.append(error)
            error = error.__cause__
        assert error is None
        assert len(chain) > 1
        await client.close()
        server.close()

    asyncio.run(main())
    assert asked == 3
