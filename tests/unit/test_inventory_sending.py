"""What is sent of an inventory, what is not, and what a second run does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.inventories import (
    BUCKET,
    WHEN,
    Item,
    csv_data,
    gcs_csv,
    gcs_report,
    gcs_row,
    s3_inventory,
)
from sync.adapters.inventory import Files, InventoryRow, open_inventory
from sync.errors import ConfigError, NoSuchBucket, TransientStoreError
from sync.ignore import IgnoreList
from sync.inventories.selection import Reason, Selection
from sync.inventories.sending import Sending, Target
from sync.inventories.sinks import LinesSink, Nowhere, QueueSink
from sync.inventories.state import Progress, StateFile
from sync.inventories.tally import Notices, Tally
from sync.model import JobKind, ListedObject, ObjectRef, TransferJob

HEAD = {"inventory": "x", "set of options": "y"}


class Ticking:
    """Every look at the clock is a second later, so that states are saved often."""

    def __init__(self, step: float = 1.0) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Sink:
    """Takes jobs late, as a queue does: what is waiting when it breaks is lost."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.jobs: list[TransferJob] = []
        self.waiting: list[TransferJob] = []
        self.left = breaks_after
        self.messages = 0

    @property
    def sent(self) -> int:
        return len(self.jobs)

    async def add(self, job: TransferJob) -> None:
        self.waiting.append(job)
        if len(self.waiting) >= 3:
            await self.flush()

    async def flush(self) -> None:
        if self.left is not None:
            self.left -= len(self.waiting)
            if self.left < 0:
                raise TransientStoreError("the queue is down")
        self.jobs += self.waiting
        self.messages += bool(self.waiting)
        self.waiting = []

    def close(self, *, finished: bool) -> None:
        return

    @property
    def keys(self) -> list[str]:
        return [job.source.key for job in self.jobs]


def sending(place: object, sink: Any = None, said: list[str] | None = None, **how: Any) -> Sending:
    async def make() -> Sending:
        inventory = await open_inventory([str(place)], Files(), **how.pop("reading", {}))
        heard = [] if said is None else said
        options = {
            "selection": Selection(),
            "target": Target("d", "p"),
            "clock": Ticking(0.0),
            **how,
        }
        report = options.pop("report", None)
        notices = Notices(heard.append, report, append=False)
        return Sending(inventory, sink=sink or Sink(), notices=notices, **options)

    return asyncio.run(make())


def run(place: object, sink: Any = None, said: list[str] | None = None, **how: Any) -> Sending:
    one = sending(place, sink, said, **how)
    asyncio.run(one.run())
    return one


def wanted(items: Sequence[Item], **how: Any) -> list[Reason | None]:
    selection = Selection(**how)
    rows = [
        InventoryRow(
            1,
            BUCKET,
            ListedObject(
                item.key,
                item.size,
                last_modified=item.when.timestamp(),
                storage_class=item.storage_class,
            ),
            item.is_latest,
            item.is_delete_marker,
            item.tier,
        )
        for item in items
    ]
    return [selection.left_out(row) for row in rows]


# --- which -----------------------------------------------------------------------------------


def test_only_what_is_there_now() -> None:
    old = Item("k", is_latest=False)
    marker = Item("k", is_delete_marker=True)
    former = Item("k", is_delete_marker=True, is_latest=False)
    assert wanted([Item("k"), old, marker, former]) == [
        None,
        Reason.OLD_VERSION,
        Reason.DELETE_MARKER,
        Reason.DELETE_MARKER,
    ]


def test_prefix_times_and_ignore_list() -> None:
    at = WHEN.timestamp()
    items = [Item("a/x"), Item("a/y", when=WHEN + timedelta(seconds=1)), Item("b")]
    assert wanted(items, prefix="a/") == [None, None, Reason.OTHER_PREFIX]
    assert wanted(items, since=at + 1) == [Reason.OUTSIDE_TIMES, None, Reason.OUTSIDE_TIMES]
    assert wanted(items, until=at + 1) == [None, Reason.OUTSIDE_TIMES, None]
    assert wanted(items, since=at, until=at) == [Reason.OUTSIDE_TIMES] * 3
    unknown = replace(items[0], when=datetime.fromtimestamp(0, UTC))
    assert wanted([unknown], since=at) == [None]
    ignore = IgnoreList.parse(f"{BUCKET}/a/\n!a/y\n")
    assert wanted(items, ignore=ignore) == [Reason.IGNORED, None, None]


@pytest.mark.parametrize(
    ("storage_class", "tier", "restore"),
    [
        ("STANDARD", "", False),
        ("GLACIER_IR", "", False),
        ("GLACIER", "", True),
        ("DEEP_ARCHIVE", "", True),
        ("INTELLIGENT_TIERING", "", False),
        ("INTELLIGENT_TIERING", "FREQUENT", False),
        ("INTELLIGENT_TIERING", "ARCHIVE_INSTANT_ACCESS", False),
        ("INTELLIGENT_TIERING", "ARCHIVE", True),
        ("INTELLIGENT_TIERING", "Deep Archive", True),
        ("INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS", True),
        ("ARCHIVE", "", False),  # Cloud Storage's class is read at once
    ],
)
def test_what_must_be_restored_first(storage_class: str, tier: str, restore: bool) -> None:
    item = Item("k", storage_class=storage_class, tier=tier)
    assert wanted([item]) == [Reason.NEEDS_RESTORE if restore else None]
    assert wanted([item], archived=True) == [None]


# --- the jobs --------------------------------------------------------------------------------


def test_a_job_says_all_that_the_inventory_knows(tmp_path: Path) -> None:
    made = s3_inventory("CSV", [Item("a b", size=7, version_id="v1", etag="e")])
    sink = Sink()
    run(made.write(tmp_path), sink)
    assert sink.jobs == [
        TransferJob(
            JobKind.COPY,
            ObjectRef(BUCKET, "a b", "v1"),
            ObjectRef("d", "p/a b"),
            size=7,
            etag="e",
            event_name="inventory",
        )
    ]


def test_a_size_that_nobody_knows_is_not_invented(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("b,k\n")
    sink = Sink()
    run(path, sink)
    assert (sink.jobs[0].size, sink.jobs[0].etag) == (None, None)


def test_a_bucket_that_nobody_names_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("k,1\n")
    how: dict[str, Any] = {"reading": {"columns": "Key, Size"}}
    with pytest.raises(ConfigError, match="--source-bucket"):
        run(path, **how)
    sink = Sink()
    run(path, sink, reading={"columns": "Key, Size", "bucket": "b"})
    assert sink.jobs[0].source == ObjectRef("b", "k")


def test_counts_of_all_kinds_and_a_report(tmp_path: Path) -> None:
    items = [
        Item("good"),
        Item("old", is_latest=False),
        Item("gone", is_delete_marker=True),
        Item("cold", storage_class="GLACIER"),
        Item("cool", storage_class="INTELLIGENT_TIERING", tier="ARCHIVE"),
        Item("ignored"),
    ]
    made = s3_inventory("CSV", items, [Item("last")])
    report = tmp_path / "report.jsonl"
    one = run(
        made.write(tmp_path),
        selection=Selection(ignore=IgnoreList.parse("ignored")),
        report=report,
    )
    one._notices.close()
    assert one.failed == []
    assert one.total == Tally(
        rows=7,
        sent=2,
        messages=2,
        skipped=one.total.skipped,
    )
    assert one.total.skipped == {
        "old-version": 1,
        "delete-marker": 1,
        "needs-restore": 2,
        "ignored": 1,
    }
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(line["what"], line["row"], line["key"]) for line in lines] == [
        ("needs-restore", 4, "cold"),
        ("needs-restore", 5, "cool"),
    ]
    assert lines[1]["access_tier"] == "ARCHIVE"


def test_rows_that_cannot_be_read_are_told_and_the_rest_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("b,good,1\n" + "b,,1\n" * 30 + "b,end,2\n")
    said: list[str] = []
    report = tmp_path / "report.jsonl"
    sink = Sink()
    one = run(path, sink, said, report=report)
    one._notices.close()
    assert sink.keys == ["good", "end"]
    assert (one.total.rows, one.total.unreadable, one.failed) == (32, 30, [])
    assert said[0] == f"{path}, row 2: no key"
    assert len(said) == 21
    assert "--report" in said[-1]
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(2, 32))


def test_a_file_that_cannot_be_read_does_not_keep_the_others(tmp_path: Path) -> None:
    made = s3_inventory("CSV", [Item("a")], [Item("b")], [Item("c")])
    files = sorted(key for key in made.objects if "/data/" in key)
    made.objects[files[0]] = csv_data([Item("forged")])
    del made.objects[files[1]]
    made.describe({"destinationBucket": ""})  # so that nobody is asked for what is not here
    sink = Sink()
    said: list[str] = []
    one = run(made.write(tmp_path), sink, said)
    assert sink.keys == ["c"]
    assert one.failed == files[:2]
    assert "the manifest says" in said[0]
    assert "is not there: looked at" in said[1]


def test_a_missing_bucket_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = s3_inventory("CSV", [Item("a")]).write(tmp_path)
    one = sending(manifest)

    async def gone(*_: object) -> Any:
        raise NoSuchBucket("no such bucket")

    monkeypatch.setattr(one._inventory.access, "fetch", gone)
    with pytest.raises(NoSuchBucket):
        asyncio.run(one.run())


def test_a_report_with_fewer_rows_than_it_speaks_of(tmp_path: Path) -> None:
    data = gcs_csv([gcs_row("k", b"", crc32c=0)])
    said: list[str] = []
    one = run(gcs_report({"0.csv": data}, 2).write(tmp_path), said=said)
    assert one.failed
    assert "speaks of 2 objects, its files have 1 rows" in said[-1]
    assert run(gcs_report({"0.csv": data}, 1).write(tmp_path)).failed == []


def test_progress_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    manifest = s3_inventory("CSV", [Item("a")], [Item("b")]).write(tmp_path)
    run(manifest, said=said, clock=Ticking(11.0))
    assert "file 2 of 2" in said[-1]
    assert "2 rows" in said[-1]


# --- going on --------------------------------------------------------------------------------


def state_of(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "s.state", HEAD)


def test_a_limit_is_kept_and_the_next_run_goes_on_there(tmp_path: Path) -> None:
    items = [Item(f"k{number}") for number in range(7)]
    manifest = s3_inventory("CSV", items[:4], items[4:]).write(tmp_path)
    seen: list[str] = []
    for _ in range(4):
        state = state_of(tmp_path)
        sink = Sink()
        one = run(manifest, sink, state=state, limit=2)
        state.close(finished=not one.limited)
        assert len(sink.keys) <= 2
        seen += sink.keys
    assert seen == [item.key for item in items]
    assert one.total.rows == one.total.sent == 7
    assert not (tmp_path / "s.state").exists()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
    st.lists(st.integers(0, 14), max_size=6),
    st.sampled_from([0.0, 1.0, 6.0]),
)
def test_whatever_breaks_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    breaks: list[int],
    step: float,
) -> None:
    tmp_path = tmp_path_factory.mktemp("going-on")
    parts = [
        [Item(f"{part}-{n}", is_latest=n % 4 != 1) for n in range(size)]
        for part, size in enumerate(sizes)
    ]
    manifest = s3_inventory("CSV", *parts).write(tmp_path)
    sent: set[str] = set()
    for budget in [*breaks, None]:
        state = state_of(tmp_path)
        sink = Sink(budget)
        one = sending(manifest, sink, state=state, clock=Ticking(step))
        # Small batches, so that runs break in the middle of files.
        reading = one._inventory.batches
        object.__setattr__(one, "_inventory", _Small(one._inventory, reading))
        try:
            asyncio.run(one.run())
        except TransientStoreError:
            assert budget is not None
        state.close(finished=False)
        sent.update(sink.keys)
    there = {item.key for part in parts for item in part if item.is_latest}
    assert sent == there
    assert (one.total.rows, one.total.sent) == (sum(sizes), len(there))
    assert one.total.skipped.total() == sum(sizes) - len(there)


class _Small:
    """An inventory that is read two rows at a time."""

    def __init__(self, inventory: Any, reading: Any) -> None:
        self._inventory, self._reading = inventory, reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    def batches(self, file: Any, path: Any, *, skip: int) -> Any:
        return self._reading(file, path, skip=skip, batch=2)


def test_a_file_that_has_changed_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("b,k1,1\nb,k2,1\n")
    said: list[str] = []
    for text, keys in (("", ["k1", "k2"]), ("b,k0,1\n", ["k0", "k1", "k2"])):
        path.write_text(text + "b,k1,1\nb,k2,1\n")
        state = state_of(tmp_path)
        sink = Sink()
        one = run(path, sink, said, state=state)
        state.close(finished=False)
        assert sink.keys == keys
    assert said == [f"{path} has changed: it is read from its beginning"]
    assert one.total.rows == 3
    state, sink = state_of(tmp_path), Sink()
    run(path, sink, state=state)
    state.close(finished=True)
    assert sink.keys == []


def test_a_bucket_missing_from_a_row_is_not_remembered_as_sent(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("b,k,1\n,l,1\n")
    for _ in range(2):
        state = state_of(tmp_path)
        with pytest.raises(ConfigError):
            run(path, state=state)
        state.close(finished=False)
    state, sink = state_of(tmp_path), Sink()
    run(path, sink, state=state, reading={"bucket": "b"})
    state.close(finished=True)
    assert sink.keys == ["k", "l"]


# --- the state file --------------------------------------------------------------------------


def test_a_state_is_for_one_inventory_and_one_set_of_options(tmp_path: Path) -> None:
    state_of(tmp_path).close(finished=False)
    with pytest.raises(ConfigError, match="another inventory"):
        StateFile(tmp_path / "s.state", HEAD | {"inventory": "z"})
    with pytest.raises(ConfigError, match="another set of options"):
        StateFile(tmp_path / "s.state", HEAD | {"set of options": "z"})


def test_two_runs_with_one_state_do_not_mix(tmp_path: Path) -> None:
    first = state_of(tmp_path)
    with pytest.raises(ConfigError, match="another run"):
        state_of(tmp_path)
    first.close(finished=False)
    state_of(tmp_path).close(finished=True)


def test_a_line_that_a_crash_cut_off_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.state"
    state = state_of(tmp_path)
    state.save("f", Progress(5, md5="m", tally=Tally(rows=5, sent=3)))
    state.close(finished=False)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"file": "f", "rows": 9')
    state = state_of(tmp_path)
    assert state.resumed
    assert state.progress("f") == Progress(5, md5="m", tally=Tally(rows=5, sent=3))
    assert state.progress("other") == Progress()
    state.save("f", Progress(7, md5="m"))
    state.close(finished=False)
    state = state_of(tmp_path)
    assert state.progress("f").rows == 7
    state.close(finished=False)


@pytest.mark.parametrize("text", ["nonsense\n", "[]\n", "\xff\n", "no line", "1\n2"])
def test_what_is_no_state_file_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "s.state"
    path.write_text(text)
    with pytest.raises(ConfigError, match="no state file"):
        state_of(tmp_path)
    assert path.read_text() == text


def test_a_head_that_a_crash_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "s.state"
    path.write_text(json.dumps(HEAD))
    state = state_of(tmp_path)
    state.save("f", Progress(5))
    state.close(finished=False)
    state = state_of(tmp_path)
    assert state.progress("f").rows == 5
    state.close(finished=False)


def test_a_state_file_with_a_strange_line(tmp_path: Path) -> None:
    path = tmp_path / "s.state"
    path.write_text(json.dumps(HEAD) + "\n" + '{"file": "f"}\n')
    with pytest.raises(ConfigError, match="no state file"):
        state_of(tmp_path)


def test_a_state_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--no-state"):
        StateFile(tmp_path / "no" / "s.state", HEAD)


# --- sinks -----------------------------------------------------------------------------------


def test_lines_get_their_name_when_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    manifest = s3_inventory("CSV", [Item("ü"), Item("b")]).write(tmp_path)
    for finished in (False, True):
        sink = LinesSink(str(path))
        run(manifest, sink)
        sink.close(finished=finished)
        assert path.exists() == finished
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    assert [line["Src_key"] for line in lines] == ["ü", "b"]
    assert lines[0]["Des_key"] == "p/ü"
    with pytest.raises(ConfigError, match="--output"):
        LinesSink(str(tmp_path / "no" / "x"))


def test_nowhere_only_counts(tmp_path: Path) -> None:
    sink = Nowhere()
    one = run(s3_inventory("CSV", [Item("a")]).write(tmp_path), sink)
    assert (sink.sent, one.total.sent) == (1, 1)


def test_messages_of_many_keys(tmp_path: Path) -> None:
    class Queue:
        def __init__(self) -> None:
            self.bodies: list[str] = []
            self.max_message_size = 256 * 1024

        async def send(self, bodies: Any) -> list[str]:
            self.bodies += bodies
            return []

    items = [Item(f"k{number}") for number in range(25)]
    manifest = s3_inventory("CSV", items).write(tmp_path)
    queue = Queue()

    async def main() -> Sending:
        inventory = await open_inventory([str(manifest)], Files())
        one = Sending(
            inventory,
            selection=Selection(),
            target=Target("d", ""),
            sink=QueueSink([queue], keys_per_message=10),
            notices=Notices(print, None, append=False),
            clock=Ticking(),
        )
        await one.run()
        return one

    one = asyncio.run(main())
    assert (one.total.sent, one.total.messages) == (25, 3)
    assert len(queue.bodies) == 3
    found = [entry["source_key"] for body in queue.bodies for entry in json.loads(body)["keys"]]
    assert sorted(found) == sorted(item.key for item in items)
