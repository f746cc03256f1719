"""Whether a queue's policy lets a bucket's events in, and the statement that does.

Sources: S3 user guide, "Granting permissions to publish event notification messages to a
destination" (the statement, with both conditions); IAM user guide, "Policy evaluation logic"
and "Condition operators"; SQS developer guide, "Amazon SQS policy quotas".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sync.errors import ConfigError
from sync.json_text import loads

SERVICE: Final = "s3.amazonaws.com"
_SEND: Final = "sqs:SendMessage"
_SID: Final = "ThreeGSyncEventsFrom"
_MOST_BYTES: Final = 8192
_MOST_STATEMENTS: Final = 20
_SOURCE_ARN: Final = "aws:sourcearn"
_SOURCE_ACCOUNT: Final = "aws:sourceaccount"


class Grant(StrEnum):
    """What a policy says of a bucket that wants to send."""

    GRANTED = "granted"
    LOOSE = "loose"  # granted, to others too
    MISSING = "missing"
    DENIED = "denied"
    UNSURE = "unsure"  # it depends on conditions not judged here


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A bucket that sends, the account that owns it, and the queue it sends to."""

    bucket_arn: str
    account: str
    queue_arn: str


def bucket_arn(bucket: str, queue_arn: str) -> str:
    """The bucket's ARN, in the partition (aws, aws-cn, aws-us-gov ...) of the queue's."""
    return f"arn:{queue_arn.split(':')[1]}:s3:::{bucket}"


def grant(policy: str, sender: Sender) -> Grant:
    """How the policy (JSON, or "" for none) stands to the sender. ConfigError where malformed."""
    allows, denies = Counter[bool | None](), Counter[bool | None]()
    loose = False
    for statement in _statements(_parsed(policy)):
        applies = _applies(statement, sender)
        if statement.get("Effect") == "Allow":
            allows[applies] += 1
            loose = loose or bool(applies and not _pinned(statement))
        else:
            denies[applies] += 1
    if denies[True]:
        return Grant.DENIED
    if not allows[True] and not allows[None]:
        return Grant.MISSING
    if denies[None] or not allows[True]:
        return Grant.UNSURE
    return Grant.LOOSE if loose else Grant.GRANTED


def statement_for(sender: Sender, *more_arns: str) -> dict[str, Any]:
    """The statement that lets the bucket (and others of the account) send, and nobody else."""
    arns = sorted({sender.bucket_arn, *more_arns})
    return {
        "Sid": f"{_SID}{sender.account}",
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": _SEND,
        "Resource": sender.queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": arns if len(arns) > 1 else arns[0]},
            "StringEquals": {"aws:SourceAccount": sender.account},
        },
    }


def has_statement(policy: str, sender: Sender) -> bool:
    """Whether our own statement for the bucket is in the policy."""
    ours = (s for s in _statements(_parsed(policy)) if s.get("Sid") == f"{_SID}{sender.account}")
    return any(sender.bucket_arn in _arns(statement) for statement in ours)


def merged(policy: str, sender: Sender) -> str:
    """The policy with our statement for the sender's account; all others stay as they are.

    Our own statement of an earlier run keeps its buckets. ConfigError above SQS's limits.
    """
    document = _parsed(policy)
    ours = f"{_SID}{sender.account}"
    kept = [s for s in _statements(document) if s.get("Sid") != ours]
    earlier = [arn for s in _statements(document) if s.get("Sid") == ours for arn in _arns(s)]
    # A policy without a version is one of 2008; giving it one would change its other statements.
    new = dict(document) or {"Version": "2012-10-17"}
    new["Statement"] = [*kept, statement_for(sender, *earlier)]
    text = json.dumps(new, separators=(",", ":"))
    if len(text.encode()) > _MOST_BYTES or len(new["Statement"]) > _MOST_STATEMENTS:
        raise ConfigError(
            f"queue policy: it would have {len(text.encode())} bytes and {len(new['Statement'])} "
            f"statements; SQS takes {_MOST_BYTES} and {_MOST_STATEMENTS}: remove statements that "
            "are not needed any more"
        )
    return text


def _parsed(policy: str) -> dict[str, Any]:
    try:
        document = loads(policy or "{}")
    except ValueError:
        document = None
    if not isinstance(document, dict) or not _well_formed(document):
        raise ConfigError("queue policy: what SQS gave is no JSON object; mend the policy first")
    return document


def _well_formed(document: Mapping[str, Any]) -> bool:
    """What the rest relies on: a list of objects whose conditions are objects of objects."""
    found = document.get("Statement") or []
    statements = found if isinstance(found, list) else [found]
    return all(isinstance(each, dict) and _conditioned(each) for each in statements)


def _conditioned(statement: Mapping[str, Any]) -> bool:
    condition = statement.get("Condition") or {}
    return isinstance(condition, dict) and all(isinstance(c, dict) for c in condition.values())


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = document.get("Statement") or []
    return [found] if isinstance(found, dict) else list(found)


def _arns(statement: Mapping[str, Any]) -> Sequence[str]:
    return _several((statement.get("Condition") or {}).get("ArnEquals", {}).get("aws:SourceArn"))


def _several(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _applies(statement: Mapping[str, Any], sender: Sender) -> bool | None:
    """Whether the statement speaks of the sender's message; None where that is not known."""
    if statement.keys() & {"NotPrincipal", "NotAction", "NotResource"}:
        return None
    answers = [
        _names_s3(statement.get("Principal")),
        any(_like(a.lower(), _SEND.lower()) for a in _several(statement.get("Action"))),
        any(_like(r, sender.queue_arn) for r in _several(statement.get("Resource"))),
        *_conditions(statement, sender),
    ]
    if False in answers:
        return False
    return None if None in answers else True


def _names_s3(principal: Any) -> bool:
    if not isinstance(principal, dict):
        return bool(principal == "*")
    return SERVICE in _several(principal.get("Service")) or "*" in _several(principal.get("AWS"))


def _conditions(statement: Mapping[str, Any], sender: Sender) -> Iterator[bool | None]:
    known = {
        _SOURCE_ARN: sender.bucket_arn,
        _SOURCE_ACCOUNT: sender.account,
        "aws:securetransport": "true",
        "aws:principalisawsservice": "true",
        "aws:principalservicename": SERVICE,
    }
    for operator, block in (statement.get("Condition") or {}).items():
        for key, values in block.items():
            value = known.get(key.lower())
            yield None if value is None else _holds(operator, value, _several(values))


def _holds(operator: str, value: str, patterns: Sequence[str]) -> bool | None:
    name = operator.removesuffix("IfExists").lower()
    negated = "not" in name
    test = _OPERATORS.get(name.replace("not", "", 1))
    if test is None:
        return None
    return any(test(pattern, value) for pattern in patterns) is not negated


def _like(pattern: str, value: str) -> bool:
    """A glob of ``*`` and ``?``. Each ``*`` but the last takes the nearest fit and never gives it
    back, which is all that a glob needs: else the time could double with every star.
    """
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", pattern))
    middles = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    expression = f"{first}{middles}.*{rest[-1]}" if rest else first
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _equal(pattern: str, value: str) -> bool:
    return pattern == value


def _equal_folded(pattern: str, value: str) -> bool:
    return pattern.lower() == value.lower()


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "stringequals": _equal,
    "stringequalsignorecase": _equal_folded,
    "stringlike": _like,
    "arnequals": _like,  # the two ARN operators behave alike
    "arnlike": _like,
    "bool": _equal_folded,
}


def _pinned(statement: Mapping[str, Any]) -> bool:
    """Both conditions stand: no other bucket, and no other owner of a bucket of that name."""
    condition = statement.get("Condition") or {}
    positive = (block for operator, block in condition.items() if "Not" not in operator)
    named = {key.lower() for block in positive for key in block}
    return {_SOURCE_ARN, _SOURCE_ACCOUNT} <= named
