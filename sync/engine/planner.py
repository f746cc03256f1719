"""How an object is cut into parts. Pure.

| object | written as | part size |
|---|---|---|
| size <= threshold (and within one PUT's limit) | one PUT | - |
| larger, and ``size // chunk + 1`` <= the most parts | multipart | chunk |
| larger still | multipart | ``size // most parts + 1024``, as the first 3GSync did |
| above what the destination's parts can hold | refused: ObjectTooLarge | - |

One part number, the highest, is kept free for the identity mark (see ``resume``).
"""

from __future__ import annotations

from sync.errors import ObjectTooLarge
from sync.model import GIB, Dialect, TransferPlan

_SLACK = 1024


def usable_parts(dialect: Dialect) -> int:
    """Part numbers that may carry bytes; the last one is the identity mark's."""
    return dialect.max_parts - 1


def most_at_once(threshold: int, dialect: Dialect) -> int:
    """The most bytes that are written with one PUT."""
    return min(threshold, dialect.max_single_put, dialect.max_object)


def plan(size: int, *, threshold: int, chunk: int, dialect: Dialect) -> TransferPlan:
    """Decide how ``size`` bytes are written. ObjectTooLarge where they cannot be."""
    if size > dialect.max_object:
        raise ObjectTooLarge(_too_large(size, dialect))
    if size <= most_at_once(threshold, dialect):
        return TransferPlan(size, 0)
    part_size = max(chunk, dialect.min_part)
    if size // part_size + 1 > usable_parts(dialect):
        part_size = max(part_size, size // usable_parts(dialect) + _SLACK)
    if part_size > dialect.max_part:
        raise ObjectTooLarge(_too_large(size, dialect))
    return TransferPlan(size, part_size)


def fits(size: int, part_size: int, dialect: Dialect) -> bool:
    """True where ``size`` bytes in parts of ``part_size`` make a legal upload."""
    if not dialect.min_part <= part_size <= dialect.max_part:
        return False
    return -(-size // part_size) <= usable_parts(dialect)


def _too_large(size: int, dialect: Dialect) -> str:
    limit = min(dialect.max_object, dialect.max_part * usable_parts(dialect))
    return (
        f"the object has {size} bytes and a {dialect.name} destination holds at most "
        f"{limit} ({limit // GIB} GiB) in one object: split it at the source or ignore it"
    )
