"""Two listings merged over a divided key space, against a naive comparison of two dicts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.listing import ListedBucket
from sync.engine.comparing.checksum_look import ChecksumLook
from sync.engine.comparing.closer_look import CloserLook, Look, Open
from sync.engine.comparing.compare import Comparing, Difference, Finding, Pair, Window
from sync.engine.comparing.comparison import Comparison, Refine, in_turn
from sync.engine.comparing.keyspace import LAST, KeyRange, cuts
from sync.engine.comparing.reading import Side
from sync.engine.comparing.version_look import VersionLook
from sync.errors import ListingOutOfOrder, TransientStoreError
from sync.model import ListedObject, ObjectRef
from sync.ports import ListingPage

# Short keys over few letters meet often; the last four sort otherwise in UTF-16 than in UTF-8.
KEYS = st.text(alphabet="ab/-\x01~é\ue000\ufffd\U00010000\U0001f600", min_size=1, max_size=6)
BUCKETS = st.dictionaries(KEYS, st.integers(0, 3), max_size=40)


def entries(held: dict[str, int], lead: str = "") -> list[ListedObject]:
    return [ListedObject(lead + key, size) for key, size in held.items()]


def naive(source: dict[str, int], destination: dict[str, int]) -> set[tuple[Difference, str]]:
    found = {(Difference.MISSING, key) for key in source.keys() - destination.keys()}
    found |= {(Difference.EXTRANEOUS, key) for key in destination.keys() - source.keys()}
    both = source.keys() & destination.keys()
    return found | {(Difference.SIZE, key) for key in both if source[key] != destination[key]}


async def compared(
    source: ListedBucket,
    destination: ListedBucket,
    *,
    prefix: str = "",
    lead: str = "",
    connections: int = 3,
    how: Comparing | None = None,
    ranges: Sequence[KeyRange] = (),
) -> tuple[list[Finding], Comparison]:
    found: list[Finding] = []

    async def take(window: Window) -> None:
        await asyncio.sleep(0)
        found.extend(window.findings)

    comparison = Comparison(
        Side(source, "s", prefix),
        Side(destination, "d", prefix, lead),
        how=how or Comparing(),
        take=take,
        connections=connections,
        ranges=ranges,
    )
    await comparison.run()
    return found, comparison


@settings(max_examples=300, deadline=None)
@given(
    source=BUCKETS,
    destination=BUCKETS,
    pages=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    connections=st.integers(1, 5),
    lead=st.sampled_from(["", "to/", "b", "\U00010000/"]),
)
def test_it_finds_what_a_naive_comparison_finds(
    source: dict[str, int],
    destination: dict[str, int],
    pages: tuple[int, int],
    connections: int,
    lead: str,
) -> None:
    left = ListedBucket(entries(source), page=pages[0])
    right = ListedBucket(entries(destination, lead), page=pages[1])
    found, comparison = asyncio.run(compared(left, right, lead=lead, connections=connections))
    assert len(found) == len({one.key for one in found})
    assert {(one.kind, one.key) for one in found} == naive(source, destination)
    tally = comparison.tally
    assert tally.source_objects == len(source)
    assert tally.destination_objects == len(destination)
    assert tally.equal == sum(1 for key in source if destination.get(key) == source[key])
    assert comparison.left == []


@settings(max_examples=100, deadline=None)
@given(source=BUCKETS, prefix=KEYS.map(lambda key: key[:2]), lead=st.sampled_from(["", "to/"]))
def test_a_prefix_limits_both_sides(source: dict[str, int], prefix: str, lead: str) -> None:
    left, right = ListedBucket(entries(source), page=2), ListedBucket(entries({}, lead))
    found, _ = asyncio.run(compared(left, right, prefix=prefix, lead=lead))
    assert {one.key for one in found} == {key for key in source if key.startswith(prefix)}


@pytest.mark.parametrize(
    "shape",
    [
        "data/2026/11/21/part-{:08}",
        "{:x}",
        "tenant-{:04}/日本/{:03}",
        "same/long/beginning/of/every/key/in/the/bucket/{:06}.parquet",
    ],
)
def test_a_large_bucket_is_listed_over_several_connections(shape: str) -> None:
    held = {shape.format(number, number % 7): number for number in range(20_000)}
    left, right = ListedBucket(entries(held), page=100), ListedBucket(entries(held), page=100)
    busiest = 0

    async def take(_window: Window) -> None:
        nonlocal busiest
        busiest = max(busiest, len(comparison.left))

    comparison = Comparison(
        Side(left, "s"), Side(right, "d"), how=Comparing(), take=take, connections=8
    )
    tally = asyncio.run(comparison.run())
    assert tally.equal == len(held)
    assert busiest >= 6
    probes = sum(1 for _, limit in left.requests if limit == 1)
    pages = len(held) // 100
    assert probes < pages / 2, "cutting costs less than half of what the listing does"
    assert len(left.requests) - probes < pages * 1.5


def test_a_small_bucket_costs_one_request_a_side() -> None:
    held = {f"{number:03}": number for number in range(900)}
    left, right = ListedBucket(entries(held)), ListedBucket(entries(held))
    asyncio.run(compared(left, right, connections=16))
    assert (len(left.requests), len(right.requests)) == (1, 1)


@pytest.mark.parametrize("which", [1, 2, 5, 9])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_listing_that_fails_ends_the_comparison(side: str, which: int) -> None:
    def fail(number: int) -> None:
        if number == which:
            raise TransientStoreError("503 from the store", status=503)

    held = {f"{number:04}": 1 for number in range(100)}
    left = ListedBucket(entries(held), page=10, fail=fail if side == "source" else lambda _: None)
    right = ListedBucket(
        entries(held), page=10, fail=fail if side == "destination" else lambda _: None
    )
    with pytest.raises(TransientStoreError, match="503 from the store"):
        asyncio.run(compared(left, right))


def test_a_store_that_does_not_list_in_key_order_is_refused() -> None:
    held = {"a-b": 1, "a/c": 1, "a0": 1}
    tree = ListedBucket(entries(held), order=lambda key: key.split("/"))  # as folders sort
    with pytest.raises(ListingOutOfOrder, match="--sort"):
        asyncio.run(compared(tree, ListedBucket(entries(held))))


def test_order_in_utf_16_is_noticed_too() -> None:
    held = {"\U00010000": 1, "\ufffd": 1}
    utf16 = ListedBucket(entries(held), order=lambda key: key.encode("utf-16-be"))
    with pytest.raises(ListingOutOfOrder):
        asyncio.run(compared(utf16, ListedBucket(entries(held))))
    found, _ = asyncio.run(compared(ListedBucket(entries(held)), ListedBucket(entries(held))))
    assert found == []


def test_disorder_between_two_pages_is_noticed() -> None:
    wrong = ListedBucket(entries({"b": 1, "a": 1}), page=1, order=lambda key: {"b": 0}.get(key, 1))
    with pytest.raises(ListingOutOfOrder):
        asyncio.run(compared(wrong, ListedBucket([]), connections=1))


def test_a_comparison_goes_on_where_another_was_left() -> None:
    held = {f"{number:03}": 1 for number in range(300)}
    ranges = [KeyRange("049", "100"), KeyRange("199", None)]
    left = ListedBucket(entries(held), page=20)
    found, comparison = asyncio.run(compared(left, ListedBucket([], page=20), ranges=ranges))
    expected = [f"{number:03}" for number in (*range(50, 101), *range(200, 300))]
    assert sorted(one.key for one in found) == expected
    assert comparison.tally.source_objects == len(expected)


def test_what_is_left_never_leaves_out_what_was_not_taken() -> None:
    held = {f"{number:04}": 1 for number in range(1000)}
    taken: set[str] = set()

    async def take(window: Window) -> None:
        await asyncio.sleep(0)
        for finding in window.findings:
            left = [KeyRange(after, until) for after, until in comparison.left]
            assert any(one.holds(finding.key) for one in left), "not done before it is taken"
        taken.update(finding.key for finding in window.findings)
        rest = [KeyRange(after, until) for after, until in comparison.left]
        open_keys = {key for key in held if any(one.holds(key) for one in rest)}
        assert open_keys | taken == held.keys()

    comparison = Comparison(
        Side(ListedBucket(entries(held), page=10), "s"),
        Side(ListedBucket([]), "d"),
        how=Comparing(),
        take=take,
        connections=4,
    )
    asyncio.run(comparison.run())
    assert taken == held.keys()


def test_an_object_named_like_the_destination_prefix_is_no_extraneous_one() -> None:
    right = ListedBucket([ListedObject("to/", 0), ListedObject("to/a", 1)])
    found, _ = asyncio.run(compared(ListedBucket([ListedObject("a", 1)]), right, lead="to/"))
    assert found == []


def one_pair(source: ListedObject, destination: ListedObject, how: Comparing) -> list[Difference]:
    found, _ = asyncio.run(
        compared(ListedBucket([source]), ListedBucket([destination]), how=how, connections=1)
    )
    return [one.kind for one in found]


MD5 = "0cc175b9c0f1b6a831c399e269772661"


@pytest.mark.parametrize(
    ("source", "destination", "expected"),
    [
        (ListedObject("k", 1, MD5), ListedObject("k", 1, MD5), []),
        (ListedObject("k", 1, MD5), ListedObject("k", 1, MD5[::-1]), [Difference.ETAG]),
        (ListedObject("k", 1, f"{MD5}-2"), ListedObject("k", 1, MD5), []),
        (ListedObject("k", 1, MD5, 10.0), ListedObject("k", 1, MD5, 9.0), [Difference.NEWER]),
        (ListedObject("k", 1, MD5, 9.0), ListedObject("k", 1, MD5, 10.0), []),
        (ListedObject("k", 1, MD5, 9.0), ListedObject("k", 1, MD5, 0.0), []),
        (ListedObject("k", 2, MD5, 9.0), ListedObject("k", 1, MD5, 10.0), [Difference.SIZE]),
        (
            ListedObject("k", 2, storage_class="GLACIER"),
            ListedObject("k", 1),
            [Difference.ARCHIVED],
        ),
    ],
)
def test_etags_and_times_are_compared_where_they_can_be(
    source: ListedObject, destination: ListedObject, expected: list[Difference]
) -> None:
    assert one_pair(source, destination, Comparing(etag=True, modified=True)) == expected


def test_by_default_only_sizes_are_compared() -> None:
    source, destination = ListedObject("k", 1, MD5, 9.0), ListedObject("k", 1, MD5[::-1], 1.0)
    assert one_pair(source, destination, Comparing()) == []


@pytest.mark.parametrize(("too", "kind"), [(False, Difference.ARCHIVED), (True, "missing")])
def test_archived_objects_are_reported_not_missing_unless_wanted(too: bool, kind: str) -> None:
    source = ListedBucket([ListedObject("k", 1, storage_class="DEEP_ARCHIVE")])
    how = Comparing(archived_too=too)
    found, _ = asyncio.run(compared(source, ListedBucket([]), how=how))
    assert [one.kind for one in found] == [kind]


@given(keys=st.sets(KEYS, min_size=2, max_size=30), data=st.data())
def test_a_cut_leaves_keys_on_both_sides_and_none_is_missed(
    keys: set[str], data: st.DataObject
) -> None:
    ordered = sorted(keys)
    seen = data.draw(st.sampled_from(ordered))
    above = [key for key in ordered if key > seen]
    ceiling: str | None = None
    places = cuts(seen, ceiling)
    asked = None
    try:
        place = next(places)
        while True:
            there = any(key > place for key in above)
            if not there:
                asked = place
            place = places.send(there)
    except StopIteration as end:
        found = end.value
    if asked is not None:
        assert all(key <= asked for key in above)
    if found is None:
        assert not any(key > seen + LAST for key in above)
    else:
        assert found > seen
        assert any(key > found for key in above)


class Grows(ListedBucket):
    """A bucket that has one key more once its listing has come to an end."""

    ended = False

    async def list_page(self, bucket: str, **how: Any) -> ListingPage:
        if self.ended and how.get("limit") == 1:
            return ListingPage([ListedObject("2zz", 1)], "")
        page = await super().list_page(bucket, **how)
        self.ended = self.ended or not page.token
        return page


@pytest.mark.parametrize("last", range(90, 100))
@pytest.mark.parametrize("page", [4, 7])
def test_keys_that_appear_meanwhile_make_nothing_be_told_twice(last: int, page: int) -> None:
    """A range whose source has ended is not cut, not even while a window of it is being taken."""
    source = Grows(entries({f"{number:03}": 1 for number in range(last)}), page=10)
    right = ListedBucket(entries({f"{number:03}": 1 for number in range(400)}), page=page)
    found: list[str] = []

    async def take(window: Window) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        found.extend(one.key for one in window.findings if one.kind is Difference.EXTRANEOUS)

    comparison = Comparison(
        Side(source, "s"), Side(right, "d"), how=Comparing(), take=take, connections=2
    )
    asyncio.run(comparison.run())
    assert sorted(found) == [f"{number:03}" for number in range(last, 400)]


def look(known: dict[str, str], *versions: tuple[str, str | None]) -> dict[str, str]:
    """What a look at these versions finds, by key."""

    async def copied(refs: Sequence[ObjectRef]) -> dict[ObjectRef, str]:
        return {ref: known[ref.key] for ref in refs if ref.key in known}

    pairs = [
        (ListedObject(key, 1, version_id=version), ListedObject(key, 1))
        for key, version in versions
    ]
    window = asyncio.run(VersionLook("s", copied).refine(pairs))
    assert len(window.findings) + len(window.equal) == len(pairs)
    assert all(one.kind is Difference.VERSION for one in window.findings)
    return {one.key: one.detail for one in window.findings}


def test_versions_differ_where_the_table_knows_another_or_none() -> None:
    found = look(
        {"same": "v1", "other": "v0", "plain": "null"},
        ("same", "v1"),
        ("other", "v2"),
        ("unknown", "v1"),
        ("plain", None),
    )
    assert found == {
        "other": "the source has version v2, the ledger v0",
        "unknown": "the source has version v1, the ledger no copy",
    }


def test_closer_looks_come_in_turn_each_at_what_the_one_before_left() -> None:
    seen: list[list[str]] = []

    def looker(differing: str) -> Refine:
        async def refine(pairs: Sequence[Pair]) -> Window:
            seen.append([source.key for source, _ in pairs])
            found = [Finding(Difference.CHECKSUM, differing)]
            return Window(found, [pair for pair in pairs if pair[0].key != differing])

        return refine

    pairs = [(ListedObject(key, 1), ListedObject(key, 1)) for key in "abc"]

    async def main() -> Window:
        return await in_turn([looker("a"), looker("c")])(pairs)

    window = asyncio.run(main())
    assert seen == [["a", "b", "c"], ["b", "c"]]
    assert [one.key for one in window.findings] == ["a", "c"]
    assert [source.key for source, _ in window.equal] == ["b"]


@pytest.mark.parametrize(
    ("seen", "differs", "unverified"),
    [
        (Look(equal_by="crc32c"), False, 0),
        (Look(open=Open.UNVERIFIED), False, 1),
        (Look(changed=True), True, 0),
        (Look(Finding(Difference.CHECKSUM, "k")), True, 0),
        (Look(Finding(Difference.SIZE, "k")), True, 0),
        (Look(equal_by="gone"), False, 0),
    ],
)
def test_what_a_look_at_checksums_comes_to(seen: Look, differs: bool, unverified: int) -> None:
    class Scripted:
        async def at(self, _pair: Pair) -> Look:
            return seen

    looker = ChecksumLook(cast("CloserLook", Scripted()))
    pair = ListedObject("k", 1), ListedObject("k", 1)
    window = asyncio.run(looker.refine([pair]))
    assert bool(window.findings) is differs
    assert bool(window.equal) is not differs
    assert looker.unverified == unverified
