"""Measures the ignore list: microseconds for one object, and the time to read the list.

    python bench/ignore_list.py [LINES ...]        (default: 0 10 1000 50000)

Each row is one kind of list; each figure the mean over 2,000 keys of about 60 characters, of
which one in ten is ignored. A first pass is not counted: it compiles what is ever tested.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from sync.ignore import IgnoreList

KEYS = 2000
TEXTLESS_AT_MOST = 1000  # these are tested one by one, so 50,000 would take minutes
BUCKET = "company-data-lake-eu"


def _literal(n: int) -> str:
    return f"{BUCKET}/team-{n % 97:02d}/dataset-{n:06d}/"


def _prefix_glob(n: int) -> str:
    return f"{BUCKET}/team-{n % 97:02d}/dataset-{n:06d}/*/part-?.parquet"


def _suffix_glob(n: int) -> str:
    return f"*-{n:06d}.jpg"


def _middle_glob(n: int) -> str:
    return f"{BUCKET}/*/dataset-{n:06d}/*.parquet"


def _textless(n: int) -> str:
    return "?" * (20 + n % 50) + "[A-Z]*"


def _mixed(n: int) -> str:
    kinds = (_literal, _prefix_glob, _suffix_glob, _middle_glob)
    line = kinds[n % len(kinds)](n)
    return f"!{line}" if n % 10 == 9 else line  # noqa: PLR2004  one in ten takes back


KINDS: dict[str, Callable[[int], str]] = {
    "literal lines": _literal,
    "globs that begin with text": _prefix_glob,
    "globs like *-000001.jpg": _suffix_glob,
    "same ends, text in the middle": _middle_glob,
    "mixed, one in ten with !": _mixed,
    "no text at all (worst case)": _textless,
}


def keys(count: int) -> list[str]:
    """Keys; one in ten is of a dataset the lists speak of."""
    chance = random.Random(7)
    result = []
    for n in range(KEYS):
        number = chance.randrange(max(1, count)) if n % 10 == 0 else 900_000 + n
        end = f"-{number:06d}.jpg" if n % 20 == 0 else "-0.parquet"
        middle = f"team-{number % 97:02d}/dataset-{number:06d}"
        result.append(f"{middle}/day-{n:05d}/part{end}")
    return result


def measure(make: Callable[[int], str], count: int) -> tuple[float, float, int]:
    """Seconds to parse, microseconds for one match, number of keys ignored."""
    text = "\n".join(make(n) for n in range(count))
    start = time.perf_counter()
    rules = IgnoreList.parse(text)
    parsed = time.perf_counter() - start
    wanted = keys(count)
    ignored = sum(rules.matches(BUCKET, key) for key in wanted)
    start = time.perf_counter()
    for key in wanted:
        rules.match(BUCKET, key)
    return parsed, (time.perf_counter() - start) / KEYS * 1e6, ignored


def main() -> None:
    """Print the table."""
    counts = [int(text) for text in sys.argv[1:]] or [0, 10, 1000, 50_000]
    print(f"{'kind of list':32}{'lines':>8}{'parse s':>10}{'us/match':>10}{'ignored':>9}")
    for name, make in KINDS.items():
        for count in counts:
            if make is _textless and count > TEXTLESS_AT_MOST:
                continue
            parsed, each, ignored = measure(make, count)
            print(f"{name:32}{count:8d}{parsed:10.3f}{each:10.2f}{ignored:9d}")


if __name__ == "__main__":
    main()
