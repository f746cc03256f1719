"""Listings that come in pages, and servers that never let one end."""

from __future__ import annotations

from typing import Final

from sync.errors import TransientStoreError

MOST_EMPTY: Final = 1000


class Onward:
    """Watches the tokens of one listing. TransientStoreError once they go round, or once so many
    pages in a row held nothing.

    A circle is found by Brent's method: one token is kept, and compared with those that follow.
    """

    __slots__ = ("_empty", "_kept", "_next", "_steps", "_what")

    def __init__(self, what: str, *, start: object = "") -> None:
        self._what = what
        self._kept = start
        self._steps, self._next, self._empty = 0, 1, 0

    def step(self, token: object, *, empty: bool = False) -> None:
        """The listing goes on with this token, after a page that held something, or nothing."""
        self._empty = self._empty + 1 if empty else 0
        if token == self._kept or self._empty > MOST_EMPTY:
            raise TransientStoreError(f"{self._what}: the listing does not get on")
        self._steps += 1
        if self._steps == self._next:
            self._kept, self._steps, self._next = token, 0, self._next * 2
