"""Receive buffers. A connection owns a small one and borrows a big one for a big body."""

from __future__ import annotations

from typing import Final

SMALL: Final = 32 * 1024


class BufferPool:
    """Big buffers of one size, used again and again so that idle connections hold none."""

    __slots__ = ("_free", "_keep", "size")

    def __init__(self, size: int, *, keep: int = 64) -> None:
        self.size = size
        self._keep = keep
        self._free: list[bytearray] = []

    def borrow(self) -> bytearray:
        """A big buffer, its content undefined."""
        return self._free.pop() if self._free else bytearray(self.size)

    def give_back(self, buffer: bytearray) -> None:
        """Take back a buffer that nobody looks at any more."""
        if len(self._free) < self._keep:
            self._free.append(buffer)
