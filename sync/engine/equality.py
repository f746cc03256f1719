"""Is the destination's object what a copy of the source's would be? Pure.

The bytes by size, then by stored checksums, ETags made of MD5s, or the copy's own word; then
content headers, user metadata, and tags where these are copied. The storage class is not
compared: lifecycle rules move objects on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from sync.engine.comparing import evidence
from sync.errors import SyncError, Verdict
from sync.model import Dialect, ObjectHeaders, ObjectMeta

MISSING: Final = "it is missing at the destination"
_CONTENT: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
)
# What stores say of objects that were given none. Sources: Amazon S3 API reference, "PutObject";
# Cloud Storage documentation, "Object metadata" (Cache-Control of objects that are not public).
_MADE_UP: Final = frozenset(
    {
        ("content-type", "binary/octet-stream"),
        ("content-type", "application/octet-stream"),
        ("cache-control", "private, max-age=0"),
    }
)
_OWN: Final = "3gsync-"
_SHOWN: Final = 80


class Different(SyncError):
    """The destination's object is not the source's; the text says in what."""

    verdict = Verdict.DEAD_LETTER


class Likeness(NamedTuple):
    """``proof``: what the bytes are equal by, "" where nothing tells. ``differs`` are the
    differences in bytes, headers and metadata; ``tags`` names the tags that differ.
    """

    proof: str = ""
    differs: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Proven equal in everything."""
        return bool(self.proof) and not self.differs and not self.tags

    @property
    def only_tags(self) -> bool:
        """Proven equal but for the tags."""
        return bool(self.proof and self.tags) and not self.differs

    @property
    def reasons(self) -> tuple[str, ...]:
        """All differences, in words."""
        tags = (f"tags differ: {', '.join(self.tags)}",) if self.tags else ()
        return self.differs + tags


def likeness(
    source: ObjectMeta,
    destination: ObjectMeta,
    *,
    wanted: ObjectHeaders,
    headers: bool,
    tagging: str | None,
    dialect: Dialect,
) -> Likeness:
    """Compare. ``wanted`` are the headers and tags a copy would have; without ``headers`` only
    the bytes count; ``tagging`` are the destination's tags, or None where they do not.
    """
    proof, differs = _bytes(source, destination)
    if headers:
        differs += [*_content(wanted, destination.headers, dialect)]
        differs += [*_metadata(wanted, destination.headers)]
    tags = () if tagging is None else tuple(sorted(_unlike(_tags(wanted.tagging), _tags(tagging))))
    return Likeness(proof, tuple(differs), tags)


def _bytes(source: ObjectMeta, destination: ObjectMeta) -> tuple[str, list[str]]:
    if source.size != destination.size:
        return "", [f"it has {destination.size} bytes, the source {source.size}"]
    said = evidence.stored(source, destination)
    if said.same is None:
        said = evidence.provenance(source, destination)
    if said.same is None:
        return "", []
    return ("", [said.detail]) if not said.same else (str(said.proof), [])


def _content(wanted: ObjectHeaders, found: ObjectHeaders, dialect: Dialect) -> Iterator[str]:
    ours, theirs = dict(wanted.content), dict(found.content)
    for name in _CONTENT:
        one, other = ours.get(name, ""), theirs.get(name, "")
        if one == other or (name == "expires" and not dialect.keeps_expires):
            continue
        if one or (name, other) not in _MADE_UP:
            yield f"{name} is {other[:_SHOWN]!r}, not {one[:_SHOWN]!r}"


def _metadata(wanted: ObjectHeaders, found: ObjectHeaders) -> Iterator[str]:
    ours, theirs = (
        {name: value for name, value in one.metadata if not name.startswith(_OWN)}
        for one in (wanted, found)
    )
    names = sorted(_unlike(ours, theirs))
    if names:
        yield f"metadata differs: {', '.join(names)}"


def _tags(tagging: str) -> dict[str, str]:
    return dict(parse_qsl(tagging, keep_blank_values=True))


def _unlike(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
