"""One page of a listing: prefix, delimiter, marker, limit. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Page:
    """Keys and common prefixes of one page, each in order. ``last`` continues the listing."""

    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    last: str
    truncated: bool


def page(names: Sequence[str], *, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """The next ``limit`` entries behind ``after``. ``names`` are sorted.

    ``after`` may be a key or a common prefix of the page before; all keys under such a prefix
    are behind it.
    """
    keys: list[str] = []
    prefixes: list[str] = []
    last = ""
    position = _start(names, prefix, delimiter, after)
    while position < len(names) and names[position].startswith(prefix):
        if len(keys) + len(prefixes) >= limit:
            return Page(tuple(keys), tuple(prefixes), last, truncated=limit > 0)
        name = names[position]
        group = _group(name, prefix, delimiter)
        if group:
            prefixes.append(group)
            position = _behind(names, group, position)
        else:
            keys.append(name)
            position += 1
        last = group or name
    return Page(tuple(keys), tuple(prefixes), last, truncated=False)


def _start(names: Sequence[str], prefix: str, delimiter: str, after: str) -> int:
    position = max(bisect_left(names, prefix), bisect_right(names, after) if after else 0)
    if after and _group(after, prefix, delimiter) == after:
        position = max(position, _behind(names, after, position))
    return position


def _group(name: str, prefix: str, delimiter: str) -> str:
    if not delimiter or not name.startswith(prefix):
        return ""
    cut = name.find(delimiter, len(prefix))
    return name[: cut + len(delimiter)] if cut >= 0 else ""


def _behind(names: Sequence[str], group: str, position: int) -> int:
    # A key may go on with the highest code point, so the bound is met by walking at last.
    position = bisect_left(names, group + _LAST, lo=position)
    while position < len(names) and names[position].startswith(group):
        position += 1
    return position
