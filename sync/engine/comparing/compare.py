"""Two listings in key order, merged: what is missing, what differs, what is too many. Pure.

Works on windows: two runs of objects that cover the same stretch of keys whole. Most windows
of a healthy bucket are equal, and those are compared without a step of Python for each object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from sync.model import ARCHIVED, ListedObject

Pair = tuple[ListedObject, ListedObject]
_MD5: Final = re.compile(r"[0-9a-fA-F]{32}").fullmatch


class Difference(StrEnum):
    """How an object's two sides differ.

    ======================  ==========  =============================================
    at the source           destination  is
    ======================  ==========  =============================================
    there                   not there    MISSING (ARCHIVED where it must be restored)
    there                   other size   SIZE    (ARCHIVED likewise)
    there, same size        other MD5    ETAG         where ETags are compared
    there, same size        written      NEWER        where times are compared: the
                            before it                 source changed after the copy
    there, same size        there        VERSION, CHECKSUM, CONTENT, HEADERS by a
                                         closer look
    not there               there        EXTRANEOUS
    ======================  ==========  =============================================
    """

    MISSING = "missing"
    SIZE = "size"
    ETAG = "etag"
    NEWER = "newer"
    VERSION = "version"
    CHECKSUM = "checksum"
    CONTENT = "content"
    ARCHIVED = "archived"
    EXTRANEOUS = "extraneous"


class Finding(NamedTuple):
    """One difference. ``key`` is the source's; the destination's entry bears the same one."""

    kind: Difference
    key: str
    source: ListedObject | None = None
    destination: ListedObject | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """What is compared beside the size. ``archived_too``: restored ones cannot be told from
    others in a listing, so on demand archived objects count as missing like all.
    """

    etag: bool = False
    modified: bool = False
    archived_too: bool = False


@dataclass(slots=True)
class Tally:
    """Counts of a comparison; bytes are the source's, or the destination's where it has none."""

    source_objects: int = 0
    source_bytes: int = 0
    destination_objects: int = 0
    destination_bytes: int = 0
    equal: int = 0
    incomparable: int = 0
    found: dict[Difference, int] = field(default_factory=dict)
    found_bytes: dict[Difference, int] = field(default_factory=dict)

    def count(self, finding: Finding) -> None:
        """One more."""
        entry = finding.source or finding.destination
        size = entry.size if entry else 0
        self.found[finding.kind] = self.found.get(finding.kind, 0) + 1
        self.found_bytes[finding.kind] = self.found_bytes.get(finding.kind, 0) + size


class Window(NamedTuple):
    """What a stretch of keys came to: the differences, and the pairs that look equal."""

    findings: list[Finding]
    equal: Sequence[Pair]


def examine(
    source: Sequence[ListedObject], destination: Sequence[ListedObject], how: Comparing
) -> Window:
    """Compare two runs that cover the same stretch of keys whole, each in key order."""
    if [entry.key for entry in source] == [entry.key for entry in destination]:
        pairs = list(zip(source, destination, strict=True))
        return _paired(pairs, how)
    held = {entry.key: entry for entry in destination}
    pairs, findings = [], []
    for entry in source:
        other = held.pop(entry.key, None)
        if other is None:
            findings.append(_absent(entry, how))
        else:
            pairs.append((entry, other))
    findings += [Finding(Difference.EXTRANEOUS, key, None, entry) for key, entry in held.items()]
    window = _paired(pairs, how)
    return Window(findings + window.findings, window.equal)


def _absent(entry: ListedObject, how: Comparing) -> Finding:
    archived = entry.storage_class in ARCHIVED and not how.archived_too
    return Finding(Difference.ARCHIVED if archived else Difference.MISSING, entry.key, entry)


def _paired(pairs: Sequence[Pair], how: Comparing) -> Window:
    if not (how.etag or how.modified):
        differing = [pair for pair in pairs if pair[0].size != pair[1].size]
        if not differing:
            return Window([], pairs)
    findings, equal = [], []
    for source, destination in pairs:
        kind = _difference(source, destination, how)
        if kind is None:
            equal.append((source, destination))
        else:
            findings.append(Finding(kind, source.key, source, destination))
    return Window(findings, equal)


def _difference(
    source: ListedObject, destination: ListedObject, how: Comparing
) -> Difference | None:
    if source.size != destination.size:
        archived = source.storage_class in ARCHIVED and not how.archived_too
        return Difference.ARCHIVED if archived else Difference.SIZE
    if how.etag and etags_tell(source, destination) and source.etag != destination.etag:
        return Difference.ETAG
    if how.modified and source.last_modified > destination.last_modified > 0:
        return Difference.NEWER
    return None


def etags_tell(source: ListedObject, destination: ListedObject) -> bool:
    """True where both ETags have the shape of an MD5.

    S3's of multipart uploads have not; those of objects encrypted with KMS have it and are none
    (S3 API reference, Object), so whether ETags are compared is the user's choice.
    """
    return bool(_MD5(source.etag) and _MD5(destination.etag))


def kinds(tally: Tally) -> Iterator[tuple[Difference, int, int]]:
    """The kinds that were found: count and bytes, in the order of `Difference`."""
    for kind in Difference:
        if kind in tally.found:
            yield kind, tally.found[kind], tally.found_bytes[kind]
