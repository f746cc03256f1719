"""The whole job table, read page by page. Memory does not grow with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from sync.adapters.aws_errors import Service, malformed
from sync.adapters.aws_json import JsonApi
from sync.adapters.ledger_rows import Attribute, Item, row_key, text
from sync.adapters.ledger_view import PROJECTION
from sync.model import ObjectRef

_Reply = Mapping[str, Any]
_NAMES: Final = {f"#{name}": name for name in PROJECTION}


def ledger_service(table: str, region: str) -> Service:
    """DynamoDB, and what to do where the table is missing."""
    return Service(
        name="dynamodb",
        prefix="DynamoDB_20120810",
        title="DynamoDB",
        mend_missing=f"there is no table {table} in {region}: check table_queue_name",
    )


class LedgerScan:
    """Reads the job table; never writes."""

    def __init__(self, *, table: str, api: JsonApi) -> None:
        self._table = table
        self._api = api

    async def item(self, source: ObjectRef) -> Mapping[str, Attribute]:
        """The whole row of a source object; empty where there is none."""
        key: Item = {"Key": text(row_key(source))}
        asked = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        item = (await self._api.call("GetItem", asked)).get("Item")
        return item if isinstance(item, dict) else {}

    async def items(self, *, segments: int = 1) -> AsyncIterator[Mapping[str, Attribute]]:
        """All rows, in no order, without the checksums of parts; ``segments`` requests at a time.

        A page of the table is up to 1 MB. A failure raises: it never ends short.
        """
        pending = dict(self._page(self._asked(number, segments)) for number in range(segments))
        try:
            while pending:
                done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    asked, reply = pending.pop(task), task.result()
                    if following := reply.get("LastEvaluatedKey"):
                        if following == asked.get("ExclusiveStartKey"):
                            raise malformed("DynamoDB Scan")  # it would never end
                        pending |= [self._page({**asked, "ExclusiveStartKey": following})]
                    for item in _rows(reply):
                        yield item
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def _page(self, asked: dict[str, Any]) -> tuple[asyncio.Task[_Reply], dict[str, Any]]:
        return asyncio.create_task(self._api.call("Scan", asked)), asked

    def _asked(self, segment: int, segments: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "ProjectionExpression": ", ".join(_NAMES),
            "ExpressionAttributeNames": _NAMES,
            "Segment": segment,
            "TotalSegments": segments,
        }


def _rows(reply: _Reply) -> list[Mapping[str, Attribute]]:
    rows = reply.get("Items") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed("DynamoDB Scan")
    return rows
