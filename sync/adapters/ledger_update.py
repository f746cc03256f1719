"""UpdateItem requests, put together from what they set, add and remove. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sync.adapters.ledger_rows import Attribute, text


@dataclass(slots=True)
class Update:
    """An UpdateItem in the making. Names go through placeholders: Key and Size are reserved."""

    add: dict[str, Attribute] = field(default_factory=dict)
    put: dict[str, Attribute] = field(default_factory=dict)
    put_first: dict[str, Attribute] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    only_for_upload: str = ""

    def request(self, *, table: str, key: str) -> dict[str, Any]:
        """The request's object."""
        values = {**self.put, **self.put_first, **self.add}
        names = [*values, *self.remove]
        sets = [f"#{name} = :{name}" for name in self.put]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in self.put_first]
        clauses = (
            ("SET", sets),
            ("ADD", [f"#{name} :{name}" for name in self.add]),
            ("REMOVE", [f"#{name}" for name in self.remove]),
        )
        request: dict[str, Any] = {
            "TableName": table,
            "Key": {"Key": text(key)},
            "UpdateExpression": " ".join(f"{verb} {', '.join(of)}" for verb, of in clauses if of),
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
            "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
        }
        if self.only_for_upload:
            request["ConditionExpression"] = "attribute_not_exists(#uploadId) OR #uploadId = :mine"
            request["ExpressionAttributeNames"]["#uploadId"] = "uploadId"
            request["ExpressionAttributeValues"][":mine"] = text(self.only_for_upload)
        return request
