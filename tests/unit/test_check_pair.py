"""A pair of buckets is checked: levels, second looks, what is left out, what is queued."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.check_scene import Scene
from sync.adapters.memory import MEMORY_DIALECT
from sync.engine.comparing.closer_look import Depth, Reading
from sync.engine.comparing.compare import Comparing
from sync.engine.comparing.evidence import Copied
from sync.errors import AccessDenied, NoSuchBucket, NotRestored, TransientStoreError
from sync.model import Digest, Identity, ObjectRef

CHECKSUM = Depth(checksum=True)
READ = Depth(reading=Reading.BOTH)
READ_SOURCE = Depth(reading=Reading.SOURCE)
# Nothing that a HEAD of such a store says can be compared with another's.
MUTE = replace(MEMORY_DIALECT, digests=frozenset({Digest.CRC32C}), etag_is_md5=False)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_equal_buckets_are_equal(scene: Scene, tmp_path: Path) -> None:
    for key in ("a", "b/c", "ü", "z"):
        scene.put(key, key.encode())
    result = scene.check(tmp_path)
    assert (result.verdict, dict(result.equal_by)) == ("equal", {"size": 4})
    assert result.totals.source_objects == result.totals.destination_objects == 4
    assert {name for name, _ in scene.source.requests} == {"list"}


def test_each_class_of_difference_is_told(scene: Scene, tmp_path: Path) -> None:
    scene.put("same", b"1")
    scene.put_source("missing", b"12")
    scene.put_source("size", b"123")
    scene.put_copy("size", b"1234")
    scene.put_source("cold", b"1", storage_class="DEEP_ARCHIVE")
    scene.put_copy("extra", b"12345")
    scene.put_source("etag", b"on")
    scene.put_copy("etag", b"tw")
    result = scene.check(tmp_path, how=Comparing(etag=True))
    assert scene.told() == {
        "missing": "missing",
        "size": "size",
        "cold": "archived",
        "extra": "extraneous",
        "etag": "etag",
    }
    assert (result.verdict, result.findings.differences) == ("different", 5)
    assert result.findings.bytes == {
        "missing": 2,
        "size": 3,
        "archived": 1,
        "extraneous": 5,
        "etag": 2,
    }
    assert [entry.key for entry in result.findings.largest][:2] == ["extra", "size"]


def test_what_changed_after_its_copy_is_told_where_times_are_compared(
    scene: Scene, tmp_path: Path
) -> None:
    scene.put("old", b"x")
    scene.put("new", b"x")
    scene.now += 60
    scene.put_source("new", b"y")
    scene.check(tmp_path, how=Comparing(modified=True))
    assert scene.told() == {"new": "newer"}


def test_what_may_be_left_out_is_left_out_and_counted(tmp_path: Path) -> None:
    scene = Scene(ignored=lambda ref: "pattern" if ref.key.startswith("tmp") else None)
    scene.put_source("tmp/1", b"x")
    scene.put("tmp/2", b"x")
    scene.put_copy("extra", b"x")
    scene.put_source("cold", b"x", storage_class="GLACIER")
    scene.now += 1000
    scene.put_source("late", b"x")
    result = scene.check(
        tmp_path,
        depth=READ,
        until=scene.now,
        ignore_extraneous=True,
        ignore_archived=True,
    )
    assert result.verdict == "equal"
    assert result.set_aside == {"ignored": 2, "extraneous": 1, "archived": 1, "out_of_time": 1}
    assert not [ref for name, ref in scene.source.requests if name == "get"]


# --- stored checksums ----------------------------------------------------------------------


def test_stored_checksums_tell_equal_sizes_apart(scene: Scene, tmp_path: Path) -> None:
    scene.put("same", b"12345")
    scene.put_source("other", b"12345")
    scene.put_copy("other", b"12354")
    assert scene.check(tmp_path).verdict == "equal"
    result = scene.check(tmp_path, depth=CHECKSUM)
    assert scene.told() == {"other": "checksum"}
    assert result.equal_by == {"crc32c": 1}
    assert result.pairs[0].proven_bytes == 5
    assert "CRC32C" in scene.entries[0].detail


def mute(scene: Scene, key: str) -> None:
    """The source states no checksum of this object, and its ETag is none."""
    (stored,) = scene.source.buckets["s"][key]
    silent = stored.meta._replace(checksums=type(stored.meta.checksums)())
    scene.source.buckets["s"][key] = [replace(stored, meta=silent)]


def test_nothing_in_common_is_told_as_not_verifiable(tmp_path: Path) -> None:
    scene = Scene(source_dialect=MUTE)
    scene.put("proven", b"1")
    scene.put("open", b"1", etag="opaque")
    mute(scene, "open")
    result = scene.check(tmp_path, depth=CHECKSUM)
    assert scene.told() == {"open": "unverified"}
    assert (result.verdict, result.findings.differences) == ("incomplete", 0)
    assert scene.check(tmp_path, depth=CHECKSUM, allow_unverified=True).verdict == "equal"


def test_what_checksums_leave_open_is_read(tmp_path: Path) -> None:
    scene = Scene(source_dialect=MUTE)
    scene.put("proven", b"1")
    for key, copy in (("open", b"12"), ("damaged", b"21")):
        scene.put_source(key, b"12", etag="opaque")
        scene.put_copy(key, copy)
        mute(scene, key)
    result = scene.check(tmp_path, depth=Depth(checksum=True, reading=Reading.BOTH))
    assert scene.told() == {"damaged": "content"}
    assert result.equal_by == {"crc32c": 1, "read": 1}
    assert {ref.key for name, ref in scene.source.requests if name == "get"} == {"open", "damaged"}


@pytest.mark.parametrize(
    ("copied", "told", "by"),
    [
        ("opaque", {}, "provenance"),
        ("older", {"x": "version"}, ""),
    ],
)
def test_the_copys_own_metadata_tells_its_version(
    tmp_path: Path, copied: str, told: dict[str, str], by: str
) -> None:
    scene = Scene(source_dialect=MUTE)
    scene.put_source("x", b"12", etag="opaque")
    scene.put_copy("x", b"12", metadata=(("3gsync-source-etag", copied),))
    mute(scene, "x")
    result = scene.check(tmp_path, depth=CHECKSUM)
    assert scene.told() == told
    assert dict(result.equal_by) == ({by: 1} if by else {})


def test_the_ledgers_checksum_comes_before_the_metadata(tmp_path: Path) -> None:
    """A copy that was damaged later still says which version it was made from."""
    asked: list[str] = []

    async def known(ref: ObjectRef) -> Copied | None:
        asked.append(ref.key)
        crc = {"kept": 0x90F599E3, "damaged": 0x90F599E3}.get(ref.key)
        return Copied(Identity("opaque", 1), Scene.target(ref.key), crc)

    scene = Scene(source_dialect=MUTE, known=known)
    metadata = (("3gsync-source-etag", "opaque"),)
    for key, copy in (("kept", b"1"), ("damaged", b"2"), ("without", b"1")):
        scene.put_source(key, b"1", etag="opaque")
        scene.put_copy(key, copy, metadata=metadata)
        mute(scene, key)
    scene.put("stated", b"1")
    result = scene.check(tmp_path, depth=CHECKSUM)
    assert scene.told() == {"damaged": "checksum"}
    assert result.equal_by == {"ledger": 1, "provenance": 1, "crc32c": 1}
    assert "stated" not in asked


# --- reading -------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [CHECKSUM, READ, READ_SOURCE])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_damaged_byte_is_found(depth: Depth, data: st.DataObject, tmp_path: Path) -> None:
    scene = Scene()
    sizes = data.draw(st.lists(st.integers(1, 300), min_size=1, max_size=6))
    held = {f"k{number}": bytes([number]) * size for number, size in enumerate(sizes)}
    victim = data.draw(st.sampled_from(sorted(held)))
    at = data.draw(st.integers(0, len(held[victim]) - 1))
    for key, content in held.items():
        scene.put_source(key, content)
        copy = bytearray(content)
        if key == victim:
            copy[at] ^= 1 << data.draw(st.integers(0, 7))
        scene.put_copy(key, bytes(copy))
    result = scene.check(tmp_path, depth=depth)
    expected = "checksum" if depth.checksum else "content"
    assert scene.told() == {victim: expected}
    assert result.equal_by.total() == len(held) - 1
    assert scene.check(tmp_path).verdict == "equal"


def test_reading_the_source_leaves_the_destination_unread(scene: Scene, tmp_path: Path) -> None:
    scene.put("a", b"12345")
    result = scene.check(tmp_path, depth=READ_SOURCE)
    assert result.equal_by == {"read": 1}
    assert not [ref for name, ref in scene.destination.requests if name == "get"]
    assert result.figures()["bytes_read"] == 5


def test_a_destination_that_states_nothing_is_read_too(scene: Scene, tmp_path: Path) -> None:
    scene.put("a", b"12345", etag="opaque")
    (stored,) = scene.destination.buckets["d"]["to/a"]
    silent = stored.meta._replace(checksums=type(stored.meta.checksums)())
    scene.destination.buckets["d"]["to/a"] = [replace(stored, meta=silent)]
    result = scene.check(tmp_path, depth=READ_SOURCE)
    assert result.equal_by == {"read": 1}
    assert result.figures()["bytes_read"] == 10


def test_bytes_that_belie_their_stores_checksum_are_a_difference(
    scene: Scene, tmp_path: Path
) -> None:
    """What --checksum cannot see: the store states what it no longer holds."""
    scene.put("rotten", b"12345")
    (stored,) = scene.destination.buckets["d"]["to/rotten"]
    scene.destination.buckets["d"]["to/rotten"] = [replace(stored, data=b"12354")]
    assert scene.check(tmp_path, depth=CHECKSUM).verdict == "equal"
    result = scene.check(tmp_path, depth=READ)
    assert scene.told() == {"rotten": "content"}
    assert "states" in scene.entries[0].detail
    assert result.verdict == "different"


def test_an_archived_object_that_cannot_be_read_is_told_apart(scene: Scene, tmp_path: Path) -> None:
    scene.put("cold", b"x", storage_class="GLACIER")

    async def refuse(operation: str, ref: ObjectRef) -> None:
        if operation == "get":
            raise NotRestored(f"{ref} is archived", status=403, code="InvalidObjectState")

    scene.source.interfere = refuse
    result = scene.check(tmp_path, depth=READ)
    assert scene.told() == {"cold": "not-restored"}
    assert result.verdict == "incomplete"
    assert scene.check(tmp_path, depth=READ, ignore_archived=True).verdict == "equal"


# --- buckets in use ------------------------------------------------------------------------


def test_what_is_copied_before_the_second_look_is_settled(scene: Scene, tmp_path: Path) -> None:
    """A worker copies an object 5 s after it was found missing, and deletes another."""
    scene.put_source("late", b"x")
    scene.put_copy("going", b"x")
    looked: list[float] = []

    async def work(operation: str, ref: ObjectRef) -> None:
        if operation == "list":
            asyncio.get_running_loop().call_later(5.0, copy)
        elif operation == "head":
            looked.append(asyncio.get_running_loop().time())

    def copy() -> None:
        scene.put_copy("late", b"x")
        scene.remove_copy("going")

    scene.source.interfere = work
    result = scene.check(tmp_path, settle=10.0)
    assert scene.told() == {}
    assert (result.verdict, result.pairs[0].settled) == ("equal", 2)
    assert min(looked) >= 1010.0


def test_without_the_wait_it_is_a_difference(scene: Scene, tmp_path: Path) -> None:
    scene.put_source("late", b"x")
    result = scene.check(tmp_path, settle=0.0)
    assert result.verdict == "different"
    assert [name for name, _ in scene.destination.requests] == ["list", "head"]


def test_without_a_second_look_nothing_but_listings_is_asked(scene: Scene, tmp_path: Path) -> None:
    scene.put_source("late", b"x")
    scene.check(tmp_path, settle=None)
    assert scene.told() == {"late": "missing"}
    assert {name for name, _ in scene.destination.requests} == {"list"}


@pytest.mark.parametrize("depth", [Depth(), CHECKSUM, READ])
def test_what_keeps_changing_is_no_difference(scene: Scene, tmp_path: Path, depth: Depth) -> None:
    scene.put_source("busy", b"x")
    scene.put_copy("busy", b"yy")
    versions = iter(range(1, 100))

    async def write(operation: str, ref: ObjectRef) -> None:
        if operation in {"head", "get"}:
            scene.put_source("busy", b"x" * (2 + next(versions)))

    scene.source.interfere = write
    result = scene.check(tmp_path, depth=depth)
    assert scene.told() == {"busy": "changing"}
    assert (result.verdict, result.findings.differences) == ("equal", 0)


def test_what_changes_once_while_it_is_read_is_read_again(scene: Scene, tmp_path: Path) -> None:
    scene.put("busy", b"x" * 10)
    changes = iter([b"y" * 10])

    async def write(operation: str, ref: ObjectRef) -> None:
        if operation == "get":
            for content in changes:
                scene.put("busy", content)
                return

    scene.destination.interfere = write
    result = scene.check(tmp_path, depth=READ)
    assert scene.told() == {}
    assert result.verdict == "equal"


def test_what_becomes_another_difference_is_told_as_that(scene: Scene, tmp_path: Path) -> None:
    """Missing when it was listed, there but of another size ever since."""
    scene.put_source("x", b"123")

    async def copy(operation: str, ref: ObjectRef) -> None:
        if operation == "head" and scene.destination.content(scene.target("x")) is None:
            scene.put_copy("x", b"1")

    scene.source.interfere = copy
    scene.check(tmp_path, settle=1.0)
    assert scene.told() == {"x": "size"}


def test_a_copy_that_arrives_is_looked_at_as_closely_as_asked(scene: Scene, tmp_path: Path) -> None:
    scene.put_source("x", b"123")

    async def copy(operation: str, ref: ObjectRef) -> None:
        if operation == "head" and scene.destination.content(scene.target("x")) is None:
            scene.put_copy("x", b"321")

    scene.source.interfere = copy
    scene.check(tmp_path, settle=1.0, depth=READ)
    assert scene.told() == {"x": "content"}


@pytest.mark.parametrize("depth", [READ, READ_SOURCE])
def test_what_is_deleted_before_it_is_read_is_told_as_what_it_became(
    scene: Scene, tmp_path: Path, depth: Depth
) -> None:
    scene.put("gone", b"123")
    scene.put("left", b"123")

    async def delete(operation: str, ref: ObjectRef) -> None:
        if operation == "get":
            scene.remove_source(ref.key)
            if ref.key == "gone":
                scene.remove_copy(ref.key)

    scene.source.interfere = delete
    result = scene.check(tmp_path, depth=depth)
    assert scene.told() == {"left": "extraneous"}
    assert result.pairs[0].settled == 1


def test_what_has_grown_when_it_is_read_is_told_as_of_another_size(
    scene: Scene, tmp_path: Path
) -> None:
    scene.put("x", b"1")

    async def grow(operation: str, ref: ObjectRef) -> None:
        if operation == "get":
            scene.put_copy("x", b"22")

    scene.source.interfere = grow
    scene.check(tmp_path, depth=READ)
    assert scene.told() == {"x": "size"}


def test_what_becomes_a_difference_that_is_left_out_is_left_out(
    scene: Scene, tmp_path: Path
) -> None:
    """Of another size when it was listed, deleted at the source ever since."""
    scene.put_source("x", b"1")
    scene.put_copy("x", b"22")

    async def delete(operation: str, ref: ObjectRef) -> None:
        if operation == "head":
            scene.remove_source("x")

    scene.source.interfere = delete
    result = scene.check(tmp_path, ignore_extraneous=True)
    assert scene.told() == {}
    assert (result.verdict, result.set_aside) == ("equal", {"extraneous": 1})


def test_a_difference_counts_only_if_two_looks_find_the_same(scene: Scene, tmp_path: Path) -> None:
    """Listed with one size, then with another; a look later its copy has arrived."""
    scene.put_source("x", b"1")
    scene.put_copy("x", b"22")
    looks = iter(range(9))

    async def work(operation: str, ref: ObjectRef) -> None:
        if operation == "head":
            scene.put_source("x", b"333")
            if next(looks) > 0:
                scene.put_copy("x", b"333")

    scene.source.interfere = work
    result = scene.check(tmp_path, settle=1.0)
    assert (scene.told(), result.pairs[0].settled) == ({}, 1)


# --- sampling ------------------------------------------------------------------------------


def test_a_sample_is_looked_at_closer_and_all_is_listed(scene: Scene, tmp_path: Path) -> None:
    for number in range(400):
        scene.put_source(f"k{number}", b"12")
        scene.put_copy(f"k{number}", b"21")
    scene.put_source("missing", b"1")
    first = scene.check(tmp_path, depth=READ, sample=0.1)
    found = dict(scene.told())
    assert found.pop("missing") == "missing"
    assert 15 < len(found) < 75
    assert first.equal_by == {"size": 400 - len(found)}
    scene.entries.clear()
    scene.check(tmp_path, depth=READ, sample=0.1)
    assert {*scene.told()} == {*found, "missing"}
    scene.entries.clear()
    scene.check(tmp_path, depth=READ, sample=0.1, seed="another")
    assert {*scene.told()} != {*found, "missing"}


# --- failures ------------------------------------------------------------------------------


def failing(error: Exception, *operations: str, key: str = "") -> Any:
    async def interfere(operation: str, ref: ObjectRef) -> None:
        if operation in operations and ref.key.endswith(key):
            raise error

    return interfere


def test_a_listing_that_fails_is_never_equal(scene: Scene, tmp_path: Path) -> None:
    for number in range(20):
        scene.put(f"k{number:02}", b"x")
    error = TransientStoreError("cut")
    scene.destination.interfere = failing(error, "list", key="to/k08")
    result = scene.check(tmp_path)
    assert result.verdict == "incomplete"
    assert result.errors == ["s/ -> d/to/: not compared to its end: cut"]


def test_an_object_that_may_not_be_read_is_told(scene: Scene, tmp_path: Path) -> None:
    for key in ("a", "b", "c"):
        scene.put(key, b"x")
    denied = AccessDenied("HeadObject b: denied", status=403)
    scene.source.interfere = failing(denied, "head", "get", key="b")
    for depth in (CHECKSUM, READ):
        scene.entries.clear()
        result = scene.check(tmp_path, depth=depth)
        assert scene.told() == {"b": "failed"}
        assert (result.verdict, result.equal_by.total()) == ("incomplete", 2)
        assert "denied" in scene.entries[0].detail


def test_where_nothing_may_be_read_the_pair_ends(scene: Scene, tmp_path: Path) -> None:
    for number in range(300):
        scene.put(f"k{number}", b"x")
    scene.source.interfere = failing(AccessDenied("denied", status=403), "head")
    result = scene.check(tmp_path, depth=CHECKSUM)
    assert result.errors == [
        "s/ -> d/to/: not compared to its end: 100 objects in a row could not be compared: denied"
    ]
    assert len(scene.entries) < 110


def test_a_bucket_that_vanishes_ends_the_pair(scene: Scene, tmp_path: Path) -> None:
    scene.put_source("a", b"x")
    gone = NoSuchBucket("no bucket d", status=404)
    scene.destination.interfere = failing(gone, "head")
    result = scene.check(tmp_path)
    assert result.errors
    assert scene.told() == {}, "a missing bucket is no missing object"


# --- repair --------------------------------------------------------------------------------


def test_repair_queues_what_can_be_copied(scene: Scene, tmp_path: Path) -> None:
    scene.put_source("missing", b"x")
    scene.put_source("other", b"12")
    scene.put_copy("other", b"21")
    scene.put_copy("extra", b"x")
    scene.put_source("cold", b"x", storage_class="GLACIER")
    result = scene.check(tmp_path, depth=READ, repair=True)
    assert scene.sink.keys == ["missing", "other"]
    assert result.figures()["queued"] == 2
    assert result.verdict == "different"


def test_a_queue_that_takes_nothing_fails_the_check(scene: Scene, tmp_path: Path) -> None:
    scene.put_source("missing", b"x")
    scene.sink.broken = True
    result = scene.check(tmp_path, repair=True)
    assert result.verdict == "incomplete"
    assert "could not be sent" in result.errors[0]
    assert scene.told() == {"missing": "missing"}


# --- everything is accounted for -----------------------------------------------------------

CONTENTS = st.sampled_from([b"", b"1", b"2", b"12", b"21"])
BUCKETS = st.dictionaries(st.text("ab/é", min_size=1, max_size=4), CONTENTS, max_size=15)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    source=BUCKETS,
    destination=BUCKETS,
    depth=st.sampled_from([Depth(), CHECKSUM, READ, READ_SOURCE]),
    settle=st.sampled_from([None, 0.0, 5.0]),
)
def test_every_object_is_counted_once(
    tmp_path: Path,
    source: dict[str, bytes],
    destination: dict[str, bytes],
    depth: Depth,
    settle: float | None,
) -> None:
    scene = Scene()
    for key, content in source.items():
        scene.put_source(key, content)
    for key, content in destination.items():
        scene.put_copy(key, content)
    result = scene.check(tmp_path, depth=depth, settle=settle)
    both = source.keys() & destination.keys()
    differing = {key for key in both if source[key] != destination[key]}
    if not depth.closer:
        differing = {key for key in both if len(source[key]) != len(destination[key])}
    assert scene.told().keys() == differing | (source.keys() ^ destination.keys())
    assert result.pairs[0].equal == len(both) - len(differing)
    assert result.verdict == ("different" if scene.entries else "equal")
