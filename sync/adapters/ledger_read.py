"""Many rows of the job table at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sync.adapters.aws_json import JsonApi
from sync.adapters.ledger_rows import Attribute, LedgerRow, read_row, text
from sync.errors import Throttled

# The most that DynamoDB takes in one BatchGetItem (its API reference).
_BATCH: Final = 100


async def read_rows(api: JsonApi, table: str, keys: Sequence[str]) -> dict[str, LedgerRow]:
    """The rows that there are, by key; what the table leaves unprocessed is asked for again."""
    rows: dict[str, LedgerRow] = {}
    for start in range(0, len(keys), _BATCH):
        for item in await _batch(api, table, keys[start : start + _BATCH]):
            row = read_row(item)
            rows[row.key] = row
    return rows


async def _batch(api: JsonApi, table: str, keys: Sequence[str]) -> list[Mapping[str, Attribute]]:
    asked: list[Any] = [{"Key": text(key)} for key in dict.fromkeys(keys)]
    found: list[Mapping[str, Attribute]] = []
    for failures in range(1, api.retries.attempts + 1):
        reply = await api.call(
            "BatchGetItem", {"RequestItems": {table: {"Keys": asked, "ConsistentRead": True}}}
        )
        found += (reply.get("Responses") or {}).get(table) or ()
        asked = list(_left(reply, table))
        if not asked:
            return found
        await api.pause(failures)
    raise Throttled(f"DynamoDB BatchGetItem: table {table} gives no more rows now")


def _left(reply: Mapping[str, Any], table: str) -> Iterator[Any]:
    return iter(((reply.get("UnprocessedKeys") or {}).get(table) or {}).get("Keys") or ())
