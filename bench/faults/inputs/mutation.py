"""Hostile variants of valid inputs: bytes changed at random, and JSON changed where it hurts."""

# ruff: noqa: ARG001, E501, PLR2004  changes of one signature; chances and byte values are the point

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

_BYTES: Final = (
    b"\x00", b"\xff", b"\r", b"\n", b"\r\n", b"\xed\xa0\x80", b"\xc0\xaf", b"\xef\xbb\xbf",
    b"\xf4\x90\x80\x80", b"%", b"%00", b"%2F", b"%ff", b"+", b'"', b"'", b"&", b"<", b">", b"]]>",
    b"&amp;", b"&#0;", b"&#x110000;", b"<!--", b"<![CDATA[", b"<!DOCTYPE x>", b"{", b"}", b"[",
    b"\\u0000", b"\\ud800", b"-1", b"0", b"1e999", b"NaN", b"9" * 19, b"9" * 400, b"9" * 5000,
    b"\xd9\xa3", b"null", b"true", b"*", b"?", b"[!", b"!", b"#", b";", b"=", b":", b",", b" " * 300,
)  # fmt: skip
_NUMBERS: Final = (
    0, -1, 2**31, 2**63, 2**63 - 1, 2**64, 10**18, 10**400, 1e308, -0.0, 0.5,
    float("inf"), float("nan"),
)  # fmt: skip
_TEXTS: Final = (
    "", " ", "\0", "null", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "\uffff", "a\r\nb: c",
    "../..", "//", "%", "%zz", "%ff", "+", "9" * 19, "9" * 400, "9" * 5000, "-1", "1e126", "Infinity",
    "\u0663", "x" * 1024, "é" * 513, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "{", "[" * 2000, "s3:", "arn:aws:sqs:::", "true", "\u00b2", "🗑️", "://", "[::1", "http://[",
)  # fmt: skip
_DEEP: Final = 3000

Change = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def mutated(chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One input. Equal states of ``chance`` give equal inputs."""
    seed = chance.choice(seeds)
    if seed[:1] in (b"{", b"[") and chance.random() < 0.5:
        seed = _other_json(chance, seed)
        if chance.random() < 0.7:
            return seed
    data = bytearray(seed)
    for _ in range(1 + int(chance.expovariate(0.5))):
        chance.choice(_CHANGES)(chance, data, words)
    if chance.random() < 0.05:
        data += chance.choice(seeds)
    return bytes(data)


def _other_json(chance: random.Random, seed: bytes) -> bytes:
    """The same document with some of its values, or names, replaced."""
    try:
        document = json.loads(seed)
    except (ValueError, RecursionError):
        return seed
    for _ in range(1 + int(chance.expovariate(0.7))):
        document = _changed(chance, document)
    text = json.dumps(document)
    if chance.random() < 0.01:
        deep = "[" * _DEEP if chance.random() < 0.5 else '{"a":' * _DEEP
        text = text.replace('"', f'"{deep}', 1) if chance.random() < 0.2 else deep + text
    return text.encode("utf-8", "surrogatepass")


def _changed(chance: random.Random, node: Any) -> Any:
    """A node with one place below it changed."""
    if isinstance(node, dict) and node and chance.random() < 0.85:
        name = chance.choice(list(node))
        if chance.random() < 0.12:
            return {other: value for other, value in node.items() if other != name}
        if chance.random() < 0.06:
            return {**node, chance.choice(_TEXTS): _hostile(chance)}
        return {**node, name: _changed(chance, node[name])}
    if isinstance(node, list) and node and chance.random() < 0.85:
        at = chance.randrange(len(node))
        if chance.random() < 0.1:
            return node + node
        return [*node[:at], _changed(chance, node[at]), *node[at + 1 :]]
    return _hostile(chance, node)


def _hostile(chance: random.Random, node: Any = None) -> Any:
    kind = chance.randrange(9)
    if kind < 3:
        return chance.choice(_TEXTS)
    if kind < 5:
        return chance.choice(_NUMBERS)
    if kind == 5:
        return chance.choice((None, True, False, [], {}))
    if kind == 6:
        return [node] if chance.random() < 0.5 else {"a": node}
    if kind == 7 and isinstance(node, str) and node:
        at = chance.randrange(len(node))
        return node[:at] + chance.choice(_TEXTS)[:64] + node[at:]
    return str(node)


def _insert_word(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    word = chance.choice(words) if words and chance.random() < 0.5 else chance.choice(_BYTES)
    data[at:at] = word


def _flip(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _cut(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    del data[at : at + 1 + int(chance.expovariate(0.1))]


def _end(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _repeat(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + 1 + int(chance.expovariate(0.05))]
    data[at:at] = piece * chance.choice((1, 1, 2, 3, 50))


def _move(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    piece = bytes(data[at : at + 1 + int(chance.expovariate(0.05))])
    to = chance.randrange(len(data) + 1)
    data[to:to] = piece


def _replace_number(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if digits:
        at = chance.choice(digits)
        data[at : at + 1] = str(chance.choice(_NUMBERS)).encode()


_CHANGES: Final[tuple[Change, ...]] = (
    _insert_word, _insert_word, _flip, _set, _cut, _end, _repeat, _move, _replace_number,
)  # fmt: skip
