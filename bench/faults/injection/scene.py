"""The stage of one worker's life: a rig whose four ways lead through fault proxies."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from faults.proxy import Fault, FaultProxy, Rule
from faults.stage import Stage
from support.rig import MIB, Queue, Rig
from support.side import Side
from support.worker_process import WorkerProcess

BENCH: Final = Path(__file__).resolve().parents[2]
LARGE: Final = 11 * MIB
"""Three parts: two of five MiB and one of one."""
_JUDGED: Final = r"AmazonSQS\.(DeleteMessageBatch|ReceiveMessage)"
HASTY: Final = ("-m", "faults.injection.hasty")


@cache
def _noise() -> bytes:
    return os.urandom(LARGE)


def noise(size: int) -> bytes:
    """Bytes that no part of another object's are like at the same place; cheaper than new ones."""
    turn = secrets.randbelow(LARGE)
    first = _noise()[turn : turn + size]
    return first + _noise()[: size - len(first)]


@dataclass(frozen=True)
class Plan:
    """One fault at one place: ``arrange`` puts the object ``key`` and the rules in place."""

    kind: str
    key: str
    arrange: Callable[[Scene, str], None]


@dataclass(frozen=True, kw_only=True)
class Life:
    """One worker's life. ``options`` are configuration keys, ``arguments`` the hasty worker's;
    ``code`` the exit code it must have; ``drive`` runs it, by default until its queue is empty.
    ``source`` and ``target`` say who plays: "seaweedfs" or "gcs".
    """

    name: str
    plans: Sequence[Plan]
    ledger: bool = True
    tls: bool = False
    options: dict[str, object] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("--deadline", "2.5")
    code: int = 0
    drive: Callable[[Scene], WorkerProcess] | None = None
    source: str = "seaweedfs"
    target: str = "gcs"


@dataclass
class Scene:
    """What a life has to do with. ``versions`` are all contents each key ever had; ``dead`` the
    messages that must be dead-lettered, by key, with their code; ``opened`` the keys of which an
    upload may be left open; ``told`` counts the messages that were sent, ``done``
    the faults that are no rule's.
    """

    life: Life
    rig: Rig
    source: FaultProxy
    target: FaultProxy
    queue: FaultProxy
    table: FaultProxy
    versions: dict[str, list[bytes]] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    rules: dict[str, list[Rule]] = field(default_factory=dict)
    checks: list[Callable[[WorkerProcess], str]] = field(default_factory=list)
    plan: Plan | None = None
    told: int = 0
    done: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def proxies(self) -> tuple[FaultProxy, ...]:
        return (self.source, self.target, self.queue, self.table)

    def put(self, key: str, content: bytes, *, tell: bool = True, **fields: Any) -> None:
        """An object at the source; its event too, unless told otherwise."""
        with self._lock:
            self.versions.setdefault(key, []).append(content)
            self.rig.source.put(key, content, **fields)
        if tell:
            self.told += 1
            self.rig.queue.send(self.rig.event(key, size=len(content)))

    def small(self, key: str, size: int = 3000) -> None:
        """A small object with headers of its own."""
        self.put(key, noise(size), ContentType="text/x-small", Metadata={"of": key})

    def large(self, key: str, size: int = LARGE) -> None:
        """An object of three parts."""
        self.put(key, noise(size), ContentType="text/x-large", Metadata={"of": key})

    def change(self, key: str, size: int) -> Callable[[], None]:
        """To be called by a fault: other content for the key, without an event."""

        def deed() -> None:
            self.put(key, noise(size), tell=False, ContentType="text/x-changed")

        return deed

    def remove(self, key: str) -> Callable[[], None]:
        """To be called by a fault: the object is deleted at the source."""

        def deed() -> None:
            with self._lock:
                self.rig.source.delete(key)
                self.versions.pop(key, None)

        return deed

    def at(self, side: str, pattern: str, what: Fault, *, after: int = 0, times: int = 1) -> Rule:
        """A rule of the plan at hand; ``{k}`` and ``{b}`` in ``pattern`` are the paths of its
        object and of the bucket on that side.
        """
        assert self.plan is not None
        bucket = (self.rig.source if side == "source" else self.rig.target).bucket
        key = self.plan.key
        match = pattern.format(k=re.escape(f"/{bucket}/{key}"), b=re.escape(f"/{bucket}"), n=key)
        rule = Rule(match, what, after=after, times=times, kind=self.plan.kind)
        self.rules.setdefault(key, []).append(rule)
        proxy: FaultProxy = getattr(self, side)
        return proxy.add(rule)

    def worker(self, *arguments: str) -> WorkerProcess:
        """A worker whose deadlines are as the life wants them."""
        places = [str(BENCH.parent), str(BENCH), str(BENCH.parent / "tests")]
        return self.rig.start(
            *self.life.arguments,
            *arguments,
            command=HASTY,
            environ={"PYTHONPATH": os.pathsep.join(places)},
        )


@contextlib.contextmanager
def open_scene(stage: Stage, life: Life, folder: Path) -> Iterator[Scene]:
    """Fresh buckets, queue, table and proxies for a life."""
    folder.mkdir(parents=True)
    rig = Rig(
        source=_side(stage, life.source),
        target=_side(stage, life.target),
        queue=Queue(stage.aws, dead_letter=True),
        aws=stage.aws,
        folder=folder,
        ledger=life.ledger,
        options=life.options,
    )
    proxies = (
        FaultProxy(rig.source.server.endpoint, tls=life.tls),
        FaultProxy(rig.target.server.endpoint, tls=life.tls),
        FaultProxy(stage.aws.endpoint, tls=life.tls, keep=_JUDGED),
        FaultProxy(stage.aws.endpoint, tls=life.tls),
    )
    source, target, queue, table = proxies
    own = {"SrcEndPointURL": source.url, "DestEndPointURL": target.url, **life.options}
    rig.options |= own | ({"CABundle": source.ca_file} if life.tls else {})
    rig.environ |= {"AWS_ENDPOINT_URL_SQS": queue.url, "AWS_ENDPOINT_URL_DYNAMODB": table.url}
    scene = Scene(life, rig, source, target, queue, table)
    try:
        yield scene
    finally:
        for proxy in proxies:
            proxy.close()
        rig.close()


def _side(stage: Stage, name: str) -> Side:
    return Side(stage.target, "gcs") if name == "gcs" else Side(stage.source, "generic")


def key_of(body: str) -> str:
    """The key that an event's body names, else the body itself."""
    with contextlib.suppress(ValueError, LookupError, TypeError, RecursionError):
        return str(json.loads(body)["Records"][0]["s3"]["object"]["key"])
    return body
