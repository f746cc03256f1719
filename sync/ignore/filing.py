"""Under what each line of an ignore list is filed, so that few are tested for a key.

Each line is filed under one text that whatever it matches must hold: the text it begins
with, the text it ends with, or a few characters in its middle; of these the one that the
fewest other lines share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sync.ignore.patterns import KeyPattern, Rule, Token, Wild, least_length, to_regex, tokens

_GRAM: Final = 8
# So few lines under one anchor are tested sooner than a better anchor is looked for.
_FEW: Final = 8


class Place(Enum):
    """Where in a key the text is by which a line is filed."""

    BEGINS = "begins"
    ENDS = "ends"
    HOLDS = "holds"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A text that whatever a line matches has in that place; backwards for ENDS."""

    place: Place
    text: str


_NO_ANCHOR: Final = Anchor(Place.ALWAYS, "")


class Entry:
    """A line in the index; ``number`` is its place among the rules.

    ``sure`` means that being found under its anchor is enough. The expression is compiled
    when it is first tested: compiling tens of thousands takes seconds.
    """

    __slots__ = ("_parts", "_pattern", "least", "number", "sure")

    def __init__(self, number: int, rule: Rule) -> None:
        self._parts = tokens(rule.glob)
        self._pattern: KeyPattern | None = None
        self.number = number
        self.least = least_length(self._parts)
        self.sure = _sure_anchor(self._parts)

    def matches(self, text: str) -> bool:
        """Whether the line matches; it was found under its anchor already."""
        if self.sure is not None:
            return True
        if len(text) < self.least:
            return False
        if self._pattern is None:
            self._pattern = KeyPattern(re.compile(to_regex(self._parts)), True)
        return self._pattern.match_file(text) is not None

    def outer_anchors(self) -> list[Anchor]:
        """By the text at its beginning and at its end, where it has them."""
        first, last = self._parts[0], self._parts[-1]
        begins = [Anchor(Place.BEGINS, first)] if isinstance(first, str) else []
        ends = [Anchor(Place.ENDS, last[::-1])] if isinstance(last, str) else []
        return begins + ends

    def inner_anchors(self) -> list[Anchor]:
        """By each run of a few characters of its texts."""
        texts = [part for part in self._parts if isinstance(part, str)]
        return [Anchor(Place.HOLDS, gram) for text in texts for gram in grams(text)]


def _sure_anchor(parts: tuple[Token, ...]) -> Anchor | None:
    """The anchor that says it all: of ``text``, ``text*``, ``*text`` and ``*``."""
    match parts:
        case (str(text),) | (str(text), Wild.STAR):
            return Anchor(Place.BEGINS, text)
        case (Wild.STAR, str(text)):
            return Anchor(Place.ENDS, text[::-1])
        case (Wild.STAR,):
            return Anchor(Place.BEGINS, "")
    return None


def grams(text: str, size: int = _GRAM) -> Iterator[str]:
    """Every run of ``size`` characters, or the whole of a shorter text."""
    return (text[at : at + size] for at in range(max(1, len(text) - size + 1)))


Group = list[Entry]  # last in the file first


def best(group: Group, text: str, above: int) -> int:
    """Number of the last line that matches, if it is above ``above``; else ``above``."""
    for entry in group:
        if entry.number <= above:
            break
        if entry.matches(text):
            return entry.number
    return above


def file_entries(entries: list[Entry]) -> dict[Anchor, Group]:
    """Every entry under its best anchor."""
    shared = Counter(a for e in entries if e.sure is None for a in e.outer_anchors())
    chosen = [entry.sure or _rarest(entry.outer_anchors(), shared) for entry in entries]
    crowded = [
        at
        for at, anchor in enumerate(chosen)
        if entries[at].sure is None and (anchor is _NO_ANCHOR or shared[anchor] > _FEW)
    ]
    shared.update(a for at in crowded for a in set(entries[at].inner_anchors()))
    for at in crowded:
        chosen[at] = _rarest([chosen[at], *entries[at].inner_anchors()], shared)
    groups: dict[Anchor, Group] = {}
    for entry, anchor in zip(reversed(entries), reversed(chosen), strict=True):
        groups.setdefault(anchor, []).append(entry)
    return groups


def _rarest(anchors: list[Anchor], count: Counter[Anchor]) -> Anchor:
    """The anchor that the fewest lines share; of equals the longest."""
    known = [anchor for anchor in anchors if anchor is not _NO_ANCHOR]
    return min(known, key=lambda a: (count[a], -len(a.text)), default=_NO_ANCHOR)
