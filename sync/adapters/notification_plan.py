"""What a bucket's notification configuration is to become, worked out without asking anybody.

A *document* is the configuration as boto3 gives and takes it, without ``ResponseMetadata``.
The rules are Amazon's: S3 user guide, "Configuring event notifications using object key name
filtering" (overlaps, encoding of filters), API reference ``PutBucketNotificationConfiguration``
(a put replaces everything) and ``FilterRule`` (1,024 characters); S3 service quotas (100).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote_plus

from sync.errors import ConfigError

Document = Mapping[str, Any]

OWN: Final = "3gsync-"
CREATED: Final = ("s3:ObjectCreated:*",)
# An expiry by a lifecycle rule is no removal: S3 tells of it under a name of its own.
REMOVED: Final = ("s3:ObjectRemoved:*", "s3:LifecycleExpiration:*")
MOST: Final = 100
LONGEST_FILTER: Final = 1024
_MOST_FAULTS: Final = 10
_EVENT_BRIDGE: Final = "EventBridgeConfiguration"
_KINDS: Final = {
    "queue": ("QueueConfigurations", "QueueArn"),
    "topic": ("TopicConfigurations", "TopicArn"),
    "lambda": ("LambdaFunctionConfigurations", "LambdaFunctionArn"),
}


class KeyFilter(NamedTuple):
    """Which keys, as they stand in the bucket; "" is any."""

    prefix: str = ""
    suffix: str = ""


class Trigger(NamedTuple):
    """One configuration. ``prefix`` and ``suffix`` are the filter's values as stored."""

    kind: str
    id: str
    target: str
    events: tuple[str, ...]
    prefix: str
    suffix: str

    @property
    def mine(self) -> bool:
        """Whether 3GSync made it."""
        return self.kind == "queue" and self.id.startswith(OWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change of one bucket: documents before and after, and what differs."""

    bucket: str
    before: Document
    after: Document
    added: tuple[Trigger, ...]
    changed: tuple[tuple[Trigger, Trigger], ...]
    removed: tuple[Trigger, ...]

    @property
    def changes(self) -> int:
        """How many configurations differ."""
        return len(self.added) + len(self.changed) + len(self.removed)

    @property
    def new(self) -> tuple[Trigger, ...]:
        """What is written that was not there so."""
        return (*self.added, *(trigger for _, trigger in self.changed))

    @property
    def others(self) -> tuple[Trigger, ...]:
        """What other people configured, and keep."""
        return tuple(trigger for trigger in triggers_of(self.before) if not trigger.mine)


def filter_text(text: str, *, encoded: bool) -> str:
    """The filter's value for the beginning or end of a key.

    Amazon wants a space as ``+`` and special characters percent-encoded, as its events show
    keys. Which are special: all that the events encode, parentheses included (aws-sdk-js#2039),
    of which ``=`` is known not to match when it stands as it is (aws-cdk#28012). Where
    ``encoded`` is False the text stays as it is, for other stores.
    """
    # Python leaves ~ as it is, the service's form-encoding does not.
    return quote_plus(text, safe="/").replace("~", "%7E") if encoded else text


def own_id(bucket: str, keys: KeyFilter) -> str:
    """The id of our configuration for these keys of this bucket: always the same one."""
    named = "\0".join((bucket, *keys)).encode("utf-8", "surrogateescape")
    return OWN + hashlib.sha256(named).hexdigest()[:24]


def has_event_bridge(document: Document) -> bool:
    """Whether the bucket sends everything to EventBridge too."""
    return document.get(_EVENT_BRIDGE) is not None


def triggers_of(document: Document) -> tuple[Trigger, ...]:
    """Every configuration of the document."""
    return tuple(
        _trigger(kind, entry)
        for kind, (plural, _) in _KINDS.items()
        for entry in document.get(plural) or ()
    )


def same(one: Document, other: Document) -> bool:
    """Whether two documents say the same, in whatever order."""
    return _canonical(one) == _canonical(other)


def differences(wanted: Document, found: Document) -> list[str]:
    """A line for each thing that is missing or not expected in ``found``."""
    ours, theirs = set(_canonical(wanted)), set(_canonical(found))
    missing = [f"missing: {' '.join(map(str, entry))}" for entry in sorted(ours - theirs, key=str)]
    extra = [f"unexpected: {' '.join(map(str, e))}" for e in sorted(theirs - ours, key=str)]
    return missing + extra


def wanted(
    bucket: str,
    filters: Iterable[KeyFilter],
    *,
    queue_arn: str,
    events: Sequence[str],
    encoded: bool,
) -> tuple[Trigger, ...]:
    """A configuration for each filter. ConfigError for one that S3 cannot hold."""
    found = {}
    for keys in filters:
        prefix, suffix = (_checked(text, encoded=encoded) for text in keys)
        identity = own_id(bucket, keys)
        found[identity] = Trigger("queue", identity, queue_arn, tuple(events), prefix, suffix)
    return tuple(found.values())


def plan_add(
    bucket: str, document: Document, new: Sequence[Trigger], *, replace: bool = False
) -> Plan:
    """The plan that brings ``new`` in beside everything else; only our own of the same ids are
    replaced, with ``replace`` all our own. ConfigError for overlaps and above the limit.
    """
    ids = {trigger.id for trigger in new}
    plan = _plan(bucket, document, new, leaves=lambda own: replace or own.id in ids)
    stays = [t for t in triggers_of(plan.after) if not (t.mine and t.id in ids)]
    faults = [*_overlap_faults(bucket, new, stays), *_limit_faults(bucket, plan)]
    if faults:
        raise ConfigError(*_shortened(faults))
    return plan


def plan_remove(bucket: str, document: Document, leaves: Callable[[Trigger], bool]) -> Plan:
    """The plan that takes out those of our own that ``leaves`` is true of."""
    return _plan(bucket, document, (), leaves=leaves)


def overlap(one: Trigger, other: Trigger) -> bool:
    """Whether S3 refuses the two in one bucket, wherever they send to.

    It does where an event type is common to both, a string can begin with both prefixes, and
    one can end with both suffixes.
    """
    prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
    suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
    return prefixes and suffixes and bool(common_events(one, other))


def common_events(one: Trigger, other: Trigger) -> tuple[str, ...]:
    """The event types of ``one`` that ``other`` has too, by name or by wildcard."""
    return tuple(mine for mine in one.events if any(_meet(mine, its) for its in other.events))


def _meet(one: str, other: str) -> bool:
    if one.endswith("*") and other.startswith(one[:-1]):
        return True
    return one == other or (other.endswith("*") and one.startswith(other[:-1]))


def key_fault(text: str) -> str:
    """Why no filter can mean the beginning or end of a key, or ""."""
    if "*" not in text:
        return ""
    return (
        f"{text!r}: S3's filters know no wildcards; give a plain beginning such as "
        f"{text.partition('*')[0]!r}, or * alone for all keys"
    )


def _checked(text: str, *, encoded: bool) -> str:
    value = filter_text(text, encoded=encoded)
    if len(value) > LONGEST_FILTER:
        raise ConfigError(
            f"{text[:60]!r}...: its filter has {len(value)} characters; S3 takes "
            f"{LONGEST_FILTER}, so give a shorter beginning"
        )
    return value


def _plan(
    bucket: str, document: Document, new: Sequence[Trigger], *, leaves: Callable[[Trigger], bool]
) -> Plan:
    own = {t.id: t for t in triggers_of(document) if t.mine}
    gone = {trigger.id for trigger in own.values() if leaves(trigger)}
    equal = {t.id for t in new if t.id in own and _key(t) == _key(own[t.id])}
    fresh = {trigger.id: trigger for trigger in new if trigger.id not in equal}
    plural, _ = _KINDS["queue"]
    kept = [e for e in document.get(plural) or () if not _leaves(e, (gone - equal) | fresh.keys())]
    queues = kept + [_entry(trigger) for trigger in fresh.values()]
    after = {name: value for name, value in document.items() if name != plural}
    return Plan(
        bucket=bucket,
        before=document,
        after=after | ({plural: queues} if queues else {}),
        added=tuple(t for t in fresh.values() if t.id not in own),
        changed=tuple((own[t.id], t) for t in fresh.values() if t.id in own),
        removed=tuple(own[i] for i in own if i in gone - equal - fresh.keys()),
    )


def _leaves(entry: Mapping[str, Any], ids: Iterable[str]) -> bool:
    trigger = _trigger("queue", entry)
    return trigger.mine and trigger.id in ids


def _trigger(kind: str, entry: Mapping[str, Any]) -> Trigger:
    values = dict(_rules(entry))
    return Trigger(
        kind=kind,
        id=str(entry.get("Id", "")),
        target=str(entry.get(_KINDS[kind][1], "")),
        events=tuple(map(str, entry.get("Events") or ())),
        prefix=values.get("prefix", ""),
        suffix=values.get("suffix", ""),
    )


def _rules(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """S3 answers with Prefix and Suffix whatever it was given."""
    rules = ((entry.get("Filter") or {}).get("Key") or {}).get("FilterRules") or ()
    return ((str(rule.get("Name", "")).lower(), str(rule.get("Value", ""))) for rule in rules)


def _entry(trigger: Trigger) -> dict[str, Any]:
    pairs = (("prefix", trigger.prefix), ("suffix", trigger.suffix))
    rules = [{"Name": name, "Value": value} for name, value in pairs if value]
    entry = {"Id": trigger.id, "QueueArn": trigger.target, "Events": list(trigger.events)}
    return entry | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})


def _key(trigger: Trigger) -> tuple[object, ...]:
    return (*trigger[:3], tuple(sorted(trigger.events)), *trigger[4:])


def _canonical(document: Document) -> list[tuple[object, ...]]:
    found = [_key(trigger) for trigger in triggers_of(document)]
    if has_event_bridge(document):
        found.append(("EventBridge",))
    return sorted(found, key=str)


def _overlap_faults(bucket: str, new: Sequence[Trigger], stays: Sequence[Trigger]) -> Iterator[str]:
    for at, trigger in enumerate(new):
        for other in new[at + 1 :]:
            if overlap(trigger, other):
                yield f"{_pair(bucket, trigger, other)}; leave one of the two out"
        for other in stays:
            if overlap(trigger, other):
                yield f"{_pair(bucket, trigger, other)}; {_mend(other)}"


def _pair(bucket: str, one: Trigger, other: Trigger) -> str:
    events = ", ".join(common_events(one, other))
    return (
        f"bucket {bucket}: {where(one)} overlaps {where(other)} of {other.id or 'no id'} for "
        f"{events}, which S3 refuses"
    )


def _mend(other: Trigger) -> str:
    if other.mine:
        return "it is 3GSync's own: remove it, or replace all of our own at once with --replace"
    return (
        f"it sends to {other.target} and is not ours: narrow one of the two, or let S3 send to an "
        "SNS topic that feeds both, or use EventBridge; 3GSync reads the messages of either"
    )


def where(trigger: Trigger) -> str:
    """Which keys a configuration speaks of, for people."""
    pairs = (("prefix", trigger.prefix), ("suffix", trigger.suffix))
    return " and ".join(f"{name} {value!r}" for name, value in pairs if value) or "all keys"


def _limit_faults(bucket: str, plan: Plan) -> Iterator[str]:
    count = len(triggers_of(plan.after))
    if count > MOST:
        yield (
            f"bucket {bucket}: {count} configurations, {len(plan.others)} of them not ours; S3 "
            f"takes {MOST}: give fewer, shorter prefixes (or --all-keys) and leave out what you "
            "do not want with the ignore list"
        )


def _shortened(faults: Sequence[str]) -> Sequence[str]:
    if len(faults) <= _MOST_FAULTS:
        return faults
    return [*faults[:_MOST_FAULTS], f"and {len(faults) - _MOST_FAULTS} more like these"]
