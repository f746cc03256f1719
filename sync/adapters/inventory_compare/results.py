"""What a comparison gives, row by row."""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """A difference, or all objects of a class that are the same on both sides.

    ``kind`` is the class. Sizes are bytes, times POSIX timestamps in whole seconds, None where
    a side has no such object or does not say; ``raw`` is a key that could not be decoded.
    ``objects`` and ``bytes`` are what the row stands for.
    """

    kind: str
    difference: str
    key: str | None
    raw: str | None
    source_size: int | None
    destination_size: int | None
    source_modified: int | None
    destination_modified: int | None
    objects: int
    bytes: int


# The columns of the report, in the order of a Row's fields.
COLUMNS: Final = ("class", *Row._fields[1:])
