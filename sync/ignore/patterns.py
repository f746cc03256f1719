r"""One line of an ignore list, read and translated.

A line is cut into tokens (a run of plain text, ``*``, ``?``, ``[...]``); the tokens become
both the regular expression, which defines what the line matches, and the anchors by which
``index`` finds it. The expressions run in linear time per run of text: every ``*`` but the
last takes the nearest fit and never gives it back (an atomic group), which is all that a
glob needs, because between two ``*`` everything has a fixed length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import AnyStr, Final

from pathspec.pattern import RegexMatchResult, RegexPattern

_ESCAPABLE: Final = frozenset("\\*?[]!# \t")
_PLAIN: Final = re.compile(r"[^\\*?\[]+")
_NOTHING: Final = "(?!)"
_ANYTHING: Final = "."


class Wild(Enum):
    """A wildcard that is not a set."""

    STAR = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class CharSet:
    """``[...]`` as the regular expression that matches one character of it."""

    regex: str


Token = str | Wild | CharSet


@dataclass(frozen=True, slots=True)
class Rule:
    """A line that means something. ``line`` is as written, without its line end.

    ``include`` is False for a ``!`` line; ``glob`` is the rest, still with its escapes.
    """

    line: str
    include: bool
    glob: str


def read_line(line: str) -> Rule | None:
    r"""The rule of a line, or None for a remark or a blank line.

    Spaces and tabs at the end are dropped unless a backslash stands before them.
    """
    kept = _trimmed(line.rstrip("\r"))
    if kept.startswith("#"):
        return None
    include = not kept.startswith("!")
    glob = kept if include else kept[1:]
    return Rule(kept, include, glob) if glob.strip(" \t") else None


def _trimmed(line: str) -> str:
    kept = line.rstrip(" \t")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return line[: len(kept) + 1] if backslashes % 2 and len(kept) < len(line) else kept


def tokens(glob: str) -> tuple[Token, ...]:
    """The parts of a glob; neighbouring text is one part, neighbouring stars are one star."""
    if _PLAIN.fullmatch(glob):
        return (glob,)
    found: list[Token] = []
    at = 0
    while at < len(glob):
        token, at = _token(glob, at)
        _append(found, token)
    return tuple(found)


def _append(found: list[Token], token: Token) -> None:
    last = found[-1] if found else None
    if isinstance(token, str) and isinstance(last, str):
        found[-1] = last + token
    elif not (token is Wild.STAR and last is Wild.STAR):
        found.append(token)


def _token(glob: str, at: int) -> tuple[Token, int]:
    if plain := _PLAIN.match(glob, at):
        return plain.group(), plain.end()
    char = glob[at]
    if char == "\\" and glob[at + 1 : at + 2] in _ESCAPABLE:
        return glob[at + 1], at + 2
    if char in "*?":
        return Wild(char), at + 1
    end = _set_end(glob, at) if char == "[" else -1
    if end < 0:
        return char, at + 1
    return CharSet(_set_regex(glob[at + 1 : end])), end + 1


def _set_end(glob: str, at: int) -> int:
    """Where the ``]`` of the set is, or -1: a ``]`` at its very beginning belongs to it."""
    first = at + 2 if glob[at + 1 : at + 2] == "!" else at + 1
    return glob.find("]", first + 1)


def _set_regex(inner: str) -> str:
    negated = inner.startswith("!")
    members = _members(inner[1:] if negated else inner)
    if not members:
        return _ANYTHING if negated else _NOTHING
    return f"[{'^' if negated else ''}{members}]"


def _members(inner: str) -> str:
    """Characters and ranges of a set; a range that runs backwards holds nothing."""
    parts = []
    at = 0
    while at < len(inner):
        low = inner[at]
        ranged = at + 2 < len(inner) and inner[at + 1] == "-"
        high = inner[at + 2] if ranged else low
        if low <= high:
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
        at += 3 if ranged else 1
    return "".join(parts)


def is_literal(parts: tuple[Token, ...]) -> bool:
    """True for a line without wildcards: an exact key or a prefix."""
    return len(parts) == 1 and isinstance(parts[0], str)


def least_length(parts: tuple[Token, ...]) -> int:
    """The length of the shortest text that can match."""
    return sum(_width(part) for part in parts)


def _width(part: Token) -> int:
    if isinstance(part, str):
        return len(part)
    return 0 if part is Wild.STAR else 1


def to_regex(parts: tuple[Token, ...]) -> str:
    """The expression for these parts, to be used with ``match``."""
    if is_literal(parts):
        return _piece(parts[0])
    runs = _runs(parts)
    if len(runs) == 1:
        return f"(?s:{_pieces(runs[0])}\\Z)"
    middles = "".join(f"(?>.*?{_pieces(run)})" for run in runs[1:-1] if run)
    return f"(?s:{_pieces(runs[0])}{middles}{_ending(runs[-1])})"


def _ending(run: tuple[Token, ...]) -> str:
    """Looks back from the very end, where the last run must be, instead of searching it."""
    width = least_length(run)
    return f".{{{width},}}+(?<={_pieces(run)})" if run else ""


def _runs(parts: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    runs: list[list[Token]] = [[]]
    for part in parts:
        if part is Wild.STAR:
            runs.append([])
        else:
            runs[-1].append(part)
    return [tuple(run) for run in runs]


def _pieces(run: tuple[Token, ...]) -> str:
    return "".join(_piece(part) for part in run)


def _piece(part: Token) -> str:
    if isinstance(part, CharSet):
        return part.regex
    return re.escape(part) if isinstance(part, str) else _ANYTHING


class KeyPattern(RegexPattern):
    """A line of an ignore list as a pathspec pattern.

    Unlike a path, a key is matched as it stands, ``*`` crosses ``/``, and a line without
    wildcards matches every key that begins with it.
    """

    __slots__ = ()

    @classmethod
    def pattern_to_regex(cls, pattern: AnyStr) -> tuple[AnyStr | None, bool | None]:
        """The expression and whether it ignores or takes back; (None, None) for no rule."""
        if not isinstance(pattern, str):
            raise TypeError("an ignore list's lines are text, not bytes")
        rule = read_line(pattern)
        if rule is None:
            return None, None
        return to_regex(tokens(rule.glob)), rule.include

    def match_file(self, file: str) -> RegexMatchResult | None:
        """The match from the beginning of ``file``, or None."""
        found = self.regex.match(file) if self.regex is not None else None
        return RegexMatchResult(found) if found is not None else None
