"""Finds the line that decides about a key without asking every line.

A key is tested against the lines filed (see ``filing``) under its own beginnings, endings
and middles only, and against those that hold no text to be filed under (``?[ab]*``). Lines
that are nothing but a beginning or an ending need no test at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from sync.ignore.filing import Anchor, Group, Place, best, file_rules, grams
from sync.ignore.patterns import Rule, read_line

_NONE = -1


class IgnoreList:
    """The rules of an ignore list, asked about one key at a time.

    A line is matched against ``bucket/key`` and against the bare key; the last line that
    matches either decides. An object no line speaks of is not ignored.
    """

    __slots__ = ("_always", "_beginnings", "_endings", "_middles", "_rules")

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)
        groups = file_rules(self._rules)
        self._beginnings = _Beginnings(_of_place(groups, "begins"))
        self._endings = _Beginnings(_of_place(groups, "ends"))
        self._middles = _Middles(_of_place(groups, "holds"))
        self._always = _of_place(groups, "always").get("", [])

    @classmethod
    def parse(cls, text: str) -> IgnoreList:
        """The list of a file's text. Never raises: what is no wildcard is plain text."""
        # Only line feeds end a line: splitlines() would cut keys at characters they may hold.
        lines = text.removeprefix("\ufeff").split("\n")
        return cls([rule for rule in map(read_line, lines) if rule is not None])

    def __len__(self) -> int:
        """Number of lines that mean something."""
        return len(self._rules)

    def __repr__(self) -> str:
        return f"IgnoreList({len(self)} lines)"

    def matches(self, bucket: str, key: str) -> bool:
        """Whether the object is to be left alone."""
        return self.match(bucket, key) is not None

    def match(self, bucket: str, key: str) -> str | None:
        """The line because of which the object is left alone, or None."""
        if not self._rules:
            return None
        number = self._last(key, self._last(f"{bucket}/{key}", _NONE))
        rule = self._rules[number] if number != _NONE else None
        return rule.line if rule is not None and rule.include else None

    def _last(self, text: str, above: int) -> int:
        """Number of the last rule that matches ``text``, or ``above`` if none is above it."""
        for group in self._groups(text):
            above = best(group, text, above)
        return above

    def _groups(self, text: str) -> Iterator[Group]:
        yield from self._beginnings.of(text)
        yield from self._endings.of(text[::-1])
        yield from self._middles.of(text)
        yield self._always


def _of_place(groups: Mapping[Anchor, Group], place: Place) -> dict[str, Group]:
    return {anchor.text: group for anchor, group in groups.items() if anchor.place == place}


class _Beginnings:
    """Groups filed under texts; gives those whose text a given text begins with.

    The texts are sorted. The longest of them that a key begins with is the text right before
    the key in that order, or one that this begins with in turn (its ``parent``).
    """

    __slots__ = ("_groups", "_parents", "_texts")

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._texts = sorted(groups)
        self._groups = [groups[text] for text in self._texts]
        self._parents = _parents(self._texts)

    def of(self, text: str) -> Iterator[Group]:
        """The groups, longest text first."""
        at = bisect_right(self._texts, text) - 1
        while at >= 0:
            if text.startswith(self._texts[at]):
                yield self._groups[at]
            at = self._parents[at]


def _parents(texts: list[str]) -> list[int]:
    """For each sorted text, the place of the longest other one it begins with, or -1."""
    parents: list[int] = []
    for at, text in enumerate(texts):
        parent = at - 1
        while parent >= 0 and not text.startswith(texts[parent]):
            parent = parents[parent]
        parents.append(parent)
    return parents


class _Middles:
    """Groups filed under grams; gives those whose gram a given text holds."""

    __slots__ = ("_groups", "_sizes")

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._sizes = sorted({len(gram) for gram in groups})

    def of(self, text: str) -> Iterator[Group]:
        """The groups, each once, in no order."""
        known = self._groups
        for size in self._sizes:
            for gram in {gram for gram in grams(text, size) if gram in known}:
                yield known[gram]
