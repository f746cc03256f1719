"""What is seen: steps as lines that stay, and beneath them a block of figures that moves.

On a terminal the block is drawn over itself; elsewhere its figures come as plain lines every
two seconds.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TextIO

_WINDOW: Final = 3.0
_DRAW_EVERY: Final = 0.2
_PLAIN_EVERY: Final = 2.0
_MB: Final = 1_000_000
_WIDEST: Final = 100
_NARROWEST: Final = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the run. ``done`` of ``total`` is what the bar shows, ``noun`` what it counts;
    ``copies`` and ``moved`` (bytes) only grow, rates are made of them.
    """

    noun: str
    done: int
    total: int
    copies: int
    moved: int
    queue: int | None = None
    in_flight: int | None = None
    lag: float | None = None
    failures: int | None = None


class Rates:
    """Objects and bytes a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque()

    def add(self, now: float, copies: int, moved: int) -> tuple[float, float]:
        """Take a reading in; the rates as of now."""
        if self._seen and copies < self._seen[-1][1]:
            self._seen.clear()  # another thing is counted from here on
        self._seen.append((now, copies, moved))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:  # noqa: PLR2004  both ends
            self._seen.popleft()
        start, first_copies, first_moved = self._seen[0]
        span = max(now - start, _DRAW_EVERY)
        return (copies - first_copies) / span, (moved - first_moved) / span


class Screen:
    """Prints steps, and while its context is open shows what ``look`` reads."""

    def __init__(self, out: TextIO, *, began: float | None = None) -> None:
        self._out = out
        self._live = out.isatty() and os.environ.get("TERM", "") != "dumb"
        self._color = self._live and not os.environ.get("NO_COLOR")
        self._fine = (out.encoding or "").lower().replace("-", "") == "utf8"
        self._began = time.monotonic() if began is None else began
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._look: Callable[[], Reading] | None = None
        self._rates = Rates()
        self._block: list[str] = []
        self._drawn = 0

    # --- lines that stay --------------------------------------------------------------

    def step(self, text: str) -> None:
        """A thing that happened, with the time since the start."""
        stamp = f"{time.monotonic() - self._began:6.1f} s"
        self.print(f"{self._paint(stamp, '2')}  {text}")

    def print(self, text: str = "") -> None:
        """Lines above the block."""
        with self._lock:
            self._clear()
            self._out.write(self._writable(text) + "\n")
            self._draw()
            self._out.flush()

    def title(self, text: str) -> None:
        """A line that stands out."""
        self.print(self._paint(text, "1"))

    def _writable(self, text: str) -> str:
        """Keys may hold what the terminal's encoding cannot."""
        encoding = self._out.encoding or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text

    # --- the block --------------------------------------------------------------------

    def showing(self, look: Callable[[], Reading]) -> Self:
        """What to show in the ``with`` that follows."""
        self._look = look
        return self

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._clear()
            self._block = []
            self._out.flush()

    def _run(self) -> None:
        every = _DRAW_EVERY if self._live else _PLAIN_EVERY
        while not self._stop.wait(every):
            self._refresh()

    def _refresh(self) -> None:
        assert self._look is not None
        try:
            reading = self._look()
        except Exception:  # noqa: BLE001  a server is going down: the story tells of it
            return
        rates = self._rates.add(time.monotonic(), reading.copies, reading.moved)
        if not self._live:
            self.step(_plain(reading, rates))
            return
        width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns)) - 1
        with self._lock:
            self._clear()
            self._block = ["", self._bar(reading, width), _figures(reading, rates)[:width]]
            self._draw()
            self._out.flush()

    def _bar(self, reading: Reading, width: int) -> str:
        label = f"{reading.done}/{reading.total} {reading.noun}"
        room = max(10, width - len(label) - 3)
        full = room * min(reading.done, reading.total) // max(1, reading.total)
        on, off = ("━", "─") if self._fine else ("=", "-")
        return f" {self._paint(on * full, '32')}{self._paint(off * (room - full), '2')}  {label}"

    def _clear(self) -> None:
        if self._drawn:
            up = f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else ""
            self._out.write(f"\r{up}\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        if self._live and self._block:
            self._out.write("\n".join(self._block))
            self._drawn = len(self._block)


def _figures(reading: Reading, rates: tuple[float, float]) -> str:
    """The figures in columns that do not jump; 79 characters at the most."""
    parts = [f"{rates[0]:6.1f} obj/s", f"{rates[1] / _MB:6.1f} MB/s"]
    if reading.queue is not None:
        parts.append(f"queue {reading.queue:<4}")
    if reading.in_flight is not None:
        parts.append(f"in flight {reading.in_flight:<3}")
    if reading.lag is not None:
        parts.append(f"lag {_seconds(reading.lag):<6}")
    if reading.failures is not None:
        parts.append(f"failed {reading.failures}")
    return "   ".join(parts) if len(parts) <= 2 else "  ".join(parts)  # noqa: PLR2004


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"  # noqa: PLR2004  three digits


def _plain(reading: Reading, rates: tuple[float, float]) -> str:
    text = " ".join(_figures(reading, rates).split())
    return f"{reading.done}/{reading.total} {reading.noun}  {text}"


def screen() -> Screen:
    """On standard output."""
    return Screen(sys.stdout)
