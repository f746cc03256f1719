"""``3gsync queue redrive``: dead letters back into the queue."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sync.adapters.aws_tools import AwsTools, open_aws
from sync.adapters.clock import SystemClock
from sync.adapters.queue_admin import QueueState
from sync.arguments import rate, whole
from sync.commands.output import json_line
from sync.commands.queue_options import add_common, by_dead_letter_queue, names_of
from sync.commands.tables import shown, table
from sync.config import Settings, load
from sync.engine.tools.redrive import Redrive, Redriven, failure_of
from sync.errors import ConfigError, MessageError
from sync.ignore import IgnoreList
from sync.messages import DestinationRule, decode_records
from sync.ports import Clock, Delivery

_SHOWN = 10
_Wanted = Callable[[Delivery], bool]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    add_common(parser)
    parser.add_argument(
        "--reason",
        metavar="REGEX",
        default="",
        help="only those whose 'CODE: REASON' holds this; plain text is a regular expression too",
    )
    parser.add_argument(
        "--key",
        metavar="PATTERN",
        action="append",
        default=[],
        help="only those that name such a key or bucket/key, in the ignore list's syntax; may be "
        "repeated",
    )
    parser.add_argument("--rate", type=rate, metavar="N/s", help="messages a second")
    parser.add_argument("--limit", type=whole, metavar="N", help="at most N messages a queue")
    parser.add_argument("--dry-run", action="store_true", help="only count, by reason")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Move messages; 1 where some could not be moved or not all were looked at."""
    settings = load(arguments.config, environ)
    names = names_of(arguments, settings)
    wanted = chooser(arguments.reason, arguments.key, settings)
    results = asyncio.run(_redrive(arguments, settings, environ, names, wanted))
    for name, result in results:
        for line in _lines(name, result, dry_run=arguments.dry_run):
            print(line)
    if arguments.json:
        report = {"queues": [_report(name, one) for name, one in results]}
        print(json_line(report | {"dry_run": arguments.dry_run}))
    return int(any(one.failed or one.twice or not one.complete for _, one in results))


def chooser(reason: str, keys: Sequence[str], settings: Settings) -> _Wanted:
    """Whether a message is asked for, by reason and by key; both where both are given."""
    tests = [*_by_reason(reason), *_by_key(keys, settings)]
    return lambda delivery: all(test(delivery) for test in tests)


def _by_reason(text: str) -> Iterator[_Wanted]:
    if not text:
        return
    try:
        found = re.compile(text)
    except re.error as error:
        raise ConfigError(
            f"--reason {text}: no regular expression ({error}); put \\ before ( ) [ ] * + ? . |"
        ) from None
    yield lambda delivery: found.search(": ".join(failure_of(delivery))) is not None


def _by_key(patterns: Sequence[str], settings: Settings) -> Iterator[_Wanted]:
    if not patterns:
        return
    lines = IgnoreList.parse("\n".join(patterns))
    if len(lines) < len(patterns):
        raise ConfigError("--key: a pattern is empty, a remark, or has a line break in it")
    rule = DestinationRule(settings.default_bucket, settings.default_prefix)

    def named(delivery: Delivery) -> bool:
        try:
            records = decode_records(delivery.body, rule)
        except MessageError:
            return False  # what cannot be read names no key
        sources = (record.source for record in records)
        return any(ref is not None and lines.matches(ref.bucket, ref.key) for ref in sources)

    yield named


async def _redrive(
    arguments: argparse.Namespace,
    settings: Settings,
    environ: Mapping[str, str],
    names: Sequence[str],
    wanted: _Wanted,
) -> list[tuple[str, Redriven]]:
    async with open_aws(settings, environ) as tools:
        return [
            (dead.name, await _one(arguments, tools, dead, queues, wanted))
            for dead, queues in await by_dead_letter_queue(tools, names)
        ]


async def _one(
    arguments: argparse.Namespace,
    tools: AwsTools,
    dead: QueueState,
    queues: Sequence[QueueState],
    wanted: _Wanted,
    *,
    clock: Clock | None = None,
) -> Redriven:
    redrive = Redrive(
        dead=await tools.queue(dead.url),
        sources=[await tools.queue(queue.url) for queue in queues],
        clock=clock or SystemClock(),
        wanted=wanted,
        rate=arguments.rate,
        limit=arguments.limit,
        dry_run=arguments.dry_run,
    )
    return await redrive.run()


def _lines(name: str, result: Redriven, *, dry_run: bool) -> Iterator[str]:
    if dry_run:
        yield f"{name}: {result.matched} of {result.looked_at} messages would be moved"
    else:
        yield f"{name}: {result.moved} of {result.looked_at} messages moved"
    if result.reasons:
        order = sorted(result.reasons.items(), key=lambda item: -item[1].count)
        rows = [(reason.count, code, reason.example[:100]) for code, reason in order]
        yield from table(("COUNT", "CODE", "FOR EXAMPLE"), rows)
    if result.left:
        yield f"{result.left} were not asked for and stay."
    if result.newer:
        yield f"{result.newer} arrived after the start and stay: do it again for them."
    if result.twice:
        yield f"{len(result.twice)} were copied but not deleted, and are now in both queues."
    for message_id, why in list(result.failed.items())[:_SHOWN]:
        yield shown(f"not moved: {message_id}: {why}")
    if len(result.failed) > _SHOWN:
        yield f"and {len(result.failed) - _SHOWN} more were not moved."
    if not result.complete:
        yield "Not all messages were looked at: do it again when the queue takes messages."


def _report(name: str, result: Redriven) -> dict[str, object]:
    return {
        "queue": name,
        "looked_at": result.looked_at,
        "matched": result.matched,
        "moved": result.moved,
        "left": result.left,
        "newer": result.newer,
        "twice": result.twice,
        "failed": result.failed,
        "complete": result.complete,
        "reasons": {
            code: {"count": reason.count, "example": reason.example}
            for code, reason in result.reasons.items()
        },
    }
