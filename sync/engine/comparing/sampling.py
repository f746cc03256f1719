"""Which objects a sample is made of: the same ones on every run and on every machine. Pure."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

_BITS: Final = 64


def sample(fraction: float, seed: str = "") -> Callable[[str], bool]:
    """Tells whether a key belongs to a sample of that size (0 to 1), decided by a hash of the
    key. Another ``seed`` gives another sample; a larger fraction holds the smaller's.
    """
    if fraction >= 1:
        return lambda _key: True
    below = int(fraction * 2**_BITS)
    begun = blake2b(seed.encode("utf-8", "surrogatepass") + b"\0", digest_size=_BITS // 8)

    def chosen(key: str) -> bool:
        hashed = begun.copy()
        hashed.update(key.encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashed.digest(), "big") < below

    return chosen
