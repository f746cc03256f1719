"""What ``3gsync triggers`` shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sync.adapters.notification_plan import (
    Document,
    Plan,
    Trigger,
    has_event_bridge,
    triggers_of,
)
from sync.adapters.trigger_policy import Sender, statement_for
from sync.commands.tables import shown, table

_ENCODED = frozenset("%+")
_HEADER = ("WHOSE", "ID", "EVENTS", "PREFIX", "SUFFIX", "TARGET")


def plan_lines(plan: Plan) -> Iterator[str]:
    """A bucket's change: + comes, - goes, ~ becomes; and what stays."""
    yield f"bucket {plan.bucket}"
    for trigger in plan.removed:
        yield f"  - {_line(trigger)}"
    for old, new in plan.changed:
        yield f"  ~ {_line(old)}"
        yield f"    becomes {_line(new)}"
    for trigger in plan.added:
        yield f"  + {_line(trigger)}"
    if not plan.changes:
        yield "  nothing changes"
    yield f"  others' that stay: {_others(plan)}"
    if any(_ENCODED & set(new.prefix + new.suffix) for new in plan.new):
        yield "  (shown as S3 stores them: special characters percent-encoded, a space as +)"


def _line(trigger: Trigger) -> str:
    events = ", ".join(trigger.events)
    return shown(f"{trigger.id}: {_keys(trigger)}: {events} -> {trigger.target}")


def _keys(trigger: Trigger) -> str:
    """Quoted, and as stored, so that what S3 compares with can be seen."""
    pairs = (("prefix", trigger.prefix), ("suffix", trigger.suffix))
    told = [f"{n} {json.dumps(value, ensure_ascii=False)}" for n, value in pairs if value]
    return " ".join(told) or "all keys"


def _others(plan: Plan) -> str:
    count = Counter(trigger.kind for trigger in plan.others)
    told = [f"{number} {kind}" for kind, number in sorted(count.items())]
    if has_event_bridge(plan.before):
        told.append("EventBridge")
    return ", ".join(told) or "none"


def policy_lines(senders: Sequence[Sender]) -> Iterator[str]:
    """The statements that the queue's policy needs."""
    for account in sorted({sender.account for sender in senders}):
        group = [sender for sender in senders if sender.account == account]
        statement = statement_for(group[0], *(sender.bucket_arn for sender in group))
        yield "the queue's policy needs this statement:"
        yield json.dumps(statement, indent=2)


def bucket_table(bucket: str, document: Document) -> Iterator[str]:
    """Every configuration of a bucket."""
    bridge = "on" if has_event_bridge(document) else "off"
    found = triggers_of(document)
    yield f"bucket {bucket}: configurations: {len(found)}, EventBridge: {bridge}"
    if found:
        yield from table(_HEADER, map(_row, found))


def _row(trigger: Trigger) -> tuple[str, ...]:
    whose = "mine" if trigger.mine else "others"
    events = ",".join(trigger.events)
    keys = (trigger.prefix or "-", trigger.suffix or "-")
    return (whose, trigger.id, events, *keys, trigger.target)


def bucket_json(bucket: str, document: Document) -> dict[str, Any]:
    """The same for programs."""
    configurations = [trigger_json(trigger) for trigger in triggers_of(document)]
    return {
        "bucket": bucket,
        "event_bridge": has_event_bridge(document),
        "configurations": configurations,
    }


def trigger_json(trigger: Trigger) -> dict[str, Any]:
    """One configuration; prefix and suffix as stored."""
    return {**trigger._asdict(), "events": list(trigger.events), "mine": trigger.mine}


def plan_json(plan: Plan) -> Mapping[str, Any]:
    """A bucket's change."""
    changed = [{"from": trigger_json(old), "to": trigger_json(new)} for old, new in plan.changed]
    return {
        "bucket": plan.bucket,
        "added": [trigger_json(trigger) for trigger in plan.added],
        "changed": changed,
        "removed": [trigger_json(trigger) for trigger in plan.removed],
        "others": len(plan.others),
        "event_bridge": has_event_bridge(plan.before),
    }
