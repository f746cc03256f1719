"""What comes after a worker's SIGKILL: leases that run out, old uploads, writes that land late.

Deaths at every step of an object's way are in ``test_faults_crashes.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

from support.gate import Gate
from support.rig import LEASE, MIB, Rig, Stage, eventually, noise

LARGE = 16 * MIB  # in parts of 5 MiB: 5, 5, 5, 1


@dataclass(frozen=True)
class Step:
    """Where the worker dies: the request it waits for on that server."""

    server: str
    line: str
    stage: Stage

    def gate(self, rig: Rig) -> Gate:
        proxy = getattr(rig, self.server).proxy
        gate: Gate = proxy.gate(self.line, self.stage)
        return gate


READING = Step("source", r"^GET /.*/key", Stage.ANSWERED)


def die_at(rig: Rig, step: Step) -> None:
    """A worker is killed while it waits for the reply to that request, which is then cut."""
    gate = step.gate(rig)
    worker = rig.start(doomed=True)
    gate.wait()
    worker.kill()
    gate.cut()


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
    die_at(rig, READING)
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
