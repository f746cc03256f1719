"""Kinds of values a key may hold: each knows how to read its text and how to say what is allowed.

``parse`` takes the text without remarks and quotes and raises ValueError where it does not fit;
the caller adds where it stood and what is allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Protocol
from urllib.parse import urlsplit

from sync.config.queue_names import queue_names

_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})
_PARAMETER = re.compile(r"[A-Za-z0-9_.\-/]{1,1011}")
_RESOURCE = re.compile(
    r"projects/[^/\s]+(/locations/[^/\s]+)?/secrets/[A-Za-z0-9_-]{1,255}(/versions/[A-Za-z0-9_-]+)?"
)
_CLASS = re.compile(r"[A-Z][A-Z0-9_-]*")


class Kind(Protocol):
    """How the text of a value is read."""

    @property
    def allowed(self) -> str:
        """What may stand there, in words that follow "must be"."""
        ...

    def parse(self, text: str) -> object:
        """The value; ValueError where the text does not fit."""
        ...

    def show(self, text: str) -> str:
        """The text as it may appear in faults and listings: never a secret."""
        ...


class _Plain:
    """Shows the text as it is."""

    def show(self, text: str) -> str:
        """The text, shortened where it is long."""
        limit = 200
        return text if len(text) <= limit else text[:limit] + "…"


@dataclass(frozen=True, slots=True)
class Text(_Plain):
    """Text that matches ``pattern`` whole."""

    allowed: str
    pattern: str = r".*"

    def parse(self, text: str) -> str:
        """The text itself."""
        if not re.fullmatch(self.pattern, text):
            raise ValueError(text)
        return text


@dataclass(frozen=True, slots=True)
class Choice(_Plain):
    """One of ``values``, in any case."""

    values: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The values."""
        return "one of " + ", ".join(self.values)

    def parse(self, text: str) -> str:
        """The value in its own spelling."""
        for value in self.values:
            if value.lower() == text.lower():
                return value
        raise ValueError(text)


@dataclass(frozen=True, slots=True)
class Flag(_Plain):
    """True or False, also as yes/no, on/off, 1/0."""

    allowed: str = "True or False"

    def parse(self, text: str) -> bool:
        """The truth value."""
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE


@dataclass(frozen=True, slots=True)
class Whole(_Plain):
    """A whole number ``low``..``high`` in ``unit``, handed on times ``scale``.

    ``word`` is a word that may stand instead of a number and means None.
    """

    low: int
    high: int
    unit: str = ""
    scale: int = 1
    word: str | None = None

    @property
    def allowed(self) -> str:
        """The range with its unit."""
        unit = f" ({self.unit})" if self.unit else ""
        number = f"a whole number from {self.low} to {self.high}{unit}"
        if self.word is None:
            return number
        return f"{self.word or 'empty'} or {number}"

    def parse(self, text: str) -> int | None:
        """The number in the smallest unit, or None for the word."""
        if self.word is not None and text.lower() == self.word:
            return None
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise ValueError(text)
        if not self.low <= int(text) <= self.high:
            raise ValueError(text)
        return int(text) * self.scale


@dataclass(frozen=True, slots=True)
class Url:
    """``http(s)://host[:port]`` without a path, or nothing. No user and password."""

    allowed: str = (
        "https://host or https://host:port, without path, user or password"
        " (or empty: AWS's own endpoint for the region of the keys)"
    )

    def parse(self, text: str) -> str:
        """The URL in lower case, without a slash at its end."""
        if not text:
            return ""
        parts = urlsplit(text)
        plain = f"{parts.scheme}://{parts.netloc}".lower()
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or "@" in parts.netloc
            or parts.port == 0
            or text.rstrip("/").lower() != plain
            or re.search(r"[\s\\]", text)
        ):
            raise ValueError
        return plain

    def show(self, text: str) -> str:
        """The URL with user and password masked."""
        return re.sub(r"(?<=//).*@|^[^/]*@", "***@", text)


@dataclass(frozen=True, slots=True)
class SecretName:
    """The name under which keys are stored; never the keys themselves."""

    allowed: str = (
        "projects/PROJECT/secrets/NAME/versions/latest (Google Secret Manager)"
        " or the name of a parameter in AWS Systems Manager"
    )

    def parse(self, text: str) -> str:
        """The name; a secret without a version means its latest one."""
        if text.startswith("projects/"):
            if not _RESOURCE.fullmatch(text):
                raise ValueError
            return text if "/versions/" in text else f"{text}/versions/latest"
        if text and not _PARAMETER.fullmatch(text):
            raise ValueError
        return text

    def show(self, text: str) -> str:
        """The name, or its length where it is none: it could be a secret pasted here."""
        try:
            self.parse(text)
        except ValueError:
            return f"({len(text)} characters, not shown)"
        return text


@dataclass(frozen=True, slots=True)
class ClassMap(_Plain):
    """``SOURCE_CLASS:DESTINATION_CLASS`` pairs with commas between."""

    allowed: str = "pairs like STANDARD_IA:NEARLINE, GLACIER_IR:COLDLINE, or empty"

    def parse(self, text: str) -> tuple[tuple[str, str], ...]:
        """The pairs in their order."""
        pairs = [pair.strip() for pair in text.split(",") if pair.strip()]
        return tuple(self._pair(pair) for pair in pairs)

    def _pair(self, text: str) -> tuple[str, str]:
        source, colon, target = (part.strip().upper() for part in text.partition(":"))
        if not (colon and _CLASS.fullmatch(source) and _CLASS.fullmatch(target)):
            raise ValueError(text)
        return source, target


@dataclass(frozen=True, slots=True)
class FilePath(_Plain):
    """A path of this machine, or nothing."""

    allowed: str = field(default="a path, or empty")

    def parse(self, text: str) -> PurePath | None:
        """The path as written."""
        if "\0" in text:
            raise ValueError(text)
        return PurePath(text) if text else None


@dataclass(frozen=True, slots=True)
class QueueNames(_Plain):
    """Names of queues, see `sync.config.queue_names`; or nothing."""

    allowed: str = (
        "a queue's name (1 to 80 letters, digits, - and _), not its URL or ARN, or several as"
        " first, second or as jobs-{01..05}"
    )

    def parse(self, text: str) -> str:
        """The text itself, for `Settings.queue_names` to expand."""
        if text:
            queue_names(text)
        return text


@dataclass(frozen=True, slots=True)
class Moment(_Plain):
    """A time in ISO 8601, or nothing."""

    allowed: str = (
        "a time in ISO 8601, such as 2024-05-01 or 2024-05-01T18:30:00+02:00 (UTC where no zone"
        " is given), or empty"
    )

    def parse(self, text: str) -> float | None:
        """A POSIX timestamp; None where there is no text."""
        if not text:
            return None
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
