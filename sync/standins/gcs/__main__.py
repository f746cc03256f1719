"""``python -m sync.standins.gcs``: a stand-in that serves until it is told to stop.

When it is ready it prints one JSON line: ``url``, ``pid``, and, where they were made up here,
``access_id``, ``secret`` and ``control_token``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sync.errors import ConfigError
from sync.standins.gcs.options import HmacIdentity, Options
from sync.standins.gcs.server import GcsStandIn


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sync.standins.gcs", description=__doc__)
    add = parser.add_argument
    add("--config", metavar="FILE", help="all options as JSON; - reads them from standard input")
    add("--host", help="address to listen on (127.0.0.1)")
    add("--port", type=int, help="port to listen on (0: a free one)")
    add("--identities", metavar="FILE", help='JSON: [{"access_id", "secret", "grants"}]')
    add("--bucket", action="append", dest="buckets", metavar="NAME", help="a bucket to begin with")
    add("--versioned-bucket", action="append", dest="versioned_buckets", metavar="NAME")
    add("--data-dir", metavar="DIR", help="where large objects go (a temporary folder)")
    add("--cert-file", metavar="PEM", help="speak TLS with this certificate")
    add("--key-file", metavar="PEM")
    add(
        "--writes-per-object-per-second", type=float, metavar="N", help="429 above it (0: no limit)"
    )
    add("--retry-after", type=int, metavar="S", help="seconds, sent with such a 429")
    add("--page-size", type=int, metavar="N", help="most entries in a page of a listing (1000)")
    return parser


def read_options(arguments: Sequence[str]) -> tuple[Options, dict[str, str]]:
    """Options from the command line, and what was made up because nothing was given."""
    given = {name: value for name, value in vars(_parser().parse_args(arguments)).items() if value}
    plain: dict[str, Any] = _load(given.pop("config", ""), {})
    if "identities" in given:
        given["identities"] = _load(given["identities"], [])
    plain |= given
    made_up: dict[str, str] = {}
    if not plain.get("identities"):
        identity = HmacIdentity.made_up()
        made_up = {"access_id": identity.access_id, "secret": identity.secret}
        plain["identities"] = [made_up]
    options = Options.from_json(plain)
    if "control_token" not in plain:
        made_up = {**made_up, "control_token": options.control_token}
    return options, made_up


def _load(name: str, default: Any) -> Any:
    if not name:
        return default
    try:
        return json.loads(sys.stdin.read() if name == "-" else Path(name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: {error}") from None


async def serve(options: Options, made_up: dict[str, str]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with GcsStandIn(options) as server:
        ready = {"url": server.url, "pid": os.getpid(), **made_up}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Exit code 0 after a signal, 2 where the options are wrong or the port is taken."""
    try:
        options, made_up = read_options(sys.argv[1:])
        _run(options, made_up)
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"gcs stand-in: {error}\n")
        return 2
    return 0


def _run(options: Options, made_up: dict[str, str]) -> None:
    try:
        import uvloop  # noqa: PLC0415  only where there is one
    except ImportError:
        asyncio.run(serve(options, made_up))
    else:
        uvloop.run(serve(options, made_up))


if __name__ == "__main__":
    sys.exit(main())
