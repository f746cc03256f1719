"""One soak: the rig, the proxies, the worker, the driver; then the judge's word."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from faults.proxy import BACKGROUND, FaultProxy
from faults.soak.driver import Done, Driver, digest
from faults.soak.judge import Measured, judge
from faults.soak.lean_queue import NAME, LeanQueue
from faults.soak.plan import Soak
from faults.soak.samples import Sampler, read_inside, read_log
from faults.stage import Stage
from faults.tally import Tally
from support.rig import Rig, WorkerProcess, eventually

_WATCHED: Final = Path(__file__).with_name("watched_worker.py")
_SERVERS: Final = ("source", "destination", "queue", "table")
_EMPTY: Final = 300.0
_ENDED: Final = 120.0


@dataclass
class Proxies:
    """One before each server."""

    source: FaultProxy
    destination: FaultProxy
    queue: FaultProxy
    table: FaultProxy

    @property
    def all(self) -> list[FaultProxy]:
        return [self.source, self.destination, self.queue, self.table]


def play(tally: Tally, soak: Soak, stage: Stage, *, kept: Path | None = None) -> None:
    """Do it, and judge it. ``kept``: where the samples go, one line for each minute."""
    # Leases as short as the rig's: a receive whose reply is lost is the longest lag there is.
    options: dict[str, Any] = {"Connections": 16, "SyncDeletes": True, "StatisticsInterval": 10}
    with stage.rig(**options, sqs_queue_name=NAME) as rig, LeanQueue() as queue:
        with _proxies(rig, queue, stage, soak) as proxies:
            inside = rig.folder / "inside.jsonl"
            worker = _start(rig, soak, proxies, inside)
            sampler = Sampler(rig, queue, worker.pid, soak.every, proxies.all)
            done, began = _drive(Driver(rig, queue, soak), soak, sampler)
            _wait_empty(queue)
            ended = time.time()
            sampler.stop()
            for proxy in proxies.all:
                proxy.quiet()
            code = _end(worker)
            fired = {name: proxy.fired for name, proxy in zip(_SERVERS, proxies.all, strict=True)}
        equal = _compare(tally, soak, rig, done)
        uploads, left = _clear_up(rig)
        measured = Measured(
            soak=soak,
            began=began,
            ended=ended,
            samples=sampler.samples,
            inside=read_inside(inside),
            told=read_log(worker.err),
            done=done,
            fired=fired,
            code=code,
            summary=worker.summary if code is not None else {},
            queue=queue.main,
            dead=queue.dead.sent,
            uploads=uploads,
            creates_struck=sampler.creates_struck,
            uploads_left=left,
            equal=equal,
        )
    judge(tally, measured, kept=kept)


@contextlib.contextmanager
def _proxies(rig: Rig, queue: LeanQueue, stage: Stage, soak: Soak) -> Iterator[Proxies]:
    with contextlib.ExitStack() as stack:
        stores = [rig.source.server.endpoint, rig.target.server.endpoint]
        upstream = [*stores, queue.url, stage.aws.endpoint]
        made = [stack.enter_context(FaultProxy(url)) for url in upstream]
        for number, proxy in enumerate(made):
            # A part of 5 MB that drips takes three minutes, which say nothing of the worker's lag.
            kinds = [kind for kind in BACKGROUND if number > 1 or kind != "drip-reply"]
            proxy.background(rate=soak.faults, kinds=kinds, seed=soak.seed + number)
        yield Proxies(*made)


def _start(rig: Rig, soak: Soak, proxies: Proxies, inside: Path) -> WorkerProcess:
    rig.options["SrcEndPointURL"] = proxies.source.url
    rig.options["DestEndPointURL"] = proxies.destination.url
    environ = {
        "AWS_ENDPOINT_URL_SQS": proxies.queue.url,
        "AWS_ENDPOINT_URL_DYNAMODB": proxies.table.url,
        "SOAK_INSIDE": str(inside),
        "SOAK_EVERY": str(soak.every),
    }
    if soak.trace:
        environ |= {"SOAK_TRACE": "1", "SOAK_EVERY": "60"}
    # As a file: the package's imports are not the worker's memory.
    worker = rig.start(command=("-P", str(_WATCHED)), environ=environ)
    worker.wait_for("ready", within=120)
    return worker


def _drive(driver: Driver, soak: Soak, sampler: Sampler) -> tuple[list[Done], float]:
    began = time.time()
    driver.start()
    sampler.start()
    try:
        time.sleep(soak.seconds)
    finally:
        driver.stop()
    return driver.done, began


def _wait_empty(queue: LeanQueue) -> None:
    with contextlib.suppress(AssertionError):  # what is left is counted
        eventually("the queue is empty", lambda: queue.depth() == 0, within=_EMPTY)


def _end(worker: WorkerProcess) -> int | None:
    """Its exit code; None where it had to be killed."""
    worker.terminate()
    try:
        return worker.ended(within=_ENDED)
    except AssertionError:
        worker.kill()
        return None


def _clear_up(rig: Rig) -> tuple[int, int]:
    """Uploads left open, and those that the operator's verb then leaves."""
    rig.options["SrcEndPointURL"] = rig.source.server.endpoint
    rig.options["DestEndPointURL"] = rig.target.server.endpoint
    found = len(rig.target.uploads())
    time.sleep(1.1)
    rig.verb("uploads", "abort", "--older-than", "1s")
    return found, len(rig.target.uploads())


def _compare(tally: Tally, soak: Soak, rig: Rig, done: Sequence[Done]) -> bool:
    versions = {
        key: contents
        for hand in done
        for key, contents in hand.versions.items()
        if key not in hand.gone
    }
    held = {key: digest(rig.target.content(key)) for key in sorted(rig.target.keys())}
    return tally.end_state(f"soak: {soak.command}", versions, held)
