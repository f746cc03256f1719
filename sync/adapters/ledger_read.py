"""Many rows of the job table at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sync.adapters.aws_errors import MALFORMED, malformed
from sync.adapters.aws_json import JsonApi
from sync.adapters.ledger_rows import (
    Attribute,
    LedgerRow,
    read_crc32c,
    read_identity,
    read_row,
    row_key,
    text,
)
from sync.errors import Throttled
from sync.model import Identity, ObjectRef

# The most that DynamoDB takes in one BatchGetItem (its API reference).
_BATCH: Final = 100


async def read_rows(api: JsonApi, table: str, keys: Sequence[str]) -> dict[str, LedgerRow]:
    """The rows that there are, by key; what the table leaves unprocessed is asked for again."""
    rows = map(read_row, await _items(api, table, keys))
    return {row.key: row for row in rows}


async def read_copies(
    api: JsonApi, table: str, sources: Sequence[ObjectRef]
) -> dict[ObjectRef, tuple[Identity, ObjectRef, int | None]]:
    """Of those source objects whose last copy is known as done: which version was copied, to
    where, and the CRC32C of its bytes.
    """
    named = {row_key(ref): ref for ref in sources}
    found = {}
    for item in await _items(api, table, list(named)):
        row, identity = read_row(item), read_identity(item)
        if identity is not None and row.copied and row.key in named:
            found[named[row.key]] = identity, row.destination, read_crc32c(item)
    return found


async def _items(api: JsonApi, table: str, keys: Sequence[str]) -> list[Mapping[str, Attribute]]:
    found: list[Mapping[str, Attribute]] = []
    for start in range(0, len(keys), _BATCH):
        found += await _batch(api, table, keys[start : start + _BATCH])
    return found


async def _batch(api: JsonApi, table: str, keys: Sequence[str]) -> list[Mapping[str, Attribute]]:
    asked: list[Any] = [{"Key": text(key)} for key in dict.fromkeys(keys)]
    found: list[Mapping[str, Attribute]] = []
    for failures in range(1, api.retries.attempts + 1):
        reply = await api.call(
            "BatchGetItem", {"RequestItems": {table: {"Keys": asked, "ConsistentRead": True}}}
        )
        try:
            found += _rows(reply, table)
            asked = list(_left(reply, table))
        except MALFORMED:
            raise malformed("DynamoDB BatchGetItem") from None
        if not asked:
            return found
        await api.pause(failures)
    raise Throttled(f"DynamoDB BatchGetItem: table {table} gives no more rows now")


def _rows(reply: Mapping[str, Any], table: str) -> list[Mapping[str, Attribute]]:
    rows = (reply.get("Responses") or {}).get(table) or []
    if not all(isinstance(row, dict) for row in rows):
        raise TypeError("a row that is no object")
    return list(rows)


def _left(reply: Mapping[str, Any], table: str) -> Iterator[Any]:
    return iter(((reply.get("UnprocessedKeys") or {}).get(table) or {}).get("Keys") or ())
