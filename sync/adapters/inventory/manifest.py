"""``manifest.json`` of S3 Inventory and of Storage Insights -> what it lists. Pure.

Shapes: AWS, "Locating your inventory list"; Google Cloud, "Inventory reports", manifest file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sync.adapters.inventory.columns import canonical_all, parse_schema
from sync.adapters.inventory.places import Place
from sync.adapters.inventory.values import CsvStyle, DataFile, Format, Kind
from sync.errors import ConfigError
from sync.json_text import loads

_FORMATS: Final = {"csv": Format.CSV, "parquet": Format.PARQUET, "orc": Format.ORC}
_SUFFIXES: Final = (
    (".csv", Format.CSV),
    (".csv.gz", Format.CSV),
    (".parquet", Format.PARQUET),
    (".orc", Format.ORC),
)
_DIGITS: Final = 19
_SHOWN: Final = 200
# Where a copy of an inventory keeps its data files, seen from its manifest.
_BESIDE: Final = ("", "data/", "files/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``bucket`` is what the inventory is of, "" where the manifest does not say; ``created``
    a POSIX timestamp or 0.0; ``records`` how many rows there are, None where nobody says.
    """

    kind: Kind
    files: tuple[DataFile, ...]
    bucket: str = ""
    created: float = 0.0
    records: int | None = None


def parse_manifest(data: bytes, place: Place) -> Manifest:
    """The manifest that was read at ``place``. ConfigError where it is none."""
    try:
        value = loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"{place} is no manifest: {error}") from None
    if isinstance(value, dict) and "fileSchema" in value:
        return _s3(value, place)
    if isinstance(value, dict) and "report_shards_file_names" in value:
        return _gcs(value, place)
    raise ConfigError(
        f"{place} is no manifest of an inventory: it has neither fileSchema (S3 Inventory) nor "
        "report_shards_file_names (Storage Insights)"
    )


def format_of(name: str) -> Format | None:
    """The format that a file's name tells, or None."""
    lower = name.lower()
    return next((kind for suffix, kind in _SUFFIXES if lower.endswith(suffix)), None)


def _s3(value: Mapping[str, Any], place: Place) -> Manifest:
    kind = _FORMATS.get(str(value.get("fileFormat", "")).lower())
    if kind is None:
        raise ConfigError(f"{place}: fileFormat {value.get('fileFormat')!r} is not known")
    # Parquet and ORC files name their columns themselves, so theirs is only looked over here.
    columns = canonical_all(parse_schema(str(value["fileSchema"])), f"{place} (fileSchema)")
    if kind is not Format.CSV:
        columns = ()
    bucket = str(value.get("destinationBucket", "")).rpartition(":")[2]
    style = CsvStyle(header=False, encoded=kind is Format.CSV, exact=True)
    files = tuple(
        DataFile(
            name=entry["key"],
            places=tuple(_s3_places(entry["key"], place, bucket)),
            format=kind,
            size=_count(entry, "size"),
            md5=str(entry.get("MD5checksum", "")).lower(),
            columns=columns,
            style=style,
        )
        for entry in _entries(value, place)
    )
    return Manifest(
        kind=Kind.S3,
        files=files,
        bucket=str(value.get("sourceBucket", "")).rpartition(":")[2],
        created=(_count(value, "creationTimestamp") or 0) / 1000,
    )


def _entries(value: Mapping[str, Any], place: Place) -> Iterator[dict[str, Any]]:
    files = value.get("files")
    if not isinstance(files, list):
        raise ConfigError(f"{place}: files is not a list")
    for entry in files:
        if not isinstance(entry, dict) or not _is_name(entry.get("key")):
            raise ConfigError(f"{place}: a file without a key: {ascii(entry)[:_SHOWN]}")
        yield entry


def _s3_places(key: str, place: Place, bucket: str) -> Iterator[Place]:
    """The inventory's own bucket, and beside the manifest: it may be a copy. Besides, where
    the destination prefix ends in ``/`` the manifest lists keys that are not the files' own.
    """
    beside = [place.folder.child(folder + key.rpartition("/")[2]) for folder in _BESIDE]
    beside.append(place.folder.folder.child(f"data/{key.rpartition('/')[2]}"))
    own = [Place("s3", bucket, key)] if bucket else []
    yield from [*own, *beside] if place.scheme == "s3" else [*beside, *own]


def _gcs(value: Mapping[str, Any], place: Place) -> Manifest:
    names = value["report_shards_file_names"]
    if not isinstance(names, list) or not all(map(_is_name, names)):
        raise ConfigError(f"{place}: report_shards_file_names is not a list of names")
    shards = _count(value, "shard_count")
    if shards is not None and shards != len(names):
        raise ConfigError(f"{place}: {len(names)} shards are named, and there are {shards}")
    config = _part(value, "report_config")
    style = _csv_options(_part(config, "csv_options"))
    fields = _part(config, "object_metadata_report_options").get("metadata_fields")
    columns = canonical_all(map(str, fields), str(place)) if isinstance(fields, list) else ()
    files = tuple(_shard(name, place, style, columns) for name in names)
    return Manifest(
        kind=Kind.GCS,
        files=files,
        created=_time(value.get("snapshot_time")),
        records=_count(value, "records_processed"),
    )


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _shard(name: str, place: Place, style: CsvStyle, columns: tuple[str, ...]) -> DataFile:
    base = name.rpartition("/")[2]
    kind = format_of(base)
    if kind is None:
        raise ConfigError(f"{place}: {name!r} is neither CSV nor Parquet by its name")
    places = (place.folder.child(base),)
    columns = columns if kind is Format.CSV else ()
    return DataFile(name=base, places=places, format=kind, columns=columns, style=style)


def _csv_options(options: Mapping[str, Any]) -> CsvStyle:
    delimiter = options.get("delimiter")
    header = options.get("header_required")
    return CsvStyle(
        delimiter=delimiter if isinstance(delimiter, str) and len(delimiter) == 1 else ",",
        header=header if isinstance(header, bool) else None,
        encoded=False,
    )


def _count(value: Mapping[str, Any], name: str) -> int | None:
    """Google's JSON may hold numbers as texts. None for what no file or time can have."""
    found = value.get(name)
    text = str(found) if isinstance(found, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else None


def _is_name(value: object) -> bool:
    """A text that can be a key and the name of a file."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def _time(text: object) -> float:
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
