"""A lister for stores that do not list in key order: reads everything once, into a file, sorted.

Some stores list as a tree of folders does, ``a/b`` before ``a-b`` (SeaweedFS was seen to; S3's
directory buckets are documented to list in no order). The file is an SQLite table by key bytes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sync.model import ListedObject
from sync.paging import Onward
from sync.ports import ListingPage, ObjectLister

_COLUMNS: Final = "key BLOB PRIMARY KEY, size INTEGER, etag TEXT, modified REAL, class TEXT"
_INSERT: Final = "INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?, ?)"
_SELECT: Final = "SELECT * FROM listed WHERE key > ? ORDER BY key LIMIT ?"


class SortedLister:
    """Lists one bucket and prefix through ``inner`` at the first request, then serves pages from
    a temporary file in ``folder`` (70 bytes an object beside its key), gone with ``close``.

    A failure while listing raises, and nothing is served.
    """

    def __init__(self, inner: ObjectLister, *, folder: Path | None = None) -> None:
        self._inner = inner
        self._folder = tempfile.TemporaryDirectory(prefix="3gsync-sort-", dir=folder)
        self._lock = asyncio.Lock()
        self._listed: dict[tuple[str, str], sqlite3.Connection] = {}

    def close(self) -> None:
        """Remove the file."""
        for connection in self._listed.values():
            connection.close()
        self._folder.cleanup()

    async def list_page(
        self,
        bucket: str,
        *,
        prefix: str = "",
        after: str = "",
        token: str = "",
        limit: int = 1000,
    ) -> ListingPage:
        """As any lister, in key order. A token is the last key of the page before."""
        async with self._lock:
            if (bucket, prefix) not in self._listed:
                self._listed[bucket, prefix] = await self._read_all(bucket, prefix)
        rows = (
            self._listed[bucket, prefix]
            .execute(_SELECT, (_bytes(token or after), limit + 1))
            .fetchall()
        )
        entries = [ListedObject(_text(row[0]), *row[1:]) for row in rows[:limit]]
        return ListingPage(entries, entries[-1].key if len(rows) > limit else "")

    async def _read_all(self, bucket: str, prefix: str) -> sqlite3.Connection:
        path = Path(self._folder.name) / f"{len(self._listed)}.sqlite"
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            await self._fill(connection, bucket, prefix)
        except BaseException:
            connection.close()
            path.unlink()
            raise
        return connection

    async def _fill(self, connection: sqlite3.Connection, bucket: str, prefix: str) -> None:
        # A crash throws the file away with everything else: nothing in it needs to be safe.
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"CREATE TABLE listed ({_COLUMNS}) WITHOUT ROWID")
        token, onward = "", Onward(f"the listing of {bucket}")
        while True:
            page = await self._inner.list_page(bucket, prefix=prefix, token=token)
            await asyncio.to_thread(_store, connection, page.entries)
            token = page.token
            if not token:
                return
            onward.step(token, empty=not page.entries)


def _store(connection: sqlite3.Connection, entries: Sequence[ListedObject]) -> None:
    connection.execute("BEGIN")
    connection.executemany(_INSERT, [(_bytes(entry.key), *entry[1:5]) for entry in entries])
    connection.execute("COMMIT")


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
