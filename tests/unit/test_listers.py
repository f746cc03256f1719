"""Listers around listers: asking again, and sorting what comes in no order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import virtual
from support.listing import ListedBucket
from support.virtual import VirtualClock
from sync.adapters.memory import MemoryObserver
from sync.adapters.sorted_listing import SortedLister
from sync.engine.comparing.retrying_lister import RetryingLister
from sync.engine.retry import Retry
from sync.errors import AccessDenied, Throttled, TransientStoreError
from sync.model import ListedObject

KEYS = st.text(alphabet="ab/-\x01~é\ue000\ufffd\U00010000", min_size=1, max_size=5)


def failing(error: Exception, *numbers: int) -> Callable[[int], None]:
    def fail(number: int) -> None:
        if number in numbers:
            raise error

    return fail


def retrying(bucket: ListedBucket, retries: int = 3) -> tuple[RetryingLister, MemoryObserver]:
    observer = MemoryObserver()
    retry = Retry(retries=retries, clock=VirtualClock(), observer=observer)
    return RetryingLister(bucket, retry), observer


def test_a_page_that_fails_is_asked_for_again() -> None:
    bucket = ListedBucket(
        [ListedObject("a", 1), ListedObject("b", 2)],
        page=1,
        fail=failing(Throttled("503 SlowDown", status=503), 1, 2, 4),
    )
    lister, observer = retrying(bucket)

    async def main() -> list[str]:
        first = await lister.list_page("bucket", prefix="")
        second = await lister.list_page("bucket", token=first.token, limit=5)
        assert second.token == ""
        return [entry.key for page in (first, second) for entry in page.entries]

    assert virtual.run(main()) == ["a", "b"]
    assert len(observer.named("retry")) == 3
    assert [limit for _, limit in bucket.requests] == [1000, 1000, 1000, 5, 5]


@pytest.mark.parametrize(
    ("error", "asked"), [(TransientStoreError("500", status=500), 3), (AccessDenied("403"), 1)]
)
def test_it_gives_up_in_the_end_and_at_once_where_asking_again_is_no_use(
    error: Exception, asked: int
) -> None:
    bucket = ListedBucket([], fail=failing(error, *range(10)))
    lister, _ = retrying(bucket, retries=2)
    with pytest.raises(type(error)):
        virtual.run(lister.list_page("bucket"))
    assert len(bucket.requests) == asked


async def all_of(lister: Any, prefix: str = "", after: str = "", limit: int = 1000) -> list[Any]:
    found: list[ListedObject] = []
    token = ""
    while True:
        page = await lister.list_page(
            "bucket", prefix=prefix, after=after, token=token, limit=limit
        )
        found += page.entries
        token = page.token
        if not token:
            return found


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.dictionaries(KEYS, st.integers(0, 9), max_size=25),
    after=KEYS | st.just(""),
    limit=st.integers(1, 5),
    page=st.integers(1, 4),
)
def test_whatever_order_a_store_has_the_sorted_one_is_by_key(
    sizes: dict[str, int], after: str, limit: int, page: int
) -> None:
    entries = [ListedObject(key, size, "e", 1.5, "GLACIER") for key, size in sizes.items()]
    # As trees of folders sort, and hashes.
    orders: list[Callable[[str], Any]] = [lambda key: key.split("/"), hash]
    for order in orders:
        lister = SortedLister(ListedBucket(entries, page=page, order=order))
        found = asyncio.run(all_of(lister, after=after, limit=limit))
        lister.close()
        wanted = sorted((e for e in entries if e.key > after), key=lambda e: e.key.encode())
        assert found == wanted


def test_it_lists_the_store_once_and_leaves_no_file(tmp_path: Path) -> None:
    bucket = ListedBucket([ListedObject(f"{n:03}", n) for n in range(50)], page=10)
    lister = SortedLister(bucket, folder=tmp_path)

    async def main() -> None:
        for after in ("", "010", "048"):
            await all_of(lister, after=after, limit=7)

    asyncio.run(main())
    assert len(bucket.requests) == 5
    assert list(tmp_path.iterdir())
    lister.close()
    assert not list(tmp_path.iterdir())


def test_a_failure_while_it_lists_serves_nothing() -> None:
    bucket = ListedBucket(
        [ListedObject(f"{n:03}", n) for n in range(50)],
        page=10,
        fail=failing(TransientStoreError("500", status=500), 3),
    )
    lister = SortedLister(bucket)

    async def main() -> None:
        with pytest.raises(TransientStoreError):
            await lister.list_page("bucket")
        assert len(await all_of(lister)) == 50  # begun anew, whole

    asyncio.run(main())
    lister.close()
