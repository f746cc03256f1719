"""The source changes while it is being copied; two workers share a key; deletes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.rig import MIB, Rig, Stage, noise

RigMaker = Callable[..., Rig]
DELETED = "ObjectRemoved:Delete"


def test_a_small_object_overwritten_before_the_look_is_copied_again(rig: Rig) -> None:
    rig.put("key", b"first")
    gate = rig.source.gate(r"^HEAD /.*/key", Stage.ARRIVED)
    worker = rig.start("--until-empty")
    gate.wait()
    held = rig.target.get("key")
    assert held is not None
    assert held.content == b"first"
    rig.source.put("key", b"second, longer")
    gate.release()
    assert worker.ended() == 0
    rig.equal()
    assert worker.seen("object", outcome="copied", rounds=2)


def test_a_small_object_overwritten_while_it_is_read_is_never_half_and_half(rig: Rig) -> None:
    rig.put("key", b"a" * 5 * MIB)
    gate = rig.target.gate(r"^PUT /.*/key", Stage.BODY, body_bytes=MIB)
    worker = rig.start("--until-empty")
    gate.wait()
    rig.source.put("key", b"b" * 5 * MIB)
    gate.release()
    assert worker.ended() == 0
    rig.equal()


def test_a_large_object_overwritten_between_its_parts_is_begun_anew(make_rig: RigMaker) -> None:
    rig = make_rig(MaxThread=1, MaxParallelFile=8)
    rig.put("key", noise(16 * MIB))
    gate = rig.source.gate(r"^GET /.*/key", Stage.ARRIVED, after=2)
    worker = rig.start("--until-empty")
    gate.wait()
    rig.source.put("key", noise(16 * MIB))
    gate.release()
    assert worker.ended() == 0
    rig.equal()
    assert worker.seen("upload-aborted", standing="other-version")
    assert worker.summary["parts_reused"] == 0


@pytest.mark.parametrize("propagated", [False, True])
def test_an_object_deleted_during_the_copy(make_rig: RigMaker, propagated: bool) -> None:
    rig = make_rig(SyncDeletes=propagated)
    rig.put("key", b"content")
    gate = rig.source.gate(r"^HEAD /.*/key", Stage.ARRIVED)
    worker = rig.start("--until-empty")
    gate.wait()
    rig.source.delete("key")
    gate.release()
    assert worker.ended() == 0
    assert worker.summary["outcomes"] == {"deleted" if propagated else "gone": 1}
    assert rig.target.keys() == (set() if propagated else {"key"})


def test_an_object_gone_before_it_is_read_is_no_failure(rig: Rig) -> None:
    rig.tell("never/was")
    worker = rig.until_empty()
    assert worker.summary["outcomes"] == {"gone": 1}
    rig.equal()


@pytest.mark.parametrize("propagated", [False, True])
def test_delete_events(make_rig: RigMaker, propagated: bool) -> None:
    rig = make_rig(SyncDeletes=propagated)
    rig.put("gone", b"1")
    rig.put("back", b"2")
    rig.until_empty()
    rig.source.delete("gone")
    rig.tell("gone", "back", name=DELETED)
    worker = rig.until_empty()
    assert rig.queue.depth() == 0
    assert rig.target.keys() == ({"back"} if propagated else {"gone", "back"})
    gone = "deleted" if propagated else "ignored"
    assert worker.summary["outcomes"] == {gone: 1, "skipped": 1}


def test_a_delete_event_in_front_of_its_create_loses_nothing(make_rig: RigMaker) -> None:
    """The object is there again, and the destination has an older one."""
    rig = make_rig(SyncDeletes=True)
    rig.put("key", b"old")
    rig.until_empty()
    rig.source.put("key", b"written again")
    rig.tell("key", name=DELETED)
    rig.until_empty()
    rig.equal()


def test_two_workers_on_one_key_end_with_the_newest(rig: Rig) -> None:
    """One is held with the old version in hand while the other copies the new."""
    rig.source.put("key", b"old" * 1000)
    gate = rig.target.gate(r"^PUT /.*/key", Stage.SENT)
    rig.tell("key")
    slow = rig.start("--max-jobs", "1")
    gate.wait()
    rig.tell("key")
    quick = rig.start()
    rig.wait_copied("key", b"old" * 1000)
    rig.put("key", b"new")
    rig.wait_copied("key", b"new")
    gate.release()
    assert slow.ended() == 0
    assert slow.seen("object", outcome="copied", rounds=2)
    rig.wait_empty()
    quick.terminate()
    assert quick.ended() == 0
    rig.equal()


def test_an_upload_that_somebody_aborts_is_begun_again(rig: Rig) -> None:
    rig.put("large", noise(12 * MIB))
    gate = rig.target.gate(r"PUT /[^?]*large\?.*partNumber=3", Stage.ARRIVED)
    worker = rig.start("--until-empty")
    gate.wait()
    done = rig.verb("uploads", "abort", "--bucket", rig.target.bucket, "--older-than", "0s")
    assert done.summary["aborted"] == 1
    gate.release()
    assert worker.ended() == 0, worker.tail
    rig.equal()
