"""One pair of buckets, on fakes: crashes, checkpoints, queues that fail, what is recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.listing import ListedBucket
from sync.adapters.memory import MemoryObserver
from sync.backfill import pair as pair_module
from sync.backfill.checkpoint import Checkpoint
from sync.backfill.deletes import Deleted
from sync.backfill.opening import Parts
from sync.backfill.options import JobsenderOptions, moment
from sync.backfill.pair import PairReport, PairRun
from sync.config.bucket_list import parse_bucket_list
from sync.engine.comparing.reading import Side
from sync.engine.comparing.sending import MOST_BODY, JobSender
from sync.errors import ConfigError, TransientStoreError
from sync.messages import decode, encode_batch
from sync.messages.records import DestinationRule
from sync.model import BucketPair, JobKind, ListedObject, ObjectRef, TransferJob

PAIR = BucketPair("src-bucket", "", "des-bucket", "to")
RULE = DestinationRule("unused-bucket")


class TickingClock:
    """Time stands still but for sleeps, which last no longer than it takes others to get on."""

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, _seconds: float) -> None:
        for _ in range(40):
            await asyncio.sleep(0)


class Sink:
    """A queue. ``unsent`` says which bodies of a send do not come through; it may raise."""

    def __init__(self, unsent: Callable[[list[str]], list[str]] = lambda _bodies: []) -> None:
        self._unsent = unsent
        self.max_message_size = 256 * 1024
        self.bodies: list[str] = []
        self.sizes: list[int] = []

    async def send(self, bodies: Iterable[str]) -> list[str]:
        given = list(bodies)
        self.sizes.append(len(given))
        await asyncio.sleep(0)
        left = self._unsent(given)
        self.bodies += [body for body in given if body not in left]
        return left

    @property
    def keys(self) -> set[str]:
        return {job.source.key for body in self.bodies for job in decode(body, RULE).jobs}


class FakeParts:
    """What `PairRun` asks of `Parts`."""

    def __init__(
        self, source: ListedBucket, destination: ListedBucket, sink: Sink, **fields: Any
    ) -> None:
        self._listed = source, destination
        self.queues = [sink]
        self.clock = TickingClock()
        self.observer = MemoryObserver()
        self.copied = None
        self.ignored: Callable[[ObjectRef], str | None] = lambda _ref: None
        self.__dict__.update(fields)

    @contextmanager
    def sides(self, pair: BucketPair, *, sort: bool) -> Iterator[tuple[Side, Side]]:
        source, destination = self._listed
        yield Side(source, pair.source_bucket), Side(destination, "des-bucket", "", "to/")


def listed(keys: Iterable[str], lead: str = "", **fields: Any) -> list[ListedObject]:
    return [ListedObject(lead + key, 1, **fields) for key in keys]


def run(parts: FakeParts, checkpoint: Checkpoint | None = None, **options: Any) -> PairReport:
    given = JobsenderOptions(progress=0, connections=3, **options)
    return asyncio.run(PairRun(cast("Parts", parts), PAIR, given, checkpoint).run())


KEYS = [f"{number:04}" for number in range(400)]


@settings(max_examples=60, deadline=None)
@given(
    missing=st.sets(st.sampled_from(KEYS), max_size=200),
    dies_at=st.lists(st.integers(1, 30), max_size=3),
    sink_dies=st.booleans(),
)
def test_whatever_fails_and_however_often_nothing_stays_missing(
    tmp_path_factory: pytest.TempPathFactory,
    missing: set[str],
    dies_at: list[int],
    sink_dies: bool,
) -> None:
    path = tmp_path_factory.mktemp("backfill") / "checkpoint.json"
    held = listed(sorted(set(KEYS) - missing), "to/")
    sent: set[str] = set()
    for dies in (*dies_at, None):
        sends = 0

        def fail(number: int, dies: int | None = dies) -> None:
            if number == dies and not sink_dies:
                raise TransientStoreError("the listing failed")

        def unsent(bodies: list[str], dies: int | None = dies) -> list[str]:
            nonlocal sends
            sends += 1
            return bodies[:1] if sends == dies and sink_dies else []

        sink = Sink(unsent)
        source = ListedBucket(listed(KEYS), page=20, fail=fail)
        report = run(FakeParts(source, ListedBucket(held, page=30), sink), Checkpoint(path, {}))
        sent |= sink.keys
        assert sink.keys <= missing
        if dies is None:
            assert report.errors == []
    assert sent == missing


def test_what_a_checkpoint_calls_done_is_in_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any moment: the file as it stands never leaves out what was not sent."""
    path = tmp_path / "checkpoint.json"
    sink, wrong = Sink(), set[str]()
    looks = 0
    write = Checkpoint.save

    def save(self: Checkpoint, pair: BucketPair, left: Any, **fields: Any) -> None:
        nonlocal looks
        write(self, pair, left, **fields)
        looks += 1
        still = Checkpoint(path, {}).progress(pair).left or []
        done = {key for key in KEYS if not any(one.holds(key) for one in still)}
        wrong.update(done - sink.keys)

    monkeypatch.setattr(Checkpoint, "save", save)
    parts = FakeParts(ListedBucket(listed(KEYS), page=3), ListedBucket([]), sink)
    assert run(parts, Checkpoint(path, {})).errors == []
    assert looks > 5
    assert wrong == set()
    assert sink.keys == set(KEYS)


def test_a_message_that_cannot_be_sent_fails_the_pair() -> None:
    sink = Sink(lambda bodies: bodies[-1:])
    parts = FakeParts(ListedBucket(listed(["a", "b"])), ListedBucket([]), sink)
    report = run(parts)
    assert "1 of 2 messages could not be sent" in report.errors[0]
    assert report.messages in {0, 1}


def test_deletes_wait_for_the_whole_listing(tmp_path: Path, monkeypatch: Any) -> None:
    deleted: list[Any] = []

    async def delete(_parts: Any, _pair: Any, keys: list[str]) -> Any:
        deleted.append(list(keys))
        return Deleted(count=len(keys))

    monkeypatch.setattr(pair_module, "delete_extraneous", delete)

    def fail(number: int) -> None:
        if number == 5:
            raise TransientStoreError("the listing failed")

    right = listed(["extra", *KEYS], "to/")
    broken = FakeParts(ListedBucket(listed(KEYS), page=20, fail=fail), ListedBucket(right), Sink())
    path = tmp_path / "checkpoint.json"
    assert run(broken, Checkpoint(path, {}), delete_extraneous=1000).errors
    assert deleted == []
    source = ListedBucket(listed(KEYS), page=20)
    parts = FakeParts(source, ListedBucket(right), Sink())
    assert run(parts, Checkpoint(path, {}), delete_extraneous=1000).errors == []
    assert deleted == [["extra"]]
    assert source.requests[0] == ("0039", 1000), "it went on where it was"


@pytest.mark.parametrize(("cap", "told"), [(2, []), (3, ["x", "y", "z"]), (9, ["x", "y", "z"])])
def test_more_than_the_cap_allows_is_not_deleted_at_all(
    cap: int, told: list[str], monkeypatch: Any
) -> None:
    deleted: list[str] = []

    async def delete(_parts: Any, _pair: Any, keys: list[str]) -> Any:
        deleted.extend(keys)
        return Deleted(count=len(keys))

    monkeypatch.setattr(pair_module, "delete_extraneous", delete)
    parts = FakeParts(ListedBucket([]), ListedBucket(listed("xyz", "to/")), Sink())
    report = run(parts, delete_extraneous=cap)
    assert deleted == told
    assert bool(report.errors) is not bool(told)
    assert report.outcome.extraneous == 3


def test_ignored_extraneous_objects_are_not_deleted(monkeypatch: Any) -> None:
    deleted: list[str] = []

    async def delete(_parts: Any, _pair: Any, keys: list[str]) -> Any:
        deleted.extend(keys)
        return Deleted(count=len(keys))

    monkeypatch.setattr(pair_module, "delete_extraneous", delete)
    parts = FakeParts(
        ListedBucket([]),
        ListedBucket(listed(["keep.tmp", "old"], "to/")),
        Sink(),
        ignored=lambda ref: "*.tmp" if ref.key.endswith(".tmp") else None,
    )
    assert run(parts, delete_extraneous=9).outcome.ignored == 1
    assert deleted == ["old"]


def test_times_limit_what_is_sent() -> None:
    entries = [
        ListedObject(key, 1, last_modified=at) for key, at in (("a", 9.9), ("b", 10), ("c", 20))
    ]
    sink = Sink()
    report = run(FakeParts(ListedBucket(entries), ListedBucket([]), sink), since=10.0, until=20.0)
    assert sink.keys == {"b"}
    assert (report.outcome.queued, report.outcome.out_of_time) == (1, 2)


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    Checkpoint(path, {"etag": False}).save(PAIR, [("a", None)])
    with pytest.raises(ConfigError, match="etag"):
        Checkpoint(path, {"etag": True})
    path.write_text("{}")
    with pytest.raises(ConfigError, match="no checkpoint"):
        Checkpoint(path, {})


def test_a_pair_that_is_done_is_not_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    checkpoint = Checkpoint(path, {})
    source = ListedBucket(listed(["a"]))
    parts = FakeParts(source, ListedBucket([]), Sink())
    run(parts, checkpoint)
    run(parts, Checkpoint(path, {}))
    assert len(source.requests) == 1
    checkpoint.close()
    run(parts, Checkpoint(path, {}))
    assert len(source.requests) == 2
    assert Checkpoint(path, {}).expected(PAIR) == 1


def job(key: str, bucket: str = "src-bucket") -> TransferJob:
    return TransferJob(JobKind.COPY, ObjectRef(bucket, key), ObjectRef("des-bucket", key), size=1)


async def sent(sender: JobSender, jobs: Iterable[TransferJob]) -> None:
    for one in jobs:
        await sender.add(one)
    await sender.flush()


@settings(max_examples=100, deadline=None)
@given(
    keys=st.lists(st.text(min_size=1, max_size=300), max_size=60),
    per_message=st.integers(1, 50),
    buckets=st.integers(1, 3),
)
def test_every_job_is_in_a_message_that_fits(
    keys: list[str], per_message: int, buckets: int
) -> None:
    jobs = [job(key, f"bucket-{n % buckets}") for n, key in enumerate(keys) if _encodes(key)]
    sink = Sink()
    sender = JobSender([sink], keys_per_message=per_message)
    asyncio.run(sent(sender, jobs))
    found = [one.source for body in sink.bodies for one in decode(body, RULE).jobs]
    assert set(found) == {one.source for one in jobs}
    assert sender.sent == len(jobs)
    assert sender.messages == len(sink.bodies)
    assert all(len(body) <= MOST_BODY for body in sink.bodies)
    assert all(size <= 10 or per_message > 1 for size in sink.sizes)


def _encodes(key: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in key)


def test_long_keys_fill_messages_by_bytes_not_by_number() -> None:
    jobs = [job(f"{number:04}" + "\U0001f600" * 255) for number in range(200)]
    assert len(encode_batch(jobs)) > MOST_BODY
    sink = Sink()
    asyncio.run(sent(JobSender([sink], keys_per_message=200), jobs))
    assert len(sink.bodies) > 1
    assert all(len(body) <= MOST_BODY for body in sink.bodies)


def test_messages_fit_the_queue_that_takes_least() -> None:
    small = Sink()
    small.max_message_size = 4096
    keys = [f"{number:04}" + "x" * 200 for number in range(300)]
    parts = FakeParts(ListedBucket(listed(keys)), ListedBucket([]), small)
    assert run(parts, keys_per_message=1000).errors == []
    assert small.keys == set(keys)
    assert all(len(body) <= 4096 for body in small.bodies)


def test_nothing_is_taken_after_a_failure() -> None:
    sink = Sink(lambda bodies: bodies)
    sender = JobSender([sink])

    async def main() -> None:
        with pytest.raises(TransientStoreError):
            await sent(sender, map(job, KEYS))

    asyncio.run(main())
    assert sender.sent == 0
    assert len(sink.sizes) < 20


def test_a_flush_that_is_cancelled_leaves_what_is_being_sent() -> None:
    sink = Sink()

    async def main() -> None:
        sender = JobSender([sink])
        await sender.add(job("a"))
        flush = asyncio.create_task(sender.flush())
        await asyncio.sleep(0)
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
        await sender.flush()
        assert sender.sent == 1

    asyncio.run(main())
    assert sink.keys == {"a"}


def test_a_send_that_is_broken_off_counts_as_failed() -> None:
    async def main() -> None:
        sender = JobSender([Sink()])
        await sender.add(job("a"))
        flush = asyncio.create_task(sender.flush())
        await asyncio.sleep(0)
        for send in sender._sending:
            send.cancel()
        with pytest.raises(TransientStoreError, match="broken off"):
            await flush
        assert sender.sent == 0

    asyncio.run(main())


def test_no_more_is_taken_than_can_be_sent() -> None:
    """Memory does not grow with a queue that is slower than the listing."""
    sending, most = 0, 0

    class Slow(Sink):
        async def send(self, bodies: Iterable[str]) -> list[str]:
            nonlocal sending, most
            sending += 1
            most = max(most, sending)
            for _ in range(50):
                await asyncio.sleep(0)
            sending -= 1
            return await super().send(bodies)

    sink = Slow()

    async def main() -> None:
        sender = JobSender([sink], at_once=3)
        for number, key in enumerate(KEYS):
            await sender.add(job(key))
            assert number + 1 - sender.sent <= 3 * 10 + 10
        await sender.flush()

    asyncio.run(main())
    assert most == 3
    assert sink.keys == set(KEYS)


def test_several_queues_share_the_messages() -> None:
    sinks = [Sink(), Sink(), Sink()]
    asyncio.run(sent(JobSender(sinks), map(job, KEYS)))
    assert set().union(*(sink.keys for sink in sinks)) == set(KEYS)
    assert all(len(sink.bodies) > 40 for sink in sinks)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not json", "not JSON"),
        ("[]", "at least one pair"),
        ('[{"src_bucket": "abc"}]', "des_bucket must be a bucket's name"),
        ('[{"src_bucket": "abc", "des_bucket": "x/y"}]', "x/y"),
        ('[{"src_bucket": "abc", "des_bucket": "abd", "prefix": ""}]', "'prefix' is unknown"),
        ('[{"src_bucket": "abc", "des_bucket": "abd"}, 3]', "[1]: must be an object"),
        (json.dumps([{"src_bucket": "abc", "des_bucket": "abd"}] * 2), "twice"),
    ],
)
def test_a_wrong_list_of_buckets_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"list\.txt") as caught:
        parse_bucket_list(text, "list.txt")
    assert told in str(caught.value)


def test_a_list_of_buckets_is_read_as_the_original_wrote_it() -> None:
    text = '[{"src_bucket":"abc","src_prefix":"in","des_bucket":"abd","des_prefix":"to/"}]'
    assert parse_bucket_list(text, "") == [BucketPair("abc", "in", "abd", "to/")]


def test_moments_are_utc_and_may_be_ages() -> None:
    assert moment("1970-01-02") == 86400
    assert moment("1970-01-01T01:00:00+01:00") == 0
    assert moment("1970-01-01T00:00:10Z") == 10
    assert abs(moment("2d") - moment("48h")) < 1
