"""Plain tables, sizes, ages and times for terminals."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_AGES: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lines with columns of equal width; numbers stand at the right. Holds all rows."""
    texts = [list(header), *([shown(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for line in texts:
        cells = (_fitted(text, width) for text, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _fitted(text: str, width: int) -> str:
    return text.rjust(width) if text[:1].isdigit() and " " not in text else text.ljust(width)


def shown(text: str) -> str:
    """One line that no key can break out of, in what the terminal can show."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def age(seconds: float) -> str:
    """A length of time in its largest unit."""
    for length, unit in _AGES:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def moment(at: float) -> str:
    """A POSIX timestamp as UTC, ``-`` for 0 and for what is none."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) if at else "-"
    except (OverflowError, ValueError, OSError):
        return "-"
