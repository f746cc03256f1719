"""Message bodies, the keys in them, and ignore lists."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import quote

from faults.inputs.target import Disagreement, Target, agree, outcome
from sync.adapters.s3_xml import KeyDecoder
from sync.errors import MessageError
from sync.ignore import IgnoreList
from sync.ignore.patterns import read_line, to_regex, tokens
from sync.messages import DestinationRule, decode, encode_batch, encode_job
from sync.messages.events import form_decoded, percent_decoded
from sync.model import JobKind

_RULE: Final = DestinationRule("default-bucket", "prefix")
_LONGEST_REASON: Final = 2000


def _event(**described: Any) -> dict[str, Any]:
    entity = {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "source", "arn": "arn:aws:s3:::source"},
        "object": {"key": "a/b+c%2B%C3%BC.txt", "size": 12, "sequencer": "0055AED6", **described},
    }
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-01-05T10:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": entity,
    }


def _bridge() -> dict[str, Any]:
    described = {"key": "a b%20", "size": 5, "etag": "0" * 32, "version-id": "v1"}
    detail = {"version": "0", "bucket": {"name": "source"}, "object": described}
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-01-05T10:00:00Z",
        "detail": detail,
    }


def _bodies() -> list[bytes]:
    records = {"Records": [_event(), _event(versionId="null", eTag='"x"')]}
    removed = {"Records": [_event() | {"eventName": "s3:ObjectRemoved:Delete"}]}
    capital = {
        "Records": [
            {"EventName": "", "S3": {"Bucket": {"Name": "b"}, "Object": {"Key": "k", "Size": "1"}}}
        ]
    }
    job = {
        "Src_bucket": "source", "Src_key": "a//b", "Des_bucket": "target", "Des_key": "c",
        "Size": 1, "versionId": "null",
    }  # fmt: skip
    keys = [{"source_key": "a%2Fb", "target_key": "c%20", "size": 3, "version_id": "v"}]
    batch = {"source_bucket": "source", "target_bucket": "target", "keys": keys}
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "source"}
    sns = {"Type": "Notification", "Message": json.dumps(records)}
    twice = {"Type": "Notification", "Message": json.dumps(sns)}
    shapes = (records, removed, capital, job, batch, test, sns, twice, _bridge())
    return [json.dumps(shape).encode() for shape in shapes]


def _message(data: bytes) -> None:
    body = data.decode("utf-8", "surrogateescape" if data[-1:] == b"s" else "replace")
    try:
        decoded = decode(body, _RULE)
    except MessageError as error:
        text = str(error)
        if not (text.isascii() and text.isprintable()) or len(text) > _LONGEST_REASON:
            raise Disagreement(f"a reason that is no message attribute: {text[:200]!a}") from error
        raise
    copies = [job for job in decoded.jobs if job.kind is JobKind.COPY]
    for job in decoded.jobs:
        (job.source.key + job.destination.key + job.event_name + job.sequencer).encode()
    for job in copies:
        (again,) = decode(encode_job(job), _RULE).jobs
        agree((again.source, again.destination, again.size), _moved(job), "a job sent on")
    pairs = {(job.source.bucket, job.destination.bucket) for job in copies}
    if len(pairs) == 1:
        sent = decode(encode_batch(copies), _RULE).jobs
        found = [(job.source, job.destination, job.size) for job in sent]
        agree(found, [_moved(job) for job in copies], "a batch sent on")


def _moved(job: Any) -> tuple[Any, ...]:
    return job.source, job.destination, job.size


_HEX: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def _key(data: bytes) -> None:
    """Three decoders against one of ten lines that works on bytes; and what they undo."""
    text = data.decode("utf-8", "replace")
    raw = _HEX.sub(lambda found: bytes([int(found[1], 16)]), text.encode())
    plain = outcome(raw.decode, fails=UnicodeDecodeError)
    agree(outcome(percent_decoded, text, fails=MessageError), plain, "percent")
    spaced = text.replace("+", " ").encode()
    raw = _HEX.sub(lambda found: bytes([int(found[1], 16)]), spaced)
    plain = outcome(raw.decode, fails=UnicodeDecodeError)
    agree(outcome(form_decoded, text, fails=MessageError), plain, "form")
    listed = outcome(KeyDecoder(encoded=True), text, "strict", fails=UnicodeDecodeError)
    agree(listed, plain, "listing")
    agree(percent_decoded(quote(text)), text, "quoted")


def _ignore(data: bytes) -> None:
    """The list's answers for keys made of the list itself, against each line's expression."""
    text = data.decode("utf-8", "replace").lstrip("\ufeff")
    rules = [rule for line in text.split("\n") if (rule := read_line(line)) is not None]
    lines = IgnoreList.parse(text)
    agree(len(lines), len(rules), "lines")
    expressions = [re.compile(to_regex(tokens(rule.glob))) for rule in rules[:40]]
    whole = text.replace("*", "aaaa").replace("?", "b")
    for key in {text[:1024], whole[-1024:], "a" * 1024, *text.split("\n")[:8]}:
        decided = lines.match("bucket", key)
        if len(rules) <= len(expressions):
            agree(decided, _decided(rules, expressions, key), f"{key!a}")


def _decided(rules: Any, expressions: Any, key: str) -> str | None:
    for rule, expression in zip(reversed(rules), reversed(expressions), strict=True):
        if expression.match(f"bucket/{key}") or expression.match(key):
            return str(rule.line) if rule.include else None
    return None


_LISTS: Final = (
    b"bucket/prefix/\n*.tmp\n!keep.tmp\n# remark\na*b*c?d[!x-z]\n",
    b"*a*a*a*a*a*a*a*a*a*a*a*a*b\n\\*literal\nfolder/**/x\n[[]\n[]]\n[z-a]\n",
    b"?*?*?*?*?*?*x\r\n*[ab]*[ab]*[ab]*\n \\ \n!!x\n",
)
_KEYS: Final = (b"a/b c+d%2B%20%C3%A9.txt", b"%ff%fe", "💩/%F0%9F%92%A9+".encode(), b"100%25+%zz%")

TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="messages", probe=_message, allowed=(MessageError,), seeds=_bodies(),
               words=(b'"Records"', b'"s3"', b'"keys"', b'"Type":"Notification"', b"s3:TestEvent")),
        Target(name="url-keys", probe=_key, allowed=(), seeds=_KEYS, longest=2048),
        Target(name="ignore-list", probe=_ignore, allowed=(), seeds=_LISTS, longest=4096,
               words=(b"*a", b"[!a-z]", b"?*", b"\\*")),
    )
}  # fmt: skip
