"""What the user named -> a manifest, or plain data files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sync.adapters.inventory.files import Files
from sync.adapters.inventory.manifest import format_of
from sync.adapters.inventory.places import Place
from sync.adapters.inventory.values import CsvStyle, DataFile, Format
from sync.errors import ConfigError, NotFound

MANIFEST: Final = "manifest.json"
CHECKSUM: Final = "manifest.checksum"
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\dZ")
_REPORT: Final = re.compile(
    r"(?P<config>.+)_(?P<when>\d{4}-\d\d-\d\dT\d\d[:_-]?\d\d.*)_manifest.json"
)
_SHOWN: Final = 8


def is_manifest(place: Place) -> bool:
    """A manifest, judged by its name."""
    return place.name == MANIFEST or place.name.endswith("_manifest.json")


async def manifest_in(files: Files, folder: Place) -> Place | None:
    """The manifest of the newest inventory in a folder, or None where there is none.

    A folder is a dated one of S3 Inventory, the one that holds the dated ones, or one with the
    reports of Storage Insights. ConfigError where it holds those of several configurations.
    """
    found = await files.folder(folder)
    if MANIFEST in found.files:
        return folder.child(MANIFEST)
    reports = [name for name in found.files if name.endswith("_manifest.json")]
    if reports:
        return folder.child(_newest_report(reports, folder))
    for name in sorted(filter(_DATED.fullmatch, found.folders), reverse=True):
        dated = await files.folder(folder.child(f"{name}/"))
        # S3 writes the checksum last: before, the inventory is not complete.
        if {MANIFEST, CHECKSUM} <= dated.files.keys():
            return folder.child(f"{name}/{MANIFEST}")
    return None


def _newest_report(names: Sequence[str], folder: Place) -> str:
    matches = [match for name in names if (match := _REPORT.fullmatch(name))]
    if len({match["config"] for match in matches}) == 1:
        return max(matches, key=lambda match: match["when"]).string
    if len(names) == 1:
        return names[0]
    raise ConfigError(f"{folder} holds reports of several kinds: name one of {_some(names)}")


async def plain_files(
    files: Files, places: Sequence[Place], *, columns: tuple[str, ...], encoded: bool | None
) -> tuple[DataFile, ...]:
    """Data files without a manifest: those named, and all that are directly in folders named.

    ConfigError for a file whose format its name does not tell, NotFound where none are found.
    """
    found: list[DataFile] = []
    for place in places:
        chosen = await _inside(files, place) if place.is_folder else [place]
        found += [_plain(one, columns=columns, encoded=encoded) for one in chosen]
    names = [file.name for file in found]
    if len(set(names)) != len(names):
        raise ConfigError("a data file is named twice")
    return tuple(found)


async def _inside(files: Files, folder: Place) -> list[Place]:
    found = await files.folder(folder)
    names = [name for name in found.files if format_of(name)]
    if names:
        return [folder.child(name) for name in names]
    inner = f"; it holds the folders {_some(found.folders)}" if found.folders else ""
    raise NotFound(
        f"{folder} holds neither a finished inventory (manifest.json and manifest.checksum) nor "
        f"data files (.csv, .csv.gz, .parquet, .orc){inner}"
    )


def _plain(place: Place, *, columns: tuple[str, ...], encoded: bool | None) -> DataFile:
    kind = format_of(place.name) or Format.CSV
    return DataFile(
        name=str(place),
        places=(place,),
        format=kind,
        columns=columns if kind is Format.CSV else (),
        style=CsvStyle(encoded=encoded),
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(sorted(names)[:_SHOWN]) + more
