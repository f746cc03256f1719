"""``3gsync demo``: everything on this machine, with accidents."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from sync import demo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--small", action="store_true", help="fewer and smaller objects")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and data there")


def run(arguments: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Show it; returns the exit code."""
    return demo.run(small=arguments.small, keep=arguments.keep)
