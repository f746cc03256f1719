"""The steps of an object's way, each by the request that a worker waits for when it is killed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from support.gate import Stage
from support.rig import MIB

ARRIVED, BODY, SENT, ANSWERED = Stage.ARRIVED, Stage.BODY, Stage.SENT, Stage.ANSWERED


class Way(StrEnum):
    """What the message asks for."""

    SMALL = "small"
    LARGE = "large"
    DELETE = "delete"
    POISON = "poison"


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where a worker dies. ``line`` is a pattern in which KEY stands for the object's key.

    ``reused``: parts the next worker must go on with; None where nothing is copied any more.
    ``orphan``: the dead leaves an upload that proves nothing. ``dead``: copies of the message
    that are in the dead-letter queue in the end. ``ledger``: only with one (True), only without.
    """

    way: Way
    name: str
    server: str
    line: str
    stage: Stage
    after: int = 0
    body_bytes: int = 0
    reused: int | None = 0
    orphan: bool = False
    dead: int = 0
    ledger: bool | None = None

    @property
    def title(self) -> str:
        return f"{self.way}: {self.name}"


def _small(name: str, server: str, line: str, stage: Stage, **more: int | bool | None) -> Step:
    return Step(way=Way.SMALL, name=name, server=server, line=line, stage=stage, **more)  # type: ignore[arg-type]


def _large(name: str, server: str, line: str, stage: Stage, **more: int | bool | None) -> Step:
    return Step(way=Way.LARGE, name=name, server=server, line=line, stage=stage, **more)  # type: ignore[arg-type]


def _delete(name: str, server: str, line: str, stage: Stage, *, after: int = 0) -> Step:
    return Step(
        way=Way.DELETE, name=name, server=server, line=line, stage=stage, after=after, reused=None
    )


def _poison(name: str, line: str, stage: Stage, dead: int) -> Step:
    return Step(
        way=Way.POISON, name=name, server="queue", line=line, stage=stage, reused=None, dead=dead
    )


_ACK: Final = r"AmazonSQS\.DeleteMessageBatch.*KEY"
_SEND: Final = r"AmazonSQS\.SendMessage .*KEY"
_READ, _LOOK, _WRITE = r"^GET /.*/KEY", r"^HEAD /.*/KEY", r"^PUT /.*/KEY"
_CREATE, _COMPLETE = r"^POST .*/KEY\?uploads", r"^POST .*/KEY\?uploadId="
_PART, _MARK = r"^PUT .*/KEY\?partNumber=", r"^PUT .*/KEY\?partNumber=10000&"
_NOTE: Final = r"DynamoDB_20120810\.UpdateItem (?=.*KEY)"
_ROW: Final = r"BatchWriteItem.*KEY"

STEPS: Final = (
    _small("reading", "source", _READ, ANSWERED),
    _small("before writing", "target", _WRITE, ARRIVED),
    _small("writing", "target", _WRITE, BODY, body_bytes=100_000),
    _small("sent but for a byte", "target", _WRITE, SENT),
    _small("written, unanswered", "target", _WRITE, ANSWERED),
    _small("before the look", "source", _LOOK, ARRIVED),
    _small("looked, unanswered", "source", _LOOK, ANSWERED),
    _small("before the ledger's row", "ledger", _ROW, ARRIVED, ledger=True),
    _small("after the ledger's row", "ledger", _ROW, ANSWERED, ledger=True),
    _small("before the acknowledgement", "queue", _ACK, ARRIVED),
    _small("acknowledged, unanswered", "queue", _ACK, ANSWERED, reused=None),
    _large("before the upload", "target", _CREATE, ARRIVED),
    _large("upload begun, unanswered", "target", _CREATE, ANSWERED, orphan=True),
    _large("before the upload is noted", "ledger", _NOTE, ARRIVED, orphan=True, ledger=True),
    _large("upload noted, unanswered", "ledger", _NOTE, ANSWERED, ledger=True),
    _large("before the mark", "target", _MARK, ARRIVED, orphan=True, ledger=False),
    _large("mark unanswered", "target", _MARK, ANSWERED, ledger=False),
    _large("inside the first part", "target", _PART + "1&", BODY, body_bytes=MIB),
    _large("first part unanswered", "target", _PART + "1&", ANSWERED, reused=1),
    _large("between parts", "source", _READ, ARRIVED, after=1, reused=1),
    _large("inside the last part", "target", _PART + "2&", BODY, body_bytes=30_000, reused=1),
    _large("before complete", "target", _COMPLETE, ARRIVED, reused=2),
    _large("complete unanswered", "target", _COMPLETE, ANSWERED),
    _large("before the whole is verified", "target", _LOOK, ARRIVED),
    _large("before the look", "source", _LOOK, ARRIVED, after=1),
    _large("before the ledger's row", "ledger", _NOTE + ".*jobStatus", ARRIVED, ledger=True),
    _large("before the acknowledgement", "queue", _ACK, ARRIVED),
    _delete("asking whether it is gone", "source", _READ, ARRIVED),
    _delete("before deleting", "target", r"^DELETE /.*/KEY", ARRIVED),
    _delete("deleted, unanswered", "target", r"^DELETE /.*/KEY", ANSWERED),
    _delete("before the look", "source", _READ, ARRIVED, after=1),
    _delete("before the acknowledgement", "queue", _ACK, ARRIVED),
    _poison("before the hand-over", _SEND, ARRIVED, 1),
    _poison("handed over, unanswered", _SEND, ANSWERED, 2),
    _poison("handed over, not acknowledged", _ACK, ARRIVED, 2),
)
RECEIVING: Final = _small("received, unanswered", "queue", "ReceiveMessage", ANSWERED)
"""Stands alone: whichever worker asks, its message is not the one of the step."""
