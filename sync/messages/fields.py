"""Bodies read strictly: bounded JSON, and fields of the type they must have.

Everything here raises only MessageError, with a text that is printable ASCII: it becomes a
message attribute of the dead letter.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from sync.errors import MessageError

Json = Mapping[str, Any]

# A queue message is at most 1 MiB; an envelope that escapes its payload may double that.
MAX_BODY: Final = 4 * 1024 * 1024
_MAX_SIZE: Final = 2**63 - 1
_MAX_DIGITS: Final = 19
_SHOWN: Final = 80
# Nothing else may reach a host name or a path: a bucket is put into both.
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}").fullmatch
# What the senders we replace write where they do not know a value.
_UNKNOWN: Final = frozenset({"", "null"})


def shown(value: object) -> str:
    """A value for an error text: printable ASCII, cut where it is long."""
    try:
        text = ascii(value if not isinstance(value, str) else value[: _SHOWN * 2])
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def parse(body: str) -> object:
    """JSON without duplicate names, NaN or Infinity, of bounded length and depth."""
    if len(body) > MAX_BODY:
        raise MessageError(f"the body has {len(body)} characters; {MAX_BODY} are allowed")
    try:
        return _DECODER.decode(body.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise MessageError(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise MessageError("the body is not JSON of ours: it is nested too deep") from None
    except ValueError:  # an integer of thousands of digits
        raise MessageError("the body holds a number that is out of range") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
    raise MessageError(f"the name {shown(twice)} occurs twice in one JSON object")


def _no_constant(name: str) -> NoReturn:
    raise MessageError(f"{name} is not a JSON number")


# Kept, because json.loads makes one for each call that has a hook.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_no_constant)


def mapping(parent: Json, name: str) -> Json:
    """The JSON object of that name, which must be there."""
    value = parent.get(name)
    if not isinstance(value, dict):  # what the decoder makes; an ABC would be asked slowly
        raise MessageError(f"{name} must be a JSON object; it is {shown(value)}")
    return value


def items(parent: Json, name: str) -> list[Any]:
    """The JSON array of that name, with at least one element."""
    value = parent.get(name)
    if not isinstance(value, list) or not value:
        raise MessageError(f"{name} must be an array of at least one; it is {shown(value)}")
    return value


def text(parent: Json, name: str) -> str:
    """The text of that name, not empty and valid Unicode."""
    value = parent.get(name)
    if not isinstance(value, str) or not value:
        raise MessageError(f"{name} must be a text and not empty; it is {shown(value)}")
    return value if value.isascii() else unicode(value, name)


def unicode(value: str, name: str) -> str:
    """The text itself, unless it holds half a surrogate pair, which no key can."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MessageError(f"{name} is not valid Unicode: {shown(value)}") from None
    return value


def optional_text(parent: Json, name: str) -> str | None:
    """The text of that name; None where it is missing, null, '' or 'null'."""
    value = parent.get(name)
    if value is None or (isinstance(value, str) and value in _UNKNOWN):
        return None
    return text(parent, name)


def hint(parent: Json, name: str) -> str:
    """A text nothing depends on; '' where it is missing, or not printable ASCII (it may
    become a request header).
    """
    value = parent.get(name)
    usable = isinstance(value, str) and value.isascii() and value.isprintable()
    return str(value) if usable else ""


def bucket(parent: Json, name: str) -> str:
    """A bucket's name: letters, digits, dots, hyphens and underscores."""
    value = text(parent, name)
    if not _BUCKET(value):
        raise MessageError(f"{name} is not a bucket name: {shown(value)}")
    return value


def size(parent: Json, name: str) -> int | None:
    """Bytes, as a number or as digits; None where it is missing, null, '' or 'null'."""
    value = parent.get(name)
    if type(value) is int and 0 <= value <= _MAX_SIZE:  # the usual case; a bool is none
        return value
    if value is None or (isinstance(value, str) and value in _UNKNOWN):
        return None
    if isinstance(value, str) and _digits(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_SIZE:
        raise MessageError(f"{name} must be a whole number of bytes; it is {shown(value)}")
    return value


def _digits(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS


def timestamp(parent: Json, name: str) -> float | None:
    """ISO 8601 as a POSIX timestamp; None where it is missing or unreadable (a mere hint)."""
    value = parent.get(name)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.timestamp()
    except (ValueError, OverflowError):
        return None


def etag(parent: Json, name: str) -> str | None:
    """An ETag without its quotes; None where it is missing."""
    value = hint(parent, name).strip('"')
    return value or None
