"""What is loaded: the same objects in every run, their bytes made from their names."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
_BLOCK: Final = 4 * MIB

IGNORE_LIST: Final = """\
# The demonstration's ignore list.
{bucket}/scratch/
*.tmp
thumbs.db
!{bucket}/scratch/keep*
"""

IGNORED_KEYS: Final = (
    "scratch/a.bin",
    "scratch/deep/er/b.bin",
    "scratch/",
    "half-written.tmp",
    "deep/down/below.tmp",
    "thumbs.db",
)

AWKWARD_KEYS: Final = (
    "a//b",
    "/leading",
    "//two/leading",
    "trailing/",
    "./here",
    "../up",
    "in/../between",
    "dots/./inside",
    "plus+sign",
    "a+b c%2Bd",
    "%2B",
    "%41",
    "100%",
    " blank before and after ",
    "tab\tinside",
    "emoji 😀/🚀.png",
    "数据/档案.txt",
    "zero\u200bwidth",
    "composed-\u00e9",
    "decomposed-e\u0301",
    "question?mark=1&and#hash",
    "<quotes> \"'& back\\slash",
    "a:b@c;d,e=f$g!h*(i)[j]{k}|l^m~n`o",
    "scratch/keep-this-one",
    "long/" + "n" * 1019,
    "lang/" + "ü" * 509,
)

NEWLINE_KEY: Final = "line\nbreak.txt"
"""No GCS destination can hold it. moto cannot either, so only its event is sent."""

FORBIDDEN_KEY: Final = ".."
"""A legal name in S3; Cloud Storage refuses it."""

_TYPES: Final = (
    ("image/jpeg", ".jpg"),
    ("application/json", ".json"),
    ("text/plain; charset=utf-8", ".txt"),
    ("application/x-parquet", ".parquet"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One object in one of its editions. ``content`` and ``metadata`` as boto3 takes them."""

    key: str
    size: int
    content: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    edition: int = 1

    def body(self) -> bytes:
        """Its bytes: noise that differs with key, edition and place."""
        return b"".join(self._blocks())

    def _blocks(self) -> Iterator[bytes]:
        name = hashlib.sha256(self.key.encode()).hexdigest()
        noise = random.Random(f"{name} {self.edition}")  # noqa: S311  no secret  # nosec B311
        for start in range(0, self.size, _BLOCK):
            yield noise.randbytes(min(_BLOCK, self.size - start))

    def headers(self) -> dict[str, Any]:
        """Keyword arguments for a boto3 write."""
        return {**dict(self.content), "Metadata": dict(self.metadata)}

    def rewritten(self) -> Item:
        """The next edition: other bytes, another size, another metadata value."""
        metadata = (*self.metadata, ("edition", str(self.edition + 1)))
        size = max(1, self.size - 7 * self.edition) if self.size else 11
        return replace(self, size=size, edition=self.edition + 1, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All objects of a run, in the groups in which the story handles them."""

    small: tuple[Item, ...]
    awkward: tuple[Item, ...]
    ignored: tuple[Item, ...]
    middling: tuple[Item, ...]
    large: tuple[Item, ...]
    giant: Item
    forbidden: Item
    rewrites: int
    deletes: int

    def __iter__(self) -> Iterator[Item]:
        for group in (self.small, self.awkward, self.ignored, self.middling, self.large):
            yield from group
        yield from (self.giant, self.forbidden)

    def wanted(self) -> Iterator[Item]:
        """Those that are to arrive."""
        for group in (self.small, self.awkward, self.middling, self.large):
            yield from group
        yield self.giant


def catalogue(*, small: bool) -> Catalogue:
    """The objects of the full run (0 bytes to 200 MB) or of the small one."""
    count, middling, rewrites, deletes = (60, 6, 8, 4) if small else (400, 40, 20, 10)
    unit = MIB if small else 8 * MIB
    large = (12 * MIB,) if small else (60 * MIB + 1, 75 * MIB, 90 * MIB - 1)
    return Catalogue(
        small=tuple(_item(f"photos/{n:04}", n, _small_size(n)) for n in range(count)),
        awkward=tuple(_item(key, n, 100 + n) for n, key in enumerate(AWKWARD_KEYS)),
        ignored=tuple(_item(key, n, 500) for n, key in enumerate(IGNORED_KEYS)),
        middling=tuple(_item(f"tables/{n:03}", n, _spread(n, unit)) for n in range(middling)),
        large=tuple(_item(f"films/{n}", n, size) for n, size in enumerate(large)),
        giant=_item("films/giant", 0, (48 if small else 200) * MIB + 12345),
        forbidden=_item(FORBIDDEN_KEY, 2, 77),
        rewrites=rewrites,
        deletes=deletes,
    )


def _small_size(number: int) -> int:
    """0 to 64 KiB, each edge among them."""
    edges = (0, 1, 64 * KIB)
    return edges[number] if number < len(edges) else _spread(number, 64 * KIB)


def _spread(number: int, most: int) -> int:
    """A size between an eighth of ``most`` and ``most``, without a pattern to the eye."""
    return most // 8 + number * 2_654_435_761 % (most - most // 8)


def _item(key: str, number: int, size: int) -> Item:
    kind, ending = _TYPES[number % len(_TYPES)]
    plain = key[-4:].isdigit() or key.startswith(("tables/", "films/"))
    content = [("ContentType", kind)]
    if number % 3 == 0:
        content.append(("CacheControl", "max-age=3600"))
    if number % 5 == 0:
        content.append(("ContentLanguage", "de, en"))
    if number % 7 == 0:
        content.append(("ContentDisposition", 'attachment; filename="a b.bin"'))
    metadata = (("number", str(number)), ("with_underscore", "x"), ("note", "a, b; c=d"))
    return Item(key + ending if plain else key, size, tuple(content), metadata[: number % 4])
