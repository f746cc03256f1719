"""Unfinished uploads: which are old, what is looked into, and what one failure leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from support.virtual import VirtualClock, run
from sync.engine.tools.janitor import Aborted, Janitor, Unfinished
from sync.errors import AccessDenied, NoSuchBucket, NoSuchUpload, SyncError, TransientStoreError
from sync.model import ObjectRef, Upload, UploadedPart

DAY = 86400.0
NOW = 1_700_000_000.0 + 1000.0  # the virtual clock's first time


def upload(key: str, *, days: float) -> Upload:
    return Upload(ObjectRef("b", key), f"id-{key}", NOW - days * DAY if days >= 0 else 0.0)


@dataclass(frozen=True)
class Page:
    uploads: tuple[Upload, ...]
    markers: tuple[str, str] | None


@dataclass
class Store:
    """A bucket's uploads, two to a page; ``parts`` by key as (bytes, days since it landed)."""

    held: list[Upload]
    parts_of: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    fails: dict[str, list[SyncError]] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)
    pages: int = 0
    at_once: int = 0
    most: int = 0

    async def page(
        self, bucket: str, *, prefix: str = "", after: tuple[str, str] = ("", "")
    ) -> Page:
        self._fail(f"page {after[0]}")
        self.pages += 1
        at = int(after[0] or 0)
        left = [one for one in self.held if one.ref.key.startswith(prefix)][at:]
        return Page(tuple(left[:2]), (str(at + 2), "") if len(left) > 2 else None)

    async def parts(self, upload: Upload) -> list[UploadedPart]:
        await self._work()
        self._fail(f"parts {upload.ref.key}")
        self.looked.append(upload.ref.key)
        return [
            UploadedPart(number, size, "e", NOW - days * DAY)
            for number, (size, days) in enumerate(self.parts_of.get(upload.ref.key, ()), 1)
        ]

    async def abort(self, upload: Upload) -> None:
        await self._work()
        self._fail(f"abort {upload.ref.key}")
        self.aborted.append(upload.ref.key)

    async def _work(self) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.1)
        self.at_once -= 1

    def _fail(self, name: str) -> None:
        if errors := self.fails.get(name):
            raise errors.pop(0)


def janitor(store: Store, *, sizes: bool = True) -> Janitor:
    return Janitor(lister=store, store=store, clock=VirtualClock(), retries=2, sizes=sizes)


def find(
    store: Store, *, sizes: bool = True, older_than: float | None = None, prefix: str = ""
) -> list[Unfinished]:
    async def body() -> list[Unfinished]:
        found = janitor(store, sizes=sizes).unfinished("b", prefix=prefix, older_than=older_than)
        return [one async for one in found]

    return run(body())


def keys(found: list[Unfinished]) -> list[str]:
    return [one.upload.ref.key for one in found]


def test_parts_and_bytes_are_summed_in_the_stores_order() -> None:
    store = Store([upload(key, days=9) for key in "abcde"], {"b": [(5, 8), (7, 3)], "d": [(1, 9)]})
    found = find(store)
    assert keys(found) == list("abcde")
    assert [(one.parts, one.held) for one in found] == [(0, 0), (2, 12), (0, 0), (1, 1), (0, 0)]
    assert found[1].idle_since == NOW - 3 * DAY
    assert found[0].idle_since == NOW - 9 * DAY


def test_old_is_to_what_nothing_has_happened() -> None:
    store = Store(
        [
            upload("old", days=30),
            upload("slow but alive", days=30),
            upload("new", days=1),
            upload("dateless", days=-1),
            upload("just", days=7),
        ],
        {"slow but alive": [(5, 20), (5, 0.5)], "old": [(5, 29)]},
    )
    assert keys(find(store, older_than=7 * DAY)) == ["old", "just"]
    # Those begun since need no look.
    assert sorted(store.looked) == ["just", "old", "slow but alive"]


def test_without_sizes_nothing_is_looked_into_and_the_beginning_counts() -> None:
    store = Store([upload("a", days=30), upload("b", days=1)], {"a": [(5, 0.5)]})
    found = find(store, sizes=False, older_than=7 * DAY)
    assert [(one.upload.ref.key, one.parts, one.held) for one in found] == [("a", None, None)]
    assert store.looked == []


def test_only_sixteen_are_looked_into_at_a_time() -> None:
    store = Store([upload(f"{n:03}", days=1) for n in range(100)])
    assert len(find(store)) == 100
    assert store.most == 16


def test_one_that_ended_meanwhile_is_left_out() -> None:
    store = Store([upload(key, days=9) for key in "abc"])
    store.fails["parts b"] = [NoSuchUpload("gone")]
    assert keys(find(store)) == ["a", "c"]


def test_passing_faults_are_tried_again() -> None:
    store = Store([upload(key, days=9) for key in "abc"])
    store.fails = {
        "page 2": [TransientStoreError("503"), TransientStoreError("503")],
        "parts b": [TransientStoreError("503")],
    }
    assert keys(find(store)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("page 2", TransientStoreError("503")),
        ("page 2", AccessDenied("no")),
        ("parts b", AccessDenied("no")),
        ("parts b", NoSuchBucket("no")),
    ],
)
def test_a_listing_never_ends_short(name: str, error: SyncError) -> None:
    store = Store([upload(key, days=9) for key in "abc"])
    store.fails[name] = [error] * 9
    with pytest.raises(type(error)):
        find(store)


def test_pages_are_read_as_they_are_needed() -> None:
    store = Store([upload(f"{n:04}", days=1) for n in range(1000)])

    async def body() -> None:
        found = janitor(store).unfinished("b")
        await anext(found)

    run(body())
    assert store.pages <= 10


def abort(store: Store) -> list[Aborted]:
    async def body() -> list[Aborted]:
        one = janitor(store)
        found: AsyncIterator[Unfinished] = one.unfinished("b", older_than=DAY)
        return [done async for done in one.abort(found)]

    return run(body())


def test_what_cannot_be_aborted_keeps_no_other() -> None:
    store = Store([upload(key, days=9) for key in "abcd"] + [upload("young", days=0.5)])
    store.fails = {
        "abort b": [AccessDenied("storage.multipartUploads.abort")],
        "abort c": [TransientStoreError("503")],
    }
    done = abort(store)
    assert [(one.found.upload.ref.key, one.error) for one in done] == [
        ("a", ""),
        ("b", "storage.multipartUploads.abort"),
        ("c", ""),
        ("d", ""),
    ]
    assert sorted(store.aborted) == ["a", "c", "d"]


def test_a_bucket_that_is_gone_ends_it() -> None:
    store = Store([upload(key, days=9) for key in "abcd"])
    store.fails["abort b"] = [NoSuchBucket("gone")]
    with pytest.raises(NoSuchBucket):
        abort(store)
