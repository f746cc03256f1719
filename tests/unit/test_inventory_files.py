"""Files of inventories in stores: listed without their depths, downloaded in spite of breaks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.inventories import FOLDER, STORE, Item, s3_inventory
from sync.adapters.inventory import Files, open_inventory, parse_place
from sync.errors import (
    AccessDenied,
    ConfigError,
    IntegrityError,
    NoSuchBucket,
    NotFound,
    SyncError,
    TransientStoreError,
)
from sync.model import Identity, ListedObject, ObjectMeta, ObjectRef
from sync.ports import ListingPage


class Body:
    """Some bytes, and then perhaps a break."""

    def __init__(self, data: bytes, breaks: bool) -> None:
        self.length, self._data, self._breaks = len(data), data, breaks

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        half = len(self._data) // 2
        yield memoryview(self._data[:half])
        if self._breaks:
            raise TransientStoreError("the connection broke")
        yield memoryview(self._data[half:])


class Read:
    def __init__(self, data: bytes, whole: int, etag: str, breaks: bool) -> None:
        self.meta = ObjectMeta(Identity(etag, whole))
        self.body = Body(data, breaks)


class Store:
    """Objects by key; ``faults`` are raised first, one a request; ``breaks`` reads break."""

    def __init__(self, objects: dict[str, bytes], *, breaks: int = 0) -> None:
        self.objects = objects
        self.faults: list[SyncError] = []
        self.breaks = breaks
        self.etag = "e1"
        self.asked: list[Any] = []
        self.page = 2

    def _fault(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    @asynccontextmanager
    async def open(
        self,
        ref: ObjectRef,
        *,
        if_match: str | None = None,
        byte_range: tuple[int, int] | None = None,
    ) -> AsyncIterator[Read]:
        self.asked.append((ref.key, if_match, byte_range))
        self._fault()
        if ref.key not in self.objects:
            raise NotFound(ref.key)
        data = self.objects[ref.key]
        first, last = byte_range or (0, len(data) - 1)
        self.breaks -= 1
        yield Read(data[first : last + 1], len(data), self.etag, self.breaks >= 0)

    async def list_page(
        self, bucket: str, *, prefix: str = "", after: str = "", token: str = ""
    ) -> ListingPage:
        self.asked.append(after)
        self._fault()
        keys = sorted(
            (key for key in self.objects if key.startswith(prefix) and key > after),
            key=str.encode,
        )
        page = [ListedObject(key, len(self.objects[key])) for key in keys[: self.page]]
        return ListingPage(page, "more" if len(keys) > self.page else "")


class Clock:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def files(store: Store, clock: Clock | None = None) -> Files:
    async def opened(scheme: str) -> Any:
        assert scheme == "s3"
        return store

    return Files(opened, clock=clock or Clock())


def fetched(store: Store, to: Path, key: str = "k") -> Any:
    return asyncio.run(files(store).fetch(parse_place(f"s3://b/{key}"), to))


def test_a_download_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    data = bytes(range(256)) * 40
    store = Store({"k": data}, breaks=3)
    found = fetched(store, tmp_path / "x")
    assert found.path.read_bytes() == data
    assert (found.size, found.md5) == (len(data), hashlib.md5(data).hexdigest())
    starts = [each[2][0] for each in store.asked[1:]]
    assert store.asked[0] == ("k", None, None)
    assert starts == [5120, 7680, 8960]
    assert {each[1] for each in store.asked[1:]} == {"e1"}


@pytest.mark.parametrize("ending", ["breaks", "is short"])
def test_a_body_that_ends_badly(ending: str, tmp_path: Path) -> None:
    """It breaks behind its last byte, or ends early and says nothing."""

    class Odd(Store):
        @asynccontextmanager
        async def open(self, ref: ObjectRef, **how: Any) -> AsyncIterator[Read]:
            async with super().open(ref, **how) as read:
                if len(self.asked) > 1:
                    yield read
                elif ending == "is short":
                    yield Read(b"1234", 8, "e1", breaks=False)
                else:
                    yield read
                    raise TransientStoreError("reset")

    store = Odd({"k": b"12345678"})
    assert fetched(store, tmp_path / "x").path.read_bytes() == b"12345678"
    assert [each[2] for each in store.asked[1:]] == ([(4, 7)] if ending == "is short" else [])


def test_a_file_that_was_replaced_in_between_is_not_mixed(tmp_path: Path) -> None:
    class Replaced(Store):
        @asynccontextmanager
        async def open(self, ref: ObjectRef, **how: Any) -> AsyncIterator[Read]:
            async with super().open(ref, **how) as read:
                self.etag = "e2"
                yield read

    with pytest.raises(IntegrityError, match="replaced while it was read"):
        fetched(Replaced({"k": b"12345678"}, breaks=1), tmp_path / "x")


def test_empty_files_and_breaks_before_the_first_byte(tmp_path: Path) -> None:
    store = Store({"k": b""})
    store.faults = [TransientStoreError("503")] * 2
    assert fetched(store, tmp_path / "x").size == 0
    assert (tmp_path / "x").read_bytes() == b""


def test_what_stays_broken_is_raised_after_some_tries(tmp_path: Path) -> None:
    store, clock = Store({"k": b"data"}), Clock()
    store.faults = [TransientStoreError("503")] * 99
    place = parse_place("s3://b/k")
    with pytest.raises(TransientStoreError):
        asyncio.run(files(store, clock).read(place))
    assert clock.pauses == [1, 2, 3, 4, 5]
    store.faults = [AccessDenied("no")]
    store.asked = []
    with pytest.raises(AccessDenied):
        asyncio.run(files(store, clock).read(place))
    assert len(store.asked) == 1


def test_a_disk_without_room_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TMPDIR"):
        fetched(Store({"k": b"data"}), tmp_path / "no" / "x")


def test_a_manifest_is_not_read_without_bound() -> None:
    store = Store({"k": b"12345"})
    with pytest.raises(ConfigError, match="5 bytes: too much"):
        asyncio.run(files(store).read(parse_place("s3://b/k"), most=4))


def test_the_insides_of_folders_are_not_listed() -> None:
    inside = {f"inv/data/{number:04}": b"" for number in range(500)}
    store = Store({**inside, "inv/a.csv": b"1", "inv/data0": b"22", "inv/x/y": b"", "other": b""})
    store.faults = [TransientStoreError("503")]
    found = asyncio.run(files(store).folder(parse_place("s3://b/inv/")))
    assert found.files == {"inv/a.csv".removeprefix("inv/"): 1, "data0": 2}
    assert found.folders == ("data", "x")
    assert len(store.asked) < 8


def opened(store: Store, *places: str) -> Any:
    async def main() -> list[str]:
        inventory = await open_inventory(places, files(store))
        return [row.object.key async for batch in inventory.rows() for row in batch.rows]

    return asyncio.run(main())


def test_an_inventory_in_a_bucket_and_a_copy_of_it_elsewhere() -> None:
    made = s3_inventory("CSV", [Item("a")], [Item("b")])
    store = Store(made.objects)
    assert opened(store, f"s3://{STORE}/{made.manifest}") == ["a", "b"]
    assert opened(store, f"s3://{STORE}/{FOLDER}/") == ["a", "b"]
    moved = Store({key.replace("inv/", "copy/", 1): data for key, data in made.objects.items()})
    assert opened(moved, f"s3://elsewhere/{made.manifest.replace('inv/', 'copy/', 1)}") == [
        "a",
        "b",
    ]


def test_a_destination_prefix_that_ends_in_a_slash() -> None:
    """The manifest then lists keys with one slash, and the files have two."""
    made = s3_inventory("CSV", [Item("a")])
    store = Store({key.replace("inv/", "inv//", 1): data for key, data in made.objects.items()})
    assert opened(store, f"s3://{STORE}/{made.manifest.replace('inv/', 'inv//', 1)}") == ["a"]


def test_a_bucket_that_is_not_there_is_told_as_such() -> None:
    made = s3_inventory("CSV", [Item("a")])
    store = Store({key: data for key, data in made.objects.items() if "/data/" not in key})
    store.faults = []

    class Elsewhere(Store):
        @asynccontextmanager
        async def open(self, ref: ObjectRef, **how: Any) -> AsyncIterator[Read]:
            if "/data/" in ref.key and ref.key.startswith(FOLDER):
                raise NoSuchBucket("no bucket of that name")
            async with super().open(ref, **how) as read:
                yield read

    with pytest.raises(NoSuchBucket):
        opened(Elsewhere(store.objects), f"s3://{STORE}/{made.manifest}")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3://b/k/x", ("s3", "b", "k/x")),
        ("s3://b", ("s3", "b", "")),
        ("gs://b/", ("gs", "b", "")),
        ("s3://b//k//", ("s3", "b", "/k//")),
        ("s3://b/a%20b+c", ("s3", "b", "a%20b+c")),
        ("/no/such/file", ("file", "", "/no/such/file")),
        ("/tmp", ("file", "", "/tmp/")),
        ("/", ("file", "", "/")),
    ],
)
def test_places(text: str, parts: Sequence[str]) -> None:
    assert tuple(parse_place(text)) == tuple(parts)


def test_folders_of_places() -> None:
    place = parse_place("s3://b/x//y/manifest.json")
    assert (place.name, str(place.folder), place.is_folder) == (
        "manifest.json",
        "s3://b/x//y/",
        False,
    )
    assert str(place.folder.folder) == "s3://b/x//"
    assert str(place.folder.folder.folder) == "s3://b/x/"
    assert str(place.folder.folder.folder.folder) == "s3://b/"
    assert str(place.folder.folder.folder.folder.folder) == "s3://b/"
