"""Log lines: plain text or one JSON object a line, to stderr and, on request, to a file.

The plain line of a finished object keeps the words ``--->Complete N Bytes bucket/key`` of the
first 3GSync, which people's metric filters look for.
"""

from __future__ import annotations

import json
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

LOGGER: Final = logging.getLogger("3gsync")
_OURS: Final = (LOGGER, logging.getLogger("sync"))
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


class Line(ABC):
    """A message in two forms, each made only by a formatter that wants it."""

    __slots__ = ()

    @abstractmethod
    def __str__(self) -> str:
        """For people."""

    @abstractmethod
    def fields(self) -> Mapping[str, object]:
        """For machines."""


class _Known(Line):
    __slots__ = ("_fields", "_text")

    def __init__(self, text: str, fields: Mapping[str, object]) -> None:
        self._text = text
        self._fields = fields

    def __str__(self) -> str:
        return self._text

    def fields(self) -> Mapping[str, object]:
        return self._fields


def set_up(*, level: str, form: str, folder: Path | None, role: str) -> None:
    """Send log lines to stderr and, with a folder, to ``<folder>/<role>-<ISO time>.log``.

    ``level`` is WARNING, INFO or DEBUG; ``form`` is plain or json.
    """
    formatter = JsonLine() if form == "json" else PlainLine()
    handlers: list[logging.Handler] = [_Stream("stderr", sys.stderr)]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
        file = folder / f"{role}-{stamp}.log"
        handlers.append(_File(str(file), file, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(formatter)
    for logger in _OURS:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = False


class _Losing(logging.Handler):
    """Loses lines while the disk is full or the reader has gone, says so where it still can,
    and how many they were once lines get through again. Any other fault is a bug and shown.
    """

    def __init__(self, name: str, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._whither = name
        self._lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the base class's name
        """A line could not be written."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._lost += 1
        if self._lost == 1:
            # Not a step more for lines that are not lost.
            self.emit = self._emit_again  # type: ignore[method-assign]
            detail = {"event": "log-lost", "log": self._whither, "error": error.strerror}
            text = f"log lines for {self._whither} are being lost: {error.strerror}"
            write(logging.WARNING, text, detail)

    def _emit_again(self, record: logging.LogRecord) -> None:
        lost = self._lost
        type(self).emit(self, record)
        if self._lost == lost:
            self._lost = 0
            del self.emit
            detail = {"event": "log-lost", "log": self._whither, "lines": lost}
            write(logging.WARNING, f"{lost} log lines for {self._whither} were lost", detail)


class _Stream(_Losing, logging.StreamHandler[TextIO]):
    pass


class _File(_Losing, logging.FileHandler):
    pass


def write(level: int, text: str, fields: Mapping[str, object]) -> None:
    """One line: ``text`` for people, ``fields`` for machines."""
    if LOGGER.isEnabledFor(level):
        hand_in(level, _Known(text, fields))


def hand_in(level: int, line: Line) -> None:
    """One line, whose level the caller has found enabled.

    Past ``Logger.log``, which looks up who called: no line of ours says it, and it is dear.
    """
    LOGGER.handle(LOGGER.makeRecord(LOGGER.name, level, "", 0, line, (), None))


class PlainLine(logging.Formatter):
    """``time LEVEL - text``, control characters escaped so that a key cannot forge a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s - %(message)s")
        self._second = -1
        self._stamp = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  the base class's name
        """UTC, to the second."""
        return datetime.fromtimestamp(record.created, UTC).strftime(datefmt or "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        if record.exc_info or record.exc_text or record.stack_info:
            return printable(super().format(record))
        second = int(record.created)
        if second != self._second:  # thousands of lines may have one second
            self._second, self._stamp = second, self.formatTime(record)
        return printable(f"{self._stamp} {record.levelname} - {record.getMessage()}")


class JsonLine(logging.Formatter):
    """One JSON object: time (UTC, ISO 8601), level, message and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": at, "level": record.levelname}
        if isinstance(record.msg, Line):
            line.update(record.msg.fields())
        else:
            line["message"] = record.getMessage()
        text = _JSON.encode(line)
        # A lone surrogate has no UTF-8; backslashreplace spells it as JSON itself would.
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """The text with control characters and lone surrogates escaped; newlines stay escaped too."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
