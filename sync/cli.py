"""The console command ``3gsync``: reads the verb, leaves the work to the parts.

Exit codes: 0 all well; 1 something failed and is listed; 2 wrong use or configuration;
3 differences found by ``check``.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import sync
from sync.core_dumps import forbid_core_dumps
from sync.errors import ConfigError, SyncError
from sync.telemetry.streams import let_go, tell

_FAILED: Final = 1
_MISUSED: Final = 2
# Verb, module with add_arguments and run, help. A module is imported only for its own verb.
_VERBS: Final = (
    ("worker", "sync.worker", "serve the queue: copy what its messages name"),
    ("jobsender", "sync.jobsender", "compare two buckets and queue what is missing"),
    ("inventory", "sync.commands.inventory", "queue or compare what an S3 Inventory lists"),
    ("check", "sync.commands.check", "prove that a destination equals its source"),
    ("triggers", "sync.commands.triggers", "which events a bucket sends to the queue"),
    ("queue", "sync.commands.queue", "make, watch, look into, redrive and empty the queues"),
    ("ledger", "sync.commands.ledger", "what the job table says: running, recent, failed, slow"),
    ("uploads", "sync.commands.uploads", "list and abort unfinished uploads"),
    ("explain", "sync.commands.explain", "say what the worker would do with a message, and why"),
    ("config", "sync.commands.config", "check, show or import the configuration"),
    ("demo", "sync.commands.demo", "watch it work: everything on this machine, with accidents"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    forbid_core_dumps()
    arguments = _parser(argv if argv is not None else sys.argv[1:]).parse_args(argv)
    try:
        return int(arguments.run(arguments, os.environ))
    except ConfigError as error:
        for fault in error.faults:
            tell(f"3gsync: {fault}")
        return _MISUSED
    except SyncError as error:
        tell(f"3gsync: {error}")
        return _FAILED
    except (KeyboardInterrupt, asyncio.CancelledError, BrokenPipeError):
        return _FAILED  # a broken pipe: the reader of our output has gone
    finally:
        let_go()


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="3gsync",
        description="Keeps a Google Cloud Storage (or S3) bucket equal to an S3 bucket.",
    )
    parser.add_argument("--version", action="version", version=f"3gsync {sync.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    wanted = next((word for word in argv if not word.startswith("-")), "")
    for name, module, text in _VERBS:
        verb = verbs.add_parser(name, help=text, description=_sentence(text))
        if name == wanted:
            _load(verb, module)
    return parser


def _load(verb: argparse.ArgumentParser, name: str) -> None:
    module: Any = importlib.import_module(name)
    module.add_arguments(verb)
    verb.set_defaults(run=module.run)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.exit(main())
