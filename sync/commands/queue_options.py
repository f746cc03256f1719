"""Options that the queue tools share, and the queues they mean."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sync.adapters.aws_tools import AwsTools
from sync.adapters.queue_admin import QueueAdmin, QueueState
from sync.config import Settings
from sync.config.queue_names import queue_names
from sync.errors import ConfigError, NoSuchBucket


def add_common(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--queue`` and ``--json``."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument(
        "--queue",
        metavar="NAMES",
        default="",
        help="in place of sqs_queue_name: a name, or several as a,b or queue-{01..05}",
    )
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def names_of(arguments: argparse.Namespace, settings: Settings) -> tuple[str, ...]:
    """The queues' names. ConfigError where there is none, or one that SQS does not allow."""
    text = arguments.queue or settings.queue_name
    where = "--queue" if arguments.queue else "[Basic] sqs_queue_name"
    try:
        return queue_names(text)
    except ValueError as error:
        raise ConfigError(f"{where} = {text}: {error}") from None


async def existing(admin: QueueAdmin, names: Sequence[str]) -> list[QueueState]:
    """The queues with these names. NoSuchBucket names the first that is missing."""
    return [await _existing(admin, name) for name in names]


async def _existing(admin: QueueAdmin, name: str) -> QueueState:
    state = await admin.look(name)
    if state is None:
        raise NoSuchBucket(
            f"there is no queue {name} in {admin.region}: make it with 3gsync queue init, or "
            "check sqs_queue_name, the region of the queue's credentials, and the account"
        )
    return state


def dead_letter_name(state: QueueState, settings: Settings) -> str:
    """Name or ARN of a queue's dead-letter queue: the configured one, or its redrive policy's;
    "" where there is none.
    """
    return settings.dead_letter_queue or state.dead_letter_arn


async def by_dead_letter_queue(
    tools: AwsTools, names: Sequence[str]
) -> list[tuple[QueueState, list[QueueState]]]:
    """Each dead-letter queue with the queues it belongs to; ConfigError where none has one."""
    admin = await tools.queues()
    found: dict[str, tuple[QueueState, list[QueueState]]] = {}
    for queue in await existing(admin, names):
        name = dead_letter_name(queue, tools.settings)
        if name:
            dead = await _existing(admin, name)
            found.setdefault(dead.url, (dead, []))[1].append(queue)
    if not found:
        raise ConfigError(
            f"{', '.join(names)}: no dead-letter queue; give the queue a redrive policy (3gsync "
            "queue init --update) or set dead_letter_queue_name"
        )
    return list(found.values())
