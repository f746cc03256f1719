"""The console command ``3gsync``: reads the verb, leaves the work to the parts.

Exit codes: 0 all well; 1 something failed and is listed; 2 wrong use or configuration;
3 differences found by ``check``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sync
from sync.errors import ConfigError

_MISUSED = 2
Handler = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    arguments = _parser(argv if argv is not None else sys.argv[1:]).parse_args(argv)
    handler: Handler = arguments.handler
    try:
        return handler(arguments)
    except ConfigError as error:
        for fault in error.faults:
            print(f"3gsync: {fault}", file=sys.stderr)
        return _MISUSED
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 1
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="3gsync",
        description="Keeps a Google Cloud Storage (or S3) bucket equal to an S3 bucket.",
    )
    parser.add_argument("--version", action="version", version=f"3gsync {sync.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    wanted = next((word for word in argv if not word.startswith("-")), "")
    _worker(verbs, load_options=wanted == "worker")
    _explain(verbs)
    _config(verbs)
    _demo(verbs)
    return parser


def _worker(verbs: Any, *, load_options: bool) -> None:
    """The worker's own options are imported only when it is the worker that is asked for."""
    parser = verbs.add_parser("worker", help="serve the queue: copy what its messages name")
    if load_options:
        from sync import worker  # noqa: PLC0415  start-up time

        worker.add_arguments(parser)
        parser.set_defaults(handler=lambda arguments: worker.run(arguments, os.environ))


def _explain(verbs: Any) -> None:
    parser = verbs.add_parser(
        "explain", help="say what the worker would do with a message body, and why"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("file", nargs="?", default="-", help="file with one body; - is stdin")
    parser.set_defaults(handler=_run_explain)


def _run_explain(arguments: argparse.Namespace) -> int:
    from sync.config import load  # noqa: PLC0415  start-up time
    from sync.explaining import explain_body  # noqa: PLC0415  start-up time

    body = _read(arguments.file)
    lines = explain_body(body, load(arguments.config, os.environ))
    for line in lines:
        print(_json(line))
    return 1 if any(line["action"] == "reject" for line in lines) else 0


def _json(value: object) -> str:
    """Readable where the terminal can show it; a key may hold what no encoding has."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def _read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{name}: {error.strerror}; name a readable file, or - for stdin"
        ) from None
    return data.decode("utf-8-sig", "surrogateescape")


def _config(verbs: Any) -> None:
    parser = verbs.add_parser("config", help="check or show the configuration")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="report every fault at once")
    check.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    check.add_argument(
        "--online",
        action="store_true",
        help="also try keys, queue, table and both buckets, with an object that is removed again",
    )
    check.add_argument(
        "--source-bucket", metavar="NAME", default="", help="with --online: read an object of it"
    )
    check.add_argument("--json", action="store_true", help="end with one line of JSON")
    check.set_defaults(handler=_run_check)
    show = actions.add_parser("show", help="print the effective settings, without secrets")
    show.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    show.set_defaults(handler=_run_show)


def _run_check(arguments: argparse.Namespace) -> int:
    from sync.config_check import check  # noqa: PLC0415  start-up time

    return check(
        arguments.config,
        os.environ,
        online=arguments.online,
        as_json=arguments.json,
        source_bucket=arguments.source_bucket,
    )


def _run_show(arguments: argparse.Namespace) -> int:
    from sync.config import load, show  # noqa: PLC0415  start-up time

    print(show(load(arguments.config, os.environ)))
    return 0


def _demo(verbs: Any) -> None:
    parser = verbs.add_parser(
        "demo", help="watch it work: everything on this machine, with accidents"
    )
    parser.add_argument("--small", action="store_true", help="fewer and smaller objects")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and data there")
    parser.set_defaults(handler=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    from sync.demo import run  # noqa: PLC0415  start-up time

    return run(small=arguments.small, keep=arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
