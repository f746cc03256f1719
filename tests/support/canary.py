"""Secrets that are looked for in everything that is written, in every spelling."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus
from uuid import uuid4


def canary(name: str) -> str:
    """A secret as keys look: with characters that each encoding writes in its own way."""
    return f"{name}/{uuid4().hex}+Ca/na+ry=="


def spellings(secret: str) -> set[str]:
    """The secret as logs, URLs, JSON, reprs, pages and HTTP's Basic would write it."""
    raw = secret.encode()
    encoded = {base64.b64encode(b" " * shift + raw).decode()[4:-4] for shift in range(3)}
    return encoded | {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        repr(secret)[1:-1],
        html.escape(secret),
        raw.hex(),
        secret[:24],
    }


def found(secrets: Iterable[str], texts: Iterable[tuple[str, str]]) -> list[str]:
    """Names of the texts that hold one of the secrets."""
    wanted = {text for secret in secrets for text in spellings(secret)}
    return sorted({name for name, text in texts if any(one in text for one in wanted)})


def files_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file's name and what it holds."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "replace")
