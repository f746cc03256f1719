"""Reading and listing files of inventories, on this machine and in stores."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol, TypeVar

from sync.adapters.clock import SystemClock
from sync.adapters.inventory.places import Place
from sync.errors import ConfigError, IntegrityError, NotFound, SyncError, TransientStoreError
from sync.model import ObjectRef
from sync.paging import Onward
from sync.ports import Clock, ObjectLister, SourceRead, SourceStore

_TRIES: Final = 6
_PAUSE: Final = 1.0
_MOST_ENTRIES: Final = 1_000_000
_CHUNK: Final = 1024 * 1024
_LAST_CHARACTER: Final = "\U0010ffff"

_T = TypeVar("_T")


class ReadStore(SourceStore, ObjectLister, Protocol):
    """A store that objects are read from and that lists them."""


class Fetched(NamedTuple):
    """A file on this machine, its length, and its MD5 in hex."""

    path: Path
    size: int
    md5: str


class Folder(NamedTuple):
    """What is directly in a folder: names of files with their sizes, and names of folders."""

    files: dict[str, int]
    folders: tuple[str, ...]


class Files:
    """``store`` gives the store for ``s3`` or ``gs``; it is asked only for such places.

    All methods raise NotFound for what is not there, and the store's errors, after retries.
    """

    def __init__(
        self,
        store: Callable[[str], Awaitable[ReadStore]] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._open = store
        self._clock = clock or SystemClock()

    async def read(self, place: Place, *, most: int = 256 * 1024 * 1024) -> bytes:
        """A small file as a whole. ConfigError where it has more than ``most`` bytes."""
        if place.local:
            return await asyncio.to_thread(_read, place, most)
        store, ref = await self._store(place), ObjectRef(place.bucket, place.path)

        async def once() -> bytes:
            async with store.open(ref) as read:
                _bounded(place, read.body.length, most)
                return b"".join([bytes(chunk) async for chunk in read.body])

        return await self._retried(once)

    async def folder(self, place: Place) -> Folder:
        """What is in a folder; nothing is in one that does not exist."""
        if place.local:
            return await asyncio.to_thread(_scan, place)
        store = await self._store(place)
        files: dict[str, int] = {}
        folders: dict[str, None] = {}
        after, more = "", True
        onward = Onward(f"the listing of {place}")
        while more:
            behind = after

            async def once(behind: str = behind) -> tuple[list[tuple[str, int]], bool]:
                page = await store.list_page(place.bucket, prefix=place.path, after=behind)
                return [(entry.key, entry.size) for entry in page.entries], bool(page.token)

            entries, more = await self._retried(once)
            for key, size in entries:
                name, slash, _ = key[len(place.path) :].partition("/")
                if slash:
                    folders[name] = None
                    after = f"{place.path}{name}/{_LAST_CHARACTER}"  # its inside is not listed
                else:
                    files[name] = size
                    after = key
            if more:
                onward.step(after)
            if len(files) + len(folders) > _MOST_ENTRIES:
                raise ConfigError(f"{place} holds too much for a folder of an inventory")
        return Folder(files, tuple(folders))

    async def fetch(self, place: Place, to: Path) -> Fetched:
        """A file of any size on this machine: where it is, or downloaded to ``to``."""
        if place.local:
            return await asyncio.to_thread(_digest, Path(place.path))
        download = _Download(await self._store(place), ObjectRef(place.bucket, place.path), to)
        try:
            return await self._retried(download.go_on)
        except OSError as error:
            raise ConfigError(
                f"{place} cannot be stored in {to.parent}: {error.strerror}; "
                "set TMPDIR to a folder with room for one data file"
            ) from None

    async def _store(self, place: Place) -> ReadStore:
        if self._open is None:
            raise ConfigError(f"{place}: no access to stores was set up")
        return await self._open(place.scheme)

    async def _retried(self, once: Callable[[], Awaitable[_T]]) -> _T:
        for attempt in range(1, _TRIES):
            try:
                return await once()
            except SyncError as error:
                if not error.retry_here:
                    raise
            await self._clock.sleep(_PAUSE * attempt)
        return await once()


class _Download:
    """One object into one file; a new try goes on where the last one broke."""

    def __init__(self, store: ReadStore, ref: ObjectRef, to: Path) -> None:
        self._store, self._ref, self._to = store, ref, to
        self._digest = hashlib.md5(usedforsecurity=False)
        self._done, self._size, self._etag = 0, -1, ""

    async def go_on(self) -> Fetched:
        if self._done != self._size:
            with self._to.open("r+b" if self._done else "wb") as sink:
                sink.seek(self._done)
                await self._copy(sink)
        return Fetched(self._to, self._done, self._digest.hexdigest())

    async def _copy(self, sink: BinaryIO) -> None:
        rest = (self._done, self._size - 1) if self._done else None
        async with self._store.open(
            self._ref, if_match=self._etag or None, byte_range=rest
        ) as read:
            self._begin(read)
            async for chunk in read.body:
                sink.write(chunk)
                self._digest.update(chunk)
                self._done += len(chunk)
        sink.flush()
        if self._done != self._size:
            raise TransientStoreError(f"{self._ref}: {self._done} of {self._size} bytes came")

    def _begin(self, read: SourceRead) -> None:
        if not self._done:
            self._size, self._etag = read.meta.size, read.meta.identity.etag
        elif read.meta.identity.etag != self._etag:
            raise IntegrityError(f"{self._ref}: it was replaced while it was read")


def _read(place: Place, most: int) -> bytes:
    path = Path(place.path)
    try:
        _bounded(place, path.stat().st_size, most)
        return path.read_bytes()
    except OSError as error:
        raise _not_readable(path, error) from None


def _bounded(place: Place, size: int, most: int) -> None:
    if size > most:
        raise ConfigError(f"{place} has {size} bytes: too much for a manifest")


def _scan(place: Place) -> Folder:
    try:
        with os.scandir(place.path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
            files = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
            return Folder(files, tuple(entry.name for entry in entries if entry.is_dir()))
    except FileNotFoundError:
        return Folder({}, ())
    except OSError as error:
        raise _not_readable(Path(place.path), error) from None


def _digest(path: Path) -> Fetched:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise _not_readable(path, error) from None
    return Fetched(path, size, digest.hexdigest())


def _not_readable(path: Path, error: OSError) -> SyncError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound(f"{path} is not there")
    return ConfigError(f"{path} cannot be read: {error.strerror}")
