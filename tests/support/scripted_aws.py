"""A scripted AWS JSON service: answers in order, remembers what it was asked. And a clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sync.ports import Credentials
from sync.wire.request import Request


@dataclass(frozen=True)
class ScriptedReply:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Asked:
    operation: str
    payload: Any
    request: Request


def ok(value: Any = None, **headers: str) -> ScriptedReply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return ScriptedReply(200, named, json.dumps({} if value is None else value).encode())


def refused(
    code: str, text: str = "", status: int = 400, headers: Mapping[str, str] | None = None
) -> ScriptedReply:
    body = json.dumps({"__type": f"com.amazonaws.x#{code}", "message": text}).encode()
    return ScriptedReply(status, headers or {}, body)


Answer = ScriptedReply | Exception | Callable[[Asked], ScriptedReply]


class ScriptedService:
    """Stands where the wire client stands. Asked beyond its script it fails the test."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    async def send(self, request: Request, *, limit: int = 0) -> ScriptedReply:
        assert isinstance(request.body, bytes)
        target = dict(request.headers)["x-amz-target"]
        asked = Asked(target.partition(".")[2], json.loads(request.body), request)
        self.asked.append(asked)
        assert self.answers, f"nobody expected {asked.operation}"
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(asked) if callable(answer) else answer

    @property
    def operations(self) -> list[str]:
        return [asked.operation for asked in self.asked]


@dataclass
class ManualClock:
    """Sleeping moves it at once."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Keys:
    """Credentials that are read anew after a refusal."""

    def __init__(self, secret: str = "very-secret") -> None:
        self.secret = secret
        self.refused = 0

    async def credentials(self) -> Credentials:
        return Credentials(f"AKIDTEST{self.refused}", self.secret, token="session-token")

    def invalidate(self) -> None:
        self.refused += 1
