"""``3gsync explain``: what the worker would do with a message body, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from sync.commands.output import json_line
from sync.config import load
from sync.errors import ConfigError
from sync.explaining import explain_body


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    parser.add_argument("file", nargs="?", default="-", help="file with one body; - is stdin")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """One line of JSON for each thing the worker would do; 1 where it would reject something."""
    lines = explain_body(_read(arguments.file), load(arguments.config, environ))
    for line in lines:
        print(json_line(line))
    return 1 if any(line["action"] == "reject" for line in lines) else 0


def _read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{name}: {error.strerror}; name a readable file, or - for stdin"
        ) from None
    return data.decode("utf-8-sig", "surrogateescape")
