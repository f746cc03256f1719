"""``3gsync queue``: make, watch, look into, redrive and empty the queues."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from sync.commands import queue_init, queue_peek, queue_purge, queue_redrive, queue_stats

_ACTIONS = (
    ("init", queue_init, "make the queues and their dead-letter queue, or compare them"),
    ("stats", queue_stats, "how many messages are in the queues and in the dead-letter queue"),
    ("peek", queue_peek, "show messages without taking them away"),
    ("redrive", queue_redrive, "move dead letters back into the queue"),
    ("purge", queue_purge, "delete every message of a queue"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions and options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, module, text in _ACTIONS:
        action = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        module.add_arguments(action)
        action.set_defaults(action=module.run)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do what the action says; returns the exit code."""
    return int(arguments.action(arguments, environ))
