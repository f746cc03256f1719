"""An inventory that was found: its files, checked before their rows are read."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sync.adapters.inventory.columnar import read_columnar
from sync.adapters.inventory.columns import canonical_all, parse_schema
from sync.adapters.inventory.csv_rows import BATCH, read_csv
from sync.adapters.inventory.files import Fetched, Files
from sync.adapters.inventory.finding import CHECKSUM, is_manifest, manifest_in, plain_files
from sync.adapters.inventory.manifest import parse_manifest
from sync.adapters.inventory.places import Place, parse_place
from sync.adapters.inventory.values import DataFile, Format, Kind, RowBatch
from sync.errors import ConfigError, IntegrityError, NoSuchBucket, NotFound

_END: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Data files, in order. ``place`` is the manifest, or the first of the plain files.

    ``bucket`` is what the inventory is of, "" where nobody said; ``created`` a POSIX timestamp
    or 0.0; ``records`` the number of rows, None where nobody said. ``digest`` is the
    manifest's MD5 in hex, "" without one; ``verified``: manifest.checksum agrees with it.
    """

    kind: Kind
    place: Place
    files: tuple[DataFile, ...]
    bucket: str
    created: float
    records: int | None
    digest: str
    verified: bool
    access: Files

    async def fetch(self, file: DataFile, folder: Path) -> Path:
        """The data file on this machine, size and MD5 compared with the manifest's.

        A remote one is downloaded into ``folder`` (and stays there); a local one stays where
        it is. IntegrityError where it is not what the manifest says; NotFound.
        """
        return (await self.fetched(file, folder)).path

    async def fetched(self, file: DataFile, folder: Path) -> Fetched:
        """As `fetch`, with the file's length and MD5."""
        fetched = await self._first(file, folder)
        if file.size is not None and fetched.size != file.size:
            raise IntegrityError(
                f"{file.name}: {fetched.size} bytes, the manifest says {file.size}"
            )
        if file.md5 and fetched.md5 != file.md5:
            raise IntegrityError(f"{file.name}: its MD5 is not the manifest's: it is damaged")
        return fetched

    @asynccontextmanager
    async def local(self, file: DataFile) -> AsyncIterator[Path]:
        """As `fetch`, into a folder that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="3gsync-inventory-") as folder:
            yield await self.fetch(file, Path(folder))

    async def batches(
        self, file: DataFile, path: Path, *, skip: int = 0, batch: int = BATCH
    ) -> AsyncGenerator[RowBatch, None]:
        """The rows behind the first ``skip`` of a file that was fetched.

        A thread reads the next batch while this one is used. IntegrityError where the file
        is cut or damaged; ConfigError where its columns are not known.
        """
        read = read_csv if file.format is Format.CSV else read_columnar
        iterator = read(file, path, bucket=self.bucket, skip=skip, batch=batch)
        following = asyncio.ensure_future(asyncio.to_thread(next, iterator, _END))
        try:
            while (found := await following) is not _END:
                following = asyncio.ensure_future(asyncio.to_thread(next, iterator, _END))
                yield found
        finally:
            await _ended(following, iterator)

    async def rows(self) -> AsyncGenerator[RowBatch, None]:
        """All rows of all files, one file at a time; a file is verified before its first row."""
        for file in self.files:
            async with self.local(file) as path, aclosing(self.batches(file, path)) as batches:
                async for found in batches:
                    yield found

    async def _first(self, file: DataFile, folder: Path) -> Fetched:
        """From the first of its places that has it."""
        to = folder / hashlib.md5(file.name.encode(), usedforsecurity=False).hexdigest()
        no_bucket: NoSuchBucket | None = None
        for place in file.places:
            try:
                return await self.access.fetch(place, to)
            except NoSuchBucket as error:
                no_bucket = no_bucket or error
            except NotFound:
                continue
        if no_bucket is not None:
            raise no_bucket
        raise NotFound(f"{file.name} is not there: looked at {', '.join(map(str, file.places))}")


async def _ended(reading: asyncio.Future[RowBatch | None], batches: Iterator[RowBatch]) -> None:
    """A thread cannot be stopped: wait for its batch, then close the file."""
    await asyncio.wait([reading])
    if not reading.cancelled():
        reading.exception()
    close = getattr(batches, "close", None)
    if close is not None:
        close()


async def open_inventory(
    places: Sequence[str],
    access: Files,
    *,
    columns: str = "",
    encoded: bool | None = None,
    bucket: str = "",
) -> Inventory:
    """The inventory at a manifest, in a folder, or of plain data files; see docs/inventory.md.

    ``columns`` are the column names of CSV files without manifest; ``encoded`` says whether
    keys are form-encoded where the default (True for S3's CSV, False for all else) does not
    hold; ``bucket`` is the bucket where neither manifest nor rows name it. ConfigError where
    the places make no inventory, IntegrityError where manifest.checksum disagrees, NotFound.
    """
    found = [parse_place(place) for place in places]
    if not found:
        raise ConfigError("name a manifest.json, a folder or data files of an inventory")
    manifest = await _manifest(access, found)
    if manifest is not None:
        return await _described(access, manifest, bucket=bucket, encoded=encoded)
    named = canonical_all(parse_schema(columns), "--columns") if columns else ()
    files = await plain_files(access, found, columns=named, encoded=encoded)
    return Inventory(
        kind=Kind.PLAIN,
        place=found[0],
        files=files,
        bucket=bucket,
        created=0.0,
        records=None,
        digest="",
        verified=False,
        access=access,
    )


async def _manifest(access: Files, places: Sequence[Place]) -> Place | None:
    if len(places) > 1:
        if any(map(is_manifest, places)):
            raise ConfigError("name one manifest at a time")
        return None
    (place,) = places
    if is_manifest(place):
        return place
    return await manifest_in(access, place) if place.is_folder else None


async def _described(
    access: Files, place: Place, *, bucket: str, encoded: bool | None
) -> Inventory:
    data = await access.read(place)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    manifest = parse_manifest(data, place)
    verified = manifest.kind is Kind.S3 and await _agrees(access, place, digest)
    files = manifest.files
    if encoded is not None:
        files = tuple(replace(f, style=replace(f.style, encoded=encoded)) for f in files)
    return Inventory(
        kind=manifest.kind,
        place=place,
        files=files,
        bucket=manifest.bucket or bucket,
        created=manifest.created,
        records=manifest.records,
        digest=digest,
        verified=verified,
        access=access,
    )


async def _agrees(access: Files, place: Place, digest: str) -> bool:
    """False where there is no manifest.checksum: a manifest may be copied without it."""
    beside = place.folder.child(CHECKSUM)
    try:
        said = (await access.read(beside)).decode("ascii", "replace").strip().lower()
    except NotFound:
        return False
    if said != digest:
        raise IntegrityError(f"{place}: its MD5 is {digest}, and {beside} says {said[:64]!r}")
    return True
