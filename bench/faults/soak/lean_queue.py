"""A queue of SQS's own protocol whose every step costs the same, however many messages wait.

moto goes through all of them for each receive, and its long polls look a hundred times a second:
an hour of it would measure moto. Leases, redeliveries, long polls and the dead-letter queue are
as SQS has them; signatures are not looked at.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Self
from urllib.parse import urlsplit

NAME: Final = "soak"
_DEAD: Final = "soak-dead"
_ARN: Final = "arn:aws:sqs:us-east-1:000000000000:"
_ROUNDS: Final = 0.1
_PATIENCE: Final = 10.0


@dataclass(slots=True)
class Message:
    """``due``: when its lease ends; ``receipt``: the last delivery's."""

    number: int
    body: str
    sent: float
    due: float = 0.0
    receives: int = 0

    def told(self) -> dict[str, Any]:
        return {
            "MessageId": f"soak-{self.number}",
            "ReceiptHandle": f"{self.number}:{self.receives}",
            "MD5OfBody": _md5(self.body),
            "Body": self.body,
            "Attributes": {
                "ApproximateReceiveCount": str(self.receives),
                "SentTimestamp": str(round(1000 * self.sent)),
            },
        }


@dataclass
class Messages:
    """What one queue holds. All of it on one event loop; times are seconds since 1970."""

    held: dict[int, Message] = field(default_factory=dict)
    ready: deque[int] = field(default_factory=deque)
    leased: list[tuple[float, int]] = field(default_factory=list)
    sent: int = 0
    deliveries: int = 0
    deleted: int = 0
    _numbers: count[int] = field(default_factory=count)

    def send(self, body: str) -> None:
        message = Message(next(self._numbers), body, time.time())
        self.held[message.number] = message
        self.ready.append(message.number)
        self.sent += 1

    def take(self, limit: int, lease: float) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        while self.ready and len(taken) < limit:
            message = self.held.get(self.ready.popleft())
            if message is None:
                continue  # deleted while it was visible
            message.receives += 1
            self.lease(message, lease)
            self.deliveries += 1
            taken.append(message.told())
        return taken

    def lease(self, message: Message, seconds: float) -> None:
        message.due = time.time() + seconds
        heapq.heappush(self.leased, (message.due, message.number))

    def expire(self) -> None:
        """What nobody holds any more can be taken."""
        now = time.time()
        while self.leased and self.leased[0][0] <= now:
            due, number = heapq.heappop(self.leased)
            message = self.held.get(number)
            if message is not None and message.due == due:
                message.due = 0.0
                self.ready.append(number)

    def of(self, receipt: str) -> Message | None:
        return self.held.get(int(receipt.partition(":")[0]))

    def delete(self, receipt: str) -> None:
        if self.held.pop(int(receipt.partition(":")[0]), None) is not None:
            self.deleted += 1

    @property
    def visible(self) -> int:
        return sum(number in self.held for number in self.ready)


class LeanQueue:
    """A queue and its dead-letter queue at ``url``, on a thread of their own."""

    def __init__(self) -> None:
        self.main, self.dead = Messages(), Messages()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = self._on_loop(self._listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._on_loop(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    # --- for the driver and the sampler, from other threads -----------------------------

    def send(self, *bodies: str) -> None:
        """Put messages in, without a request."""

        async def put() -> None:
            for body in bodies:
                self.main.send(body)

        self._on_loop(put)

    def depth(self) -> int:
        """Messages in it, waiting and in hand."""
        return len(self.main.held)

    def oldest(self) -> float:
        """Seconds since its oldest message was sent; 0 where it is empty."""

        async def look() -> float:
            first = next(iter(self.main.held.values()), None)
            return time.time() - first.sent if first else 0.0

        age: float = self._on_loop(look)
        return age

    def _on_loop(self, what: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what(), self._loop).result(_PATIENCE)

    # --- on its loop --------------------------------------------------------------------

    async def _listen(self) -> str:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = server
        self._ticking = asyncio.create_task(self._tick())
        port: int = server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def _end(self) -> None:
        self._server.close()
        tasks = [self._ticking, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_ROUNDS)
            self.main.expire()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the proxy before it ends connections as it likes
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        named = (line.partition(":") for line in head.split("\r\n")[1:])
        fields = {name.lower(): value.strip() for name, _, value in named}
        asked = json.loads(await reader.readexactly(int(fields.get("content-length", "0"))))
        operation = fields.get("x-amz-target", "").rpartition(".")[2]
        status, told = 200, await self._answer(operation, asked)
        if told is None:
            status, told = 400, {"__type": "com.amazonaws.sqs#UnsupportedOperation"}
        body = json.dumps(told).encode()
        writer.write(
            f"HTTP/1.1 {status} Told\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        return True

    async def _answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if operation == "GetQueueUrl":
            return {"QueueUrl": f"https://sqs.invalid/000000000000/{asked['QueueName']}"}
        path = urlsplit(asked.get("QueueUrl", "")).path
        queue = self.dead if path.endswith(_DEAD) else self.main
        if operation == "ReceiveMessage":
            return await self._receive(queue, asked)
        if operation == "SendMessage":
            queue.send(asked["MessageBody"])
            return {"MessageId": "sent", "MD5OfMessageBody": _md5(asked["MessageBody"])}
        if operation == "GetQueueAttributes":
            return {"Attributes": _attributes(queue)}
        if operation not in {"DeleteMessageBatch", "ChangeMessageVisibilityBatch"}:
            return None
        for entry in asked["Entries"]:
            _settle(queue, entry, deleting=operation == "DeleteMessageBatch")
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    async def _receive(self, queue: Messages, asked: dict[str, Any]) -> dict[str, Any]:
        until = self._loop.time() + asked.get("WaitTimeSeconds", 0)
        limit, lease = asked.get("MaxNumberOfMessages", 1), asked.get("VisibilityTimeout", 30)
        # Ten looks a second are next to nothing here, and a poll may outlive its asker.
        while not (taken := queue.take(limit, lease)) and self._loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_ROUNDS)
        return {"Messages": taken} if taken else {}


def _settle(queue: Messages, entry: dict[str, Any], *, deleting: bool) -> None:
    message = queue.of(entry["ReceiptHandle"])
    if deleting:
        queue.delete(entry["ReceiptHandle"])
    elif message is not None:
        queue.lease(message, entry["VisibilityTimeout"])


def _attributes(queue: Messages) -> dict[str, str]:
    redrive = {"deadLetterTargetArn": f"{_ARN}{_DEAD}", "maxReceiveCount": "50"}
    return {
        "VisibilityTimeout": "30",
        "MaximumMessageSize": "262144",
        "RedrivePolicy": json.dumps(redrive),
        "ApproximateNumberOfMessages": str(queue.visible),
        "ApproximateNumberOfMessagesNotVisible": str(len(queue.held) - queue.visible),
        "ApproximateNumberOfMessagesDelayed": "0",
    }


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
