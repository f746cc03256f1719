"""Names of columns in all their spellings, and the columns of a manifest's ``fileSchema``. Pure.

The names are those of the vendors' documents: AWS, "Locating your inventory list" (CSV:
``LastModifiedDate``, Parquet and ORC: ``last_modified_date``), and Google Cloud, "Inventory
reports" (``timeCreated``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from sync.errors import ConfigError

_KNOWN: Final = {
    "bucket": "bucket",
    "key": "key",
    "name": "key",
    "versionid": "version_id",
    "generation": "version_id",
    "islatest": "is_latest",
    "isdeletemarker": "is_delete_marker",
    "timedeleted": "time_deleted",
    "size": "size",
    "lastmodifieddate": "last_modified",
    "timecreated": "time_created",
    "updated": "updated",
    "etag": "etag",
    "storageclass": "storage_class",
    "intelligenttieringaccesstier": "access_tier",
    "encryptionstatus": "encryption_status",
    "crc32c": "crc32c",
    "md5hash": "md5",
}
_IN_MESSAGE: Final = re.compile(r"(\w+)\s*(?:\([^)]*\))?\s*;")
_IN_STRUCT: Final = re.compile(r"(\w+)\s*:")


def canonical(name: str) -> str:
    """The canonical name of a column, or "" for one that it has no use for.

    Case and underscores do not matter: ``ETag``, ``e_tag`` and ``etag`` are the same.
    """
    return _KNOWN.get(re.sub(r"[^a-z0-9]", "", name.lower()), "")


def canonical_all(names: Iterable[str], where: str) -> tuple[str, ...]:
    """``canonical`` for each. ConfigError where there is no key, or a name comes twice."""
    names = tuple(names)
    found = tuple(canonical(name) for name in names)
    used = [name for name in found if name]
    if "key" not in used:
        raise ConfigError(f"{where}: there is no column Key (or name) among {_shown(names)}")
    twice = sorted({name for name in used if used.count(name) > 1})
    if twice:
        raise ConfigError(f"{where}: these columns come twice: {', '.join(twice)}")
    return found


def parse_schema(text: str) -> tuple[str, ...]:
    """The column names of a ``fileSchema``: a list with commas (CSV), ``message ... { }``
    (Parquet) or ``struct<...>`` (ORC), as they are spelled there.
    """
    if "{" in text:
        return tuple(_IN_MESSAGE.findall(text.partition("{")[2]))
    if "<" in text:
        return tuple(_IN_STRUCT.findall(text.partition("<")[2]))
    return tuple(name for part in text.split(",") if (name := part.strip()))


def guess(first: Sequence[str], where: str) -> tuple[str, ...]:
    """The columns of a CSV file without manifest and header, from its first row.

    Known are S3 Inventory's own order, with and without versions, and what the inventory
    script of the original 3GSync took: bucket, key, [versionId,] size. ConfigError where
    that leaves a doubt.
    """
    fields = [field.strip().lower() for field in first]
    numbers = [field.isdecimal() for field in fields]
    if len(fields) == 2:  # noqa: PLR2004  bucket and key alone
        return "bucket", "key"
    if len(fields) >= 6 and _flags(fields[3:5]) and (numbers[5] or not fields[5]):  # noqa: PLR2004
        return "bucket", "key", "version_id", "is_latest", "is_delete_marker", "size"
    third, fourth = [*numbers, False, False, False][2:4]
    if third and not fourth:
        return "bucket", "key", "size"
    if fourth and not third:
        return "bucket", "key", "version_id", "size"
    raise ConfigError(
        f"{where}: what its {len(fields)} columns mean cannot be told from the first row; "
        'say it with --columns "Bucket, Key, ...", as the manifest\'s fileSchema would'
    )


def _flags(fields: Sequence[str]) -> bool:
    return all(field in {"true", "false"} for field in fields)


def _shown(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
