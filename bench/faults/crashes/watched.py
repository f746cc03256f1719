"""A proxy before SQS and DynamoDB whose gates see what a request is about, and that notices an
acknowledgement given twice.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from support.gate import Proxy, Stage, _Cut, _read_head, _refused, _reply_pieces

RECEIVE = "AmazonSQS.ReceiveMessage"


class WatchedProxy(Proxy):
    """A request's line ends with the text of its body; receipt handles are told by the bodies
    of their messages. So a gate can mean the acknowledgement of one key's message.

    One receive at a time: moto gives one message to two who ask at the same moment, and then the
    gate of another message waits for nobody.

    ``again``: bodies of messages of which one delivery was acknowledged once more although its
    acknowledgement had been answered.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, keep=RECEIVE)
        self._bodies: dict[str, str] = {}
        self._acknowledged: set[str] = set()
        self.again: list[str] = []
        self._one_receive = threading.Lock()

    def _exchange(
        self, asked: BinaryIO, client: socket.socket, answered: BinaryIO, server: socket.socket
    ) -> bool:
        head = _read_head(asked)
        if head is None:
            return False
        body = _whole(asked, head.length or 0)
        gate, refusal = self._judge(f"{head.line} {self._about(body)}")
        if refusal is not None:
            client.sendall(_refused(refusal, head))
            return True
        if gate and gate.stage is not Stage.ANSWERED:
            gate.hold()
        with self._one_receive if RECEIVE in head.line else contextlib.nullcontext():
            server.sendall(head.raw + body)
            said = _read_head(answered)
            if said is None:
                return False
            reply = b"".join(_reply_pieces(answered, head, said))
        self._learn(head.line, reply)
        if gate:
            gate.passed.set()
            if gate.stage is Stage.ANSWERED:
                gate.hold()
        client.sendall(said.raw + reply)
        self._note_answer(head.line, body, reply)
        return "close" not in said.headers.get("connection", "")

    def _about(self, body: bytes) -> str:
        bodies = [self._bodies.get(receipt, "") for receipt in _receipts(_parsed(body)).values()]
        return " ".join([body.decode(errors="replace"), *bodies])

    def _learn(self, line: str, reply: bytes) -> None:
        if "ReceiveMessage" in line and _parsed(reply):
            self.kept.append(reply)
            for message in _parsed(reply).get("Messages", ()):
                self._bodies[message["ReceiptHandle"]] = message["Body"]

    def _note_answer(self, line: str, body: bytes, reply: bytes) -> None:
        """The reply has gone out: what it confirms need not be asked for again."""
        if "AmazonSQS.DeleteMessage" not in line:
            return
        done = {entry.get("Id") for entry in _parsed(reply).get("Successful", ())}
        for number, receipt in _receipts(_parsed(body)).items():
            if receipt in self._acknowledged:
                self.again.append(self._bodies.get(receipt, receipt))
            if number in done:
                self._acknowledged.add(receipt)


def _whole(stream: BinaryIO, length: int) -> bytes:
    body = stream.read(length)
    if len(body) < length:
        raise _Cut
    return body


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _receipts(request: dict[str, Any]) -> dict[str, str]:
    """Receipt handles of a request by their entry's id."""
    return dict(_entries(request))


def _entries(request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in (request, *request.get("Entries", ())):
        if isinstance(entry, dict) and "ReceiptHandle" in entry:
            yield entry.get("Id", ""), entry["ReceiptHandle"]
