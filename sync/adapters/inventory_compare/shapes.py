"""What an engine must know to read an inventory's data files."""

from __future__ import annotations

import asyncio
import csv
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import orc, parquet

from sync.adapters.inventory import CsvStyle, DataFile, Format, Inventory, Kind, canonical
from sync.adapters.inventory.columns import canonical_all, guess
from sync.errors import ConfigError, IntegrityError

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


async def shapes_of(inventory: Inventory, folder: Path, *, orc_too: bool = False) -> list[Shape]:
    """The inventory's data files on this machine, each verified, by their kinds.

    Remote ones are downloaded into ``folder``. ORC becomes Parquet there, a stripe at a time,
    unless ``orc_too``: DuckDB does not read it. IntegrityError, NotFound, ConfigError.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(file: DataFile) -> Shape:
        async with turns:
            path = await inventory.fetch(file, folder)
            return await asyncio.to_thread(_shape, inventory.kind, file, path, folder, orc_too)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(file)) for file in inventory.files]
    return _merged([task.result() for task in tasks])


def _merged(shapes: Sequence[Shape]) -> list[Shape]:
    """Files that are read alike are read together."""
    files: dict[tuple[object, ...], list[str]] = {}
    like: dict[tuple[object, ...], Shape] = {}
    for shape in shapes:
        kind = (shape.format, shape.columns, shape.header, shape.compressed, shape.encoded)
        like.setdefault(kind, shape)
        files.setdefault(kind, []).extend(shape.files)
    return [_with(shape, files[kind]) for kind, shape in like.items()]


def _with(shape: Shape, files: Sequence[str]) -> Shape:
    return Shape(
        kind=shape.kind,
        format=shape.format,
        files=tuple(files),
        columns=shape.columns,
        header=shape.header,
        delimiter=shape.delimiter,
        compressed=shape.compressed,
        encoded=shape.encoded,
    )


def _shape(kind: Kind, file: DataFile, path: Path, folder: Path, orc_too: bool) -> Shape:  # noqa: FBT001  run by to_thread
    if file.format is Format.CSV:
        return _csv_shape(kind, file, path)
    encoded = bool(file.style.encoded)
    if file.format is Format.ORC and not orc_too:
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


def require_files(shapes: Sequence[Shape], place: object) -> None:
    """ConfigError where plain files were named and there is none."""
    if not shapes:
        raise ConfigError(f"{place}: there are no data files")
