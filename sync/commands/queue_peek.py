"""``3gsync queue peek``: messages and what a worker would do with them, left where they are."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence

from sync.adapters.aws_tools import AwsTools, open_aws
from sync.adapters.queue_admin import QueueState
from sync.arguments import whole
from sync.commands.output import json_line
from sync.commands.queue_options import add_common, by_dead_letter_queue, existing, names_of
from sync.commands.tables import moment, shown
from sync.config import Settings, load
from sync.engine.tools.peek import Peeked, peek
from sync.engine.tools.redrive import failure_of
from sync.explaining import explain_body
from sync.ports import Delivery

_RECORDS = 5
_WRITTEN_BY_WORKERS = ("code", "reason", "receive_count", "failed_at", "original_message_id")
_COST = "Looking is receiving: the receive count of each message shown rises by one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    add_common(parser)
    parser.add_argument("--dead", action="store_true", help="look into the dead-letter queue")
    parser.add_argument("-n", type=whole, default=10, metavar="N", help="messages a queue (10)")
    parser.add_argument("--raw", action="store_true", help="also print bodies as they are")
    parser.add_argument(
        "--force", action="store_true", help="also where messages have few receipts left"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show messages; 1 where a queue was left early."""
    settings = load(arguments.config, environ)
    names = names_of(arguments, settings)
    seen = asyncio.run(_peek(arguments, settings, environ, names))
    for name, peeked in seen:
        for line in _lines(name, peeked, settings, arguments):
            print(line)
    print(_COST)
    if arguments.json:
        print(json_line({"queues": [_report(name, one, settings) for name, one in seen]}))
    return int(any(peeked.stopped for _, peeked in seen))


async def _peek(
    arguments: argparse.Namespace,
    settings: Settings,
    environ: Mapping[str, str],
    names: Sequence[str],
) -> list[tuple[str, Peeked]]:
    async with open_aws(settings, environ) as tools:
        seen = []
        for state in await _states(tools, names, dead=arguments.dead):
            queue = await tools.queue(state.url)
            limit = state.max_receive_count
            found = await peek(queue, arguments.n, max_receive_count=limit, force=arguments.force)
            seen.append((state.name, found))
        return seen


async def _states(tools: AwsTools, names: Sequence[str], *, dead: bool) -> list[QueueState]:
    if dead:
        return [state for state, _ in await by_dead_letter_queue(tools, names)]
    return await existing(await tools.queues(), names)


def _lines(
    name: str, peeked: Peeked, settings: Settings, arguments: argparse.Namespace
) -> Iterator[str]:
    yield f"{name}: {len(peeked.messages)} message{'s' if len(peeked.messages) != 1 else ''}"
    for delivery in peeked.messages:
        yield ""
        yield from _message(delivery, settings, dead=arguments.dead)
        if arguments.raw:
            yield shown(f"  body: {delivery.body}")
    if peeked.messages:
        yield ""
    if peeked.kept:
        yield f"{peeked.kept} could not be given back: they are visible again in 30 seconds."
    if peeked.stopped:
        yield "Left early: a message has hardly a receipt left before SQS moves it; see --force."


def _message(delivery: Delivery, settings: Settings, *, dead: bool) -> Iterator[str]:
    sent = moment(delivery.sent_at)
    yield shown(f"{delivery.message_id}  sent {sent}  received {delivery.attempt} times")
    told = dict(delivery.attributes)
    if "code" in told or "reason" in told:
        failed = f"{told.get('failed_at', '')} after {told.get('receive_count', '?')} receipts"
        yield shown(f"  failed {failed}: {': '.join(failure_of(delivery))}")
    elif dead:
        yield f"  {failure_of(delivery)[1]}"
    for name, text in delivery.attributes:
        if name not in _WRITTEN_BY_WORKERS:
            yield shown(f"  {name}: {text}")
    lines = explain_body(delivery.body, settings)
    for line in lines[:_RECORDS]:
        yield shown(f"  {_explained(line)}")
    if len(lines) > _RECORDS:
        yield f"  and {len(lines) - _RECORDS} more in this message"


def _explained(line: Mapping[str, object]) -> str:
    parts = [str(line["action"])]
    for word, name in (("", "source"), ("to ", "destination")):
        place = line[name]
        if isinstance(place, dict) and place["bucket"]:
            parts.append(f"{word}{place['bucket']}/{place['key']}")
    if line["size"] is not None:
        parts.append(f"{line['size']} bytes")
    return f"{' '.join(parts)} ({line['reason']})"


def _report(name: str, peeked: Peeked, settings: Settings) -> dict[str, object]:
    messages = [
        {
            "message_id": delivery.message_id,
            "sent_at": delivery.sent_at,
            "receive_count": delivery.attempt,
            "attributes": dict(delivery.attributes),
            "body": delivery.body,
            "records": explain_body(delivery.body, settings),
        }
        for delivery in peeked.messages
    ]
    return {"queue": name, "messages": messages, "left_early": peeked.stopped}
