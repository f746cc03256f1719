"""The jobsender's list of bucket pairs, as JSON. Pure.

The original's form: a list of objects with ``src_bucket``, ``src_prefix``, ``des_bucket`` and
``des_prefix``; both prefixes may be missing or empty.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sync.errors import ConfigError
from sync.json_text import loads
from sync.model import BucketPair

_NAMES: Final = ("src_bucket", "src_prefix", "des_bucket", "des_prefix")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]").fullmatch
_SHAPE: Final = (
    '[{"src_bucket": "...", "src_prefix": "", "des_bucket": "...", "des_prefix": ""}, ...]'
)


def parse_bucket_list(text: str, where: str) -> list[BucketPair]:
    """The pairs in their order; ConfigError with every fault, each with its place."""
    try:
        rows = loads(text)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}; it must look like {_SHAPE}") from None
    if not isinstance(rows, list) or not rows:
        raise ConfigError(f"{where}: it must be a list with at least one pair: {_SHAPE}")
    faults: list[str] = []
    pairs = [_pair(row, f"{where}: [{number}]", faults) for number, row in enumerate(rows)]
    faults += _overlaps([pair for pair in pairs if pair is not None], where)
    if faults:
        raise ConfigError(*faults)
    return [pair for pair in pairs if pair is not None]


def _pair(row: Any, where: str, faults: list[str]) -> BucketPair | None:
    if not isinstance(row, dict):
        faults.append(f"{where}: must be an object like those of {_SHAPE}")
        return None
    before = len(faults)
    unknown = sorted(set(row) - set(_NAMES))
    faults += [f"{where}: {name!r} is unknown; known are {', '.join(_NAMES)}" for name in unknown]
    values = {name: row.get(name) or "" for name in _NAMES}
    for name, value in values.items():
        if not isinstance(value, str):
            faults.append(f"{where}: {name} must be text")
        elif name.endswith("bucket") and not _BUCKET(value):
            faults.append(f"{where}: {name} must be a bucket's name (without a prefix): {value!r}")
    return BucketPair(*values.values()) if len(faults) == before else None


def _overlaps(pairs: list[BucketPair], where: str) -> list[str]:
    """A pair that stands twice is a slip of the pen: the work would be done twice."""
    return [
        f"{where}: [{number}] stands there twice: {pair}"
        for number, pair in enumerate(pairs)
        if pair in pairs[:number]
    ]
