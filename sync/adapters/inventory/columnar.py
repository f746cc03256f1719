"""Parquet and ORC data files over pyarrow, which is imported only for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sync.adapters.inventory.columns import canonical_all
from sync.adapters.inventory.csv_rows import BATCH
from sync.adapters.inventory.rows import RowReader, UnreadableRow
from sync.adapters.inventory.values import DataFile, Format, InventoryRow, RowBatch, RowFault
from sync.errors import ConfigError, IntegrityError

_MICROSECONDS: Final = 1e6


def read_columnar(
    file: DataFile, path: Path, *, bucket: str, skip: int = 0, batch: int = BATCH
) -> Iterator[RowBatch]:
    """As `csv_rows.read_csv`. One row group or stripe is in memory at a time.

    ConfigError where pyarrow is not installed.
    """
    arrow = _arrow(file)
    try:
        names, tables = (_parquet if file.format is Format.PARQUET else _orc)(path, batch)
        columns = canonical_all(names, file.name)
        wanted = [index for index, name in enumerate(columns) if name]
        used = [columns[index] for index in wanted]
        reader = RowReader(used, encoded=bool(file.style.encoded), bucket=bucket)
        number = 0
        for table in tables([names[index] for index in wanted]):
            start, number = number, number + table.num_rows
            if number > skip:
                values = [_values(arrow, column) for column in table.columns]
                yield _batch(file, reader, values, start=start, skip=skip)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise IntegrityError(f"{file.name}: the file is cut or damaged ({reason})") from None


def _arrow(file: DataFile) -> Any:
    try:
        return import_module("pyarrow")
    except ImportError:
        raise ConfigError(
            f"{file.name}: reading {file.format} needs pyarrow: pip install '3gsync[inventory]'"
        ) from None


def _parquet(path: Path, batch: int) -> tuple[list[str], Any]:
    opened = import_module("pyarrow.parquet").ParquetFile(path, pre_buffer=False)

    def tables(names: Sequence[str]) -> Iterator[Any]:
        yield from opened.iter_batches(batch_size=batch, columns=names, use_threads=False)

    return list(opened.schema_arrow.names), tables


def _orc(path: Path, batch: int) -> tuple[list[str], Any]:
    opened = import_module("pyarrow.orc").ORCFile(path)

    def tables(names: Sequence[str]) -> Iterator[Any]:
        for number in range(opened.nstripes):
            stripe = opened.read_stripe(number, columns=list(names)).select(list(names))
            for start in range(0, stripe.num_rows, batch):
                yield stripe.slice(start, batch)

    return list(opened.schema.names), tables


def _values(arrow: Any, column: Any) -> list[Any]:
    """Python values; times as POSIX timestamps. One without a zone is UTC, as S3 writes them."""
    if not arrow.types.is_timestamp(column.type):
        return list(column.to_pylist())
    ticks = column.cast(arrow.timestamp("us", column.type.tz), safe=False).cast(arrow.int64())
    return [None if tick is None else tick / _MICROSECONDS for tick in ticks.to_pylist()]


def _batch(
    file: DataFile, reader: RowReader, columns: Sequence[list[Any]], *, start: int, skip: int
) -> RowBatch:
    rows: list[InventoryRow] = []
    faults: list[RowFault] = []
    number = start
    for number, values in enumerate(zip(*columns, strict=True), start + 1):
        if number <= skip:
            continue
        try:
            rows.append(reader.row(values, number))
        except UnreadableRow as error:
            faults.append(RowFault(file.name, number, str(error)))
    return RowBatch(file, number, rows, faults)
