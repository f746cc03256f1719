"""The JSON under which keys are stored -> Credentials. Errors name fields, never what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sync.errors import ConfigError
from sync.json_text import loads
from sync.ports import Credentials

_ACCESS: Final = "aws_access_key_id"
_SECRET: Final = "aws_secret_access_key"  # noqa: S105  a field's name
_TOKEN: Final = "aws_session_token"  # noqa: S105  a field's name
_KEY: Final = re.compile(r"[\x21-\x7e]+")


def two_sides(data: bytes, where: str) -> dict[str, Credentials]:
    """Keys of ``{"source": {…}, "destination": {…}}``."""
    document = _load(data, where)
    sides = {side: document.get(side) for side in ("source", "destination")}
    faults = [f"{where}: {text}" for side in sides for text in _side_faults(side, sides[side])]
    if faults:
        raise ConfigError(*faults)
    return {side: _pair(fields or {}) for side, fields in sides.items()}


def one_side(data: bytes, where: str) -> dict[str, Credentials]:
    """Keys of a flat ``{"aws_access_key_id": …, "aws_secret_access_key": …, "region": …}``."""
    fields = _load(data, where)
    if faults := [f"{where}: {text}" for text in _faults(fields, "")]:
        raise ConfigError(*faults)
    return {"": _pair(fields)}


def _load(data: bytes, where: str) -> dict[str, Any]:
    # The decoder's error carries the whole text: it must not become this error's context.
    document = None
    try:
        document = loads(data.decode("utf-8-sig"))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: must hold a JSON object in UTF-8; it does not")
    return document


def _side_faults(side: str, fields: object) -> list[str]:
    if isinstance(fields, dict):
        return _faults(fields, f"{side}.")
    return [f"field {side} must hold an object with {_ACCESS}, {_SECRET}, region"]


def _faults(fields: Mapping[str, Any], prefix: str) -> list[str]:
    needed = {_ACCESS, _SECRET}
    values = {name: _field(fields, name) for name in (_ACCESS, _SECRET, _TOKEN, "region")}
    return [
        f"field {prefix}{name} {_lack(fields, name)}"
        for name, value in values.items()
        if value is None or (not value and name in needed)
    ]


def _pair(fields: Mapping[str, Any]) -> Credentials:
    return Credentials(
        access_key=_field(fields, _ACCESS) or "",
        secret_key=_field(fields, _SECRET) or "",
        token=_field(fields, _TOKEN) or "",
        region=_field(fields, "region") or "",
    )


def _field(fields: Mapping[str, Any], name: str) -> str | None:
    """The field without white space around it, "" where it is missing, None where it is wrong."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        return None
    text = value.strip()
    return text if not text or _KEY.fullmatch(text) else None


def _lack(fields: Mapping[str, Any], name: str) -> str:
    return "is missing or empty" if not fields.get(name) else "is not a text as keys are"
