"""Faults that read what SQS and DynamoDB are asked, and change the answer where it matters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from faults.proxy.exchange import Exchange, head_of
from faults.proxy.rules import Fault

_JSON = {"Content-Type": "application/x-amz-json-1.0"}


async def _told(x: Exchange, value: Mapping[str, Any]) -> None:
    body = json.dumps(value).encode()
    await x.answer(head_of(200, "OK", _JSON, len(body)), body)


def answered(name: str, value: Mapping[str, Any]) -> Fault:
    """The service hears nothing, and this is its answer."""

    async def fault(x: Exchange) -> None:
        x.strike()
        await _told(x, value)

    return Fault(name, fault)


def in_part(code: str, *, sender: bool) -> Fault:
    """The first entry of a batch is left out, and told as failed; the others are done."""

    async def fault(x: Exchange) -> None:
        asked = json.loads(await x.take())
        first, *rest = asked["Entries"]
        value: dict[str, Any] = {"Successful": []}
        if rest:
            await x.forward(data=json.dumps({**asked, "Entries": rest}).encode())
            value = json.loads((await x.swallow())[1])
        failed = {"Id": first["Id"], "SenderFault": sender, "Code": code, "Message": "not this"}
        value["Failed"] = [*value.get("Failed", ()), failed]
        x.strike()
        await _told(x, value)

    return Fault("in-part", fault)


def unprocessed() -> Fault:
    """BatchWriteItem does nothing, and gives all of it back as unprocessed."""

    async def fault(x: Exchange) -> None:
        asked = json.loads(await x.take())
        x.strike()
        await _told(x, {"UnprocessedItems": asked["RequestItems"]})

    return Fault("unprocessed", fault)


def damaged_message() -> Fault:
    """A message's body differs by a character from the one its MD5 is of."""

    async def fault(x: Exchange) -> None:
        await x.forward()
        _head, body = await x.swallow()
        value = json.loads(body)
        if messages := value.get("Messages"):
            x.strike()
            messages[0]["Body"] = messages[0]["Body"].replace("s3", "S3", 1)
        await _told(x, value)

    return Fault("damaged-message", fault)
