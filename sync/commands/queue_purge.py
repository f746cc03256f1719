"""``3gsync queue purge``: every message of one queue, deleted."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping

from sync.adapters.aws_tools import AwsTools, open_aws
from sync.adapters.queue_admin import QueueState
from sync.commands.output import json_line
from sync.commands.queue_options import add_common, by_dead_letter_queue, existing, names_of
from sync.config import load
from sync.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    add_common(parser)
    parser.add_argument("--dead", action="store_true", help="its dead-letter queue instead")
    parser.add_argument(
        "--yes", metavar="NAME", default="", help="the queue's name, in place of typing it"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Delete all messages, once the queue's name was given."""
    settings = load(arguments.config, environ)
    names = names_of(arguments, settings)
    if len(names) != 1:
        raise ConfigError(f"{len(names)} queues are named; purge one at a time: --queue NAME")

    async def purge() -> QueueState:
        async with open_aws(settings, environ) as tools:
            return await _purge(tools, names[0], arguments)

    state = asyncio.run(purge())
    print(
        f"{state.name}: being purged; it takes SQS up to 60 seconds, messages that arrive in "
        "this time may be deleted too, and it can be done once in 60 seconds"
    )
    if arguments.json:
        print(json_line({"queue": state.name, "visible": state.visible, "purged": True}))
    return 0


async def _purge(tools: AwsTools, name: str, arguments: argparse.Namespace) -> QueueState:
    admin = await tools.queues()
    if arguments.dead:
        state = (await by_dead_letter_queue(tools, [name]))[0][0]
    else:
        state = (await existing(admin, [name]))[0]
    _confirm(state, arguments.yes)
    await admin.purge(state)
    return state


def _confirm(state: QueueState, given: str) -> None:
    """ConfigError unless somebody gave the queue's very name."""
    counts = f"{state.visible} visible, {state.in_flight} in flight, {state.delayed} delayed"
    if given:
        typed = given
    elif sys.stdin.isatty():
        print(f"{state.name}: {counts}. All of them will be deleted; nothing brings them back.")
        typed = input("Type the queue's name to go on: ").strip()
    else:
        raise ConfigError(
            f"{state.name}: {counts}; to delete all of them without a terminal say "
            f"--yes {state.name}"
        )
    if typed != state.name:
        raise ConfigError(f"{typed!r} is not the queue's name, {state.name}: nothing was deleted")
