"""``3gsync queue stats``: how many messages there are, and where."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync.adapters.aws_tools import AwsTools, open_aws
from sync.adapters.queue_admin import QueueAdmin, QueueState
from sync.commands.output import json_line
from sync.commands.queue_options import add_common, dead_letter_name, existing, names_of
from sync.commands.tables import shown, table
from sync.config import load
from sync.errors import CredentialsRejected, StoreError

_HEADER = ("QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "DEAD-LETTER QUEUE")
_AGE = (
    "Numbers are SQS's own, which are approximate. How old the oldest message is only CloudWatch "
    "knows (ApproximateAgeOfOldestMessage), which is not asked."
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Queues, their dead-letter queues by name or ARN, and why one cannot be looked at."""

    queues: Sequence[tuple[QueueState, str]]
    dead: Mapping[str, QueueState]
    unseen: Mapping[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    add_common(parser)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the queues; always 0 where they are there."""
    settings = load(arguments.config, environ)
    names = names_of(arguments, settings)

    async def look() -> Seen:
        async with open_aws(settings, environ) as tools:
            return await _look(tools, names)

    seen = asyncio.run(look())
    for line in _lines(seen):
        print(line)
    if arguments.json:
        print(json_line(_report(seen)))
    return 0


async def _look(tools: AwsTools, names: Sequence[str]) -> Seen:
    admin = await tools.queues()
    states = await existing(admin, names)
    queues = [(state, dead_letter_name(state, tools.settings)) for state in states]
    dead: dict[str, QueueState] = {}
    unseen: dict[str, str] = {}
    for name in dict.fromkeys(name for _, name in queues if name):
        found = await _dead_letter_queue(admin, name)
        if isinstance(found, str):
            unseen[name] = found
        else:
            dead[name] = found
    return Seen(queues, dead, unseen)


async def _dead_letter_queue(admin: QueueAdmin, name: str) -> QueueState | str:
    """The queue, or why it cannot be looked at: another account may own it."""
    try:
        return await admin.look(name) or "there is no such queue"
    except CredentialsRejected:
        raise
    except StoreError as error:
        return str(error)


def _lines(seen: Seen) -> Iterable[str]:
    rows = [
        (*_counts(state), _short(name) + ("" if name else "none")) for state, name in seen.queues
    ]
    rows += [(*_counts(state), "(is one)") for state in seen.dead.values()]
    yield from table(_HEADER, rows)
    for name, why in seen.unseen.items():
        yield shown(f"{_short(name)}: {why}")
    yield _AGE


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def _counts(state: QueueState) -> tuple[str, int, int, int]:
    return state.name, state.visible, state.in_flight, state.delayed


def _report(seen: Seen) -> dict[str, object]:
    return {
        "queues": [
            _described(state)
            | {"dead_letter_queue": _short(name), "max_receive_count": state.max_receive_count}
            for state, name in seen.queues
        ],
        "dead_letter_queues": [_described(state) for state in seen.dead.values()],
        "not_seen": {_short(name): why for name, why in seen.unseen.items()},
    }


def _described(state: QueueState) -> dict[str, object]:
    return {
        "name": state.name,
        "url": state.url,
        "visible": state.visible,
        "in_flight": state.in_flight,
        "delayed": state.delayed,
        "oldest_age_seconds": None,
    }
