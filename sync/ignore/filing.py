"""Under what each line of an ignore list is filed, so that few are tested for a key.

Each line is filed under one text that whatever it matches must hold: the text it begins
with, the text it ends with, or a few characters in its middle; of these the one that the
fewest other lines share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from sync.ignore.patterns import KeyPattern, Rule, Token, Wild, least_length, to_regex, tokens

_GRAM: Final = 8
# So few lines under one anchor are tested sooner than a better anchor is looked for.
_FEW: Final = 8


Place = Literal["begins", "ends", "holds", "always"]


class Anchor(NamedTuple):
    """A text that whatever a line matches has in that place; backwards for ``ends``."""

    place: Place
    text: str


_NO_ANCHOR: Final = Anchor("always", "")
Parts = tuple[Token, ...]


class Entry:
    """A line in the index; ``number`` is its place among the rules.

    ``sure`` means that being found under its anchor is enough. Otherwise the expression is
    compiled when it is first tested: compiling tens of thousands takes seconds.
    """

    __slots__ = ("_glob", "_least", "_pattern", "number", "sure")

    def __init__(self, number: int, glob: str, parts: Parts, *, sure: bool) -> None:
        self.number = number
        self.sure = sure
        self._glob = glob
        self._pattern: KeyPattern | None = None
        self._least = least_length(parts)

    def matches(self, text: str) -> bool:
        """Whether the line matches; it was found under its anchor already."""
        if self.sure:
            return True
        return len(text) >= self._least and self._compiled().match_file(text) is not None

    def _compiled(self) -> KeyPattern:
        if self._pattern is None:
            self._pattern = KeyPattern(re.compile(to_regex(tokens(self._glob))), include=True)
        return self._pattern


Group = list[Entry]  # last in the file first


def best(group: Group, text: str, above: int) -> int:
    """Number of the last line that matches, if it is above ``above``; else ``above``."""
    for entry in group:
        if entry.number <= above:
            break
        if entry.matches(text):
            return entry.number
    return above


def file_rules(rules: Sequence[Rule]) -> dict[Anchor, Group]:
    """An entry for every rule, under its best anchor."""
    parts = [tokens(rule.glob) for rule in rules]
    sure = {at: anchor for at, each in enumerate(parts) if (anchor := _sure_anchor(each))}
    anchors = sure | _rarest({at: each for at, each in enumerate(parts) if at not in sure})
    groups: dict[Anchor, Group] = {}
    for at in reversed(range(len(rules))):
        entry = Entry(at, rules[at].glob, parts[at], sure=at in sure)
        groups.setdefault(anchors[at], []).append(entry)
    return groups


def _rarest(globs: Mapping[int, Parts]) -> dict[int, Anchor]:
    """For each glob the anchor that the fewest share; middles only where the ends are shared
    by many, since there are so many of them to count.
    """
    ends = {at: _ends(parts) for at, parts in globs.items()}
    shared = Counter(anchor for each in ends.values() for anchor in each)
    chosen = {
        at: min(each, key=shared.__getitem__, default=_NO_ANCHOR) for at, each in ends.items()
    }
    crowded = {at: a for at, a in chosen.items() if a is _NO_ANCHOR or shared[a] > _FEW}
    return chosen | _better(crowded, shared, globs)


def _better(
    crowded: Mapping[int, Anchor], shared: Mapping[Anchor, int], globs: Mapping[int, Parts]
) -> dict[int, Anchor]:
    """The rarest middle of each crowded glob, where it is rarer than the anchor it has."""
    middles = {at: _middles(globs[at]) for at in crowded}
    count = Counter(gram for each in middles.values() for gram in set(each))
    rarest = {at: min(each, key=count.__getitem__) for at, each in middles.items() if each}
    return {
        at: Anchor("holds", gram)
        for at, gram in rarest.items()
        if crowded[at] is _NO_ANCHOR or count[gram] < shared[crowded[at]]
    }


def _ends(parts: Parts) -> list[Anchor]:
    """By the text at its beginning and at its end, where it has them; the longer first."""
    first, last = parts[0], parts[-1]
    begins = [Anchor("begins", first)] if isinstance(first, str) else []
    ends = [Anchor("ends", last[::-1])] if isinstance(last, str) else []
    return sorted(begins + ends, key=lambda anchor: -len(anchor.text))


def _middles(parts: Parts) -> list[str]:
    """A few characters each of all its texts; those of the longest text first."""
    texts = sorted((part for part in parts if isinstance(part, str)), key=len, reverse=True)
    return [gram for text in texts for gram in grams(text)]


def grams(text: str, size: int = _GRAM) -> Iterator[str]:
    """Every run of ``size`` characters, or the whole of a shorter text."""
    return (text[at : at + size] for at in range(max(1, len(text) - size + 1)))


def _sure_anchor(parts: Parts) -> Anchor | None:
    """The anchor that says it all: of ``text``, ``text*``, ``*text`` and ``*``."""
    match parts:
        case (str(text),) | (str(text), Wild.STAR):
            return Anchor("begins", text)
        case (Wild.STAR, str(text)):
            return Anchor("ends", text[::-1])
        case (Wild.STAR,):
            return Anchor("begins", "")
    return None
