"""``3gsync inventory compare``: two inventories against each other, without listing anything."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sync.config import load
from sync.errors import ConfigError

_PACKAGES: Final = ("duckdb", "ibis", "pyarrow")
_SIDES: Final = ("source", "destination")
_TEXTS: Final = (
    ("--source-bucket", "NAME", "the bucket, where the inventory does not name it"),
    ("--destination-bucket", "NAME", "default: the inventory's, else Des_bucket_default"),
    ("--destination-prefix", "TEXT", "default: Des_prefix_default"),
    ("--prefix", "TEXT", "only source keys that begin so"),
    ("--queue", "NAMES", "with --send; default: sqs_queue_name"),
    ("--output", "FILE", "write every difference there, as JSON lines; - is stdout"),
    ("--source-columns", "NAMES", "columns of CSV files without manifest, or of a table"),
    ("--destination-columns", "NAMES", "the same of the destination"),
)
_FLAGS: Final = (
    ("--size-only", "compare no checksums and ETags"),
    ("--time", "count a source that changed after its destination was written as different"),
    ("--include-archived", "treat objects that must be restored first like all others"),
    ("--send", "queue what is missing or different"),
    ("--json", "end with one line of JSON"),
)
_NUMBERS: Final = (
    ("--memory-limit", "MB", 1500, "what DuckDB may take; the rest is on disk"),
    ("--threads", "N", None, "default: one for each core"),
    ("--keys-per-message", "N", 1, "with --send"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    for side in _SIDES:
        parser.add_argument(
            side,
            metavar=side.upper(),
            help="a manifest.json, a folder, or a data file: a path, s3://..., gs://...; "
            "with --print-sql a table",
        )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    for flag, metavar, text in _TEXTS:
        parser.add_argument(flag, metavar=metavar, help=text)
    for side in _SIDES:
        parser.add_argument(
            f"--{side}-keys",
            choices=("auto", "encoded", "plain"),
            default="auto",
            help="whether keys are URL-encoded; auto: those of S3's CSV files are",
        )
    for flag, text in _FLAGS:
        parser.add_argument(flag, action="store_true", help=text)
    for flag, metavar, default, text in _NUMBERS:
        parser.add_argument(flag, type=_positive, metavar=metavar, default=default, help=text)
    parser.add_argument(
        "--work-directory", type=Path, metavar="DIR", help="room to spill and to download"
    )
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb")
    parser.add_argument(
        "--print-sql", choices=("bigquery",), help="print the query over two tables; run nothing"
    )


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Compare; 0 where both are equal or what differs was sent, 3 where they differ."""
    settings = load(arguments.config, environ)
    try:
        work: Any = import_module("sync.commands.inventory_comparing")
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise ConfigError(
            f"comparing inventories needs the package {error.name}: pip install '3gsync[inventory]'"
        ) from None
    return int(work.run(arguments, settings, environ))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1")
    return number
