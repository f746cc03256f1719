"""Values of options as operators write them; each function is an argparse ``type``."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PIECE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])")


def duration(text: str) -> float:
    """Seconds of ``7d``, ``12h``, ``1d12h``, ``30m`` or ``90s``."""
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise ArgumentTypeError(f"{text!r} is no length of time: write 7d, 12h, 30m or 90s")
    return float(sum(float(number) * _UNITS[unit] for number, unit in pieces))


def rate(text: str) -> float:
    """Messages a second of ``5`` or ``5/s``."""
    number = text.removesuffix("/s")
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", number) or not float(number):
        raise ArgumentTypeError(f"{text!r} is no rate: write 5 or 5/s, above 0")
    return float(number)


def whole(text: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"[0-9]{1,12}", text) or not int(text):
        raise ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    """Seconds of a plain number or a length of time, 0 and above."""
    try:
        value = float(text)
    except ValueError:
        return duration(text)
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
