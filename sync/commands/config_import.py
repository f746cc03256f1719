"""``3gsync config import``: a config.ini from the configuration of an earlier tool."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sync.commands.output import json_line
from sync.config import load
from sync.config.imports import Import, read
from sync.errors import ConfigError

_FAULTY = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The action's options."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="config.yml of the S3 tools, or an ini file of the cluster or the single node",
    )
    parser.add_argument(
        "--env-file", type=Path, metavar="FILE", help="the S3 tools' file of variables"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=Path("config.ini"),
        help="what is written (default: config.ini); - is standard output",
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Import; 1 where what was written has faults still, which are listed."""
    found = read(arguments.file, environ, arguments.env_file)
    to_screen = str(arguments.output) == "-"
    if to_screen:
        print(found.text())
    else:
        _write(arguments.output, found.text(), force=arguments.force)
    faults = _faults(found, None if to_screen else arguments.output)
    for line in _lines(found, faults, "" if to_screen else str(arguments.output)):
        print(f"# {line}" if to_screen else line)
    if arguments.json:
        print(json_line({**found.report(), "faults": faults}))
    return _FAULTY if faults else 0


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path}: is there already; name another --output, or --force") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _faults(found: Import, written: Path | None) -> list[str]:
    """What is wrong with the file that was made, by itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = written or Path(folder) / "config.ini"
        if written is None:
            path.write_text(found.text(), "utf-8")
        try:
            load(path, {})
        except ConfigError as error:
            return list(error.faults)
    return []


def _lines(found: Import, faults: list[str], written: str) -> list[str]:
    lines = [f"taken over: {line}" for line in found.taken]
    lines += [f"no counterpart: {line}" for line in found.left]
    lines += [f"to do: {line}" for line in found.todo]
    lines += [f"to mend: {fault}" for fault in faults]
    return lines + ([f"{written}: written"] if written else [])
