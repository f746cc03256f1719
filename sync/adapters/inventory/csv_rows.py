"""CSV data files, compressed or not, a batch of rows at a time."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from sync.adapters.inventory.columns import canonical, canonical_all, guess
from sync.adapters.inventory.rows import RowReader, UnreadableRow
from sync.adapters.inventory.values import CsvStyle, DataFile, InventoryRow, RowBatch, RowFault
from sync.errors import IntegrityError

BATCH: Final = 2000
_GZIP: Final = b"\x1f\x8b"
_LONGEST_ROW: Final = 256 * 1024
_BUFFER: Final = 256 * 1024
_BROKEN: Final = (csv.Error, EOFError, gzip.BadGzipFile, zlib.error)


def read_csv(
    file: DataFile, path: Path, *, bucket: str, skip: int = 0, batch: int = BATCH
) -> Iterator[RowBatch]:
    """The file's rows behind the first ``skip``, in batches.

    ConfigError where nobody says what the columns are; IntegrityError where the file is cut
    or damaged.
    """
    try:
        with path.open("rb") as raw, _uncompressed(raw) as data:
            text = io.TextIOWrapper(data, "utf-8-sig", errors="surrogateescape", newline="")
            yield from _batches(file, text, bucket=bucket, skip=skip, batch=batch)
    except _BROKEN as error:
        raise IntegrityError(f"{file.name}: the file is cut or damaged ({error})") from None


def _uncompressed(raw: BinaryIO) -> BinaryIO:
    """By what the file begins with: names lie, and some stores decompress on the way."""
    compressed = raw.read(len(_GZIP)) == _GZIP
    raw.seek(0)
    if not compressed:
        return raw
    return io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER)


def _batches(
    file: DataFile, text: io.TextIOWrapper, *, bucket: str, skip: int, batch: int
) -> Iterator[RowBatch]:
    bounded = _Lines(file, text)
    lines = enumerate(csv.reader(bounded, delimiter=file.style.delimiter), 1)
    reader: RowReader | None = None
    rows: list[InventoryRow] = []
    faults: list[RowFault] = []
    number = 0
    for number, values in lines:
        bounded.row_ended()
        if not values:  # a blank line
            continue
        if reader is None:
            columns, header = _layout(file, values)
            reader = _reader(file.style, columns, header=header, bucket=bucket, names=values)
            if header:
                continue
        if number <= skip:
            continue
        try:
            rows.append(reader.row(values, number))
        except UnreadableRow as error:
            faults.append(RowFault(file.name, number, str(error)))
        if len(rows) + len(faults) >= batch:
            yield RowBatch(file, number, rows, faults)
            rows, faults = [], []
    if rows or faults:
        yield RowBatch(file, number, rows, faults)


class _Lines:
    """The lines of a file, as long as a row stays within what a row can be: a few bytes of a
    compressed file can be a line of gigabytes, or quotes that never end.
    """

    def __init__(self, file: DataFile, text: io.TextIOWrapper) -> None:
        self._name = file.name
        self._read = text.readline
        self._left = _LONGEST_ROW

    def row_ended(self) -> None:
        """The next line begins a row."""
        self._left = _LONGEST_ROW

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read(self._left)
        if not line:
            raise StopIteration
        self._left -= len(line)
        if self._left <= 0:
            raise IntegrityError(f"{self._name}: a row of more than {_LONGEST_ROW} characters")
        return line


def _layout(file: DataFile, first: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The columns, and whether the first row only names them. What it names holds."""
    header = file.style.header
    if header is None:
        header = _is_header(first)
    if header and (_is_header(first) or not file.columns):
        return canonical_all(first, file.name), True
    return file.columns or guess(first, file.name), header


def _is_header(first: Sequence[str]) -> bool:
    """No object is called like a column in the very column of its name, and no size is a word."""
    known = [canonical(name) for name in first]
    return "key" in known and sum(map(bool, known)) > 1


def _reader(
    style: CsvStyle, columns: Sequence[str], *, header: bool, bucket: str, names: Sequence[str]
) -> RowReader:
    encoded = style.encoded
    if encoded is None:
        encoded = not (header and "name" in {name.strip().lower() for name in names})
    return RowReader(columns, encoded=encoded, bucket=bucket, exact=style.exact or header)
