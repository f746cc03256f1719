"""A refusal may repeat what it was sent. What is secret in that goes no further."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_MASK: Final = b"(session token)"


def without(body: bytes, tokens: Iterable[str]) -> bytes:
    """The refusal's body without these session tokens, as they were sent or as JSON may write
    them. Keys need no such care: they never leave this machine.
    """
    for token in tokens:
        for text in (token, token.replace("/", "\\/")):
            body = body.replace(text.encode("latin-1", "replace"), _MASK)
    return body
