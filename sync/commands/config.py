"""``3gsync config``: check, show or import the configuration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from sync.commands import config_import
from sync.config import load, show
from sync.config_check import check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's actions and options."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="report every fault at once")
    _config_file(checking)
    checking.add_argument(
        "--online",
        action="store_true",
        help="also try keys, queue, table and both buckets, with an object that is removed again",
    )
    checking.add_argument(
        "--source-bucket", metavar="NAME", default="", help="with --online: read an object of it"
    )
    checking.add_argument("--json", action="store_true", help="end with one line of JSON")
    checking.set_defaults(action=_check)
    showing = actions.add_parser("show", help="print the effective settings, without secrets")
    _config_file(showing)
    showing.set_defaults(action=_show)
    importing = actions.add_parser("import", help="make a config.ini of an earlier tool's file")
    config_import.add_arguments(importing)
    importing.set_defaults(action=config_import.run)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do what the action says; returns the exit code."""
    return int(arguments.action(arguments, environ))


def _config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")


def _check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    return check(
        arguments.config,
        environ,
        online=arguments.online,
        as_json=arguments.json,
        source_bucket=arguments.source_bucket,
    )


def _show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    print(show(load(arguments.config, environ)))
    return 0
