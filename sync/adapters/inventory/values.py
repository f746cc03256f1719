"""What an inventory consists of: data files, batches of rows, and rows nobody can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from sync.adapters.inventory.places import Place
from sync.model import ListedObject

SIZE_UNKNOWN: Final = -1


class Format(StrEnum):
    """How a data file is written."""

    CSV = "CSV"
    PARQUET = "Parquet"
    ORC = "ORC"


class Kind(StrEnum):
    """Whose inventory it is; PLAIN: data files without a manifest."""

    S3 = "S3 Inventory"
    GCS = "Storage Insights"
    PLAIN = "plain files"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvStyle:
    """How a CSV file is written. ``header`` None: look at the first row. ``encoded``: keys are
    form-encoded; None: they are, unless a header names the columns as Google does. ``exact``:
    each row has as many fields as there are ``columns``; else it may have more.
    """

    delimiter: str = ","
    header: bool | None = None
    encoded: bool | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """One data file. ``name`` tells it from the others of its inventory; ``places`` are where
    it may be, the likeliest first. ``size`` and ``md5`` (hex) are None and "" where nobody
    said. ``columns`` are canonical names ("" for one without use), for CSV only, and () where
    the file itself has to say.
    """

    name: str
    places: tuple[Place, ...]
    format: Format
    size: int | None = None
    md5: str = ""
    columns: tuple[str, ...] = ()
    style: CsvStyle = CsvStyle()


class InventoryRow(NamedTuple):
    """One readable row. ``number`` counts the file's rows from 1, a header included.

    ``object.size`` is SIZE_UNKNOWN where the inventory has no sizes, and 0 for delete markers;
    ``bucket`` is "" where neither row nor manifest say; ``access_tier`` is Intelligent-Tiering's.
    """

    number: int
    bucket: str
    object: ListedObject
    is_latest: bool = True
    is_delete_marker: bool = False
    access_tier: str = ""


class RowFault(NamedTuple):
    """A row that nobody can read: an object may be missing because of it."""

    file: str
    number: int
    reason: str


class RowBatch(NamedTuple):
    """Neighbouring rows of one file. ``last`` is the number of the last row looked at: reading
    goes on behind it with ``skip=last``.
    """

    file: DataFile
    last: int
    rows: Sequence[InventoryRow]
    faults: Sequence[RowFault] = ()
