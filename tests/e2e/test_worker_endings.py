"""SIGTERM and the cloud's notices, the supervisor, and the options that end a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import sync.worker
from support.gate import Gate
from support.rig import MIB, Rig, Stage, WorkerProcess, eventually, noise
from sync.standins.metadata import Cloud, Metadata

RigMaker = Callable[..., Rig]
ONE_BY_ONE = {"MaxThread": 1, "MaxParallelFile": 8}


def held_in_part_two(rig: Rig, **how: object) -> tuple[WorkerProcess, Gate]:
    rig.put("key", noise(16 * MIB))
    gate = rig.target.gate(r"^PUT .*partNumber=2&", Stage.BODY, body_bytes=MIB)
    worker = rig.start(**how)  # type: ignore[arg-type]
    gate.wait()
    return worker, gate


def given_back_and_resumed(rig: Rig, worker: WorkerProcess, gate: Gate) -> None:
    """It ended well, its message can be had at once, and its part is used by the next."""
    assert rig.queue.visible() == 1
    assert worker.seen("given-back", count=1)
    assert len(rig.target.uploads()) == 1
    gate.cut()
    second = rig.until_empty()
    rig.equal()
    assert second.summary["parts_reused"] == 1


def test_sigterm_in_a_large_copy_gives_it_back_in_the_time_to_drain(make_rig: RigMaker) -> None:
    rig = make_rig(DrainSeconds=4, **ONE_BY_ONE)
    worker, gate = held_in_part_two(rig)
    begun = time.monotonic()
    worker.terminate()
    assert worker.ended(4) == 0
    assert time.monotonic() - begun < 4
    given_back_and_resumed(rig, worker, gate)


def test_sigterm_lets_short_work_end(rig: Rig) -> None:
    rig.put("key", noise(MIB))
    gate = rig.target.gate(r"^PUT /.*/key", Stage.BODY, body_bytes=1000)
    worker = rig.start()
    gate.wait()
    worker.terminate()
    worker.wait_for("draining", reason="SIGTERM")
    gate.release()
    assert worker.ended() == 0
    rig.equal()
    assert worker.summary["outcomes"] == {"copied": 1}


def test_a_write_sent_but_unanswered_keeps_its_lease_at_sigterm(make_rig: RigMaker) -> None:
    rig = make_rig(DrainSeconds=2)
    rig.put("key", b"content")
    gate = rig.target.gate(r"^PUT /.*/key", Stage.ANSWERED)
    worker = rig.start()
    gate.wait()
    worker.terminate()
    assert worker.ended() == 0
    assert worker.seen("given-back", count=0, kept=1)
    assert rig.queue.visible() == 0
    assert rig.queue.depth() == 1
    gate.cut()
    rig.after_death()
    rig.equal()


@pytest.mark.parametrize("cloud", list(Cloud))
def test_a_preemption_notice_drains_like_sigterm(make_rig: RigMaker, cloud: Cloud) -> None:
    rig = make_rig(DrainSeconds=1, JobType="PUT", **ONE_BY_ONE)
    with Metadata(cloud, name="machine-7") as metadata:
        environ = machine(rig, metadata)
        worker, gate = held_in_part_two(rig, environ=environ)
        assert worker.wait_for("ready")["instance"] == "machine-7"
        metadata.preempt()
        assert worker.ended() == 0
    (line,) = worker.seen("draining")
    assert line["reason"].startswith("GCE preempted" if cloud is Cloud.GCE else "EC2 spot")
    rig.options["JobType"] = "ENV"
    given_back_and_resumed(rig, worker, gate)


def machine(rig: Rig, metadata: Metadata) -> dict[str, str]:
    """A worker with JobType PUT on that machine: the destination's key is in SSM."""
    keys = rig.source.server
    environ = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_ENDPOINT_URL_SSM": rig.store_destination_key(),
    }
    if metadata.cloud is Cloud.GCE:
        return environ | {"NO_GCE_CHECK": "", "GCE_METADATA_HOST": metadata.address}
    return environ | {
        "AWS_EC2_METADATA_DISABLED": "",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
    }


# --- the supervisor ---------------------------------------------------------------------


def children(worker: WorkerProcess) -> list[int]:
    path = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    return [int(pid) for pid in path.read_text().split()]


def test_a_killed_child_is_replaced_and_sigterm_ends_both(rig: Rig) -> None:
    supervisor = rig.start(processes=2)
    eventually("two workers are ready", lambda: len(supervisor.seen("ready")) == 2)
    first = children(supervisor)
    assert len(first) == 2
    rig.put("key", noise(MIB))
    rig.wait_copied("key", rig.source.content("key"))
    os.kill(first[0], signal.SIGKILL)
    eventually("a third is ready", lambda: len(supervisor.seen("ready")) == 3)
    second = children(supervisor)
    assert len(second) == 2
    assert first[1] in second
    assert any("SIGKILL" in line for line in supervisor.stray)
    for number in range(20):
        rig.put(f"more/{number}", noise(1000))
    rig.queue.expire_leases()
    rig.wait_empty()
    supervisor.terminate()
    assert supervisor.ended(25) == 0
    assert len(supervisor.seen("draining", reason="SIGTERM")) == 2
    assert supervisor.summary["outcomes"]["copied"] >= 20
    eventually("no child is left", lambda: not any(Path(f"/proc/{pid}").exists() for pid in second))
    rig.equal()


def test_a_batch_run_with_two_processes_survives_the_death_of_one(rig: Rig) -> None:
    rig.put("key", noise(MIB))
    gate = rig.target.gate(r"^PUT /.*/key", Stage.BODY, body_bytes=1000)
    supervisor = rig.start("--until-empty", processes=2)
    gate.wait()
    eventually("both are ready", lambda: len(supervisor.seen("ready")) == 2)
    for pid in children(supervisor):
        os.kill(pid, signal.SIGKILL)
    gate.cut()
    rig.queue.expire_leases()
    assert supervisor.ended() == 0
    rig.equal()


def test_wrong_configuration_ends_with_every_fault_and_exit_code_2(rig: Rig) -> None:
    rig.options |= {"MaxRetry": "many", "LeaseSeconds": 1, "sqs_queue_name": "no/name"}
    for processes in (1, 2):
        worker = rig.start(processes=processes)
        assert worker.ended() == 2
        text = worker.err.read_text()
        for name in ("MaxRetry", "LeaseSeconds", "sqs_queue_name"):
            assert name in text
        assert "Traceback" not in text


def test_a_missing_queue_is_told_with_the_mend_and_is_misuse(rig: Rig) -> None:
    rig.options["sqs_queue_name"] = "nobody-made-this"
    worker = rig.start()
    assert worker.ended() == 2
    assert "sqs_queue_name" in worker.err.read_text()
    assert "Traceback" not in worker.err.read_text()


def test_it_runs_as_a_file_from_another_folder(rig: Rig, tmp_path: Path) -> None:
    rig.put("key", b"content")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    rig.until_empty(command=(str(Path(sync.worker.__file__)),), cwd=elsewhere)
    rig.equal()


def test_max_jobs_ends_after_so_many_messages(rig: Rig) -> None:
    for number in range(5):
        rig.put(f"key/{number}", b"content")
    worker = rig.start("--max-jobs", "3", processes=0)
    assert worker.ended() == 0
    assert worker.summary["messages"] == 3
    assert rig.queue.depth() == 2
    assert len(rig.target.keys()) == 3
    rig.queue.expire_leases()
    rig.until_empty()
    rig.equal()
