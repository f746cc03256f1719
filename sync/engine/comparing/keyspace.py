"""Ranges of keys, and where to cut one so that another connection can list the rest of it.

Pure. Keys are compared as text: by code points, which is the order of their UTF-8 bytes and
therefore of S3's listings. (UTF-16 orders otherwise: U+FFFD stands before U+10000 here.)
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

# The last character that is one for Unicode (a private one): what lies above it is still found.
LAST: Final = "\U0010fffd"


def shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


@dataclass(slots=True)
class KeyRange:
    """Keys above ``after`` up to and with ``until`` (None: no end), still to be listed.

    ``after`` moves on as keys are done. ``seen`` is the highest source key that is known of,
    and no source key of the range is above ``ceiling``; ``pages`` counts source pages since
    the range was last cut. ``ended``: the source has no more pages in it.
    """

    after: str = ""
    until: str | None = None
    seen: str = ""
    ceiling: str | None = None
    pages: int = 0
    ended: bool = False

    @property
    def breadth(self) -> int:
        """How many characters at their beginning all its source keys are known to share: the
        fewer, the more there may be.
        """
        return 0 if self.ceiling is None else shared(self.seen, self.ceiling)

    def holds(self, key: str) -> bool:
        """True for a key of this range."""
        return key > self.after and (self.until is None or key <= self.until)

    def cut(self, at: str, first: str) -> KeyRange | None:
        """End here and give the rest away; None where the listing has got past ``at``.

        ``first`` is the first source key above ``at``.
        """
        if self.ended or at <= self.seen or not self.holds(at):
            return None
        rest = KeyRange(at, self.until, seen=first, ceiling=self.ceiling)
        self.until = self.ceiling = at
        self.pages = 0
        return rest


def cuts(seen: str, ceiling: str | None) -> Generator[str, bool, str | None]:
    """Places to cut at, asked one by one: send True where source keys of the range lie above it.

    Each place is the end of a subtree that ``seen`` is in: all keys that share its first n
    characters stay on one side. Looks for the shortest such prefix that leaves something above:
    gallops, then bisects. Returns the place, or None where nothing lies above any of them;
    then, and for each False, everything of the range lies below the last place asked.
    """
    low = 0 if ceiling is None else shared(seen, ceiling)
    high, step = low + 1, 1
    while high < len(seen) and not (yield seen[:high] + LAST):
        low, step = high, step * 2
        high = low + step
    if high >= len(seen):
        high = len(seen)
        if high <= low or not (yield seen[:high] + LAST):
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if (yield seen[:middle] + LAST):
            high = middle
        else:
            low = middle
    return seen[:high] + LAST
