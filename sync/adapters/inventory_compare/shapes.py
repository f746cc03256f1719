"""What an engine must know to read an inventory's data files."""

from __future__ import annotations

import asyncio
import csv
import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import orc, parquet

from sync.adapters.inventory import CsvStyle, DataFile, Format, Inventory, Kind, canonical
from sync.adapters.inventory.columns import canonical_all, guess
from sync.adapters.inventory.files import Folder
from sync.adapters.inventory.places import Place
from sync.errors import ConfigError, IntegrityError, NotFound

_GZIP: Final = b"\x1f\x8b"
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Data files of one kind. ``columns`` are canonical names, "" for one without use, and ()
    where the files say them (Parquet, ORC). ``encoded``: keys are form-encoded.
    """

    kind: Kind
    format: Format
    files: tuple[str, ...]
    columns: tuple[str, ...] = ()
    header: bool = False
    delimiter: str = ","
    compressed: bool = False
    encoded: bool = False


async def shapes_of(inventory: Inventory, folder: Path) -> list[Shape]:
    """The inventory's data files on this machine, each verified, by their kinds.

    Remote ones are downloaded into ``folder``. ORC, which DuckDB does not read, becomes
    Parquet there, a stripe at a time. IntegrityError, NotFound, ConfigError.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(file: DataFile) -> Shape:
        async with turns:
            path = await inventory.fetch(file, folder)
            return await asyncio.to_thread(_shape, inventory.kind, file, path, folder)

    tasks = [asyncio.ensure_future(one(file)) for file in inventory.files]
    try:
        return _merged(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def named_shapes(inventory: Inventory, folder: Path) -> list[Shape]:
    """As shapes_of, for Spark, which reads the files where they are; none is verified.

    Those on this machine get names in ``folder`` that Hadoop takes: it refuses the ``:`` in the
    names of Google's reports, passes over names that begin with ``_``, and tells compression
    by the ending. ConfigError where a CSV file's manifest does not say its columns and header.
    """
    folders: dict[Place, Folder] = {}
    found = []
    for file in inventory.files:
        place = await _where(file, inventory, folders)
        local = _linked(place, folder) if place.local else None
        found.append(_named(inventory.kind, file, place, local))
    return _merged(found)


def _linked(place: Place, folder: Path) -> Path:
    path = Path(place.path)
    name = hashlib.md5(place.path.encode(), usedforsecurity=False).hexdigest()
    link = folder / (f"{name}.gz" if _is_gzip(path) else name)
    link.symlink_to(path)
    return link


async def _where(file: DataFile, inventory: Inventory, folders: dict[Place, Folder]) -> Place:
    for place in file.places:
        if place.folder not in folders:
            folders[place.folder] = await inventory.access.folder(place.folder)
        if place.name in folders[place.folder].files:
            return place
    raise NotFound(f"{file.name} is not there: looked at {', '.join(map(str, file.places))}")


def _named(kind: Kind, file: DataFile, place: Place, local: Path | None) -> Shape:
    if file.format is Format.CSV and local is not None:
        return _csv_shape(kind, file, local)
    style = file.style
    if file.format is Format.CSV and (style.header is None or not file.columns):
        raise ConfigError(f"{place}: its manifest does not say which columns it has")
    return Shape(
        kind=kind,
        format=file.format,
        # Hadoop's connector has a scheme of its own.
        files=(str(local or place).replace("s3://", "s3a://", 1),),
        columns=file.columns,
        header=bool(style.header),
        delimiter=style.delimiter,
        encoded=bool(style.encoded),
    )


def _merged(shapes: Sequence[Shape]) -> list[Shape]:
    """Files that are read alike are read together."""
    files: dict[tuple[object, ...], list[str]] = {}
    like: dict[tuple[object, ...], Shape] = {}
    for shape in shapes:
        kind = (
            *(shape.format, shape.columns, shape.header, shape.delimiter),
            *(shape.compressed, shape.encoded),
        )
        like.setdefault(kind, shape)
        files.setdefault(kind, []).extend(shape.files)
    return [replace(shape, files=tuple(files[kind])) for kind, shape in like.items()]


def _shape(kind: Kind, file: DataFile, path: Path, folder: Path) -> Shape:
    if file.format is Format.CSV:
        return _csv_shape(kind, file, path)
    encoded = bool(file.style.encoded)
    if file.format is Format.ORC:
        path = _as_parquet(file, path, folder)
        return Shape(kind=kind, format=Format.PARQUET, files=(str(path),), encoded=encoded)
    return Shape(kind=kind, format=file.format, files=(str(path),), encoded=encoded)


def _as_parquet(file: DataFile, path: Path, folder: Path) -> Path:
    to = folder / f"{path.name}.parquet"
    try:
        reader = orc.ORCFile(path)
        with parquet.ParquetWriter(to, reader.schema) as writer:
            for stripe in range(reader.nstripes):
                writer.write_batch(reader.read_stripe(stripe))
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{file.name}: the file is cut or damaged ({error})") from None
    return to


def _csv_shape(kind: Kind, file: DataFile, path: Path) -> Shape:
    style, compressed = file.style, _is_gzip(path)
    first = _first_row(file, path, compressed=compressed)
    named = [canonical(name) for name in first]
    header = style.header
    if header is None:
        header = "key" in named and sum(map(bool, named)) > 1
    if header and first:
        columns = canonical_all(first, file.name)
    else:
        columns = file.columns or guess(first, file.name)
    return Shape(
        kind=kind,
        format=Format.CSV,
        files=(str(path),),
        columns=columns,
        header=bool(header and first),
        delimiter=style.delimiter,
        compressed=compressed,
        encoded=_encoded(style, first, header=header),
    )


def _encoded(style: CsvStyle, first: Sequence[str], *, header: bool) -> bool:
    if style.encoded is not None:
        return style.encoded
    return not (header and "name" in {name.strip().lower() for name in first})


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def _first_row(file: DataFile, path: Path, *, compressed: bool) -> list[str]:
    opened = gzip.open if compressed else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
            rows = csv.reader(text, delimiter=file.style.delimiter)
            return next((row for row in rows if row), [])
    except (csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise IntegrityError(f"{file.name}: the file is cut or damaged ({error})") from None
