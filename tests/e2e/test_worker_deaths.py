"""SIGKILL at every step of an object's way: the next worker finds all of it and ends the work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from support.gate import Gate
from support.rig import LEASE, MIB, Rig, Stage, eventually, noise

RigMaker = Callable[..., Rig]
LARGE = 16 * MIB  # in parts of 5 MiB: 5, 5, 5, 1
ONE_BY_ONE = {"MaxThread": 1, "MaxParallelFile": 8}


@dataclass(frozen=True)
class Step:
    """Where the worker dies: the request it waits for on that server."""

    server: str
    line: str
    stage: Stage
    after: int = 0
    body_bytes: int = 0
    reused: int = 0

    def gate(self, rig: Rig) -> Gate:
        proxy = getattr(rig, self.server).proxy
        gate: Gate = proxy.gate(self.line, self.stage, after=self.after, body_bytes=self.body_bytes)
        return gate


SMALL = {
    "reading": Step("source", r"^GET /.*/key", Stage.ANSWERED),
    "writing": Step("target", r"^PUT /.*/key", Stage.BODY, body_bytes=300_000),
    "written-unanswered": Step("target", r"^PUT /.*/key", Stage.ANSWERED),
    "before-the-look": Step("source", r"^HEAD /.*/key", Stage.ARRIVED),
    "before-the-acknowledgement": Step("queue", r"DeleteMessageBatch", Stage.ARRIVED),
    "acknowledged-unanswered": Step("queue", r"DeleteMessageBatch", Stage.ANSWERED),
}
LARGE_STEPS = {
    "inside-a-part": Step("target", r"^PUT .*partNumber=2&", Stage.BODY, body_bytes=MIB, reused=1),
    "part-unanswered": Step("target", r"^PUT .*partNumber=2&", Stage.ANSWERED, reused=2),
    "between-parts": Step("source", r"^GET /.*/key", Stage.ARRIVED, after=2, reused=2),
    "before-complete": Step("target", r"^POST .*uploadId=", Stage.ARRIVED, reused=4),
    "complete-unanswered": Step("target", r"^POST .*uploadId=", Stage.ANSWERED),
}


def die_at(rig: Rig, step: Step) -> None:
    """A worker is killed while it waits for the reply to that request, which is then cut."""
    gate = step.gate(rig)
    worker = rig.start(doomed=True)
    gate.wait()
    worker.kill()
    gate.cut()


@pytest.mark.parametrize("name", SMALL)
def test_a_small_object_outlives_its_worker(rig: Rig, name: str) -> None:
    rig.put("key", noise(MIB), ContentType="image/png", Metadata={"a": "b"})
    die_at(rig, SMALL[name])
    worker = rig.after_death()
    rig.equal()
    done = 0 if name == "acknowledged-unanswered" else 1
    assert worker.summary["messages"] == done


@pytest.mark.parametrize(
    ("name", "ledger"),
    [*((name, True) for name in LARGE_STEPS), ("inside-a-part", False), ("between-parts", False)],
)
def test_a_large_object_is_gone_on_with(make_rig: RigMaker, name: str, ledger: bool) -> None:
    rig = make_rig(ledger=ledger, **ONE_BY_ONE)
    rig.put("key", noise(LARGE), ContentType="image/png", Metadata={"a": "b"})
    step = LARGE_STEPS[name]
    die_at(rig, step)
    worker = rig.after_death()
    rig.equal()
    assert worker.summary["parts_reused"] == step.reused
    (line,) = worker.seen("object", outcome="copied")
    assert line["parts_sent"] == 4 - step.reused


def test_an_upload_nobody_knows_of_is_left_empty_and_goes_when_it_is_old(rig: Rig) -> None:
    """Its worker died before it could note what the upload is for."""
    rig.put("key", noise(LARGE))
    die_at(rig, Step("target", r"^POST .*\?uploads", Stage.ANSWERED))
    (orphan,) = rig.target.uploads()
    rig.after_death()
    assert rig.target.uploads() == [orphan]
    rig.options["JobTimeout"] = 2

    def gone() -> bool:
        rig.tell("key")
        rig.source.put("key", noise(LARGE))
        rig.until_empty()
        return rig.target.uploads() == []

    eventually("the old upload is aborted", gone)
    rig.equal()


def test_the_lease_of_a_dead_worker_runs_out_by_itself(rig: Rig) -> None:
    rig.put("key", b"content")
    die_at(rig, SMALL["reading"])
    assert rig.queue.visible() == 0
    rig.start()
    rig.wait_empty(within=LEASE + 10.0)
    rig.equal()


def test_a_write_that_lands_after_its_workers_death_is_put_right(rig: Rig) -> None:
    """An old version arrives on top of the new one; the dead worker's message mends it."""
    rig.put("key", b"old" * 1000)
    gate = rig.target.gate(r"^PUT /.*/key", Stage.SENT)
    dead = rig.start("--max-jobs", "1")
    gate.wait()
    dead.kill()
    rig.put("key", b"new version")
    second = rig.start()
    rig.wait_copied("key", b"new version")
    gate.release()
    rig.wait_copied("key", b"old" * 1000)
    rig.queue.expire_leases()
    rig.wait_empty()
    rig.wait_copied("key", b"new version")
    second.terminate()
    assert second.ended() == 0
    rig.equal()
