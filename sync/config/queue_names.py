"""The text of ``sqs_queue_name`` -> names of queues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_MOST: Final = 1000
_RANGE: Final = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}|(?=.{6,80}$)[A-Za-z0-9_-]+\.fifo")


def queue_names(text: str) -> tuple[str, ...]:
    """Names in their order: a list with commas, each item with at most one range ``{01..05}``.

    The range counts up by one, both ends included; a zero at the front of either end pads all
    numbers to the longer of the two. ValueError says what is wrong: no name, a name SQS does
    not allow, a name that occurs twice, a range that runs backwards, more than 1000 names.
    """
    names: list[str] = []
    for item in text.split(","):
        for name in _expanded(item.strip()):
            names.append(_allowed(name))
            if len(names) > _MOST:
                raise ValueError(f"more than {_MOST} queues")
    repeated = next((name for name in names if names.count(name) > 1), "")
    if repeated:
        raise ValueError(f"the queue {repeated} is named twice")
    return tuple(names)


def _expanded(item: str) -> Iterator[str]:
    found = _RANGE.search(item)
    if found is None:
        yield item
        return
    low, high = found.groups()
    if int(low) > int(high):
        raise ValueError(f"the range {found.group()} runs backwards")
    width = max(len(low), len(high)) if low[0] == "0" or high[0] == "0" else 1
    for number in range(int(low), int(high) + 1):
        yield f"{item[: found.start()]}{number:0{width}}{item[found.end() :]}"


def _allowed(name: str) -> str:
    if not name:
        raise ValueError("there is no name between two commas, or none at all")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:100]}: a queue's name is 1 to 80 letters, digits, - and _ (and .fifo at the"
            " end); several are given as a,b or as queue-{01..05}"
        )
    return name
